"""What can go wrong with etcd, as exceptions that say whether the operation may have happened.

The difference matters for writes: an operation that never left this process may be tried again, one that was
sent and got no answer may not, because it may have been carried out.
"""

from typing import Final

from apiserver.storage.etcd.messages import exceptions

_UNAVAILABLE: Final = 14
_DEADLINE_EXCEEDED: Final = 4
_OUT_OF_RANGE: Final = 11


class EtcdError(exceptions.Etcd3Exception):  # type: ignore[misc]  # etcd3 has no type information
    """An answer of etcd other than success: gRPC status `code` and etcd's own `message`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class EtcdUnavailable(EtcdError):
    """No answer: no connection, a connection that broke, or etcd without a leader.

    `sent` is False when the request certainly did not reach etcd.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(_UNAVAILABLE, message)
        self.sent = sent


class EtcdTimeout(EtcdError):
    """No answer in the time allowed; the operation may or may not have happened."""

    def __init__(self, message: str = "etcdserver: request timed out") -> None:
        super().__init__(_DEADLINE_EXCEEDED, message)


class RevisionCompacted(EtcdError, exceptions.RevisionCompactedError):  # type: ignore[misc]
    """The revision asked for is older than etcd's history; `compacted_revision` is 0 where etcd does not say."""

    def __init__(self, compacted_revision: int = 0) -> None:
        EtcdError.__init__(self, _OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
        self.compacted_revision = compacted_revision


def from_status(code: int, message: str) -> EtcdError:
    """Return the exception for a gRPC status (https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""
    if code == _OUT_OF_RANGE and "compacted" in message:
        return RevisionCompacted()
    if code == _UNAVAILABLE:
        return EtcdUnavailable(message)
    if code == _DEADLINE_EXCEEDED:
        return EtcdTimeout(message)
    return EtcdError(code, message)
