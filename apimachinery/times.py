"""Time stamps of the API: RFC 3339 in UTC, whole seconds (``Time``) or microseconds (``MicroTime``).

Also the short durations that ``kubectl`` prints as ages. The clock is read only by :func:`now` and
:func:`now_micro`; everything else is a pure conversion.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_ELEMENTS = tuple(
    (element, re.compile(pattern, re.ASCII))
    for element, pattern in (
        ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"), ("15", r"\d\d"),
        (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d(?:[.,]\d+)?"), ("Z07:00", r"Z|[+-]\d\d:\d\d"),
    )
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> str:
    """The present, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def now_micro() -> str:
    """The present, in microseconds."""
    return format_micro(time.time())


def format(epoch: float) -> str:
    """Seconds since the epoch as ``Time``; the fraction is cut off."""
    return (_EPOCH + timedelta(seconds=int(epoch // 1))).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro(epoch: float) -> str:
    """Seconds since the epoch as ``MicroTime``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError when it is not one."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_problem(text))
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    for name, value, low, high in (
        ("month", month, 1, 12), ("hour", hour, 0, 23), ("minute", minute, 0, 59), ("second", second, 0, 59)
    ):  # fmt: skip
        if not low <= value <= high:
            raise ValueError(f'parsing time "{text}": {name} out of range')
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError(f'parsing time "{text}": day out of range') from None
    epoch = (moment - _EPOCH).total_seconds()
    if match[7]:
        epoch += float(f"0.{match[7]}")
    if match[8]:
        offset = int(match[9]) * 3600 + int(match[10]) * 60
        epoch -= offset if match[8] == "+" else -offset
    return epoch


def _problem(text: str) -> str:
    """Where Go's parser would stop, in its words."""
    rest = text
    for element, pattern in _ELEMENTS:
        found = pattern.match(rest)
        if found is None:
            return (
                f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{rest}" as "{element}"'
            )
        rest = rest[found.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def canonical(text: str) -> str:
    """Rewrite an RFC 3339 time as the server stores ``Time``: UTC, whole seconds. Raises ValueError."""
    if len(text) == 20 and text[19] == "Z" and text[10] == "T":
        match = _RFC3339.fullmatch(text)
        if match is not None:
            parse(text)
            return text
    return format(parse(text))


def canonical_micro(text: str) -> str:
    """Rewrite an RFC 3339 time as the server stores ``MicroTime``: UTC, six digits. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    epoch = int(parse(text) // 1)
    fraction = ((match[7] if match else "") or "")[:6].ljust(6, "0")
    return f"{format(epoch)[:-1]}.{fraction}Z"


def human_duration(seconds: float) -> str:
    """A duration as ``kubectl get`` shows ages: ``45s``, ``3m20s``, ``5h``, ``2d3h``, ``3y40d``."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        rest = total % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if days < 365 * 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"
