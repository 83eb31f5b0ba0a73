"""Status errors: every refusal of the API as one exception that carries an official ``Status`` object.

Clients and tests read the reason, the code and the words, so the builders below reproduce the official texts
and nobody else in the project writes a Status by hand. The module never decides *when* something is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from apimachinery import Object
from apimachinery.field import FieldError, aggregate


def quote(text: str) -> str:
    """Quote as Go's ``%q`` does for the strings that occur in API messages."""
    return json.dumps(text, ensure_ascii=False)


class StatusError(Exception):
    """An API refusal: HTTP ``code``, machine-readable ``reason``, human ``message``, optional ``details``."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Object:
        """Return the ``Status`` object to send."""
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body

    @classmethod
    def from_status(cls, obj: Object) -> StatusError:
        """Rebuild the error from a received ``Status`` object (missing parts become a 500 without reason)."""
        return cls(
            int(obj.get("code") or 500),
            obj.get("reason") or "",
            obj.get("message") or "the server reported a failure without a message",
            obj.get("details"),
        )

    @property
    def retry_after_seconds(self) -> int | None:
        """Seconds that the server asked the client to wait, if it did."""
        return (self.details or {}).get("retryAfterSeconds")

    def has_cause(self, reason: str) -> bool:
        """Say whether ``details.causes`` holds this cause reason."""
        return any(c.get("reason") == reason for c in (self.details or {}).get("causes") or ())


def qualified(group: str, name: str) -> str:
    """``deployments.apps`` or, for the core group, ``pods``."""
    return f"{name}.{group}" if group else name


def _details(group: str = "", kind: str = "", name: str = "", **more: Any) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details.update(more)
    return details


def not_found(group: str, resource: str, name: str) -> StatusError:
    """404: this object does not exist."""
    message = f"{qualified(group, resource)} {quote(name)} not found"
    return StatusError(404, "NotFound", message, _details(group, resource, name))


def path_not_found() -> StatusError:
    """404 for an address that no resource has."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(group: str, resource: str, name: str) -> StatusError:
    """409: an object of this name is there already."""
    message = f"{qualified(group, resource)} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", message, _details(group, resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, resource: str, name: str, detail: str = MODIFIED) -> StatusError:
    """409: the write was based on an older version, or a precondition does not hold."""
    message = f"Operation cannot be fulfilled on {qualified(group, resource)} {quote(name)}: {detail}"
    return StatusError(409, "Conflict", message, _details(group, resource, name))


def apply_conflict(causes: Sequence[Object], message: str) -> StatusError:
    """409 of server-side apply: other managers own fields that the applied configuration changes."""
    return StatusError(409, "Conflict", message, {"causes": list(causes)})


def invalid(group: str, kind: str, name: str, errs: Sequence[FieldError]) -> StatusError:
    """422: the object breaks rules; one cause per field error."""
    message = f"{qualified(group, kind)} {quote(name)} is invalid"
    if errs:
        message += f": {aggregate(e.message() for e in errs)}"
    causes = [{"reason": e.type, "message": e.body(), "field": e.field} for e in errs]
    details = _details(group, kind, name)
    if causes:
        details["causes"] = causes
    return StatusError(422, "Invalid", message, details)


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def invalid_resource_version(value: str) -> StatusError:
    """400: ``resourceVersion`` is not a number."""
    problem = f"strconv.ParseUint: parsing {quote(value)}: invalid syntax"
    return bad_request(f"invalid resource version: resourceVersion: Invalid value: {quote(value)}: {problem}")


def forbidden(group: str, resource: str, name: str, detail: str) -> StatusError:
    """403: understood, authenticated, and refused."""
    if not resource:
        message = f"forbidden: {detail}"
    elif not name:
        message = f"{qualified(group, resource)} is forbidden: {detail}"
    else:
        message = f"{qualified(group, resource)} {quote(name)} is forbidden: {detail}"
    return StatusError(403, "Forbidden", message, _details(group, resource, name))


def unauthorized(message: str = "Unauthorized") -> StatusError:
    """401: no valid credentials."""
    return StatusError(401, "Unauthorized", message)


def method_not_allowed(group: str, resource: str, verb: str) -> StatusError:
    """405: this resource does not serve the verb."""
    message = f"{verb} is not supported on resources of kind {quote(qualified(group, resource))}"
    return StatusError(405, "MethodNotAllowed", message, _details(group, resource))


def resource_expired(message: str) -> StatusError:
    """410: the requested resourceVersion or continue token is no longer available."""
    return StatusError(410, "Expired", message)


def gone(message: str) -> StatusError:
    """410 with reason Gone."""
    return StatusError(410, "Gone", message)


def timeout(message: str, retry_after: int = 0) -> StatusError:
    """504: the request could not be completed in time; ``retry_after`` in seconds."""
    details = {"retryAfterSeconds": retry_after} if retry_after else {}
    return StatusError(504, "Timeout", f"Timeout: {message}", details)


def too_large_resource_version(rv: int, current: int, retry_seconds: int = 1) -> StatusError:
    """504: the client asks for data newer than what the server has."""
    error = timeout(f"Too large resource version: {rv}, current: {current}", retry_seconds)
    assert error.details is not None
    error.details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return error


def entity_too_large(message: str) -> StatusError:
    """413: the body exceeds the limit."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """415: the body's content type cannot be read."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: no content type that the client accepts can be produced."""
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return StatusError(406, "NotAcceptable", message)


def too_many_requests(message: str, retry_after: int = 0) -> StatusError:
    """429: back off for ``retry_after`` seconds."""
    details = {"retryAfterSeconds": retry_after} if retry_after else {}
    return StatusError(429, "TooManyRequests", message, details)


def internal_error(message: str) -> StatusError:
    """500: something broke that the client cannot mend."""
    return StatusError(
        500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]}
    )


def service_unavailable(message: str) -> StatusError:
    """503: not now."""
    return StatusError(503, "ServiceUnavailable", message)


def is_not_found(error: BaseException) -> bool:
    """Say whether this is a 404 Status."""
    return isinstance(error, StatusError) and error.reason == "NotFound"


def is_already_exists(error: BaseException) -> bool:
    """Say whether this is an AlreadyExists Status."""
    return isinstance(error, StatusError) and error.reason == "AlreadyExists"


def is_conflict(error: BaseException) -> bool:
    """Say whether this is a Conflict Status."""
    return isinstance(error, StatusError) and error.reason == "Conflict"


def is_expired(error: BaseException) -> bool:
    """Say whether a relist is needed: the resourceVersion is too old."""
    return isinstance(error, StatusError) and error.reason in ("Expired", "Gone")
