"""Resource quantities: ``100m``, ``1Gi``, ``12e6`` — parsed, compared and written canonically.

The rules are those of the official fixed-point type, including its peculiarity that an already short decimal
string (``1.234``) is kept as it was written. Values are exact decimals down to nano (finer ones are rounded
away from zero); binary quantities are capped at 2^63-1. Floats are never used for arithmetic.
"""

from __future__ import annotations

import functools
import re
from decimal import ROUND_CEILING, ROUND_UP, Context, Decimal
from typing import Final

FORMAT_WRONG: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
NUMERIC_WRONG: Final = "unable to parse numeric part of quantity"
SUFFIX_WRONG: Final = "unable to parse quantity's suffix"

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_NAMES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_SPLIT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE][+-]?[0-9]+", re.ASCII)
_EXACT = Context(prec=400)
_NANO = Decimal("1e-9")
_BINARY_CAP = Decimal(2**63 - 1)
_MAX_INT64 = 2**63 - 1

_Parsed = tuple[Decimal, str, str | None]


@functools.lru_cache(maxsize=8192)
def _parse(text: str) -> _Parsed:
    """Return (value, format, the string itself when it counts as canonical)."""
    if not text:
        raise ValueError(FORMAT_WRONG)
    match = _SPLIT.fullmatch(text)
    if match is None:
        raise ValueError(FORMAT_WRONG)
    sign, whole, denominator, suffix = match[1], match[2], match[3] or "", match[4]
    whole = whole.lstrip("0") or "0"
    if suffix in _DECIMAL:
        form, exponent = "decimal", _DECIMAL[suffix]
    elif suffix in _BINARY:
        form, exponent = "binary", _BINARY[suffix]
    elif _EXPONENT.fullmatch(suffix):
        form, exponent = "exponent", int(suffix[1:])
        if abs(exponent) > 300:
            raise ValueError(NUMERIC_WRONG)
    else:
        raise ValueError(SUFFIX_WRONG)
    digits = whole + denominator
    number = int(digits)
    kept = _keeps_its_string(form, exponent, whole, denominator, number)
    value = Decimal(number).scaleb(-len(denominator), _EXACT)
    if form == "binary":
        value = _EXACT.multiply(value, Decimal(1 << exponent))
        value = min(value, _BINARY_CAP)
    else:
        value = value.scaleb(exponent, _EXACT)
    if value:
        value = value.quantize(_NANO, rounding=ROUND_UP, context=_EXACT)
    if form == "binary" and 0 < value < 1:
        form = "decimal"
    return (-value if sign == "-" else value), form, text if kept else None


def _keeps_its_string(form: str, exponent: int, whole: str, denominator: str, number: int) -> bool:
    """Say whether the official parser would echo the input instead of computing the canonical form."""
    if form == "binary":
        if denominator or 15 - len(whole) - int(exponent * 3 / 10) - 1 < 0:
            return False
        return number << exponent <= _MAX_INT64 and number & 7 != 0
    scale = exponent - len(denominator)
    digits = whole + denominator
    if len(digits) > 18 or scale < -9:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _text(quantity: str | int | float) -> str:
    if isinstance(quantity, str):
        return quantity.strip()
    if isinstance(quantity, float) and quantity.is_integer() and abs(quantity) < 1e15:
        return str(int(quantity))
    return repr(quantity)


def parse(quantity: str | int | float) -> Decimal:
    """Return the exact value in base units. Raises ValueError with the official text."""
    return _parse(_text(quantity))[0]


@functools.lru_cache(maxsize=8192, typed=True)
def canonical(quantity: str | int | float) -> str:
    """Return the quantity as the official server writes it back. Raises ValueError with the official text."""
    value, form, kept = _parse(_text(quantity))
    return kept if kept is not None else _render(value, form)


def _render(value: Decimal, form: str) -> str:
    if not value:
        return "0"
    if form == "binary" and abs(value) >= 1024 and value == value.to_integral_value(context=_EXACT):
        number, power = int(value), 0
        while number % 1024 == 0 and power < 6:
            number //= 1024
            power += 1
        return f"{number}{_BINARY_NAMES[power]}"
    scaled = int(value.scaleb(9, _EXACT))
    exponent = -9
    while scaled % 1000 == 0:
        scaled //= 1000
        exponent += 3
    if form == "exponent" or exponent not in _DECIMAL_NAMES:
        return f"{scaled}e{exponent}" if exponent else str(scaled)
    return f"{scaled}{_DECIMAL_NAMES[exponent]}"


def value(quantity: str | int | float | Decimal) -> int:
    """Whole base units, rounded up."""
    exact = quantity if isinstance(quantity, Decimal) else parse(quantity)
    return int(exact.to_integral_value(rounding=ROUND_CEILING, context=_EXACT))


def milli_value(quantity: str | int | float | Decimal) -> int:
    """Thousandths of a base unit, rounded up (CPU is counted so)."""
    exact = quantity if isinstance(quantity, Decimal) else parse(quantity)
    return int(exact.scaleb(3, _EXACT).to_integral_value(rounding=ROUND_CEILING, context=_EXACT))


def format_binary(amount: Decimal | int) -> str:
    """Write with binary suffixes (memory): ``format_binary(2**30)`` is ``1Gi``."""
    return _render(Decimal(amount), "binary")


def format_decimal(amount: Decimal | int) -> str:
    """Write with decimal suffixes (CPU, counts): ``format_decimal(Decimal("0.25"))`` is ``250m``."""
    return _render(Decimal(amount), "decimal")


def format_like(amount: Decimal | int, like: str | int | float) -> str:
    """Write with the family of suffixes that ``like`` uses, as sums of quantities are written."""
    return _render(Decimal(amount), _parse(_text(like))[1])
