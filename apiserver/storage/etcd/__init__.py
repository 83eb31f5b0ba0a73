"""etcd: a lean gRPC client over asyncio, with the messages of the `etcd3` package.

`Etcd` is the whole interface; the errors say whether an operation may have happened.
"""

from apiserver.storage.etcd.client import Etcd
from apiserver.storage.etcd.errors import EtcdError, EtcdTimeout, EtcdUnavailable, RevisionCompacted
from apiserver.storage.etcd.messages import rpc

__all__ = ["Etcd", "EtcdError", "EtcdTimeout", "EtcdUnavailable", "RevisionCompacted", "rpc"]
