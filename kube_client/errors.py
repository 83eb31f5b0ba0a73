"""The one error that is not an answer: the API server could not be reached.

An answer with an error code is an `apimachinery.errors.StatusError`. Callers treat the two differently: an
answer is about their request, `ApiUnavailable` only says to wait and try again.
"""

from __future__ import annotations


class ApiUnavailable(Exception):
    """No complete answer arrived: refused, reset, timed out, or cut off in the middle.

    A write that ended so may have happened; callers must find out by reading, never assume.
    """
