"""Label and field selectors: parsed once, matched against plain mappings.

Both are immutable and cheap to match, because every watch event meets every watcher's selector. Malformed
input raises ValueError with the official text; callers turn it into a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apimachinery import names
from apimachinery.field import FieldError, Path, aggregate, invalid

_BINARY_OPERATORS: Final = "in, notin, =, ==, !=, gt, lt"
_TOKEN = re.compile(r"\s*([=!(),<>]|[^=!(),<>\s]+)")
_SYMBOLS: Final = frozenset({")", ",", "!", "==", "=", ">", "<", "!=", "("})
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def _as_int64(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label; ``operator`` is ``= == != in notin exists ! gt lt``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether the labels satisfy this condition."""
        found = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return found is not None and found in self.values
            case "!=" | "notin":
                return found is None or found not in self.values
            case "exists":
                return found is not None
            case "!":
                return found is None
        number, limit = _as_int64(found) if found is not None else None, _as_int64(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.operator == "gt" else number < limit

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt":
                return f"{self.key}>{self.values[0]}"
            case "lt":
                return f"{self.key}<{self.values[0]}"
        return f"{self.key}{self.operator}{self.values[0]}"

    def errors(self, path: Path) -> list[FieldError]:
        """What the official constructor would object to."""
        errs = (
            [invalid(path.child("key"), self.key, "; ".join(e))]
            if (e := names.is_qualified_name(self.key))
            else []
        )
        values = path.child("values")
        if self.operator in ("in", "notin") and not self.values:
            errs.append(
                invalid(values, list(self.values), "for 'in', 'notin' operators, values set can't be empty")
            )
        if self.operator in ("gt", "lt"):
            for i, value in enumerate(self.values):
                if _as_int64(value) is None:
                    errs.append(
                        invalid(
                            values.index(i), value, "for 'Gt', 'Lt' operators, the value must be an integer"
                        )
                    )
        for i, value in enumerate(self.values):
            if wrong := names.is_label_value(value):
                errs.append(invalid(values.index(i).key(self.key), value, "; ".join(wrong)))
        return errs


class LabelSelector:
    """A conjunction of requirements. ``LabelSelector.nothing()`` matches no object at all."""

    __slots__ = ("_exact", "_rest", "requirements", "selects_nothing")

    def __init__(self, requirements: Iterable[Requirement] = (), *, selects_nothing: bool = False) -> None:
        self.requirements: tuple[Requirement, ...] = tuple(sorted(requirements, key=lambda r: r.key))
        self.selects_nothing = selects_nothing
        exact = [r for r in self.requirements if r.operator in ("=", "==") and len(r.values) == 1]
        self._exact = tuple((r.key, r.values[0]) for r in exact)
        self._rest = tuple(r for r in self.requirements if r not in exact)

    @classmethod
    def parse(cls, text: str | None) -> LabelSelector:
        """Parse the query form ``a=b,c in (d,e),!f``. Raises ValueError with the official text."""
        return cls(_Parser(text or "").parse())

    @classmethod
    def nothing(cls) -> LabelSelector:
        """The selector of an absent ``selector`` field."""
        return cls(selects_nothing=True)

    @classmethod
    def from_labels(cls, labels: Mapping[str, str] | None) -> LabelSelector:
        """Exactly these labels; an empty map matches everything (callers often treat it as nothing)."""
        return cls(Requirement(key, "=", (value,)) for key, value in (labels or {}).items())

    @classmethod
    def from_object(cls, selector: Mapping[str, Any] | None) -> LabelSelector:
        """From ``{"matchLabels": …, "matchExpressions": …}``: None matches nothing, ``{}`` everything.

        Raises ValueError for an operator that does not exist or values that do not fit it.
        """
        if selector is None:
            return cls.nothing()
        requirements = [
            Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()
        ]
        for expression in selector.get("matchExpressions") or ():
            operator = _EXPRESSION_OPERATORS.get(expression.get("operator") or "")
            if operator is None:
                raise ValueError(
                    f'"{expression.get("operator") or ""}" is not a valid label selector operator'
                )
            requirement = Requirement(
                expression.get("key") or "", operator, tuple(expression.get("values") or ())
            )
            if errs := requirement.errors(Path("")):
                raise ValueError(aggregate(e.message() for e in errs))
            requirements.append(requirement)
        return cls(requirements)

    @property
    def empty(self) -> bool:
        """Say whether every object matches."""
        return not self.requirements and not self.selects_nothing

    @property
    def exact(self) -> tuple[tuple[str, str], ...]:
        """The ``key=value`` conditions: what an inverted index can answer."""
        return self._exact

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Say whether an object with these labels is selected."""
        if self.selects_nothing:
            return False
        present = labels or {}
        for key, value in self._exact:
            if present.get(key) != value:
                return False
        return all(requirement.matches(present) for requirement in self._rest)

    def __str__(self) -> str:
        return ",".join(str(r) for r in self.requirements)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelSelector)
            and self.requirements == other.requirements
            and self.selects_nothing == other.selects_nothing
        )

    def __hash__(self) -> int:
        return hash((self.requirements, self.selects_nothing))

    def __repr__(self) -> str:
        return f"LabelSelector({str(self)!r})"


_EXPRESSION_OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class _Parser:
    """Recursive descent over the grammar of label queries."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    def _peek(self) -> str:
        return self._tokens[self._position]

    def _next(self) -> str:
        token = self._tokens[self._position]
        self._position += 1
        return token

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            token = self._peek()
            if not token:
                return requirements
            if token in _SYMBOLS and token != "!":
                raise ValueError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as err:
                raise ValueError(f"unable to parse requirement: {err}") from None
            token = self._next()
            if not token:
                return requirements
            if token != ",":
                raise ValueError(f"found '{token}', expected: ',' or 'end of string'")
            following = self._peek()
            if not following or (following in _SYMBOLS and following != "!"):
                raise ValueError(f"found '{following}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token = self._next()
        absent = token == "!"
        if absent:
            token = self._next()
        if not token or token in _SYMBOLS:
            raise ValueError(f"found '{token}', expected: identifier")
        if wrong := names.is_qualified_name(token):
            raise ValueError(invalid(Path("<nil>"), token, "; ".join(wrong)).message())
        if self._peek() in ("", ","):
            return Requirement(token, "!" if absent else "exists")
        if absent:
            return Requirement(token, "!")
        return self._checked(Requirement(token, *self._restriction()))

    @staticmethod
    def _checked(requirement: Requirement) -> Requirement:
        if errs := requirement.errors(Path("")):
            raise ValueError(aggregate(e.message() for e in errs))
        return requirement

    def _restriction(self) -> tuple[str, tuple[str, ...]]:
        operator = self._next()
        match operator:
            case "in" | "notin":
                return operator, self._values()
            case "=" | "==" | "!=":
                return operator, (self._value(),)
            case ">":
                return "gt", (self._value(),)
            case "<":
                return "lt", (self._value(),)
        raise ValueError(f"found '{operator}', expected: {_BINARY_OPERATORS}")

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        token = self._next()
        if token in _SYMBOLS:
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> tuple[str, ...]:
        token = self._next()
        if token != "(":
            raise ValueError(f"found '{token}' expected: '('")
        values: set[str] = set()
        pending = ""
        while True:
            token = self._next()
            if token == ")":
                values.add(pending)
                return tuple(sorted(values))
            if token == ",":
                values.add(pending)
                pending = ""
            elif not token or token in _SYMBOLS:
                raise ValueError(f"found '{token}', expected: ',', or identifier")
            elif pending:
                raise ValueError(f"found '{token}', expected: ',' or ')'")
            else:
                pending = token


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        assert match is not None
        token, position = match[1], match.end()
        if token in "=!" and text[position : position + 1] == "=":
            token += "="
            position += 1
        tokens.append(token)
    tokens.append("")
    return tokens


class FieldSelector:
    """A conjunction of ``field=value`` and ``field!=value``; operators are ``=`` and ``!=``."""

    __slots__ = ("requirements",)

    def __init__(self, requirements: Sequence[tuple[str, str, str]] = ()) -> None:
        self.requirements: tuple[tuple[str, str, str], ...] = tuple(requirements)

    @classmethod
    def parse(cls, text: str | None) -> FieldSelector:
        """Parse ``a=b,c!=d`` (``==`` is ``=``; ``\\`` escapes). Raises ValueError with the official text."""
        requirements = []
        for part in sorted(_split_terms(text or "")):
            if part:
                requirements.append(_field_term(text or "", part))
        return cls(requirements)

    @property
    def empty(self) -> bool:
        """Say whether every object matches."""
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Say whether an object with these field values is selected; an absent field counts as ``""``."""
        for field, operator, value in self.requirements:
            if (fields.get(field, "") == value) != (operator == "="):
                return False
        return True

    def exact(self, field: str) -> str | None:
        """The value that ``field`` must have, if the selector asks for one."""
        for name, operator, value in self.requirements:
            if name == field and operator == "=":
                return value
        return None

    def transform(self, convert: Callable[[str, str], tuple[str, str]]) -> FieldSelector:
        """The selector with each (field, value) converted; ``convert`` raises ValueError to refuse a field."""
        return FieldSelector([(*_reordered(convert(f, v), o),) for f, o, v in self.requirements])

    def __str__(self) -> str:
        return ",".join(f"{f}{o}{_escape(v)}" for f, o, v in self.requirements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSelector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)

    def __repr__(self) -> str:
        return f"FieldSelector({str(self)!r})"


def _reordered(pair: tuple[str, str], operator: str) -> tuple[str, str, str]:
    return pair[0], operator, pair[1]


def _split_terms(text: str) -> list[str]:
    return re.findall(r"(?:\\.|[^,\\])+", text, re.DOTALL)


def _field_term(whole: str, part: str) -> tuple[str, str, str]:
    match = re.match(r"((?:\\.|[^=!\\])*?)(!=|==|=)", part, re.DOTALL)
    if match is None:
        raise ValueError(f"invalid selector: '{whole}'; can't understand '{part}'")
    return match[1], "!=" if match[2] == "!=" else "=", _unescape(part[match.end() :])


def _unescape(value: str) -> str:
    if "\\" not in value and "," not in value and "=" not in value:
        return value
    out = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            following = next(characters, None)
            if following not in ("\\", ",", "="):
                raise ValueError(f"invalid field selector: invalid escape sequence in value: {value}")
            out.append(following)
        elif character in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {character!r}")
        else:
            out.append(character)
    return "".join(out)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
