"""Who owns whom: every object of the cluster by uid with its owners and dependents. Pure, no I/O.

Follows https://kubernetes.io/docs/concepts/architecture/garbage-collection/. Each change answers with the objects that
are to be looked at. An owner that has been named but not seen is kept as a virtual node until it is seen or nobody
names it any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from apimachinery import Object, meta

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Identity(NamedTuple):
    """Where an object is found."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """The informer's key."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def group(self) -> str:
        """The API group: versions of one group show the same objects."""
        return self.api_version.rpartition("/")[0]


@dataclass(slots=True, eq=False)
class Node:
    """One object; `virtual` while only its dependents have told of it."""

    uid: str
    identity: Identity
    virtual: bool = True
    owners: tuple[Object, ...] = ()
    dependents: dict[str, Node] = field(default_factory=dict)
    deleting: bool = False
    waits_for_dependents: bool = False
    orphaning: bool = False

    def blocking_dependents(self) -> list[Node]:
        """The dependents that must be gone before this object may go in a foreground deletion."""
        return [
            one
            for one in self.dependents.values()
            if any(ref["uid"] == self.uid and ref.get("blockOwnerDeletion") for ref in one.owners)
        ]


class Todo(NamedTuple):
    """uids of objects that may have to be deleted, and of owners whose dependents are to be orphaned."""

    delete: list[str]
    orphan: list[str]


class Graph:
    """Fed with every object's present state and every deletion."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        """The node, virtual or not."""
        return self._nodes.get(uid)

    def put(self, obj: Object) -> Todo:
        """An object is there, in this state."""
        todo = Todo([], [])
        uid = meta.uid(obj)
        owners = tuple(meta.owner_references(obj))
        deleting = meta.is_deleting(obj)
        finalizers = meta.finalizers(obj)
        waits = deleting and FOREGROUND in finalizers
        orphaning = deleting and ORPHAN in finalizers
        node = self._nodes.get(uid)
        if node is None:
            node = self._nodes[uid] = Node(uid, identity_of(obj))
        elif not node.virtual and (node.owners, node.deleting, node.waits_for_dependents, node.orphaning) == (
            owners,
            deleting,
            waits,
            orphaning,
        ):
            return todo
        if node.virtual:
            node.virtual, node.identity = False, identity_of(obj)
            # Those that named it may have named it wrongly.
            todo.delete.extend(one.uid for one in node.dependents.values() if not _names(one, node))
        self._set_owners(node, owners, todo)
        node.deleting = deleting
        if orphaning and not node.orphaning:
            todo.orphan.append(uid)
        if waits and not node.waits_for_dependents:
            todo.delete.extend(node.dependents)
            todo.delete.append(uid)
        node.waits_for_dependents, node.orphaning = waits, orphaning
        return todo

    def remove(self, uid: str) -> Todo:
        """An object is gone for good."""
        todo = Todo([], [])
        node = self._nodes.get(uid)
        if node is None:
            return todo
        self._set_owners(node, (), todo)
        todo.delete.extend(node.dependents)
        node.virtual = True
        node.deleting = node.waits_for_dependents = node.orphaning = False
        self._drop_if_unnamed(node)
        return todo

    def _set_owners(self, node: Node, owners: tuple[Object, ...], todo: Todo) -> None:
        before = {ref["uid"]: ref for ref in node.owners}
        after = {ref["uid"]: ref for ref in owners}
        node.owners = owners
        for uid, ref in before.items():
            owner = self._nodes.get(uid)
            if owner is None:
                continue
            stays = after.get(uid)
            if stays is None:
                owner.dependents.pop(node.uid, None)
                self._drop_if_unnamed(owner)
            unblocked = ref.get("blockOwnerDeletion") and not (stays or {}).get("blockOwnerDeletion")
            if owner.waits_for_dependents and (stays is None or unblocked):
                todo.delete.append(uid)
        for uid, ref in after.items():
            if uid in before and uid in self._nodes:
                continue
            owner = self._nodes.get(uid)
            if owner is None:
                named = Identity(ref["apiVersion"], ref["kind"], node.identity.namespace, ref["name"])
                owner = self._nodes[uid] = Node(uid, named)
                todo.delete.append(uid)
            owner.dependents[node.uid] = node
            if owner.waits_for_dependents or (not owner.virtual and not _names(node, owner)):
                todo.delete.append(node.uid)

    def _drop_if_unnamed(self, node: Node) -> None:
        if node.virtual and not node.dependents:
            self._nodes.pop(node.uid, None)


def identity_of(obj: Object) -> Identity:
    """The identity of an object with apiVersion, kind and metadata."""
    return Identity(obj["apiVersion"], obj["kind"], meta.namespace(obj), meta.name(obj))


def _names(dependent: Node, owner: Node) -> bool:
    """Whether the dependent's reference says where this owner really is."""
    where = owner.identity
    references = [ref for ref in dependent.owners if ref["uid"] == owner.uid]
    return any(is_named_by(ref, dependent.identity.namespace, where) for ref in references)


def is_named_by(ref: Object, namespace: str, where: Identity) -> bool:
    """Whether a reference from `namespace` says where the object at `where` really is."""
    return (
        ref["apiVersion"].rpartition("/")[0] == where.group
        and ref["kind"] == where.kind
        and ref["name"] == where.name
        and where.namespace in ("", namespace)
    )


def without_owners(references: Iterable[Object], uids: Iterable[str]) -> list[Object]:
    """The references but those to these owners."""
    gone = set(uids)
    return [ref for ref in references if ref["uid"] not in gone]
