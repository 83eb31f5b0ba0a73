"""Requests to the API server in the words of kubectl: get, list, create, update, patch, delete, watch.

One generic client for every resource. Answers are plain objects; error answers become
`apimachinery.errors.StatusError`; a server that asks for patience (429 with Retry-After) is given it. It must
never cache: that is the informers' part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import orjson

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from kube_client.config import KubeConfig
from kube_client.errors import ApiUnavailable
from kube_client.transport import Answer, Transport, read_chunks

PatchType = Literal["merge", "json", "strategic", "apply"]

PATCH_CONTENT_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}
METADATA_ONLY = "application/json;as={kind};g=meta.k8s.io;v=v1,application/json;q=0.5"
WATCH_SECONDS = 480
MAX_RETRIES = 10

_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    406: "NotAcceptable", 409: "Conflict", 410: "Gone", 413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError",
    503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; errors are raised, never yielded."""

    type: str
    object: Object


class Client:
    """Typed only by Resource rows. All methods raise StatusError (the server's answer) or ApiUnavailable."""

    def __init__(self, config: KubeConfig, user_agent: str = "skiff") -> None:
        self.config = config
        self._transport = Transport(config, user_agent)

    @staticmethod
    def from_kubeconfig(path: str, context: str | None = None, user_agent: str = "skiff") -> Client:
        """A client for one context of a kubeconfig file. Raises ConfigError."""
        return Client(KubeConfig.load(path, context), user_agent)

    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        resource_version: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """One object. Without `resource_version` the read is consistent; "0" accepts the server's cache."""
        return await self._object(
            "GET", resource.path(namespace, name, subresource), {"resourceVersion": resource_version}
        )

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        limit: int | None = None,
        cont: str | None = None,
        metadata_only: bool = False,
    ) -> Object:
        """One page of a List object: `items`, `metadata.resourceVersion`, `metadata.continue` if there is more.

        With `metadata_only` the items are PartialObjectMetadata (a server that cannot, sends whole objects).
        """
        parameters = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "limit": limit,
            "continue": cont,
        }
        headers = (
            {"Accept": METADATA_ONLY.format(kind="PartialObjectMetadataList")} if metadata_only else None
        )
        return await self._object("GET", resource.path(namespace), parameters, headers=headers)

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        subresource: str | None = None,
        name: str | None = None,
    ) -> Object:
        """Create `obj` in its own namespace unless `namespace` is given. Subresources need `name`."""
        space = _namespace(resource, obj, namespace)
        path = resource.path(space, name, subresource) if subresource else resource.path(space)
        return await self._object("POST", path, body=obj)

    async def update(self, resource: Resource, obj: Object, subresource: str | None = None) -> Object:
        """Replace the object; its metadata.resourceVersion, when present, must be the current one (409)."""
        path = resource.path(_namespace(resource, obj, None), obj["metadata"]["name"], subresource)
        return await self._object("PUT", path, body=obj)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        patch_type: PatchType = "merge",
        subresource: str | None = None,
        field_manager: str | None = None,
        force: bool = False,
    ) -> Object:
        """Patch; `force` and a `field_manager` matter to patch_type "apply" (server-side apply)."""
        return await self._object(
            "PATCH",
            resource.path(namespace, name, subresource),
            {"fieldManager": field_manager, "force": "true" if force else None},
            body=body,
            headers={"Content-Type": PATCH_CONTENT_TYPES[patch_type]},
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        preconditions: Mapping[str, str] | None = None,
    ) -> Object:
        """Delete; answers the object as it was or as it now is (terminating), or a Status.

        `preconditions` may hold `uid` and `resourceVersion`; a mismatch is a Conflict.
        """
        options = _delete_options(grace_period_seconds, propagation_policy, preconditions)
        return await self._object("DELETE", resource.path(namespace, name), body=options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
    ) -> Object:
        """Delete all objects that the selectors choose."""
        options = _delete_options(grace_period_seconds, propagation_policy, None)
        parameters = {"labelSelector": label_selector, "fieldSelector": field_selector}
        return await self._object("DELETE", resource.path(namespace), parameters, body=options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        resource_version: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        allow_bookmarks: bool = True,
        timeout_seconds: int | None = None,
        metadata_only: bool = False,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after `resource_version`, until the server ends the watch (normal after `timeout_seconds`).

        `on_open` is called when the server has accepted the watch. An ERROR event is raised as StatusError
        (410 Expired: list again).
        """
        seconds = timeout_seconds or WATCH_SECONDS
        parameters = {
            "watch": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "allowWatchBookmarks": "true" if allow_bookmarks else None,
            "timeoutSeconds": seconds,
        }
        headers = {"Accept": METADATA_ONLY.format(kind="PartialObjectMetadata")} if metadata_only else None
        target = _target(resource.path(namespace), parameters)
        async with self._transport.stream("GET", target, headers=headers, timeout=seconds + 30) as response:
            if response.status_code != 200:
                body = b"".join([chunk async for chunk in read_chunks(response)])
                raise status_error(Answer(response.status_code, response.headers, body))
            if on_open is not None:
                on_open()
            async for line in _lines(read_chunks(response)):
                try:
                    event = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise ApiUnavailable(
                        f"watch of {resource.plural}: a frame is not JSON: {error}"
                    ) from error
                if event["type"] == "ERROR":
                    raise StatusError.from_status(event["object"])
                yield WatchEvent(event["type"], event["object"])

    async def request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """Any request; error answers raise StatusError. 429 (and 503) with Retry-After are tried again."""
        target = _target(path, parameters)
        for attempt in range(MAX_RETRIES + 1):
            answer = await self._transport.send(method, target, headers=headers, body=body, timeout=timeout)
            if answer.status < 400:
                return answer
            wait = answer.headers.get("retry-after", "") if answer.status in (429, 503) else ""
            if not wait.isdigit() or attempt == MAX_RETRIES:
                break
            await asyncio.sleep(int(wait))
        raise status_error(answer)

    async def aclose(self) -> None:
        """Close every connection; running watches end with ApiUnavailable."""
        await self._transport.aclose()

    async def _object(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        if body is not None:
            headers = {**JSON_HEADERS, **headers} if headers else JSON_HEADERS
        content = orjson.dumps(body) if body is not None else None
        answer = await self.request(method, path, parameters, content, headers)
        result: Object = orjson.loads(answer.body)
        return result


def status_error(answer: Answer) -> StatusError:
    """The StatusError of an error answer, also when its body is not a Status (a proxy's page, a plain text)."""
    try:
        status = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = answer.body[:2048].decode("utf-8", "replace").strip()
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": text or f"the server answered with status {answer.status}",
            "reason": _REASONS.get(answer.status, "InternalError" if answer.status >= 500 else "Unknown"),
            "code": answer.status,
        }
    return StatusError.from_status(status)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split a stream into its non-empty lines. A last line without its end is not an event: the cut is noticed."""
    rest: list[bytes] = []
    async for chunk in chunks:
        if b"\n" not in chunk:
            rest.append(chunk)
            continue
        *complete, last = (b"".join(rest) + chunk).split(b"\n")
        rest = [last] if last else []
        for line in complete:
            if line:
                yield line


def _target(path: str, parameters: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in parameters.items() if value is not None} if parameters else None
    return f"{path}?{urlencode(given)}" if given else path


def _namespace(resource: Resource, obj: Object, namespace: str | None) -> str | None:
    if not resource.namespaced:
        return None
    return namespace or obj.get("metadata", {}).get("namespace") or "default"


def _delete_options(
    grace_period_seconds: int | None, propagation_policy: str | None, preconditions: Mapping[str, str] | None
) -> Object:
    options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if propagation_policy is not None:
        options["propagationPolicy"] = propagation_policy
    if preconditions:
        options["preconditions"] = dict(preconditions)
    return options
