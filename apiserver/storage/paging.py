"""Continue tokens, in the official form: base64url of `{"v":"meta.k8s.io/v1","rv":…,"start":…}`.

`start` is the first key not yet seen, relative to the list's own prefix; `rv` -1 means "from here on, at whatever
revision is current", which a client gets when its token has expired.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

import orjson

from apimachinery import errors
from apimachinery.errors import StatusError, quote

_VERSION: Final = "meta.k8s.io/v1"
_EXPIRED: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
EXACT_TOO_OLD: Final = "The resourceVersion for the provided list is too old."


@dataclass(frozen=True)
class Position:
    """Where the next page starts: relative key, and revision (-1: any)."""

    start: str
    revision: int


def encode(position: Position) -> str:
    """Return the token."""
    body = orjson.dumps({"v": _VERSION, "rv": position.revision, "start": position.start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(token: str) -> Position:
    """Return what a token says; raises StatusError 400."""
    try:
        data = base64.b64decode(token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4), b"-_", validate=True)
        body = orjson.loads(data)
    except binascii.Error:
        raise errors.bad_request("continue key is not valid: illegal base64 data") from None
    except ValueError as problem:
        raise errors.bad_request(f"continue key is not valid: {problem}") from None
    version = body.get("v") if isinstance(body, dict) else None
    if version != _VERSION:
        raise errors.bad_request(
            f"continue key is not valid: server does not recognize this encoded version {quote(str(version or ''))}"
        )
    revision, start = body.get("rv"), body.get("start")
    if not isinstance(revision, int) or revision == 0:
        raise errors.bad_request(
            f"continue key is not valid: incorrect encoded start resourceVersion (version {_VERSION})"
        )
    if not isinstance(start, str) or not start:
        raise errors.bad_request(f"continue key is not valid: encoded start key empty (version {_VERSION})")
    if ".." in start.split("/") or start.startswith("/"):
        raise errors.bad_request(f"continue key is not valid: {start}")
    return Position(start, revision)


def expired(start: str) -> StatusError:
    """Return the 410 for a token whose revision is gone, with a token that goes on at the current one."""
    error = errors.resource_expired(_EXPIRED)
    return ContinueExpired(error, encode(Position(start, -1)))


class ContinueExpired(StatusError):
    """410 Expired whose Status carries a continue token for an inconsistent rest of the list."""

    def __init__(self, error: StatusError, token: str) -> None:
        super().__init__(error.code, error.reason, error.message, error.details)
        self.token = token

    def status(self) -> dict[str, object]:
        """Return the Status object, with `metadata.continue`."""
        status = super().status()
        status["metadata"] = {"continue": self.token}
        return status
