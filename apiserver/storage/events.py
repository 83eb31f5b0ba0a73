"""What watchers receive: events, and batches of them whose encoded form all watchers of a kind share.

A frame is one line of a watch answer (`{"type":…,"object":…}` and a newline). It is put together once per event,
not per watcher, and dropped again when the event has been handed out; a late reader puts it together anew for
less than a microsecond.
"""

from collections.abc import Callable, Sequence
from typing import Final

import orjson

from apimachinery import Object
from apiserver.storage import codec
from apiserver.storage.entry import Entry

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class WatchEvent:
    """One change. `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `rev` the revision of the change.

    `entry` is the object after the change; for DELETED its last state with the revision of the deletion; for
    BOOKMARK an object with nothing but its type and resourceVersion; for ERROR a Status. `previous` is the object
    before the change where there was one.
    """

    __slots__ = ("_frame", "entry", "previous", "rev", "type")

    def __init__(self, type: str, rev: int, entry: Entry, previous: Entry | None = None) -> None:
        self.type = type
        self.rev = rev
        self.entry = entry
        self.previous = previous
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """Return the event as a line of a watch answer."""
        frame = self._frame
        if frame is None:
            entry = self.entry
            frame = b"".join(
                (b'{"type":"', self.type.encode(), b'","object":', entry.head, entry.body, b"}\n")
            )
            self._frame = frame
        return frame

    def forget_frame(self) -> None:
        """Free the encoded form; it is made again when needed."""
        self._frame = None

    def __repr__(self) -> str:
        return f"WatchEvent({self.type}, {self.entry.key!r}, rev={self.rev})"


Encode = Callable[[WatchEvent], bytes]
"""Turns an event into one line of a watch answer (a Table, partial metadata, another API version).

Watchers that pass the same object share its results, so pass one per resource and form, not one per request.
It sees every type: BOOKMARK objects have only metadata, ERROR objects are a Status to be sent as it is.
"""


class Batch:
    """Some events in order, for all watchers of one selection and form. Encodings are made once, when asked for."""

    __slots__ = ("_chunk", "_data", "_encode", "events")

    def __init__(self, events: Sequence[WatchEvent], encode: Encode | None = None) -> None:
        self.events = events
        self._encode = encode
        self._data: bytes | None = None
        self._chunk: bytes | None = None

    @property
    def revision(self) -> int:
        """Revision of the last event."""
        return self.events[-1].rev

    def frames(self) -> list[bytes]:
        """One line per event, for transports that send each as a message of its own (WebSocket)."""
        encode = self._encode
        return [event.frame() if encode is None else encode(event) for event in self.events]

    @property
    def data(self) -> bytes:
        """All lines, joined."""
        data = self._data
        if data is None:
            data = self._data = b"".join(self.frames())
        return data

    def http_chunk(self) -> bytes:
        """All lines as one chunk of HTTP/1.1's chunked transfer coding."""
        chunk = self._chunk
        if chunk is None:
            data = self.data
            chunk = self._chunk = b"%x\r\n%b\r\n" % (len(data), data)
        return chunk


def bookmark(head: bytes, revision: int, *, initial_events_end: bool = False) -> WatchEvent:
    """Return a BOOKMARK: all changes up to `revision` have been sent. `head` gives the type (see `codec.split`)."""
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    body = b'"metadata":' + orjson.dumps(metadata) + b"}"
    return WatchEvent("BOOKMARK", revision, Entry("", "", "", "", revision, head, body, {}, {}))


def error(status: Object, revision: int) -> WatchEvent:
    """Return an ERROR event that carries a Status object and ends the watch."""
    return WatchEvent("ERROR", revision, Entry("", "", "", "", revision, b"", orjson.dumps(status), {}, {}))


def type_head(api_version: str, kind: str) -> bytes:
    """Return the shared head of objects of one type."""
    return codec.split(
        b'{"apiVersion":"%b","kind":"%b","metadata":{}}' % (api_version.encode(), kind.encode())
    )[0]
