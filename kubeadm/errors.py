"""The one exception that the command line turns into a sentence.

Anything that the user can mend is a `UserError`: it is printed without a traceback and ends the command
with its exit code. Everything else is a defect of ours and keeps its traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """A condition that the user can mend; the text is one clear sentence."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
