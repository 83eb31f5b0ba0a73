"""The messages are etcd3's own, and do not bring in its transport."""

from __future__ import annotations

import subprocess
import sys


def test_etcd3_works_afterwards_with_the_same_classes_and_grpc_is_not_loaded_before() -> None:
    script = (
        "import sys; from apiserver.storage.etcd import rpc, EtcdError; assert 'grpc' not in sys.modules;"
        "assert rpc.RangeRequest.FromString(rpc.RangeRequest(key=b'a').SerializeToString()).key == b'a';"
        "import etcd3; assert etcd3.etcdrpc.RangeRequest is rpc.RangeRequest;"
        "assert issubclass(EtcdError, etcd3.Etcd3Exception)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
