"""pods/NAME/log: what a container wrote, fetched from its kubelet and passed on as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from apimachinery import errors, times
from apimachinery import field as fields
from apimachinery.errors import StatusError
from apimachinery.field import FieldError
from apiserver.http.request import Request
from apiserver.http.responses import date_header
from apiserver.subresources.kubelet import Kubelets, choose_container

if TYPE_CHECKING:
    import aiohttp

_FLAGS = ("follow", "previous", "timestamps")
_NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")
_MOST_ERROR = 4096


def log_query(request: Request) -> dict[str, str]:
    """The options as the kubelet reads them. Raises StatusError 400 or 422."""
    wanted = {name: "true" for name in _FLAGS if request.flag(name)}
    problems: list[FieldError] = []
    for name in _NUMBERS:
        number = request.integer(name)
        if number is None:
            continue
        if name == "tailLines" and number < 0:
            problems.append(fields.invalid(name, number, "must be greater than or equal to 0"))
        elif name != "tailLines" and number < 1:
            problems.append(fields.invalid(name, number, "must be greater than 0"))
        wanted[name] = str(number)
    since = request.param("sinceTime")
    if since:
        if "sinceSeconds" in wanted:
            problems.append(
                fields.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified")
            )
        try:
            times.parse(since)
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
        wanted["sinceTime"] = since
    stream = request.param("stream")
    if stream:
        if stream not in ("All", "Stdout", "Stderr"):
            problems.append(fields.not_supported("stream", stream, ["All", "Stdout", "Stderr"]))
        wanted["stream"] = stream
    if problems:
        raise errors.invalid("", "PodLogOptions", "", problems)
    return wanted


class Logs:
    """GET of a pod's log."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, request: Request) -> None:
        """Serve a request."""
        from component_base.lean_aiohttp import aiohttp  # 100 ms and 10 MiB, for those who read logs

        route = request.route
        query = log_query(request)
        pod = await self._kubelets.pod(route.namespace, route.name)
        container = choose_container(pod, request.param("container"))
        endpoint = await self._kubelets.of(pod)
        url = f"https://{endpoint.authority}/containerLogs/{route.namespace}/{route.name}/{container}"
        if query:
            url += f"?{urlencode(query)}"
        await request.body()
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        try:
            async with self._session.get(url, ssl=self._kubelets.tls) as response:
                if response.status >= 300:
                    raise await _refused(request, response)
                await _copy(request, response)
        except (aiohttp.ClientConnectionError, OSError, TimeoutError) as error:
            if request.status:
                return  # the stream broke: the client sees its end
            raise StatusError(500, "", f'Get "{url}": {error}') from None

    async def close(self) -> None:
        """Close connections to kubelets."""
        if self._session is not None:
            await self._session.close()


async def _refused(request: Request, response: aiohttp.ClientResponse) -> StatusError:
    text = (await response.content.read(_MOST_ERROR)).decode("utf-8", "replace").rstrip("\n")
    if response.status == 400:
        return errors.bad_request(text)
    if response.status == 500:
        return errors.internal_error(text)
    name = request.route.name
    message = f"the server could not find the requested resource ( pods/log {name})"
    if response.status != 404:
        message = (
            f"the server responded with the status code {response.status} but did not return more information"
        )
    details = {
        "name": name,
        "kind": "pods/log",
        "causes": [{"reason": "UnexpectedServerResponse", "message": text}],
    }
    return StatusError(response.status, "NotFound" if response.status == 404 else "Unknown", message, details)


async def _copy(request: Request, response: aiohttp.ClientResponse) -> None:
    """Pass the body on until either side ends, or the server stops."""
    request.status = 200
    headers = [
        (b"audit-id", request.audit_id), (b"cache-control", b"no-cache, private"), (b"content-type", b"text/plain"),
        date_header(),
    ]  # fmt: skip
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def pump() -> None:
        async for chunk in response.content.iter_any():
            await request.send({"type": "http.response.body", "body": chunk, "more_body": True})

    copying = asyncio.ensure_future(pump())
    gone = asyncio.ensure_future(request.disconnected())
    stopping = asyncio.ensure_future(request.scope["state"]["stopping"].wait())
    try:
        await asyncio.wait((copying, gone, stopping), return_when=asyncio.FIRST_COMPLETED)
        client_gone = gone.done()
    finally:
        for task in (copying, gone, stopping):
            task.cancel()
        await asyncio.gather(copying, gone, stopping, return_exceptions=True)
    if not client_gone:
        await request.send({"type": "http.response.body", "body": b""})
