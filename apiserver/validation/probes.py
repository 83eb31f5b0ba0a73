"""Validation of probes and lifecycle hooks."""

from __future__ import annotations

import re
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HEADER_NAME = re.compile(r"[-A-Za-z0-9]+\Z")
_HEADER_PROBLEM = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')"
)


def validate_probes(errors: Errors, container: dict[str, Any], grace_period: int | None, path: str) -> None:
    """Check the lifecycle hooks and the three probes of a container."""
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for hook in ("postStart", "preStop"):
            handler = lifecycle.get(hook)
            if handler is not None:
                _validate_handler(errors, handler, grace_period, f"{path}.lifecycle.{hook}")
        signal = lifecycle.get("stopSignal")
        if signal is not None and not signal.startswith("SIG"):
            errors.append(
                field.invalid(f"{path}.lifecycle.stopSignal", signal, "must be a valid signal name")
            )
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        at = f"{path}.{kind}"
        _validate_probe(errors, probe, grace_period, at)
        if kind == "readinessProbe":
            if (seconds := probe.get("terminationGracePeriodSeconds")) is not None:
                errors.append(
                    field.invalid(
                        f"{at}.terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes"
                    )
                )
        elif (threshold := probe.get("successThreshold", 1)) != 1:
            errors.append(field.invalid(f"{at}.successThreshold", threshold, "must be 1"))


def _validate_probe(errors: Errors, probe: dict[str, Any], grace_period: int | None, path: str) -> None:
    _validate_handler(errors, probe, grace_period, path)
    for name in _COUNTS:
        value = probe.get(name)
        if value is not None and value < 0:
            errors.append(field.invalid(f"{path}.{name}", value, checks.NEGATIVE))
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        errors.append(
            field.invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")
        )


def _validate_handler(errors: Errors, handler: dict[str, Any], grace_period: int | None, path: str) -> None:
    seen = False
    for kind in _HANDLERS:
        action = handler.get(kind)
        if action is None:
            continue
        at = f"{path}.{kind}"
        if seen:
            errors.append(field.forbidden(at, "may not specify more than 1 handler type"))
            continue
        seen = True
        if kind == "exec":
            if not action.get("command"):
                errors.append(field.required(f"{at}.command"))
        elif kind == "httpGet":
            _validate_http_get(errors, action, at)
        elif kind in ("tcpSocket", "grpc"):
            checks.port_or_name(errors, f"{at}.port", action.get("port"))
        else:
            seconds = action.get("seconds") or 0
            if grace_period is not None and not 0 <= seconds <= grace_period:
                errors.append(
                    field.invalid(
                        at,
                        seconds,
                        f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})",
                    )
                )
    if not seen:
        errors.append(field.required(path, "must specify a handler type"))


def _validate_http_get(errors: Errors, action: dict[str, Any], path: str) -> None:
    if not action.get("path"):
        errors.append(field.required(f"{path}.path"))
    checks.port_or_name(errors, f"{path}.port", action.get("port"))
    scheme = action.get("scheme")
    if scheme not in ("HTTP", "HTTPS"):
        errors.append(field.not_supported(f"{path}.scheme", scheme or "", ["HTTP", "HTTPS"]))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        if not _HEADER_NAME.match(name):
            errors.append(field.invalid(f"{path}.httpHeaders", name, _HEADER_PROBLEM))
