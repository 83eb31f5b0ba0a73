"""Quantities come out of the API as the official server writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery import quantity


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("100m", "100m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1Ki", "1Ki"),
        ("1e3", "1e3"),
        ("12E6", "12E6"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("0.0001n", "1n"),
        ("0.1Ki", "102400m"),
        ("-1.5", "-1500m"),
        ("0Mi", "0"),
        ("", None),
        ("9Ei", "9223372036854775807"),
        ("1000E", "1e21"),
        # What is short enough is kept as it was written.
        ("1.234", "1.234"),
        ("+5", "+5"),
        # JSON numbers.
        (2, "2"),
        (1000, "1k"),
        (0.1, "100m"),
        (2.5, "2500m"),
        (3.0, "3"),
    ],
)
def test_canonical_form(written: str | int | float, stored: str | None) -> None:
    if stored is None:
        with pytest.raises(ValueError, match="quantities must match"):
            quantity.canonical(written)
    else:
        assert quantity.canonical(written) == stored


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("abc", quantity.FORMAT_WRONG),
        ("1.2.3", quantity.FORMAT_WRONG),
        ("1 Gi", quantity.FORMAT_WRONG),
        ("1kk", quantity.SUFFIX_WRONG),
        ("1e", quantity.SUFFIX_WRONG),
        ("1KI", quantity.FORMAT_WRONG),
    ],
)
def test_refusals_have_the_official_text(written: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        quantity.parse(written)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("written", "units", "thousandths"),
    [
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("1500m", 2, 1500),
        ("1Ki", 1024, 1024000),
        ("1u", 1, 1),
        ("-1.5", -1, -1500),
    ],
)
def test_whole_units_round_up(written: str, units: int, thousandths: int) -> None:
    assert quantity.value(written) == units
    assert quantity.milli_value(written) == thousandths


def test_sums_keep_the_family_of_suffixes() -> None:
    assert quantity.format_like(quantity.parse("512Mi") * 4, "512Mi") == "2Gi"
    assert quantity.format_like(quantity.parse("250m") * 4, "250m") == "1"
    assert quantity.format_decimal(Decimal("0.25")) == "250m"
    assert quantity.format_binary(3 * 2**20) == "3Mi"


_SUFFIXES = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E-2"])
_NUMBERS = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,4})?", fullmatch=True)


@given(_NUMBERS, _SUFFIXES)
def test_canonical_form_keeps_the_value_and_is_stable(number: str, suffix: str) -> None:
    written = number + suffix
    stored = quantity.canonical(written)
    assert quantity.parse(stored) == quantity.parse(written)
    assert quantity.canonical(stored) == stored
