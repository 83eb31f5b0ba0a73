"""TLS contexts for servers and clients, and the certificate that a daemon gives itself when it has none.

Files are named, never contents; key material stays out of logs and out of temporary files. TLS 1.2 is the
lowest version anywhere.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from dataclasses import dataclass

from component_base import logs

_log = logs.get_logger("tls")
_RECHECK = 1.0  # seconds between looks at the files, at most one look per handshake


@dataclass(frozen=True)
class TLSFiles:
    """Paths in PEM form. With `client_ca`, client certificates are asked for and verified, but not required."""

    cert: str
    key: str
    client_ca: str | None = None

    def paths(self) -> tuple[str, ...]:
        """The files that this server depends on."""
        return (self.cert, self.key) if self.client_ca is None else (self.cert, self.key, self.client_ca)


def server_context(files: TLSFiles) -> ssl.SSLContext:
    """A server's context from `files`. Raises OSError or ssl.SSLError when they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 1  # one resumption ticket per connection is what clients use
    context.load_cert_chain(files.cert, files.key)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(
    ca_file: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    *,
    ca_data: str | None = None,
    insecure: bool = False,
) -> ssl.SSLContext:
    """A client's context. Without a CA the system's are trusted; `insecure` trusts any server."""
    context = ssl.create_default_context(cafile=ca_file, cadata=ca_data)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


class ReloadingContext:
    """A server context that follows its files: a renewed certificate or client CA serves the next handshake.

    The listener keeps `context`; each handshake looks at the files' modification times (at most once a second)
    and continues with the newest context. While the new files do not load, the old ones stay in use.
    """

    def __init__(self, files: TLSFiles) -> None:
        self._files = files
        self._stamps = self._look()
        self._looked = time.monotonic()
        self._current = server_context(files)
        self.context = server_context(files)
        self.context.sni_callback = self._choose

    def _look(self) -> tuple[tuple[int, int], ...]:
        stamps = []
        for path in self._files.paths():
            status = os.stat(path)
            stamps.append((status.st_mtime_ns, status.st_ino))
        return tuple(stamps)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        now = time.monotonic()
        if now - self._looked >= _RECHECK:
            self._looked = now
            try:
                stamps = self._look()
                if stamps != self._stamps:
                    self._current = server_context(self._files)
                    self._stamps = stamps
                    _log.info("Reloaded serving certificate", cert=self._files.cert)
            except (OSError, ssl.SSLError) as error:
                _log.warning("Keeping the loaded serving certificate", cert=self._files.cert, error=error)
        connection.context = self._current


async def self_signed_context(host: str) -> ssl.SSLContext:
    """A context with a fresh self-signed certificate for `host` and localhost, as the original daemons make.

    The certificate is made in a child process (the cryptography library would stay in this daemon's memory
    for its whole life) and reaches OpenSSL through an anonymous memory file, never the disk.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "component_base.self_signed", host, stdout=asyncio.subprocess.PIPE
    )
    pem, _ = await child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"cannot make a self-signed certificate: exit code {child.returncode}")
    handle = os.memfd_create("serving-cert", os.MFD_CLOEXEC)
    try:
        os.write(handle, pem)
        path = f"/proc/self/fd/{handle}"
        return server_context(TLSFiles(path, path))
    finally:
        os.close(handle)
