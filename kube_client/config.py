"""Where the API server is and who we are: kubeconfig files and the in-cluster service account.

Follows https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/. Only values;
the network belongs to `transport`. Exec and auth-provider plugins are not run: daemons hold certificates or
token files.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """The kubeconfig cannot be used; the message says which entry is wrong."""


@dataclass(frozen=True)
class KubeConfig:
    """One resolved context. Files stay files, so that rotated certificates and tokens are noticed."""

    server: str
    ca_file: str | None = None
    ca_data: bytes | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    client_certificate_file: str | None = None
    client_certificate_data: bytes | None = None
    client_key_file: str | None = None
    client_key_data: bytes | None = None
    token: str | None = None
    token_file: str | None = None
    namespace: str = "default"

    @staticmethod
    def load(path: str | os.PathLike[str], context: str | None = None) -> KubeConfig:
        """Read one kubeconfig file and resolve `context` (or its current-context).

        Raises ConfigError when the file is missing, malformed, or lacks what the context names.
        """
        file = Path(path)
        try:
            document = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except OSError as error:
            raise ConfigError(f"cannot read kubeconfig {file}: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"kubeconfig {file} is not YAML: {error}") from error
        if not isinstance(document, dict):
            raise ConfigError(f"kubeconfig {file} is not a mapping")
        return _resolve(document, file, context)

    @staticmethod
    def in_cluster() -> KubeConfig:
        """The configuration that a pod finds in its environment and its service-account volume.

        Raises ConfigError outside a pod.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise ConfigError(
                "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and"
                " KUBERNETES_SERVICE_PORT must be defined"
            )
        namespace_file = SERVICE_ACCOUNT_DIR / "namespace"
        return KubeConfig(
            server=f"https://{_bracketed(host)}:{port}",
            ca_file=str(SERVICE_ACCOUNT_DIR / "ca.crt"),
            token_file=str(SERVICE_ACCOUNT_DIR / "token"),
            namespace=namespace_file.read_text().strip() if namespace_file.exists() else "default",
        )


def _resolve(document: dict[str, Any], file: Path, wanted: str | None) -> KubeConfig:
    name = wanted or document.get("current-context") or ""
    if not name:
        raise ConfigError(f"kubeconfig {file} has no current-context")
    context = _entry(document, "contexts", "context", name, file)
    cluster = _entry(document, "clusters", "cluster", str(context.get("cluster", "")), file)
    user = _entry(document, "users", "user", str(context["user"]), file) if context.get("user") else {}
    server = cluster.get("server")
    if not server:
        raise ConfigError(f"cluster {context.get('cluster')!r} in kubeconfig {file} has no server")
    base = file.resolve().parent
    return KubeConfig(
        server=str(server).rstrip("/"),
        ca_file=_path(cluster, "certificate-authority", base),
        ca_data=_data(cluster, "certificate-authority-data", file),
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify", False)),
        tls_server_name=cluster.get("tls-server-name") or None,
        client_certificate_file=_path(user, "client-certificate", base),
        client_certificate_data=_data(user, "client-certificate-data", file),
        client_key_file=_path(user, "client-key", base),
        client_key_data=_data(user, "client-key-data", file),
        token=user.get("token") or None,
        token_file=_path(user, "tokenFile", base),
        namespace=context.get("namespace") or "default",
    )


def _entry(document: dict[str, Any], section: str, field: str, name: str, file: Path) -> dict[str, Any]:
    for item in document.get(section) or []:
        if isinstance(item, dict) and item.get("name") == name:
            return dict(item.get(field) or {})
    raise ConfigError(f"kubeconfig {file} has no {field} named {name!r}")


def _path(entry: dict[str, Any], field: str, base: Path) -> str | None:
    value = entry.get(field)
    return str(base / str(value)) if value else None


def _data(entry: dict[str, Any], field: str, file: Path) -> bytes | None:
    value = entry.get(field)
    if not value:
        return None
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise ConfigError(f"{field} in kubeconfig {file} is not base64: {error}") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
