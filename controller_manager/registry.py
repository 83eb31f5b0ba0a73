"""The table of controllers: official name, older alias, and what makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controller_manager.context import ControllerContext, Runnable
from controller_manager.deployment.controller import DeploymentController
from controller_manager.endpoint_slice.controller import EndpointSliceController
from controller_manager.endpoints import EndpointsController
from controller_manager.garbage_collector.controller import GarbageCollector
from controller_manager.namespaces import NamespaceController
from controller_manager.node_ipam import NodeIPAMController
from controller_manager.node_lifecycle.controller import NodeLifecycleController
from controller_manager.pod_garbage_collector import PodGarbageCollector
from controller_manager.replica_set.controller import ReplicaSetController
from controller_manager.root_ca import RootCAPublisher
from controller_manager.service_account_tokens import TokenController
from controller_manager.service_accounts import ServiceAccountController
from controller_manager.taint_eviction import TaintEvictionController


@dataclass(frozen=True)
class Entry:
    """One controller. The garbage collector comes last: it shares the informers that the others ask for."""

    name: str
    alias: str
    make: Callable[[ControllerContext], Runnable]


CONTROLLERS: tuple[Entry, ...] = (
    Entry("serviceaccount-token-controller", "serviceaccount-token", TokenController),
    Entry("endpoints-controller", "endpoint", EndpointsController),
    Entry("endpointslice-controller", "endpointslice", EndpointSliceController),
    Entry("pod-garbage-collector-controller", "podgc", PodGarbageCollector),
    Entry("namespace-controller", "namespace", NamespaceController),
    Entry("serviceaccount-controller", "serviceaccount", ServiceAccountController),
    Entry("deployment-controller", "deployment", DeploymentController),
    Entry("replicaset-controller", "replicaset", ReplicaSetController),
    Entry("node-ipam-controller", "nodeipam", NodeIPAMController),
    Entry("node-lifecycle-controller", "nodelifecycle", NodeLifecycleController),
    Entry("taint-eviction-controller", "taint-eviction", TaintEvictionController),
    Entry("root-ca-certificate-publisher-controller", "root-ca-cert-publisher", RootCAPublisher),
    Entry("garbage-collector-controller", "garbagecollector", GarbageCollector),
)


def select(words: Iterable[str]) -> list[Entry]:
    """The controllers that `--controllers` names: `*` all, `foo` this one, `-foo` not this one.

    Raises ValueError for a name that no controller has.
    """
    chosen = [word.strip() for word in words if word.strip()]
    known = {name for entry in CONTROLLERS for name in (entry.name, entry.alias)}
    for word in chosen:
        if word != "*" and word.removeprefix("-") not in known:
            raise ValueError(f'"{word.removeprefix("-")}" is not in the list of known controllers')
    return [entry for entry in CONTROLLERS if _wanted(entry, chosen)]


def _wanted(entry: Entry, words: list[str]) -> bool:
    for word in words:
        if word in (entry.name, entry.alias):
            return True
        if word in (f"-{entry.name}", f"-{entry.alias}"):
            return False
    return "*" in words
