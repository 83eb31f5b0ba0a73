"""`skiff logs`: the end of a daemon's log file, and its growth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

BLOCK = 64 * 1024


def tail(path: Path, lines: int) -> bytes:
    """The last `lines` lines; reads from the end, so that a large file costs no more than a small one."""
    with path.open("rb") as stream:
        position = stream.seek(0, 2)
        data = b""
        while position > 0 and data.count(b"\n") <= lines:
            step = min(BLOCK, position)
            position -= step
            stream.seek(position)
            data = stream.read(step) + data
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""


def follow(path: Path, interval: float = 0.2) -> Iterator[bytes]:
    """What is appended from now on; goes on with the new file when the log is rotated."""
    stream = path.open("rb")
    stream.seek(0, 2)
    try:
        while True:
            data = stream.read(BLOCK)
            if data:
                yield data
                continue
            time.sleep(interval)
            if path.exists() and path.stat().st_ino != Path(f"/proc/self/fd/{stream.fileno()}").stat().st_ino:
                stream.close()
                stream = path.open("rb")
    finally:
        stream.close()
