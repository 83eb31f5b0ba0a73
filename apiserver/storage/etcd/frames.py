"""HTTP/2 frames and header blocks, as far as a gRPC client needs them (RFC 9113, RFC 7541).

Pure functions over bytes. Requests use header fields without indexing; answers come without a dynamic table
because the connection's SETTINGS forbid one, so every block can be read on its own and remembered.
"""

from typing import Final
from urllib.parse import unquote

from hpack import Decoder

DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20

SETTINGS_HEADER_TABLE_SIZE: Final = 1
SETTINGS_ENABLE_PUSH: Final = 2
SETTINGS_MAX_CONCURRENT_STREAMS: Final = 3
SETTINGS_INITIAL_WINDOW_SIZE: Final = 4
SETTINGS_MAX_FRAME_SIZE: Final = 5

CANCEL: Final = (8).to_bytes(4, "big")
REFUSED_STREAM: Final = 7

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW: Final = 65_535
LARGEST_WINDOW: Final = (1 << 31) - 1
DEFAULT_FRAME_SIZE: Final = 16_384
LAST_STREAM_ID: Final = (1 << 31) - 1


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return one frame."""
    return b"".join(
        (len(payload).to_bytes(3, "big"), bytes((kind, flags)), stream_id.to_bytes(4, "big"), payload)
    )


def settings_payload(settings: dict[int, int]) -> bytes:
    """Return the payload of a SETTINGS frame."""
    return b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings.items())


def parse_settings(payload: bytes) -> dict[int, int]:
    """Return the settings of a SETTINGS payload; a setting given twice has its last value."""
    return {
        int.from_bytes(payload[at : at + 2], "big"): int.from_bytes(payload[at + 2 : at + 6], "big")
        for at in range(0, len(payload) - 5, 6)
    }


def unpad(flags: int, payload: bytes) -> bytes:
    """Return the payload of a DATA or HEADERS frame without padding and priority."""
    if flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    if flags & PRIORITY:
        payload = payload[5:]
    return payload


def _string(value: bytes) -> bytes:
    """Return an HPACK string without Huffman coding (RFC 7541, 5.2)."""
    length = len(value)
    if length < 127:
        return bytes((length,)) + value
    rest, out = length - 127, bytearray((127,))
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    out.append(rest)
    return bytes(out) + value


def grpc_request_headers(path: str, authority: str, *, secure: bool, extra: dict[str, str]) -> bytes:
    """Return the header block of a gRPC request: static-table names, literal values, nothing indexed."""
    block = [b"\x83", b"\x87" if secure else b"\x86"]  # :method POST, :scheme https or http
    block.append(b"\x04" + _string(path.encode()))
    block.append(b"\x01" + _string(authority.encode()))
    block.append(b"\x0f\x10" + _string(b"application/grpc"))  # content-type is entry 31
    for name, value in {"te": "trailers", **extra}.items():
        block.append(b"\x00" + _string(name.encode()) + _string(value.encode()))
    return b"".join(block)


def grpc_status(block: bytes) -> tuple[int, str]:
    """Return gRPC status and message of a trailer block; (-1, why) where it is not a gRPC answer."""
    if not block:
        return -1, "the answer ended without a gRPC status"
    headers = {
        (name.decode() if isinstance(name, bytes) else name): value
        for name, value in Decoder(LARGEST_WINDOW).decode(block, raw=True)
    }
    status = headers.get("grpc-status")
    if status is None:
        return -1, f"not a gRPC answer (HTTP status {headers.get(':status', b'unknown')!r})"
    return int(status), unquote(headers.get("grpc-message", b"").decode("utf-8", "replace"))
