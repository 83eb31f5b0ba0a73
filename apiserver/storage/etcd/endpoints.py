"""Where etcd is: the endpoint list of `--etcd-servers` and the TLS files, turned into connections' parameters."""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Endpoint:
    """One etcd member: a TCP address, or the path of a unix socket."""

    host: str
    port: int
    secure: bool
    socket_path: str = ""

    @property
    def authority(self) -> str:
        """The value of `:authority`."""
        if self.socket_path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.socket_path or self.authority


def parse(url: str) -> Endpoint:
    """Return the endpoint of `http://host:port`, `https://…`, `unix:/path`, `unixs:/path` or `host:port`.

    Raises ValueError for anything else.
    """
    for scheme, secure in (("unix:", False), ("unixs:", True)):
        if url.startswith(scheme):
            path = url[len(scheme) :]
            path = path[2:] if path.startswith("//") else path
            if not path:
                raise ValueError(f"etcd endpoint {url!r} names no socket")
            return Endpoint("localhost", 0, secure, path)
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"etcd endpoint {url!r} is not an http, https or unix URL")
    return Endpoint(parts.hostname, parts.port or 2379, parts.scheme == "https")


def tls_context(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext:
    """Return the context for https endpoints: the peer is verified against `ca_file` (else the system's)."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if cert_file:
        context.load_cert_chain(cert_file, key_file or None)
    return context
