"""Requests and their failures, over real sockets."""

import asyncio
import os
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from apimachinery.errors import StatusError
from apimachinery.resources import CONFIG_MAPS, PODS
from kube_client.client import Client, _lines
from kube_client.config import KubeConfig
from kube_client.errors import ApiUnavailable
from kubeadm.certificates import CertificateAuthority, Request
from tests.unit.kube_client.fake_server import fake_server, status


def config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {}}


async def test_create_get_update_patch_delete() -> None:
    async with fake_server() as server:
        client = server.client()
        made = await client.create(CONFIG_MAPS, config_map("a"))
        made["data"] = {"k": "v"}
        await client.update(CONFIG_MAPS, made)
        await client.patch(CONFIG_MAPS, "a", {"data": {"l": "w"}}, "default")
        assert (await client.get(CONFIG_MAPS, "a", "default"))["data"] == {"k": "v", "l": "w"}
        await client.delete(CONFIG_MAPS, "a", "default", preconditions={"uid": made["metadata"]["uid"]})
        with pytest.raises(StatusError, match='configmaps "a" not found') as caught:
            await client.get(CONFIG_MAPS, "a", "default")
        assert caught.value.code == 404
        await client.aclose()


async def test_selectors_and_pages_are_asked_for_in_the_query() -> None:
    async with fake_server() as server:
        client = server.client()
        queries = []

        def note(request: web.Request) -> web.Response:
            queries.append((request.path, dict(request.query)))
            return web.json_response({})

        server.fault = note
        await client.list(PODS, "ns", "a=b,c!=d", "spec.nodeName=n 1", limit=5, cont="x/y=+")
        assert queries == [
            (
                "/api/v1/namespaces/ns/pods",
                {
                    "labelSelector": "a=b,c!=d",
                    "fieldSelector": "spec.nodeName=n 1",
                    "limit": "5",
                    "continue": "x/y=+",
                },
            )
        ]
        await client.aclose()


async def test_an_answer_that_is_no_status_still_becomes_one() -> None:
    async with fake_server() as server:
        client = server.client()
        server.fault = lambda request: web.Response(status=502, text="<html>bad gateway</html>")
        with pytest.raises(StatusError, match="bad gateway") as caught:
            await client.get(PODS, "a", "default")
        assert (caught.value.code, caught.value.reason) == (502, "InternalError")
        await client.aclose()


async def test_too_many_requests_with_retry_after_is_tried_again() -> None:
    async with fake_server() as server:
        client = server.client()
        answers = [status(429, "TooManyRequests", "slow down", {"Retry-After": "0"})] * 1

        def fault(request: web.Request) -> web.Response | None:
            return answers.pop() if answers else None

        server.fault = fault
        await client.list(PODS)
        assert len(server.requests) == 2
        server.fault = lambda request: status(429, "TooManyRequests", "no hint")
        with pytest.raises(StatusError):
            await client.list(PODS)
        assert len(server.requests) == 3
        await client.aclose()


async def test_no_server_is_unavailable_and_back_again_works() -> None:
    async with fake_server() as server:
        client = server.client()
        await client.list(PODS)
        await server.stop()
        with pytest.raises(ApiUnavailable):
            await client.list(PODS)
        await server.start()
        await client.list(PODS)
        await client.aclose()


async def test_a_watch_delivers_events_and_says_when_it_was_cut() -> None:
    async with fake_server() as server:
        client = server.client()
        await server.put(CONFIG_MAPS, config_map("a"))
        events = client.watch(CONFIG_MAPS, resource_version="0")
        first = await anext(events)
        assert (first.type, first.object["metadata"]["name"]) == ("ADDED", "a")
        await server.put(CONFIG_MAPS, config_map("a"))
        assert (await anext(events)).type == "MODIFIED"
        server.cut_watches()
        with pytest.raises(ApiUnavailable):
            await anext(events)
        await client.aclose()


async def test_a_watch_from_a_forgotten_revision_is_expired() -> None:
    async with fake_server() as server:
        client = server.client()
        await server.put(CONFIG_MAPS, config_map("a"))
        await server.compact()
        with pytest.raises(StatusError) as caught:
            async for _ in client.watch(CONFIG_MAPS, resource_version="0"):
                pass
        assert (caught.value.code, caught.value.reason) == (410, "Expired")
        await client.aclose()


async def test_lines_are_put_together_from_any_chunks_and_a_torn_last_one_is_dropped() -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for chunk in (b"on", b"e\ntwo\nth", b"", b"ree\n\nfo"):
            yield chunk

    assert [line async for line in _lines(chunks())] == [b"one", b"two", b"three"]


async def test_client_certificates_are_presented_and_rotated_ones_noticed(tmp_path: Path) -> None:
    authority = CertificateAuthority.load_or_create(tmp_path, "ca", "kubernetes")
    authority.issue(tmp_path, Request("server", "server", sans=("127.0.0.1",), server=True))
    authority.issue(tmp_path, Request("user", "first", client=True))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        subject = request.transport.get_extra_info("peercert")["subject"]
        token = request.headers.get("Authorization", "")
        body = {"metadata": {"user": dict(pair for (pair,) in subject)["commonName"], "token": token}}
        response = web.json_response(body)
        response.force_close()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", who)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    token = tmp_path / "token"
    token.write_text("one\n")
    client = Client(
        KubeConfig(
            server=f"https://127.0.0.1:{runner.addresses[0][1]}",
            ca_file=str(tmp_path / "ca.crt"),
            client_certificate_file=str(tmp_path / "user.crt"),
            client_key_data=(tmp_path / "user.key").read_bytes(),
            token_file=str(token),
        )
    )
    try:
        answer = await client.get(PODS, "x", "y")
        assert answer["metadata"] == {"user": "first", "token": "Bearer one"}
        token.write_text("two")
        os.utime(token, (1, 1))
        client._transport._credentials._checked = -1e9
        assert (await client.get(PODS, "x", "y"))["metadata"]["token"] == "Bearer two"
    finally:
        await client.aclose()
        await runner.cleanup()


async def test_many_requests_share_the_connections_of_one_client() -> None:
    async with fake_server() as server:
        client = server.client()
        peers = set()

        def note(request: web.Request) -> web.Response | None:
            assert request.transport is not None
            peers.add(request.transport.get_extra_info("peername"))
            return None

        server.fault = note
        for _ in range(5):
            await client.list(PODS)
        await asyncio.gather(*(client.list(PODS) for _ in range(3)))
        assert len(peers) <= 3
        await client.aclose()
