"""Names, label keys and values, ports: the syntax rules of the API with the official messages.

Every ``is_…`` function returns the list of what is wrong (empty when the value is fine), because a message
may need several of them. Nothing here looks at other objects.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Mapping
from typing import Any, Final

from apimachinery.field import FieldError, Path, invalid, too_long

LABEL_MAX: Final = 63
SUBDOMAIN_MAX: Final = 253
ANNOTATIONS_MAX_BYTES: Final = 256 * 1024

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character"
)
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character"
)
_VALUE = f"({_KEY})?"
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character"
)
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_CONFIG_KEY_TEXT = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_PERCENT = "[0-9]+%"
_PERCENT_TEXT = "a valid percent string must be a numeric string followed by an ending '%'"

_label = re.compile(_LABEL, re.ASCII).fullmatch
_subdomain = re.compile(_SUBDOMAIN, re.ASCII).fullmatch
_label_1035 = re.compile(_LABEL_1035, re.ASCII).fullmatch
_key = re.compile(_KEY, re.ASCII).fullmatch
_config_key = re.compile(_CONFIG_KEY, re.ASCII).fullmatch
_env = re.compile(r"[ -<>-~]+", re.ASCII).fullmatch
_port_charset = re.compile("[-a-z0-9]+", re.ASCII).fullmatch
_percent = re.compile(_PERCENT, re.ASCII).fullmatch


def max_len_error(length: int, unit: str = "characters") -> str:
    """What is said of a string that is too long (label keys and values speak of bytes)."""
    return f"must be no more than {length} {unit}"


def regex_error(text: str, pattern: str, *examples: str) -> str:
    """What is said of a string that does not match."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


def is_dns1123_label(value: str) -> list[str]:
    """RFC 1123 label: namespaces, container names, most simple names."""
    errs = [max_len_error(LABEL_MAX)] if _size(value) > LABEL_MAX else []
    if not _label(value):
        if _subdomain(value):
            errs.append("must not contain dots")
        else:
            errs.append(regex_error(_LABEL_TEXT, _LABEL, "my-name", "123-abc"))
    return errs


def is_dns1123_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: names of most kinds."""
    return _subdomain_errors(value, "characters")


def _subdomain_errors(value: str, unit: str) -> list[str]:
    errs = [max_len_error(SUBDOMAIN_MAX, unit)] if _size(value) > SUBDOMAIN_MAX else []
    if not _subdomain(value):
        errs.append(regex_error(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return errs


def is_dns1035_label(value: str) -> list[str]:
    """RFC 1035 label: names of Services."""
    errs = [max_len_error(LABEL_MAX)] if _size(value) > LABEL_MAX else []
    if not _label_1035(value):
        errs.append(regex_error(_LABEL_1035_TEXT, _LABEL_1035, "my-name", "abc-123"))
    return errs


def is_qualified_name(value: str) -> list[str]:
    """Label keys, annotation keys, resource names: ``[prefix/]name``."""
    parts = value.split("/")
    if len(parts) > 2:
        return [
            "a valid label key "
            + regex_error(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    errs = []
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            errs.append("prefix part must be non-empty")
        else:
            errs.extend(f"prefix part {message}" for message in _subdomain_errors(parts[0], "bytes"))
    if not name:
        errs.append("name part must be non-empty")
    elif _size(name) > LABEL_MAX:
        errs.append(f"name part {max_len_error(LABEL_MAX, 'bytes')}")
    if not _key(name):
        errs.append("name part " + regex_error(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc"))
    return errs


def is_label_value(value: str) -> list[str]:
    """Values of labels; the empty string is one."""
    errs = [max_len_error(LABEL_MAX, "bytes")] if _size(value) > LABEL_MAX else []
    if value and not _key(value):
        errs.append(regex_error(_VALUE_TEXT, _VALUE, "MyValue", "my_value", "12345"))
    return errs


def _parent_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def is_config_map_key(value: str) -> list[str]:
    """Keys of ConfigMaps and Secrets: they become file names."""
    errs = [max_len_error(SUBDOMAIN_MAX)] if _size(value) > SUBDOMAIN_MAX else []
    if not _config_key(value):
        errs.append(regex_error(_CONFIG_KEY_TEXT, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errs + _parent_directory(value)


def is_env_var_name(value: str) -> list[str]:
    """Names of environment variables: printable ASCII without ``=``."""
    if not value:
        return ["environment variable name must be non-empty"]
    return [] if _env(value) else [_ENV_TEXT]


def is_port_name(value: str) -> list[str]:
    """IANA service names: at most 15 of ``-a-z0-9`` with a letter among them."""
    errs = [max_len_error(15)] if _size(value) > 15 else []
    if not _port_charset(value):
        errs.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errs.append("must contain at least one letter (a-z)")
    if "--" in value:
        errs.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errs.append("must not begin or end with a hyphen")
    return errs


def is_percent(value: str) -> list[str]:
    """``25%``."""
    return [] if _percent(value) else [regex_error(_PERCENT_TEXT, _PERCENT, "1%", "93%")]


def is_ip(value: str) -> list[str]:
    """IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def validate_labels(labels: Mapping[str, Any] | None, path: Path) -> list[FieldError]:
    """Field errors of a label map at ``path``."""
    errs: list[FieldError] = []
    for key, value in (labels or {}).items():
        errs.extend(invalid(path, key, message) for message in is_qualified_name(key))
        errs.extend(invalid(path.key(key), value, message) for message in is_label_value(value))
    return errs


def validate_annotations(annotations: Mapping[str, str] | None, path: Path) -> list[FieldError]:
    """Field errors of an annotation map at ``path``: keys, and 256 KiB for all together."""
    errs: list[FieldError] = []
    total = 0
    for key, value in (annotations or {}).items():
        # Keys are compared without case here: upper case prefixes are tolerated.
        errs.extend(invalid(path, key, message) for message in is_qualified_name(key.lower()))
        total += _size(key) + _size(value)
    if total > ANNOTATIONS_MAX_BYTES:
        errs.append(too_long(path, "", ANNOTATIONS_MAX_BYTES))
    return errs


_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_random = random.Random()  # seeded by the system; names need not be secret, as in the original


def random_suffix(length: int = 5) -> str:
    """Random characters without vowels, so that no words come out."""
    return "".join(_random.choices(_SUFFIX_ALPHABET, k=length))


def generate_name(base: str) -> str:
    """``base`` cut so that with five random characters it stays within a label."""
    return base[: LABEL_MAX - 5] + random_suffix()
