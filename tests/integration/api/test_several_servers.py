"""Several API servers on one etcd, and one that is killed in the middle of writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process, free_port, poll
from tests.integration.api.conftest import (
    MERGE,
    Api,
    Object,
    config_map,
    core,
    deployment,
    make_namespace,
    refused,
)


@pytest.fixture(scope="module")
def other(control_plane: ControlPlane) -> Iterator[Api]:
    """A second API server on the same etcd."""
    port = free_port()
    flags = [
        f"--secure-port={port}" if flag.startswith("--secure-port=") else flag
        for flag in control_plane.api_server.argv[3:]
    ]
    server = Process.module("apiserver", flags, control_plane.directory / "apiserver-2.log")
    server.start()
    try:
        server.wait_healthy(f"https://127.0.0.1:{port}/readyz", control_plane.ca_file)
        api = Api(control_plane, f"https://127.0.0.1:{port}")
        with api.client:
            yield api
    finally:
        server.stop()


def test_what_one_writes_the_other_reads_at_once(api: Api, other: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    for number in range(20):
        writer, reader = (api, other) if number % 2 else (other, api)
        made = writer.make(maps, config_map(f"c{number}"))
        assert reader.get(f"{maps}/c{number}") == made
        assert len(reader.names(maps)) == number + 1
    for number in range(20):
        writer, reader = (api, other) if number % 2 else (other, api)
        assert writer("DELETE", f"{maps}/c{number}").status_code == 200
        assert reader("GET", f"{maps}/c{number}").status_code == 404


def test_a_watch_sees_the_writes_of_the_other(api: Api, other: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    start = api.get(maps)["metadata"]["resourceVersion"]
    for number in range(10):
        (api, other)[number % 2].make(maps, config_map(f"c{number}"))
    assert other.watch(f"{maps}?watch=1&resourceVersion={start}", 10) == api.watch(
        f"{maps}?watch=1&resourceVersion={start}", 10
    )


def test_pages_go_on_at_the_other_server(api: Api, other: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    for number in range(6):
        api.make(maps, config_map(f"c{number}"))
    page = api.get(f"{maps}?limit=4")
    api("DELETE", f"{maps}/c5")
    rest = other.get(f"{maps}?limit=4&continue={page['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c4", "c5"]


def test_a_stale_version_is_stale_everywhere(api: Api, other: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    made = api.make(maps, config_map("a"))
    other.patch(f"{maps}/a", {"data": {"x": "1"}})
    answer = api("PUT", f"{maps}/a", {**made, "data": {"x": "2"}})
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    refused(other("POST", maps, config_map("a")), 409, "AlreadyExists", 'configmaps "a" already exists')


def test_no_address_and_no_port_is_given_twice(api: Api, other: Api, namespace: str) -> None:
    services = core(namespace, "services")

    def create(number: int) -> Object:
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        return (api, other)[number % 2].make(services, {"metadata": {"name": f"s{number}"}, "spec": spec})

    # So many that chance alone makes the servers choose the same port now and then; the loser takes another.
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(200)))
    assert len({service["spec"]["clusterIP"] for service in made}) == 200
    assert len({service["spec"]["ports"][0]["nodePort"] for service in made}) == 200
    wanted = {"clusterIP": "10.96.123.45", "ports": [{"port": 80}]}

    def claim(number: int) -> int:
        body = {"metadata": {"name": f"claim{number}"}, "spec": wanted}
        return (api, other)[number % 2]("POST", services, body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(8))) == [201] + [422] * 7
    assert api("DELETE", services).status_code == 200
    again = other.make(services, {"metadata": {"name": "again"}, "spec": wanted})
    assert again["spec"]["clusterIP"] == "10.96.123.45", "what was given back can be had again"


def test_concurrent_patches_at_both_servers_all_count(api: Api, other: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    api.make(maps, config_map("a"))

    def patch(number: int) -> int:
        server = (api, other)[number % 2]
        return server("PATCH", f"{maps}/a", {"data": {f"k{number}": "v"}}, MERGE).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(40))) == {200}
    assert len(other.get(f"{maps}/a")["data"]) == 40


def test_scaling_and_updating_at_once(api: Api, other: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.make(path, deployment("d"))

    def scale(number: int) -> None:
        (api, other)[number % 2].patch(f"{path}/d/scale", {"spec": {"replicas": number + 2}})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(scale, range(18)))
    found = other.get(f"{path}/d")
    assert found["metadata"]["generation"] == 19, "every change of the spec counts, none twice"


def test_every_acknowledged_write_outlives_a_kill(private_control_plane: ControlPlane) -> None:
    """SIGKILL while eight clients create and update: what was acknowledged is there, once, and counted right."""
    plane = private_control_plane
    api = Api(plane)
    namespace = make_namespace(api)
    maps = core(namespace, "configmaps")
    api.make(maps, config_map("counter", n="0"))
    acknowledged: list[str] = []
    counted: list[int] = []
    enough = threading.Event()
    dead = threading.Event()

    def create(worker: int) -> None:
        mine = Api(plane)
        number = 0
        while not dead.is_set():
            name = f"w{worker}-{number}"
            try:
                answer = mine("POST", maps, config_map(name, w=str(worker)))
            except httpx.HTTPError:
                return
            assert answer.status_code == 201, answer.text
            acknowledged.append(name)
            number += 1
            if number == 25:
                enough.set()

    def count(worker: int) -> None:
        """Read, add one, write with the version read: a lost or repeated write would break the sum."""
        mine = Api(plane)
        while not dead.is_set():
            try:
                found = mine.get(f"{maps}/counter")
                found["data"]["n"] = str(int(found["data"]["n"]) + 1)
                if mine("PUT", f"{maps}/counter", found).status_code == 200:
                    counted.append(int(found["data"]["n"]))
            except httpx.HTTPError:
                return

    workers = [threading.Thread(target=create, args=(n,)) for n in range(6)]
    workers += [threading.Thread(target=count, args=(n,)) for n in range(2)]
    for worker in workers:
        worker.start()
    assert enough.wait(60)
    plane.api_server.kill()
    dead.set()
    for worker in workers:
        worker.join()
    plane.api_server.start()
    plane.wait_ready()
    found = api.names(f"{maps}?limit=5000")
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    unanswered = set(found) - set(acknowledged) - {"counter"}
    # At most the one request of each worker that was under way may have been carried out without an answer.
    assert len(unanswered - {"kube-root-ca.crt"}) <= 6
    assert len(counted) == len(set(counted)), "no number was written twice"
    total = int(api.get(f"{maps}/counter")["data"]["n"])
    assert max(counted) <= total <= max(counted) + 2
    for name in acknowledged[-5:]:
        refused(
            api("POST", maps, config_map(name)), 409, "AlreadyExists", f'configmaps "{name}" already exists'
        )
    api.client.close()


def test_a_watch_goes_on_after_a_restart(private_control_plane: ControlPlane) -> None:
    plane = private_control_plane
    api = Api(plane)
    maps = core("default", "configmaps")
    start = api.get(maps)["metadata"]["resourceVersion"]
    names = [f"c{number}" for number in range(5)]
    for name in names[:3]:
        last = api.make(maps, config_map(name))
    plane.api_server.kill()
    plane.api_server.start()
    plane.wait_ready()
    for name in names[3:]:
        api.make(maps, config_map(name))
    (event,) = api.watch(f"{maps}?watch=1&resourceVersion={start}", 1)
    if event["type"] == "ERROR":  # the new server's memory begins later, and says so
        assert event["object"]["code"] == 410
    after = api.watch(f"{maps}?watch=1&resourceVersion={last['metadata']['resourceVersion']}", 1)
    assert after[0]["type"] in ("ADDED", "ERROR")
    assert api.names(maps)[:5] == names
    api.client.close()


def test_etcd_away_and_back(private_control_plane: ControlPlane) -> None:
    """Nothing is acknowledged while etcd sleeps; afterwards all goes on, and readiness told the truth."""
    plane = private_control_plane
    api = Api(plane)
    maps = core("default", "configmaps")
    api.make(maps, config_map("before"))
    stream = api.client.send(
        api.client.build_request("GET", f"{maps}?watch=1&resourceVersion=0"), stream=True
    )
    lines = stream.iter_lines()
    seen = [json.loads(next(lines))["object"]["metadata"]["name"]]
    plane.etcd.process.kill()
    answer = api("POST", maps, config_map("during"))
    assert answer.status_code in (500, 503, 504), answer.text
    assert answer.json()["kind"] == "Status"
    assert api("GET", "/readyz").status_code == 500
    assert api("GET", f"{maps}/before?resourceVersion=0").status_code == 200, "the cache still answers"
    plane.etcd.start()
    for _ in poll(30, 0.1):
        if api("GET", "/readyz").status_code == 200:
            break
    for _ in poll(30, 0.1):
        if api("POST", maps, config_map("after")).status_code in (201, 409):
            break
    assert set(api.names(maps)) >= {"before", "after"}
    while seen[-1] != "after":
        seen.append(json.loads(next(lines))["object"]["metadata"]["name"])
    assert seen in (["before", "after"], ["before", "during", "after"])
    stream.close()
    api.client.close()
