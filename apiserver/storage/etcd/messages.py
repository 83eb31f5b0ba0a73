"""etcd's own messages, taken from the `etcd3` package and given to a modern protobuf.

etcd3 0.12 carries generated code of 2020 that protobuf 4 and later refuse to run. The descriptors inside are
sound, so they are read out of its `*_pb2.py` files and registered anew: the messages then run at C speed
(upb). They are put under their own names into `sys.modules`; a plain `import etcd3` works afterwards, with the
same classes.

`etcd3/__init__.py` itself is not run here: it imports grpcio (0.2 s and 13 MB) for a transport that this
package replaces (see `http2`). No other module may touch `etcd3`.
"""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.internal import builder

_SERIALIZED = re.compile(r"serialized_pb=_b\((.*)\)\s*$", re.MULTILINE)


def _package_directory() -> Path:
    spec = importlib.util.find_spec("etcd3")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the etcd3 package is not installed")
    return Path(spec.submodule_search_locations[0])


def _descriptor_bytes(path: Path) -> bytes:
    """Return the serialized FileDescriptorProto that a generated `*_pb2.py` carries as a literal."""
    found = _SERIALIZED.search(path.read_text())
    if found is None:
        raise ImportError(f"{path} does not look like the generated code of etcd3 0.12")
    literal: str = ast.literal_eval(found.group(1).rstrip(","))
    return literal.encode("latin1")


def _register(name: str, path: Path) -> ModuleType:
    full_name = f"etcd3.etcdrpc.{name}"
    loaded = sys.modules.get(full_name)
    if loaded is not None:
        return loaded
    module = ModuleType(full_name)
    namespace: dict[str, Any] = module.__dict__
    namespace["DESCRIPTOR"] = descriptor_pool.Default().AddSerializedFile(_descriptor_bytes(path))
    builder.BuildMessageAndEnumDescriptors(namespace["DESCRIPTOR"], namespace)
    builder.BuildTopDescriptorsAndMessages(namespace["DESCRIPTOR"], full_name, namespace)
    sys.modules[full_name] = module
    return module


def _load_plain(name: str, path: Path) -> ModuleType:
    """Load a module of etcd3 that imports nothing, without running the package around it."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_directory = _package_directory()
kv: Any = _register("kv_pb2", _directory / "etcdrpc" / "kv_pb2.py")
_register("auth_pb2", _directory / "etcdrpc" / "auth_pb2.py")
rpc: Any = _register("rpc_pb2", _directory / "etcdrpc" / "rpc_pb2.py")
exceptions: Any = _load_plain("etcd3.exceptions", _directory / "exceptions.py")
"""etcd3's exception classes, the bases of ours."""
