"""Nodes: new ones get no pods before they are ready, and a kubelet touches only its own node and pods."""

from __future__ import annotations

from apimachinery.resources import LEASES, NODES, PODS, Resource
from apiserver.admission.plugin import CREATE, DELETE, UPDATE, Attributes, Plugin, refusal
from apiserver.admission.service_accounts import MIRROR

NOT_READY = "node.kubernetes.io/not-ready"
NODES_GROUP, NODE_PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"


class TaintNodesByCondition(Plugin):
    """A node begins as not ready; the node lifecycle controller takes the taint away."""

    name = "TaintNodesByCondition"
    operations = frozenset({CREATE})

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Nodes."""
        return resource == NODES and not subresource

    async def admit(self, attributes: Attributes) -> None:
        """Add the taint."""
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == NOT_READY and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]


class NodeRestriction(Plugin):
    """Keeps kubelets (user system:node:NAME in group system:nodes) to what is theirs."""

    name = "NodeRestriction"
    operations = frozenset({CREATE, UPDATE, DELETE})

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Nodes, pods and leases."""
        return resource in (NODES, PODS, LEASES)

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what is another node's."""
        user = attributes.ctx.user
        if NODES_GROUP not in user.groups or not user.name.startswith(NODE_PREFIX):
            return
        node = user.name.removeprefix(NODE_PREFIX)
        resource = attributes.ctx.resource
        if resource == NODES:
            self._check_node(attributes, node)
        elif resource == PODS:
            self._check_pod(attributes, node)
        else:
            self._check_lease(attributes, node)

    @staticmethod
    def _check_node(attributes: Attributes, node: str) -> None:
        name = attributes.ctx.name or ((attributes.obj or {}).get("metadata") or {}).get("name") or ""
        if name != node:
            raise refusal(attributes, f'node "{node}" is not allowed to modify node "{name}"')

    @staticmethod
    def _check_pod(attributes: Attributes, node: str) -> None:
        pod = attributes.obj if attributes.operation == CREATE else attributes.old
        assert pod is not None
        own = (pod.get("spec") or {}).get("nodeName") == node
        subresource = attributes.ctx.subresource
        if subresource == "eviction":
            if not own:
                raise refusal(
                    attributes, f'node "{node}" can only evict pods with spec.nodeName set to itself'
                )
        elif attributes.operation == CREATE and not subresource:
            if MIRROR not in (pod["metadata"].get("annotations") or {}):
                raise refusal(
                    attributes,
                    (f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'),
                )
            if not own:
                raise refusal(
                    attributes, f'node "{node}" can only create pods with spec.nodeName set to itself'
                )
        elif attributes.operation == DELETE and not own:
            raise refusal(attributes, f'node "{node}" can only delete pods with spec.nodeName set to itself')
        elif attributes.operation == UPDATE and not own:
            raise refusal(
                attributes,
                (f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'),
            )

    @staticmethod
    def _check_lease(attributes: Attributes, node: str) -> None:
        ctx = attributes.ctx
        name = ctx.name or ((attributes.obj or {}).get("metadata") or {}).get("name") or ""
        if ctx.namespace != LEASE_NAMESPACE:
            raise refusal(attributes, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if name != node:
            raise refusal(attributes, "can only access node lease with the same name as the requesting node")
