"""The privacy loss of one step as a discrete measure that dominates it, from certified normal tails (claims T10, T19).

P = Σ_i Bin(a, q)(i) N(i, σ²) against Q = Σ_j Bin(b, q)(j) N(−j, σ²) dominates a step in worlds that differ by a rows of
the first and b of the second (claim T10). The ratio dP/dQ increases along the line. Each cell of a grid on the line is
replaced by the two atoms at the ratios of its ends that keep both its masses, which can only increase every
hockey-stick divergence; what lies right of the grid gets infinite loss, what lies left of it joins the first atom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from flint import arb
from numpy.typing import NDArray

from certified.accounting.mechanisms import ApproximateRelease, Difference, Phase
from certified.numerics.balls import exact, upper, working_precision
from certified.privacy.group import group_guarantee

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_BITS = 112
_LEFT_REACH = 9.0
"""Φ(−9) < 10⁻¹⁸: what lies further left, in noise standard deviations, is charged to the first atom."""

_CELL = 2.0**-4
_UNIT = 2.0**-12
_MOST_CELLS = 4096


@dataclass(frozen=True)
class LossMeasure:
    """Atoms of mass ``masses`` at increasing ``losses``, and mass ``infinite`` at infinite loss, all rounded up."""

    losses: Floats
    masses: Floats
    infinite: float


def step_losses(phase: Phase, difference: Difference, reach: float, pieces: Counts | None = None) -> LossMeasure:
    """Return a measure that dominates one step of a phase (claims T10, T17h, T19).

    ``reach`` is how far the grid goes beyond the outermost mean, in noise standard deviations, and ``pieces`` into how
    many each of its cells, 1/16 wide, is divided; they decide how tight the measure is, not whether it dominates.

    >>> from certified.accounting.mechanisms import SubsampledGaussian
    >>> one = step_losses(SubsampledGaussian(1.0, 0.5, steps=1), Difference(1, 0), reach=6.0)
    >>> len(one.losses), 1.0 <= float(one.masses.sum()) + one.infinite < 1.0 + 1e-12
    (257, True)
    """
    if isinstance(phase, ApproximateRelease):
        return _approximate_losses(phase, max(difference.removed, difference.added))
    with working_precision(_BITS):
        line = _line(phase.noise_multiplier, phase.sampling_rate, difference, reach)
        return line.measure(line.edges(pieces))


def _approximate_losses(release: ApproximateRelease, rows: int) -> LossMeasure:
    """The pair that dominates (ε, δ), and for ``rows`` rows what follows for them (claims T17c, T17h)."""
    epsilon, delta = group_guarantee(release.epsilon, release.delta, rows)
    if delta == 1.0 or epsilon == math.inf:
        return LossMeasure(np.zeros(0), np.zeros(0), 1.0)
    with working_precision(_BITS):
        odds = exact(epsilon).exp()
        masses = [upper((1 - exact(delta)) / (1 + odds)), upper((1 - exact(delta)) / (1 + 1 / odds))]
    return LossMeasure(np.array([-epsilon, epsilon]), np.array(masses), delta)


class _Line:
    """A line in units of which means are whole numbers apart, so that they share the tails of one normal law."""

    def __init__(self, noise: float, rate: float, difference: Difference, reach: float) -> None:
        self.first = _binomial(difference.removed, rate)
        self.second = _binomial(difference.added, rate)
        self.shift = 1 / exact(noise)
        shift = 1.0 / noise
        self.offset = math.ceil(shift / _UNIT)
        self.unit = self.shift / self.offset
        low, high = min(self.first) * shift - _LEFT_REACH, max(self.first) * shift + reach
        self.stride = math.ceil(max(_CELL, (high - low) / _MOST_CELLS) * self.offset / shift)
        self.low = math.floor(low * self.offset / shift / self.stride)
        self.high = math.ceil(high * self.offset / shift / self.stride)
        half = self.shift * self.shift / 2
        self.above = [(i, weight * (-i * i * half).exp()) for i, weight in self.first.items()]
        self.below = [(j, weight * (-j * j * half).exp()) for j, weight in self.second.items()]
        self.tails: dict[int, arb] = {}

    def edges(self, pieces: Counts | None) -> list[int]:
        """The ends of the cells in units, each cell divided into as many pieces, or into all its units if fewer."""
        coarse = np.arange(self.low, self.high + 1, dtype=np.int64) * self.stride
        if pieces is None:
            return [int(edge) for edge in coarse]
        counts = np.minimum(pieces, self.stride)
        inner = [start + self.stride * np.arange(count) // count for start, count in zip(coarse, counts, strict=False)]
        return [int(edge) for edge in np.concatenate([*inner, coarse[-1:]])]

    def measure(self, edges: list[int]) -> LossMeasure:
        ratios = [self.ratio(edge) for edge in edges]
        upward, staying = np.zeros(len(edges)), np.zeros(len(edges))
        for cell in range(len(edges) - 1):
            upward[cell + 1], staying[cell] = self.split(edges[cell : cell + 2], ratios[cell], ratios[cell + 1])
        left = sum((w * self.tail(i * self.offset - edges[0]) for i, w in self.first.items()), arb(0))
        right = sum((w * self.tail(edges[-1] - i * self.offset) for i, w in self.first.items()), arb(0))
        staying[0] = upper(exact(staying[0]) + left)
        masses = (upward + staying) * (1.0 + 2.0**-51)
        return LossMeasure(np.array([upper(ratio.log()) for ratio in ratios]), masses, upper(right))

    def split(self, ends: list[int], low: arb, high: arb) -> tuple[float, float]:
        """Return what goes to the upper and to the lower end of a cell: no less than p_b, and together no less than p.

        p_b = (p − X₀r)/(1 − X₀/X₁) for the masses p, r of the cell under P and Q and the ratios X₀ ≤ X₁ at its ends.
        """
        start, end = ends
        p = sum((w * self.mass(start - i * self.offset, end - i * self.offset) for i, w in self.first.items()), arb(0))
        r = sum((w * self.mass(start + j * self.offset, end + j * self.offset) for j, w in self.second.items()), arb(0))
        gap = 1 - low / high
        most = upper(p)
        if not gap > 0:  # the ratios are equal to all bits
            return most, 0.0
        up = min(most, max(0.0, upper((p - low * r) / gap)))
        return up, max(0.0, upper(p - exact(up)))

    def ratio(self, edge: int) -> arb:
        """Enclose dP/dQ at an edge x: Σ w_i e^(ix/σ − i²/2σ²) / Σ w_j e^(−jx/σ − j²/2σ²), by Horner's rule."""
        step = (self.shift * self.unit * edge).exp()
        return _polynomial(self.above, step) / _polynomial(self.below, 1 / step)

    def mass(self, start: int, end: int) -> arb:
        """Enclose the mass of N(0, 1) between two places, in units, without cancellation."""
        if start >= 0:
            return self.tail(start) - self.tail(end)
        if end <= 0:
            return self.tail(-end) - self.tail(-start)
        return 1 - self.tail(-start) - self.tail(end)

    def tail(self, place: int) -> arb:
        """Enclose Φ(−x) at x = ``place`` units."""
        if place not in self.tails:
            self.tails[place] = (self.unit * place / arb(2).sqrt()).erfc() / 2
        return self.tails[place]


@lru_cache(maxsize=32)
def _line(noise: float, rate: float, difference: Difference, reach: float) -> _Line:
    return _Line(noise, rate, difference, reach)


def _polynomial(coefficients: list[tuple[int, arb]], at: arb) -> arb:
    value, degree = arb(0), coefficients[-1][0]
    for power, coefficient in reversed(coefficients):
        value = value * at ** (degree - power) + coefficient
        degree = power
    return value * at**degree


def _binomial(count: int, rate: float) -> dict[int, arb]:
    """The weights of Binomial(count, rate) that are not zero, as balls."""
    q = exact(rate)
    weights = {i: math.comb(count, i) * q**i * (1 - q) ** (count - i) for i in range(count + 1)}
    return {i: weight for i, weight in weights.items() if weight > 0}
