"""Fixtures that every kind of test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from tests.harness.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One etcd and one API server for all integration tests; each test uses a namespace of its own."""
    from tests.harness.control_plane import ControlPlane

    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def private_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own, to kill and pause at will."""
    from tests.harness.control_plane import ControlPlane

    with ControlPlane(tmp_path) as running:
        yield running
