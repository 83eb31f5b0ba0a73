"""Events are written once, counted when they repeat, folded when alike, and limited per object."""

import asyncio

from apimachinery import Object
from apimachinery.resources import EVENTS
from kube_client.events import Correlator, EventRecorder
from tests.unit.kube_client.fake_server import fake_server

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "team", "uid": "u", "resourceVersion": "7"},
}


async def test_an_event_names_its_object_and_repetition_raises_the_count() -> None:
    async with fake_server() as server:
        recorder = EventRecorder(server.client(), "kubelet", "node-1")
        for _ in range(3):
            recorder.event(POD, "Warning", "BackOff", "Back-off restarting failed container")
        await recorder.flush()
        (event,) = server.all(EVENTS)
        assert event["metadata"]["namespace"] == "team"
        assert event["metadata"]["name"].startswith("a.")
        assert event["involvedObject"] == {
            "kind": "Pod",
            "namespace": "team",
            "name": "a",
            "uid": "u",
            "apiVersion": "v1",
            "resourceVersion": "7",
        }
        assert event["count"] == 3
        assert event["source"] == {"component": "kubelet", "host": "node-1"}
        assert (event["type"], event["reason"]) == ("Warning", "BackOff")


async def test_cluster_scoped_objects_have_their_events_in_default() -> None:
    async with fake_server() as server:
        recorder = EventRecorder(server.client(), "x")
        recorder.event({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}, "Normal", "R", "m")
        await recorder.flush()
        assert server.all(EVENTS)[0]["metadata"]["namespace"] == "default"


async def test_parts_of_a_process_speak_under_their_own_names() -> None:
    async with fake_server() as server:
        recorder = EventRecorder(server.client(), "kube-controller-manager")
        recorder.named("deployment-controller").event(POD, "Normal", "R", "m")
        await recorder.flush()
        assert server.all(EVENTS)[0]["source"] == {"component": "deployment-controller"}


async def test_an_event_that_expired_is_written_anew() -> None:
    async with fake_server() as server:
        recorder = EventRecorder(server.client(), "x")
        recorder.event(POD, "Normal", "R", "m")
        await asyncio.wait_for(recorder._queue.join(), 5)
        server.objects.clear()
        recorder.event(POD, "Normal", "R", "m")
        await recorder.flush()
        assert [one["count"] for one in server.all(EVENTS)] == [1]


def test_the_eleventh_different_message_of_a_kind_is_combined() -> None:
    correlator = Correlator()
    messages = [correlator.fold(("pod", "Normal", "R"), f"message {number}", 0.0) for number in range(12)]
    assert messages[9] == "message 9"
    assert messages[10:] == [
        "(combined from similar events): message 10",
        "(combined from similar events): message 11",
    ]
    assert correlator.fold(("pod", "Normal", "R"), "much later", 601.0) == "much later"


def test_an_object_may_speak_25_times_then_once_in_five_minutes() -> None:
    correlator = Correlator()
    assert [correlator.allow("pod", 0.0) for _ in range(26)] == [True] * 25 + [False]
    assert correlator.allow("other", 0.0)
    assert correlator.allow("pod", 301.0)
    assert not correlator.allow("pod", 302.0)
