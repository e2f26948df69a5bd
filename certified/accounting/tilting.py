"""Where to compute: tilt, grid and window of a composition, chosen by estimates that no bound rests on (claim T19).

A composition is computed under the tilted law e^(θL)/E e^(θL), whose mean is near the ε asked for: errors of rounding
are then small beside δ itself, however small δ is. Its grid is fine enough that replacing losses by neighbouring grid
points raises δ by about ``tolerance``, relatively: a cell of width w adds w²/6 to the variance of the loss on average,
and θ(θ+1)w²/12 to its cumulant at θ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from certified.accounting.losses import Counts, Floats, LossMeasure

Part = tuple[LossMeasure, int]
"""One step's losses, and how many steps have them."""

_LARGEST_SIZE = 1 << 21
_LARGEST_STEP = 2.0**-4
_TAIL = 23.0
"""The window leaves out about e⁻²³ of the tilted mass."""


@dataclass(frozen=True)
class Grid:
    """Losses are multiples of ``step``; the window is the ``size`` multiples below ``top``·``step``.

    ``falling`` and ``rising`` are the rates of Chernoff's bounds on the tilted mass under and above the window.
    """

    tilt: float
    step: float
    size: int
    top: int
    falling: float
    rising: float

    @property
    def bottom(self) -> int:
        """The first multiple in the window."""
        return self.top - self.size


def grid_for_epsilon(parts: Sequence[Part], epsilon: float, tolerance: float) -> Grid:
    """Return where to compute δ at ε: the tilt with the best exponential bound on δ."""
    tilt = _best(parts, lambda tilts: cumulants(parts, tilts) - tilts * epsilon + log_peak(tilts))
    return _grid(parts, tilt, epsilon, tolerance)


def grid_for_delta(parts: Sequence[Part], delta: float, tolerance: float) -> Grid:
    """Return where to compute ε at δ: the tilt with the best exponential bound on ε."""

    def bound(tilts: Floats) -> Floats:
        found: Floats = (cumulants(parts, tilts) + log_peak(tilts) - math.log(delta)) / tilts
        return found

    tilt = _best(parts, bound)
    return _grid(parts, tilt, float(bound(np.array([tilt]))[0]), tolerance)


def log_peak(tilts: Floats) -> Floats:
    """Return log max_x e^(−θx)(1 − e^(−x)) = θ log θ − (1 + θ) log(1 + θ)."""
    found: Floats = tilts * np.log(tilts) - (1.0 + tilts) * np.log1p(tilts)
    return found


def cumulants(parts: Sequence[Part], tilts: Floats) -> Floats:
    """Estimate log E e^(θL) of the sum of all losses for each θ."""
    total = np.zeros(len(tilts))
    for measure, steps in parts:
        if len(measure.losses):
            exponents = np.outer(tilts, measure.losses) + _log(measure.masses)
            peak = exponents.max(axis=1)
            total += steps * (peak + np.log(np.exp(exponents - peak[:, None]).sum(axis=1)))
    return total


def cell_pieces(parts: Sequence[Part], tilt: float, tolerance: float) -> list[Counts]:
    """Return into how many pieces to divide each cell, fewest in all, for cells to raise log δ by about ``tolerance``.

    Divided into f pieces, a cell of width w and tilted mass m adds c/f², c = θ(θ+1)·steps·m·w²/12: f ∝ c^(1/3).
    """
    roots = [np.cbrt(cells) for cells in _cells(parts, tilt)]
    scale = math.sqrt(sum(float(root.sum()) for root in roots) / tolerance)
    return [np.maximum(1, np.ceil(np.minimum(scale * root, 1e6))).astype(np.int64) for root in roots]


def cell_inflation(parts: Sequence[Part], tilt: float) -> float:
    """Estimate by how much the cells of the measures raise log δ at tilt θ."""
    return sum(float(cells.sum()) for cells in _cells(parts, tilt))


def _cells(parts: Sequence[Part], tilt: float) -> list[Floats]:
    """Estimate θ(θ+1)·steps·m·w²/12 of every cell; atoms that are no ends of cells have none."""
    found = []
    for measure, steps in parts:
        exponents = tilt * measure.losses + _log(measure.masses)
        weights = np.exp(exponents - exponents.max())
        weights /= weights.sum()
        share = tilt * (tilt + 1.0) * steps / 12.0 if len(weights) > 2 else 0.0
        found.append(share * 0.5 * (weights[1:] + weights[:-1]) * np.diff(measure.losses) ** 2)
    return found


def _grid(parts: Sequence[Part], tilt: float, target: float, tolerance: float) -> Grid:
    steps = sum(count for _, count in parts)
    spread = _spread(parts, tilt)
    rates = np.geomspace(0.05, 50.0, 61) / spread
    base = cumulants(parts, np.array([tilt]))[0]
    rising = cumulants(parts, tilt + rates) - base
    falling = cumulants(parts, tilt - rates) - base
    high = float(np.min((rising + _TAIL + tilt * target) / (rates + tilt)))
    low = float(np.max(-(falling + _TAIL) / rates))
    width = max(high - low, 8.0 * spread)
    wanted = math.sqrt(12.0 * tolerance / (steps * max(tilt * (tilt + 1.0), spread**-2.0)))
    step = 2.0 ** math.floor(math.log2(min(wanted, _LARGEST_STEP, spread / 8.0)))
    while width / step > _LARGEST_SIZE - 2:
        step *= 2.0
    top = math.ceil(high / step) + 1
    size = 1 << max(8, math.ceil(math.log2(width / step + 2)))
    beneath = float(rates[np.argmin(falling + rates * (top - size) * step)])
    return Grid(tilt, step, size, top, beneath, float(rates[np.argmin(rising - rates * top * step)]))


def _spread(parts: Sequence[Part], tilt: float) -> float:
    """Estimate the standard deviation of the tilted sum, at least 10⁻¹²."""
    variance = 0.0
    for measure, steps in parts:
        if len(measure.losses):
            exponents = tilt * measure.losses + _log(measure.masses)
            weights = np.exp(exponents - exponents.max())
            weights /= weights.sum()
            variance += steps * float(weights @ (measure.losses - weights @ measure.losses) ** 2)
    return max(math.sqrt(variance), 1e-12)


def _best(parts: Sequence[Part], bound: Callable[[Floats], Floats]) -> float:
    """Search for the minimiser on ever finer logarithmic grids, up to 100 standard deviations."""
    spread = _spread(parts, 0.0)
    # Losses that hardly vary, far from the target, want a tilt that their spread does not suggest.
    low, high = min(1e-4 / spread, 1e-3), 100.0 / spread
    for _ in range(5):
        tilts = np.geomspace(low, high, 40)
        at = int(np.argmin(bound(tilts)))
        low, high = tilts[max(at - 1, 0)], tilts[min(at + 1, len(tilts) - 1)]
    return float(tilts[at])


def _log(masses: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(masses)
