"""Figures in words: a bound is rounded up and a limit down, so that what is printed is as true as what is stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from certified.service.report.markup import Markup, element

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def at_most(value: float, digits: int = 3) -> str:
    """Return a decimal of ``digits`` digits that is not below ``value``.

    >>> at_most(4.561e-9), at_most(0.25), at_most(0.0)
    ('4.57 × 10⁻⁹', '0.25', '0')
    """
    return _decimal(value, digits, ROUND_CEILING)


def at_least(value: float, digits: int = 3) -> str:
    """Return a decimal of ``digits`` digits that is not above ``value``.

    >>> at_least(4.569e-9)
    '4.56 × 10⁻⁹'
    """
    return _decimal(value, digits, ROUND_FLOOR)


def about(value: float, digits: int = 4) -> str:
    """Return the nearest decimal of ``digits`` digits.

    >>> about(0.98245614), about(1e-5)
    ('0.9825', '10⁻⁵')
    """
    return _decimal(value, digits, ROUND_HALF_EVEN)


def exactly(value: float) -> str:
    """Return the shortest decimal that is this float: for settings, which somebody chose.

    >>> exactly(1.0), exactly(1e-6), exactly(0.1)
    ('1', '10⁻⁶', '0.1')
    """
    return str(value) if not math.isfinite(value) else _shown(Decimal(repr(float(value))))


def figure(value: float, text: str) -> Markup:
    """Return ``text`` with the exact value beside it, for programs.

    >>> figure(0.5, "0.5")
    '<data value="0.5">0.5</data>'
    """
    return element("data", text, value=repr(value))


def power_of_ten(exponent: int) -> str:
    """Return 10 to this power.

    >>> power_of_ten(-12)
    '10⁻¹²'
    """
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "row"), count(2000, "row"), count(2, "has", "have")
    ('1 row', '2,000 rows', '2 have')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """Return a duration in the unit that suits it.

    >>> span(0.25), span(90.0), span(7200.0), span(86400.0), span(30 * 86400.0)
    ('under 1 s', '90 s', '2 h', '24 h', '30 days')
    """
    sign, seconds = ("−" if seconds < 0 else ""), abs(seconds)
    if seconds < 1.0:
        return f"{sign}under 1 s" if seconds else "0 s"
    for unit, length in (("s", 1.0), ("min", 60.0), ("h", 3600.0)):
        if seconds < {"s": 120.0, "min": 7200.0, "h": 172_800.0}[unit]:
            return f"{sign}{seconds / length:.3g} {unit}"
    return f"{sign}{_shown(Decimal(f'{seconds / 86_400.0:.4g}'))} days"


def instant(seconds: float) -> Markup:
    """Return a time in UTC, to the minute.

    >>> instant(0.0)
    '<time datetime="1970-01-01T00:00:00+00:00">1970-01-01 00:00</time>'
    """
    time = datetime.fromtimestamp(seconds, UTC)
    return element("time", f"{time:%Y-%m-%d %H:%M}", datetime=time.isoformat(timespec="seconds"))


def _decimal(value: float, digits: int, rounding: str) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "not a number"
    return _shown(Context(prec=digits, rounding=rounding).create_decimal(Decimal(value)))


def _shown(value: Decimal) -> str:
    """Positional near one, as a power of ten elsewhere."""
    if value == 0:
        return "0"
    plain, exponent = value.normalize(), value.adjusted()
    sign = "−" if plain < 0 else ""
    if -4 <= exponent < 7:
        return sign + f"{abs(plain):,f}"
    mantissa = abs(plain).scaleb(-exponent).normalize()
    return sign + f"{mantissa:f} × {power_of_ten(exponent)}".removeprefix("1 × ")
