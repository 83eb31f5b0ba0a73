"""etcd stopped, frozen, compacted, replaced, shared with others: nothing acknowledged is lost, nobody hangs."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apimachinery.errors import StatusError
from apiserver.storage import AlreadyExists, Etcd, Store
from apiserver.storage.etcd import rpc
from tests.integration.storage.conftest import EtcdServer, eventually, pod, pod_fields


async def test_while_etcd_is_away_the_cache_answers_and_the_rest_fails_soon(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    store, pods = await open_store(read_timeout=1)
    created = await pods.create("default", "a", pod("a"))
    watcher = await pods.watch(None, resource_version=str(created.rev))
    etcd_server.kill()
    assert (await pods.get("default", "a", resource_version="0")).rev == created.rev
    assert len((await pods.list(resource_version=str(created.rev))).entries) == 1
    for attempt in (pods.get("default", "a"), pods.list(), pods.create("default", "b", pod("b"))):
        began = time.monotonic()
        with pytest.raises(StatusError) as caught:
            await attempt
        assert (caught.value.code, caught.value.reason) == (504, "Timeout")
        assert caught.value.message == "Timeout: etcdserver: request timed out"
        assert time.monotonic() - began < 8
    with pytest.raises(Exception, match="etcd"):
        await store.check(timeout=0.5)
    etcd_server.start()
    assert (await retry(lambda: pods.create("default", "c", pod("c")))).name == "c"
    async with asyncio.timeout(10):
        names: list[str] = []
        while "c" not in names:
            names += [event.entry.name for event in (await anext(watcher)).events]
    assert names[-1] == "c"
    await store.check()


async def retry(act: Callable[[], Any]) -> Any:
    while True:
        try:
            return await act()
        except StatusError as error:
            assert error.code == 504
            await asyncio.sleep(0.05)


async def test_a_frozen_etcd_is_given_up_in_time(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    _, pods = await open_store(read_timeout=1)
    await pods.create("default", "a", pod("a"))
    etcd_server.freeze()
    try:
        with pytest.raises(StatusError) as caught:
            await pods.get("default", "a")
        assert caught.value.code == 504
    finally:
        etcd_server.thaw()
    await retry(lambda: pods.get("default", "a"))


async def test_every_acknowledged_write_survives_kills_of_etcd(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    _, pods = await open_store(read_timeout=2)
    watcher = await pods.watch(None)
    acknowledged: list[str] = []
    stop = False

    async def write(worker: int) -> None:
        number = 0
        while not stop:
            number += 1
            name = f"w{worker}-{number}"
            try:
                await pods.create("default", name, pod(name))
                acknowledged.append(name)
            except (StatusError, AlreadyExists):
                await asyncio.sleep(0.01)

    workers = [asyncio.create_task(write(worker)) for worker in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.5)
        etcd_server.kill()
        await asyncio.sleep(0.2)
        etcd_server.start()
        before = len(acknowledged)
        await eventually(lambda: len(acknowledged) > before + 50)  # noqa: B023
    stop = True
    await asyncio.gather(*workers)
    _, fresh = await open_store()
    stored = {entry.name: entry.rev for entry in (await fresh.list()).entries}
    assert set(acknowledged) <= set(stored)
    assert {entry.name: entry.rev for entry in (await pods.list()).entries} == stored
    seen: list[tuple[str, int]] = []
    async with asyncio.timeout(10):
        while len(seen) < len(stored):
            seen += [(event.entry.name, event.rev) for event in (await anext(watcher)).events]
    assert sorted(seen) == sorted(stored.items())


async def test_a_gap_in_the_history_starts_watchers_again(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    store, pods = await open_store()
    await pods.create("default", "a", pod("a"))
    watcher = await pods.watch(None, resource_version=str(store.revision))
    other = Etcd([etcd_server.url])
    store.etcd._channel._endpoints, endpoints = [], store.etcd._channel._endpoints
    store.etcd._channel._endpoints.append(type(endpoints[0])("127.0.0.1", 1, False))
    for connection in list(store.etcd._channel._open):
        connection.close()
    for number in range(5):
        put = rpc.TxnRequest()
        put.success.add().request_put.key = b"/registry/pods/default/x%d" % number
        put.success[0].request_put.value = (
            b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x%d","namespace":"default"},"spec":{}}'
            % number
        )
        answer = await other.txn(put)
    await other.compact(answer.header.revision)
    await other.close()
    store.etcd._channel._endpoints[:] = endpoints
    async with asyncio.timeout(15):
        batch = await anext(watcher)
    assert [event.type for event in batch.events] == ["ERROR"]
    assert watcher.ended == "expired"
    assert len((await pods.list()).entries) == 6


async def test_an_etcd_that_lost_its_data_is_believed(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    _, pods = await open_store()
    for number in range(3):
        await pods.create("default", f"p{number}", pod(f"p{number}"))
    watcher = await pods.watch(None, resource_version="0")
    etcd_server.kill()
    shutil.rmtree(etcd_server.directory / "etcd")
    etcd_server.start()
    await eventually(lambda: watcher.ended == "expired")
    assert (await retry(lambda: pods.list())).entries == []


async def test_other_keys_in_etcd_do_not_hold_up_readers(
    etcd_server: EtcdServer, open_store: Callable[..., Any]
) -> None:
    _, pods = await open_store()
    _, others = await open_store("/other/place")
    await pods.create("default", "a", pod("a"))
    for number in range(20):
        await others.create("default", f"p{number}", pod(f"p{number}"))
        assert len((await pods.list()).entries) == 1
    foreign = Etcd([etcd_server.url])
    put = rpc.TxnRequest()
    put.success.add().request_put.key = b"zzz"
    put.success.add().request_put.key = b"\xff\x00binary"
    put.success.add().request_put.key = b"/registry/pods/default/broken"
    put.success[2].request_put.value = b"k8s\x00 not JSON"
    await foreign.txn(put)
    await foreign.close()
    assert [entry.name for entry in (await pods.list()).entries] == ["a"]
    assert (await others.list()).remaining is None


async def test_compaction_is_done_by_one_server_per_round(open_store: Callable[..., Any]) -> None:
    first, pods = await open_store(compaction_interval=0)
    second, _ = await open_store(compaction_interval=0)
    compactors = [first._compactor, second._compactor]
    await pods.create("default", "a", pod("a"))
    assert [await compactor.round() for compactor in compactors] == [False, False]
    for _ in range(3):
        await pods.update("default", "a", lambda e, o: o | {"n": o.get("n", 0) + 1})
        assert sorted([await compactor.round() for compactor in compactors]) == [False, True]
    assert (await pods.get("default", "a")).decode()["n"] == 3


async def test_dead_endpoints_are_passed_over(etcd_server: EtcdServer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        silent = socket.create_server(("127.0.0.1", 0))
        with silent:
            endpoints = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{silent.getsockname()[1]}"]
            etcd = Etcd([*endpoints, etcd_server.url])
            assert await etcd.current_revision() >= 1
            await etcd.close()


async def test_a_store_may_start_before_etcd(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path)
    store = Store(Etcd([server.url]))
    pods = store.resource("", "pods", True, fields=pod_fields, kind="Pod")
    assert not await store.start(wait_seconds=0.1)
    with pytest.raises(Exception, match="etcd client connection not yet established"):
        await store.check()
    server.start()
    try:
        await eventually(lambda: store.ready)
        assert (await pods.list()).entries == []
    finally:
        await store.stop()
        server.kill()


def make_certificates(directory: Path) -> dict[str, Path]:
    """One self-signed certificate for both sides, as its own authority."""
    files = {"cert": directory / "cert.pem", "key": directory / "key.pem", "ca": directory / "cert.pem"}
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=etcd",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", files["key"], "-out", files["cert"],
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    server = EtcdServer(tmp_path, tls=files)
    server.start()
    etcd = Etcd(
        [server.url], ca_file=str(files["ca"]), cert_file=str(files["cert"]), key_file=str(files["key"])
    )
    store = Store(etcd)
    pods = store.resource("", "pods", True, kind="Pod")
    try:
        assert await store.start(20)
        # More than the 250 streams that Go's HTTP/2 server allows at once.
        await asyncio.gather(*(pods.create("default", f"p{n:03}", pod(f"p{n:03}")) for n in range(600)))
        big = pod("big") | {"data": "x" * 1_000_000}
        await pods.create("default", "big", big)
        assert (await pods.get("default", "big")).decode()["data"] == big["data"]
        assert len((await pods.list()).entries) == 601
    finally:
        await store.stop()
        server.kill()
    stranger = Etcd([server.url], ca_file=str(files["ca"]), timeout=1)
    with pytest.raises(Exception, match="not reachable"):
        await stranger.current_revision()
    await stranger.close()


async def test_unix_sockets(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path, unix=True)
    server.start()
    etcd = Etcd([f"unix:{tmp_path}/localhost:{server.port}"])
    try:
        assert await etcd.current_revision() == 1
    finally:
        await etcd.close()
        server.kill()
