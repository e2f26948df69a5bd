"""(ε, δ) of differentially private training, as upper bounds: one row or k, in both directions (claims T10, T19).

Purely Gaussian compositions (q = 1) have the closed form of claim T3; all others go through `composition`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from flint import arb

from certified.accounting.composition import Composition, compose, impossible
from certified.accounting.losses import step_losses
from certified.accounting.mechanisms import (
    Difference,
    Phase,
    Relation,
    SubsampledGaussian,
    checked_phases,
    directions,
)
from certified.accounting.tilting import (
    Grid,
    Part,
    cell_inflation,
    cell_pieces,
    cumulants,
    grid_for_delta,
    grid_for_epsilon,
    log_peak,
)
from certified.numerics.balls import exact, round_up
from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon, nonnegative, probability

TOLERANCE = 2.0**-12
"""Relative increase of δ that computing on a grid may cost by default, as estimated."""

_MOST_DIVISIONS = 4
_LEAST_DELTA = 1e-270
_EPSILON_ACCURACY = 1e-10


@dataclass(frozen=True)
class Target:
    """What is asked for: ε at ``delta``, or δ at ``epsilon`` where ``delta`` is ``None``."""

    epsilon: float
    delta: float | None

    def grid(self, parts: list[Part]) -> Grid:
        if self.delta is None:
            return grid_for_epsilon(parts, self.epsilon, TOLERANCE)
        return grid_for_delta(parts, self.delta, TOLERANCE)


def dp_delta(epsilon: float, phases: Iterable[Phase], *, relation: Relation, rows: int = 1) -> float:
    """Return an upper bound on δ at ε of all phases together, for ``rows`` = k rows, in both directions (T10, T19).

    Each phase is a ``SubsampledGaussian`` or an ``ApproximateRelease``; ``relation`` says who is a neighbour. The bound
    is a bound for all parameters; it exceeds the exact δ by a relative 10⁻³ or less in ordinary cases, more beyond 10⁶
    steps. Raises ``ValueError`` for a negative or NaN ε and bad ``rows``, ``TypeError`` for what is no phase.

    >>> steps = SubsampledGaussian(noise_multiplier=1.0, sampling_rate=0.01, steps=100)
    >>> round(1e7 * dp_delta(1.0, [steps], relation=Relation.add_or_remove), 2)
    6.68
    """
    epsilon = nonnegative("epsilon", epsilon)
    checked = checked_phases(phases)
    return max(_delta(epsilon, checked, way, rows) for way in directions(relation, rows))


def dp_epsilon(delta: float, phases: Iterable[Phase], *, relation: Relation, rows: int = 1) -> float:
    """Return an upper bound on the smallest ε ≥ 0 at ``delta``; ``inf`` where none is found (claims T10, T19).

    Arguments as in ``dp_delta``; ``delta`` > 1 is a ``ValueError``.

    >>> steps = SubsampledGaussian(noise_multiplier=1.0, sampling_rate=0.01, steps=100)
    >>> round(dp_epsilon(1e-5, [steps], relation=Relation.add_or_remove), 4)
    0.7181
    """
    delta = probability("delta", delta)
    checked = checked_phases(phases)
    return max(_epsilon(delta, checked, way, rows) for way in directions(relation, rows))


def _delta(epsilon: float, phases: tuple[Phase, ...], way: Difference, rows: int) -> float:
    if not phases or rows == 0:
        return 0.0
    mu = _gaussian_mu(phases, way)
    if mu is not None:
        return gaussian_delta(epsilon, mu, 1.0)
    if epsilon == math.inf:
        return _composition(phases, way, Target(0.0, None)).infinite
    return _composition(phases, way, Target(epsilon, None)).delta(epsilon)


def _epsilon(delta: float, phases: tuple[Phase, ...], way: Difference, rows: int) -> float:
    if not phases or rows == 0 or delta == 1.0:
        return 0.0
    mu = _gaussian_mu(phases, way)
    if mu is not None:
        return gaussian_epsilon(delta, mu, 1.0)
    found = _composition(phases, way, Target(0.0, max(delta, _LEAST_DELTA)))
    return _smallest_epsilon(found, delta)


def _smallest_epsilon(composition: Composition, delta: float) -> float:
    """Return an ε whose bound is at most ``delta``, by bisection; any such ε is sound."""
    if composition.infinite > delta:
        return math.inf
    if composition.delta(0.0) <= delta:
        return 0.0
    low, high = 0.0, max(composition.grid.top * composition.grid.step, composition.grid.step)
    while composition.delta(high) > delta:
        low, high = high, 2.0 * high
        if high > composition.largest_loss:
            high = composition.largest_loss
            break
    while high - low > _EPSILON_ACCURACY * high:
        middle = 0.5 * (low + high)
        if composition.delta(middle) <= delta:
            high = middle
        else:
            low = middle
    return high


def _composition(phases: tuple[Phase, ...], way: Difference, target: Target) -> Composition:
    """Compose on a grid chosen for the target; lengthen tails and divide cells until neither is the loosest part."""
    reach = _reach(phases, target.delta or 1e-12)
    while True:
        parts = [(step_losses(phase, way, reach), phase.steps) for phase in phases]
        if not all(len(measure.losses) for measure, _ in parts):
            return impossible()
        grid = target.grid(parts)
        wanted = _reach(phases, target.delta or _expected_delta(parts, grid.tilt, target.epsilon))
        if wanted <= reach:
            break
        reach = wanted
    pieces = cell_pieces(parts, grid.tilt, TOLERANCE)
    for _ in range(_MOST_DIVISIONS):
        parts = [(step_losses(p, way, reach, count), p.steps) for p, count in zip(phases, pieces, strict=True)]
        excess = cell_inflation(parts, grid.tilt) / TOLERANCE
        if excess < 2.0:
            break
        pieces = [np.where(count > 1, count * math.ceil(math.sqrt(excess)), 1) for count in pieces]
    return compose(parts, target.grid(parts))


def _expected_delta(parts: list[Part], tilt: float, epsilon: float) -> float:
    tilts = np.array([tilt])
    exponent = float((cumulants(parts, tilts) + log_peak(tilts))[0]) - tilt * epsilon
    return math.exp(max(-700.0, min(0.0, exponent)) - 5.0)


def _reach(phases: tuple[Phase, ...], delta: float) -> float:
    """How far from the outermost mean a step's infinite loss is below 10⁻⁵·δ over all steps."""
    steps = sum(phase.steps for phase in phases)
    return float(math.ceil(math.sqrt(2.0 * math.log(1e5 * steps / max(delta, _LEAST_DELTA)))))


def _gaussian_mu(phases: tuple[Phase, ...], way: Difference) -> float | None:
    """Return μ = (a + b)·√Σ T/σ² rounded up if every phase is Gaussian without sampling, else ``None`` (claim T3)."""
    if not all(isinstance(phase, SubsampledGaussian) and phase.sampling_rate == 1.0 for phase in phases):
        return None
    gaussian = [phase for phase in phases if isinstance(phase, SubsampledGaussian)]

    def mu() -> arb:
        total = sum((phase.steps / exact(phase.noise_multiplier) ** 2 for phase in gaussian), arb(0))
        return total.sqrt() * (way.removed + way.added)

    return round_up(mu)
