"""The small checks that all other validation is made of: cached name syntax, enumerations, ranges.

The syntax rules themselves live in apimachinery.names; here they are remembered, because a cluster uses the same
few hundred names over and over. Nothing in this module knows a kind.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from apimachinery import field, names
from apimachinery.field import FieldError

Errors = list[FieldError]
Problems = tuple[str, ...]
Check = Callable[[str], Problems]

IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
PORT_RANGE = "must be between 1 and 65535, inclusive"
FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"

MAX_INT32 = 2**31 - 1
_CACHE = 8192


@lru_cache(_CACHE)
def label(value: str) -> Problems:
    """What is wrong with `value` as an RFC 1123 label; empty when nothing is."""
    return tuple(names.is_dns1123_label(value))


@lru_cache(_CACHE)
def subdomain(value: str) -> Problems:
    """What is wrong with `value` as an RFC 1123 subdomain."""
    return tuple(names.is_dns1123_subdomain(value))


@lru_cache(_CACHE)
def label1035(value: str) -> Problems:
    """What is wrong with `value` as an RFC 1035 label."""
    return tuple(names.is_dns1035_label(value))


@lru_cache(_CACHE)
def qualified_name(value: str) -> Problems:
    """What is wrong with `value` as a qualified name (`[prefix/]name`), as label keys are."""
    return tuple(names.is_qualified_name(value))


@lru_cache(_CACHE)
def label_value(value: str) -> Problems:
    """What is wrong with `value` as the value of a label."""
    return tuple(names.is_label_value(value))


@lru_cache(_CACHE)
def config_map_key(value: str) -> Problems:
    """What is wrong with `value` as a key of a ConfigMap or Secret."""
    return tuple(names.is_config_map_key(value))


@lru_cache(_CACHE)
def port_name(value: str) -> Problems:
    """What is wrong with `value` as the name of a port (IANA service name)."""
    return tuple(names.is_port_name(value))


@lru_cache(_CACHE)
def env_var_name(value: str) -> Problems:
    """What is wrong with `value` as an environment variable's name: anything printable but `=` is allowed."""
    if not value:
        return ("environment variable name must be a non-empty string",)
    if "=" in value or any(not " " <= c <= "~" for c in value):
        return (
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        )
    return ()


def prefix_of(check: Check) -> Check:
    """The same check for a generateName: it may end in a dash, since characters will follow."""

    def check_prefix(value: str) -> Problems:
        return check(value[:-1] + "a" if value.endswith("-") else value)

    return check_prefix


@lru_cache(_CACHE)
def ip(value: str) -> Problems:
    """What is wrong with `value` as an IP address, IPv4 or IPv6."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return () if "%" not in value else ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)


@lru_cache(_CACHE)
def cidr(value: str) -> Problems:
    """What is wrong with `value` as an address range in CIDR notation."""
    try:
        if "/" not in value:
            raise ValueError(value)
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    return ()


def special_ip(value: str) -> str:
    """Why the valid address `value` may not be an endpoint or external address; empty when it may."""
    address = ipaddress.ip_address(value)
    if address.is_unspecified:
        return f"may not be unspecified ({value})"
    if address.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if address in _LINK_LOCAL_MULTICAST[address.version]:
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return ""


_LINK_LOCAL_MULTICAST = {4: ipaddress.ip_network("224.0.0.0/24"), 6: ipaddress.ip_network("ff02::/16")}


def is_ipv6(value: str) -> bool:
    """Whether the valid address `value` is of IPv6."""
    return ":" in value


def report(errors: Errors, path: str, value: Any, problems: Iterable[str]) -> None:
    """Append an `Invalid value` for each problem."""
    for problem in problems:
        errors.append(field.invalid(path, value, problem))


def one_of(
    errors: Errors, path: str, value: Any, supported: tuple[str, ...], *, required: bool = True
) -> None:
    """Check an enumeration: empty is `Required value` (unless not required), others `Unsupported value`."""
    if value in supported:
        return
    if not value:
        if required:
            errors.append(field.required(path))
        return
    errors.append(field.not_supported(path, value, list(supported)))


def non_negative(errors: Errors, path: str, value: int | None) -> None:
    """Check a count, in any unit, that may be absent."""
    if value is not None and value < 0:
        errors.append(field.invalid(path, value, NEGATIVE))


def port(errors: Errors, path: str, value: int) -> None:
    """Check a port number."""
    if not 1 <= value <= 65535:
        errors.append(field.invalid(path, value, PORT_RANGE))


def port_or_name(errors: Errors, path: str, value: Any) -> None:
    """Check an IntOrString that stands for a port."""
    if isinstance(value, str):
        report(errors, path, value, port_name(value))
    else:
        port(errors, path, value or 0)


def file_mode(errors: Errors, path: str, mode: int | None) -> None:
    """Check permission bits."""
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(field.invalid(path, mode, FILE_MODE))


def immutable(errors: Errors, path: str, new: Any, old: Any) -> None:
    """Check that a field has not changed."""
    if not semantically_equal(new, old):
        errors.append(field.invalid(path, new, IMMUTABLE))


# Fields whose zero value a typed client does not send: for them, and for empty collections, absent means zero.
_ZERO_IS_ABSENT = frozenset(
    {
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "stdin",
        "stdinOnce",
        "tty",
        "readOnly",
        "hostPort",
        "initialDelaySeconds",
        "unschedulable",
        "minReadySeconds",
        "paused",
        "nodePort",
        "healthCheckNodePort",
        "publishNotReadyAddresses",
        "globalDefault",
        "sessionAffinityTimeout",
    }
)


def semantically_equal(a: Any, b: Any) -> bool:
    """Whether two values mean the same: an empty list, object or string equals an absent one."""
    if a is b or a == b:
        return True
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in a.keys() | b.keys():
            x, y = a.get(key), b.get(key)
            if x == y or semantically_equal(x, y) or (key in _ZERO_IS_ABSENT and not x and not y):
                continue
            return False
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(semantically_equal(x, y) for x, y in zip(a, b, strict=True))
    return _empty(a) and _empty(b)


def _empty(value: Any) -> bool:
    return (
        value is None
        or value == ""
        or value == []
        or (isinstance(value, Mapping) and all(_empty(v) for v in value.values()))
    )
