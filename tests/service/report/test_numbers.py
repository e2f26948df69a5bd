from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.service.report.numbers import about, at_least, at_most, count, exactly, figure, instant, span

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def read(shown: str) -> Decimal:
    """The number that a reader sees."""
    mantissa, _, power = shown.replace("−", "-").replace(",", "").rpartition(" × ")
    size = power.removeprefix("-")
    if size.startswith("10") and any(sign in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻" for sign in size):
        number = Decimal(mantissa or "1").scaleb(int(size[2:].translate(_SUPERSCRIPTS)))
        return number if size == power else -number
    return Decimal(power)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_are_printed_on_their_safe_side(value: float) -> None:
    exact = Decimal(value)
    assert read(at_least(value)) <= exact <= read(at_most(value))
    assert abs(read(about(value)) - exact) <= abs(exact) * Decimal("0.0005")
    assert abs(read(at_most(value)) - exact) <= abs(exact) * Decimal("0.01")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_settings_are_printed_to_the_last_digit(value: float) -> None:
    assert float(read(exactly(value))) == value


def test_numbers_that_are_none() -> None:
    assert (at_most(math.inf), at_least(-math.inf), about(math.nan)) == ("∞", "−∞", "not a number")
    assert exactly(math.inf) == "inf"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (-0.0, "0"), (1234567.0, "1,234,567"), (1e7, "10⁷"), (-2.5e-9, "−2.5 × 10⁻⁹")]
)
def test_shapes_of_numbers(value: float, shown: str) -> None:
    assert exactly(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0 s"), (0.2, "under 1 s"), (-90.0, "−90 s"), (119.9, "120 s"), (600.0, "10 min"), (1e9, "11,570 days")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_counts_and_figures() -> None:
    assert (count(0, "row"), count(1, "row"), count(1000, "row")) == ("0 rows", "1 row", "1,000 rows")
    assert figure(0.1 + 0.2, "0.3") == '<data value="0.30000000000000004">0.3</data>'
    assert 'datetime="2001-09-09T01:46:40+00:00"' in instant(1e9)
