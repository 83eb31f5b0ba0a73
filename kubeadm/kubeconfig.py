"""Kubeconfig files: one per identity for the daemons, and the merge into the user's own file.

The merge changes only what belongs to our cluster, cluster, user and context by name; everything else in
the user's file stays. `$KUBECONFIG` may be a list: as kubectl does, the first file that exists is written.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from kubeadm.errors import UserError


def document(
    *, cluster: str, server: str, ca: bytes, user: str, certificate: bytes, key: bytes, context: str
) -> dict[str, Any]:
    """A complete v1 Config with one cluster, one user and one context; credentials are inline."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"certificate-authority-data": _b64(ca), "server": server}}
        ],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "preferences": {},
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _b64(certificate), "client-key-data": _b64(key)},
            }
        ],
    }


def write(path: Path, config: dict[str, Any]) -> None:
    """Replaces the file in one step with mode 0600, keeping its owner where it existed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        yaml.safe_dump(config, stream, sort_keys=False)
    if path.exists():
        status = path.stat()
        os.chown(temporary, status.st_uid, status.st_gid)
    os.replace(temporary, path)


def user_path(environ: dict[str, str]) -> Path:
    """The file that kubectl would write: `$KUBECONFIG` (its first existing entry, else the last), or ~/.kube/config."""
    entries = [Path(entry) for entry in environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    if not entries:
        return Path(environ.get("HOME", "/root")) / ".kube" / "config"
    return next((entry for entry in entries if entry.exists()), entries[-1])


def merge(path: Path, config: dict[str, Any]) -> None:
    """Adds or replaces the entries of `config` by name and makes its context the current one."""
    merged = _read(path)
    for section in ("clusters", "contexts", "users"):
        ours = {entry["name"] for entry in config[section]}
        kept = [entry for entry in merged.get(section) or [] if entry.get("name") not in ours]
        merged[section] = kept + config[section]
    merged["current-context"] = config["current-context"]
    write(path, merged)


def remove(path: Path, *, context: str, cluster: str, user: str) -> bool:
    """Takes our entries out again; True where something was removed. A file left empty is deleted."""
    if not path.exists():
        return False
    config = _read(path)
    before = sum(len(config.get(section) or []) for section in ("clusters", "contexts", "users"))
    for section, name in (("clusters", cluster), ("contexts", context), ("users", user)):
        config[section] = [entry for entry in config.get(section) or [] if entry.get("name") != name]
    after = sum(len(config[section]) for section in ("clusters", "contexts", "users"))
    if before == after:
        return False
    if config.get("current-context") == context:
        config["current-context"] = ""
    if after == 0:
        path.unlink()
    else:
        write(path, config)
    return True


def _read(path: Path) -> dict[str, Any]:
    empty = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    try:
        loaded = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return dict(empty)
    except yaml.YAMLError as error:
        raise UserError(f"The kubeconfig {path} is not valid YAML; mend it or set KUBECONFIG.") from error
    if loaded is None:
        return dict(empty)
    if not isinstance(loaded, dict):
        raise UserError(f"The kubeconfig {path} is not a mapping; mend it or set KUBECONFIG.")
    return loaded


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
