"""The docker package's low-level client, with the raw connections that streaming needs.

Blocking: every call belongs in a thread. Beyond the package's own methods it gives out sockets of upgraded
connections together with what was read ahead, so that no byte of output is lost.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import warnings
from collections.abc import Iterator
from typing import Any

# The engine speaks UTF-8: no tables for guessing encodings (3 MB in a daemon that is to be small), and no
# warning that they are missing.
for _guesser in ("charset_normalizer", "chardet"):
    sys.modules.setdefault(_guesser, None)  # type: ignore[arg-type]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from docker import APIClient

_HEADER = struct.Struct(">BxxxL")
_CHUNK = 65536
_Base: Any = APIClient  # its stubs lack the parts that are built upon here


class EngineClient(_Base):  # type: ignore[misc]
    """One connection pool to the engine."""

    def exec_socket(self, exec_id: str, tty: bool) -> tuple[socket.socket, bytes]:
        """Start a prepared exec; its connection and the bytes that came with the answer's head."""
        response = self._post_json(
            self._url("/exec/{0}/start", exec_id),
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            data={"Tty": tty, "Detach": False},
            stream=True,
        )
        return self._take(response)

    def attach_connection(self, container_id: str, stdin: bool) -> tuple[socket.socket, bytes]:
        """Attach to a container's streams."""
        response = self._post(
            self._url("/containers/{0}/attach", container_id),
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            params={"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(stdin)},
            stream=True,
        )
        return self._take(response)

    def _take(self, response: Any) -> tuple[socket.socket, bytes]:
        self._raise_for_status(response)
        reader = response.raw._fp.fp
        duplicate = socket.socket(fileno=os.dup(reader.fileno()))
        duplicate.setblocking(False)
        reader.raw._sock.settimeout(0.0)
        ahead = bytes(reader.peek() or b"")
        # The pool must not use this connection again; the duplicate keeps it open.
        response.raw._fp.close()
        return duplicate, ahead

    def log_response(self, container_id: str, parameters: dict[str, Any]) -> Any:
        """The streaming answer of a log request; close it to end a follow."""
        response = self._get(
            self._url("/containers/{0}/logs", container_id), params=parameters, stream=True, timeout=None
        )
        self._raise_for_status(response)
        return response


def chunks(response: Any) -> Iterator[bytes]:
    """The body of a streaming answer, as it arrives."""
    yield from response.raw.stream(_CHUNK, decode_content=False)


class Demultiplexer:
    """Takes the engine's stdout/stderr framing apart; pure."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(channel, payload) of every frame that `data` completes."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEADER.size:
            channel, length = _HEADER.unpack_from(buffer, start)
            end = start + _HEADER.size + length
            if len(buffer) < end:
                break
            yield channel, bytes(buffer[start + _HEADER.size : end])
            start = end
        del buffer[:start]
