"""References of the form $(NAME) in commands, arguments, environment values and subPathExpr.

Follows https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/:
`$$` is a literal `$`, a reference to an unknown name stays as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace every $(NAME) that `variables` holds."""
    return _expand(text, lambda name: variables.get(name, f"$({name})"))


class MissingVariable(Exception):
    """A reference has no value; the argument is its name."""


def expand_strict(text: str, variables: Mapping[str, str]) -> str:
    """As `expand`, but an unknown name raises MissingVariable (subPathExpr)."""

    def lookup(name: str) -> str:
        if name not in variables:
            raise MissingVariable(name)
        return variables[name]

    return _expand(text, lookup)


def _expand(text: str, lookup: Callable[[str], str]) -> str:
    if "$" not in text:
        return text
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        parts.append(text[position:dollar])
        following = text[dollar + 1]
        end = text.find(")", dollar + 2) if following == "(" else -1
        if following == "$":
            parts.append("$")
            position = dollar + 2
        elif end >= 0:
            parts.append(lookup(text[dollar + 2 : end]))
            position = end + 1
        else:
            parts.append("$" + following)
            position = dollar + 2
    parts.append(text[position:])
    return "".join(parts)
