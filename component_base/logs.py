"""Structured logs in the two formats that users of Kubernetes know: klog text and JSON, on standard error.

Configured once per process. Values under keys that name a secret are masked here, so that no caller can leak
one by mistake. Must never raise: a value that cannot be rendered is rendered by `repr`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Literal, cast

import orjson

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # structlog's development console, unused here, would load rich: 4.5 MB and 50 ms in every daemon.
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog

    del sys.modules["rich"]
else:
    import structlog

_SECRET_WORDS = ("token", "password", "authorization", "secret_data", "private_key", "client_key")
_SEVERITY = {"debug": "I", "info": "I", "warning": "W", "error": "E", "exception": "E", "critical": "F"}
_VERBOSE = 4  # -v=4 and above shows debug events, as `V(4)` does in the originals


def configure(component: str, verbosity: int = 2, fmt: Literal["text", "json"] = "text") -> None:
    """Set up this process's logs. `verbosity` is the daemons' `-v`: debug events appear from 4 on."""
    level = logging.DEBUG if verbosity >= _VERBOSE else logging.INFO
    renderer = _render_json if fmt == "json" else _render_text
    structlog.configure(
        processors=[_add_level, _mask_secrets, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Stderr,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_StandardLibraryHandler()]
    root.setLevel(logging.WARNING)
    get_logger(component).debug("Logging configured", verbosity=verbosity)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose events carry `name`: `log.info("Event words", key=value)`."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(logger_name=name))


class _Stderr:
    """Writes lines to whatever standard error is now; a closed or full one loses the line, not the daemon."""

    def __init__(self, *_args: object) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.msg

    def msg(self, line: str) -> None:
        """Write one line at once."""
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _add_level(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = method
    return event


def _mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "--- REDACTED ---"
    return event


def _render_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """One line in klog's form: `I1121 03:09:34.123456    1234 queue] "Pod added" pod="default/x"`."""
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
    severity = _SEVERITY.get(event.pop("level", "info"), "I")
    head = f"{severity}{stamp}.{int(now % 1 * 1e6):06d} {os.getpid():7d} {event.pop('logger_name', '')}]"
    message = _quote(event.pop("event", ""))
    trace = event.pop("exception", None)
    line = " ".join([head, message, *(f"{key}={_quote(value)}" for key, value in event.items())])
    return f"{line}\n{trace}" if trace else line


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    level = event.pop("level", "info")
    record: dict[str, Any] = {
        "ts": round(time.time() * 1000, 3),
        "logger": event.pop("logger_name", ""),
        "msg": event.pop("event", ""),
        "v": _VERBOSE if level == "debug" else 0,
    }
    if _SEVERITY.get(level) in ("E", "F"):
        record["err"] = event.pop("error", "")
    return orjson.dumps({**record, **event}, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _quote(value: object) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    text = value if isinstance(value, str) else str(_plain(value))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return str(value) or type(value).__name__
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return repr(value)
    return str(value)


class _StandardLibraryHandler(logging.Handler):
    """Brings libraries' own log records (asyncio, uvicorn, aiohttp) into the same stream and format."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger(record.name)
        if record.levelno >= logging.ERROR:
            log.error(record.getMessage(), exc_info=record.exc_info)
        else:
            log.warning(record.getMessage())
