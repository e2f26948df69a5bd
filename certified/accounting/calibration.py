"""Noise, steps or sampling rate for a target (ε, δ): what is returned meets the target by the bound itself (claim T19).

δ falls with the noise and grows with steps and sampling rate, up to the looseness of the grid, so each inverse brackets
the target and returns the end of the bracket at which the bound of `accountant` was evaluated and met it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from certified.accounting.accountant import dp_delta
from certified.accounting.mechanisms import MOST_STEPS, Phase, Relation, SubsampledGaussian, checked_phases
from certified.privacy.gaussian import nonnegative, probability

ACCURACY = 1e-5
"""Relative distance between a noise multiplier or sampling rate that meets the target and one that does not."""

_LEAST_NOISE = 0.01
_MOST_NOISE = 1e12
_LEAST_RATE = 1e-12
_MOST_TRIALS = 60


def dp_noise_multiplier(
    epsilon: float,
    delta: float,
    *,
    sampling_rate: float,
    steps: int,
    relation: Relation,
    rows: int = 1,
    also: Iterable[Phase] = (),
) -> float:
    """Return a noise multiplier σ that meets (ε, δ), within a relative 10⁻⁵ of one that does not (claim T19).

    ``also`` are further phases that share the target. Raises ``ValueError`` where no σ up to 10¹² is enough.

    >>> round(dp_noise_multiplier(1.0, 1e-5, sampling_rate=1.0, steps=1, relation=Relation.add_or_remove), 3)
    3.731
    """
    target, others = _target(epsilon, delta), checked_phases(also, "also")

    def excess(noise: float) -> float:
        phases = (SubsampledGaussian(noise, sampling_rate, steps), *others)
        return _excess(target, phases, relation, rows)

    good = 1.0
    while excess(good) > 0.0:
        good *= 4.0
        if good > _MOST_NOISE:
            raise ValueError(f"epsilon={epsilon!r}, delta={delta!r} cannot be met by noise; raise them or drop phases")
    bad = good
    while bad > _LEAST_NOISE:
        bad = max(bad / 4.0, _LEAST_NOISE)
        if excess(bad) > 0.0:
            return _boundary(excess, good, bad)
        good = bad
    return good


def dp_sampling_rate(
    epsilon: float,
    delta: float,
    *,
    noise_multiplier: float,
    steps: int,
    relation: Relation,
    rows: int = 1,
    also: Iterable[Phase] = (),
) -> float:
    """Return a sampling rate q ≤ 1 that meets (ε, δ), within a relative 10⁻⁵ of one that does not (claim T19).

    Returns 0 where not even q = 10⁻¹² is met, and raises ``ValueError`` where ``also`` exceeds the target by itself.

    >>> dp_sampling_rate(1.0, 1e-5, noise_multiplier=9.0, steps=1, relation=Relation.add_or_remove)
    1.0
    """
    target, others = _target(epsilon, delta), checked_phases(also, "also")

    def excess(rate: float) -> float:
        phases = (SubsampledGaussian(noise_multiplier, rate, steps), *others)
        return _excess(target, phases, relation, rows)

    if excess(1.0) <= 0.0:
        return 1.0
    bad, good = 1.0, 0.25
    while excess(good) > 0.0:
        bad, good = good, good / 4.0
        if good < _LEAST_RATE:
            return float(_nothing_left(target, others, relation, rows))
    return _boundary(excess, good, bad)


def dp_steps(
    epsilon: float,
    delta: float,
    *,
    noise_multiplier: float,
    sampling_rate: float,
    relation: Relation,
    rows: int = 1,
    also: Iterable[Phase] = (),
) -> int:
    """Return a number of steps that meets (ε, δ) while one more step was found not to (claim T19).

    At most 10¹². Raises ``ValueError`` where ``also`` exceeds the target by itself.

    >>> dp_steps(1.0, 1e-5, noise_multiplier=4.0, sampling_rate=1.0, relation=Relation.add_or_remove)
    1
    """
    target, others = _target(epsilon, delta), checked_phases(also, "also")

    def excess(steps: int) -> float:
        phases = (SubsampledGaussian(noise_multiplier, sampling_rate, steps), *others)
        return _excess(target, phases, relation, rows)

    good, bad = 0, 1
    while excess(bad) <= 0.0:
        if bad == MOST_STEPS:
            return bad
        good, bad = bad, min(4 * bad, MOST_STEPS)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if excess(middle) <= 0.0 else (good, middle)
    return good or _nothing_left(target, others, relation, rows)


def _target(epsilon: float, delta: float) -> tuple[float, float]:
    delta = probability("delta", delta)
    if delta == 0.0:
        raise ValueError("delta must be positive: subsampled Gaussians promise nothing at delta = 0")
    return nonnegative("epsilon", epsilon), delta


def _excess(target: tuple[float, float], phases: tuple[Phase, ...], relation: Relation, rows: int) -> float:
    """Return log(δ(ε)/δ): at most 0 exactly where the target is met."""
    epsilon, delta = target
    found = dp_delta(epsilon, phases, relation=relation, rows=rows)
    ratio = math.log(max(found, math.ulp(0.0))) - math.log(delta)
    return max(ratio, math.ulp(1.0)) if found > delta else min(ratio, 0.0)


def _nothing_left(target: tuple[float, float], others: tuple[Phase, ...], relation: Relation, rows: int) -> int:
    """Return 0, or raise an error where the other phases leave no room."""
    if _excess(target, others, relation, rows) > 0.0:
        raise ValueError(f"the phases of also exceed epsilon={target[0]!r}, delta={target[1]!r} by themselves")
    return 0


def _boundary(excess: Callable[[float], float], good: float, bad: float) -> float:
    """Narrow a bracket by false position and bisection on logarithms; return the end that meets the target."""
    below, above = excess(good), excess(bad)
    for trial in range(_MOST_TRIALS):
        width = math.log(bad / good)
        if abs(width) <= ACCURACY:
            break
        share = 0.5 if trial % 3 == 2 else below / (below - above)
        # Aim a little past the crossing, so that both ends move.
        margin = 0.3 * ACCURACY / abs(width)
        share = min(max(share + (margin if trial % 2 else -margin), 0.5 * margin), 1.0 - 0.5 * margin)
        middle = good * math.exp(share * width)
        value = excess(middle)
        if value <= 0.0:
            good, below = middle, value
        else:
            bad, above = middle, value
    return good
