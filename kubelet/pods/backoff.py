"""Growing waits by key: 10 seconds, doubled at each use up to 5 minutes, forgotten after twice that.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy ; used for container restarts and
image pulls. Kept in memory only, as in the original: a restarted kubelet starts anew.
"""

from __future__ import annotations

FIRST, LONGEST = 10.0, 300.0


class BackoffTable:
    """Times are seconds since the epoch."""

    def __init__(self, first: float = FIRST, longest: float = LONGEST) -> None:
        self._first, self._longest = first, longest
        self._entries: dict[str, tuple[float, float]] = {}

    def wait(self, key: str, since: float) -> float:
        """The wait that applies after an event at `since`; 0.0 for an unknown or forgotten key."""
        entry = self._entries.get(key)
        if entry is None or since - entry[1] > 2 * self._longest:
            return 0.0
        return entry[0]

    def next(self, key: str, since: float, now: float) -> float:
        """Note another use of the key; returns the wait before the one after it."""
        current = self.wait(key, since)
        wait = min(current * 2, self._longest) if current else self._first
        self._entries[key] = (wait, now)
        return wait

    def forget(self, prefix: str) -> None:
        """Drop every key that begins with `prefix`."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
