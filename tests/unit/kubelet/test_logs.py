"""Whose log `kubectl logs` and `kubectl logs --previous` mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from samples import pod, record, status

from apimachinery import Object
from kubelet.runtime.types import ContainerStatus
from kubelet.server.logs import choose
from kubelet.server.reply import Refused


def chosen(*statuses: ContainerStatus, previous: bool = False, state: Object | None = None) -> str:
    kubelet: Any = SimpleNamespace(view=SimpleNamespace(record=lambda uid: record(*statuses)))
    shown = {"name": "c", "state": state or {}}
    return choose(kubelet, {**pod(), "status": {"containerStatuses": [shown]}}, "c", previous=previous).id


def test_a_running_container_has_the_last_ended_one_before_it() -> None:
    both = (status(attempt=1), status(state="exited"))
    assert chosen(*both) == "c-1"
    assert chosen(*both, previous=True) == "c-0"


def test_while_it_waits_for_its_next_start_the_last_end_is_both() -> None:
    both = (status(state="exited", attempt=1), status(state="exited"))
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert chosen(*both, state=waiting) == "c-1"
    assert chosen(*both, state=waiting, previous=True) == "c-1"


def test_the_first_end_of_a_container_has_nothing_before_it() -> None:
    with pytest.raises(Refused) as refused:
        chosen(status(state="exited"), previous=True, state={"terminated": {"exitCode": 0}})
    assert 'previous terminated container "c" in pod "p" not found' in str(refused.value)
