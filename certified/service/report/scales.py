"""From values to pixels: axes with round ticks, and series thinned without losing their extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from certified.service.report.numbers import about, power_of_ten

_TIME_STEPS = (
    1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200,
    *(86400 * days for days in (1, 2, 7, 14, 30, 60, 91, 182, 365, 730, 1826, 3652)),
)  # fmt: skip


_LARGEST = 307
"""Power of ten of which five times is a float."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        low, high: values at its ends, low < high.
        start, end: pixels at its ends.
        log: whether equal distances are equal ratios.
        ticks: (value, label) of its marks.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Return the pixel of a value, to a tenth."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)


def linear(values: Sequence[float], start: float, end: float, *, whole: bool = False, room: float = 0.08) -> Scale:
    """Return an axis over the values with about five round ticks, whole numbers if ``whole``.

    >>> [label for _, label in linear([0.0, 10.0], 0.0, 100.0, room=0.0).ticks]
    ['0', '2', '4', '6', '8', '10']
    """
    low, high = min(values), max(values)
    least = 0.0 if whole else 1e-4 * max(abs(low), abs(high), 1e-2)
    spare = (high - low) * room if high - low > least else 0.5 if whole else 0.1 * max(abs(low), abs(high), 1e-2)
    low, high = 0.0 if 0.0 <= low < spare else low - spare, high + spare
    step = 10.0 ** math.floor(math.log10((high - low) / 5.0))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0) if (high - low) / (step * factor) <= 6.0)
    step = max(step, 1.0) if whole else step
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    labels = [f"{mark:,.{places}f}".replace("-", "−") for mark in marks]
    if max(map(len, labels)) > 11:
        labels = [about(mark, 6) for mark in marks]
    return Scale(low, high, start, end, False, tuple(zip(marks, labels, strict=True)))


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """Return an axis over values from 1e-300 to 1e300; ticks at powers of ten, and at 2 and 5 times these if few.

    >>> [label for _, label in logarithmic([2e-9, 3e-7], 0.0, 100.0).ticks]
    ['10⁻⁹', '10⁻⁸', '10⁻⁷', '10⁻⁶']
    >>> [label for _, label in logarithmic([6e-9, 9e-9], 0.0, 100.0).ticks]
    ['5 × 10⁻⁹', '10⁻⁸']
    """
    least, greatest = min(values), max(values)
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(greatest))
    step = math.ceil((high - low) / 8) or 1
    factors = (1, 2, 5) if high - low <= 2 else (1,)
    exponents = [min(exponent, _LARGEST) for exponent in range(low - 1, high + step + 1, step)]
    marks = [(float(f"{factor}e{exponent}"), _power(factor, exponent)) for exponent in exponents for factor in factors]
    first = max(index for index, (mark, _) in enumerate(marks) if mark <= least)
    last = min(index for index, (mark, _) in enumerate(marks) if mark >= greatest and index > first)
    return Scale(marks[first][0], marks[last][0], start, end, True, tuple(marks[first : last + 1]))


def _power(factor: int, exponent: int) -> str:
    """The label of factor · 10^exponent."""
    if -3 <= exponent <= 3:
        return f"{Decimal(factor).scaleb(exponent):f}"
    return f"{factor} × {power_of_ten(exponent)}".removeprefix("1 × ")


def calendar(values: Sequence[float], start: float, end: float) -> Scale:
    """Return an axis over times, seconds since 1970, with dates or hours (UTC) as ticks.

    >>> [label for _, label in calendar([0.0, 7 * 86400.0], 0.0, 100.0).ticks]
    ['1970-01-01', '1970-01-03', '1970-01-05', '1970-01-07']
    """
    low, high = min(values), max(values)
    if high - low < 10.0:
        low, high = low - 5.0, high + 5.0
    step = next((step for step in _TIME_STEPS if (high - low) / step <= 6.0), (high - low) / 5.0)
    form = "%Y-%m-%d" if step >= 86400 else "%m-%d %H:%M" if step >= 3600 or high - low > 43200 else "%H:%M:%S"
    first = math.ceil(low / step - 1e-9)
    marks = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return Scale(
        low, high, start, end, False,
        tuple((mark, datetime.fromtimestamp(mark, UTC).strftime(form)) for mark in marks),
    )  # fmt: skip


def thinned(values: Sequence[float | None], most: int) -> list[int]:
    """Return at most about ``most`` indices: the ends, and in each stretch the least and the greatest value.

    >>> thinned([0.0, 9.0, 1.0, 2.0, -5.0, 3.0, 1.0, 1.0], 4)
    [0, 1, 4, 5, 7]
    """
    if len(values) <= most:
        return list(range(len(values)))
    stretches = max(1, most // 2)
    kept = {0, len(values) - 1}
    for stretch in range(stretches):
        indices = range(stretch * len(values) // stretches, (stretch + 1) * len(values) // stretches)
        present = [(value, index) for index in indices if (value := values[index]) is not None]
        if present:
            kept |= {min(present)[1], max(present)[1]}
    return sorted(kept)
