"""Deletion from a head on features whose extractor saw the rows, too, under differential privacy (claim T11).

The extractor is (ε₁, δ₁) private for adding or removing one row. For every extractor that can come out, the head's
releases are certified against retraining the head on the same features. Then extractor and head together are certified
against retraining both without k rows, provided these were not chosen by looking at the extractor or at releases.

Sources: Dwork & Roth 2014 and Kairouz, Oh & Viswanath 2015 (arXiv 1311.0776) for composition; Zhu, Dong & Wang 2022
(arXiv 2106.08567) for dominating pairs.
"""

from __future__ import annotations

import math

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, expm1
from certified.privacy.composition import compose_basic
from certified.privacy.gaussian import gaussian_delta, hockey_stick, nonnegative, probability, smallest_float
from certified.privacy.group import group_guarantee


def feature_guarantee(
    extractor_epsilon: float, extractor_delta: float, head_epsilon: float, head_delta: float, size: int = 1
) -> tuple[float, float]:
    """Return (ε₁′ + ε₂, 1 − (1 − δ₁′)(1 − δ₂)), rounded up, for extractor and head together (claim T11).

    Args:
        extractor_epsilon, extractor_delta: (ε₁, δ₁) of the extractor for adding or removing one row.
        head_epsilon, head_delta: (ε₂, δ₂) of the head's certificate, whatever the extractor.
        size: how many rows are deleted, at least 1; (ε₁′, δ₁′) is ``group_guarantee`` of (ε₁, δ₁) for them.

    Raises ``ValueError`` for a negative or NaN argument, a δ above 1 and ``size`` < 1.

    >>> feature_guarantee(0.5, 0.25, head_epsilon=0.25, head_delta=0.5)
    (0.75, 0.625)
    >>> feature_guarantee(0.5, 0.0, head_epsilon=1.0, head_delta=1e-6, size=3)
    (2.5, 1e-06)
    """
    head = nonnegative("head_epsilon", head_epsilon), probability("head_delta", head_delta)
    return compose_basic([_of_group(extractor_epsilon, extractor_delta, size), head])


def feature_hockey_stick(epsilon: Scalar, mu: Scalar, extractor_epsilon: Scalar, extractor_delta: Scalar) -> Scalar:
    """Return δ₁ + (1−δ₁)(H(ε−ε₁) + e^(−ε₁)H(ε+ε₁))/(1+e^(−ε₁)), H = H_μ the Gaussian curve, μ > 0 (claim T11).

    H_μ(x) = 1 − e^x(1 − H_μ(−x)) for x < 0. On floats and JAX values this is the plain formula; the bound is
    ``feature_delta``.

    >>> round(feature_hockey_stick(1.5, 0.25, 0.5, 0.0), 9) < round(hockey_stick(1.0, 0.25), 9)
    True
    """
    rare = exp(-extractor_epsilon)
    some = (hockey_stick(epsilon - extractor_epsilon, mu) + rare * hockey_stick(epsilon + extractor_epsilon, mu)) / (
        1 + rare
    )
    return extractor_delta + (1 - extractor_delta) * some


def feature_delta(epsilon: float, mu: float, extractor_epsilon: float, extractor_delta: float, size: int = 1) -> float:
    """Return a float64 not below the δ of extractor and head together at ``epsilon`` (claim T11).

    The formula of ``feature_hockey_stick`` at (ε₁′, δ₁′), rounded up. It is the least δ that (ε₁′, δ₁′) and μ prove, so
    it is at most that of ``feature_guarantee`` at the same ε, but for rounding.

    Args:
        epsilon: ε of both together.
        mu: Gaussian parameter of the head's releases, whatever the extractor; see ``gaussian_mu``.
        extractor_epsilon, extractor_delta, size: as in ``feature_guarantee``.

    Raises ``ValueError`` for a negative or NaN argument, a δ above 1 and ``size`` < 1.

    >>> feature_delta(1.5, 0.25, 0.5, 0.0) < gaussian_delta(1.0, 0.25, 1.0)
    True
    >>> feature_delta(1.5, 0.0, 0.5, 0.125)
    0.125
    """
    epsilon = nonnegative("epsilon", epsilon)
    mu = nonnegative("mu", mu)
    first, failure = _of_group(extractor_epsilon, extractor_delta, size)
    if failure == 1.0 or math.inf in (first, mu):
        return failure if epsilon == math.inf > mu else 1.0
    if epsilon == math.inf:
        return failure
    far = gaussian_delta(max(0.0, round_down(lambda: exact(epsilon) + exact(first))), mu, 1.0)
    if epsilon >= first:
        near = gaussian_delta(round_down(lambda: exact(epsilon) - exact(first)), mu, 1.0)
    else:
        below = round_up(lambda: exact(first) - exact(epsilon))
        within = gaussian_delta(below, mu, 1.0)
        near = round_up(lambda: -expm1(-exact(below)) + exp(-exact(below)) * exact(within))

    def together() -> arb:
        rare = exp(-exact(first))
        some = (exact(near) + rare * exact(far)) / (1 + rare)
        return exact(failure) + (1 - exact(failure)) * some

    return min(1.0, round_up(together)) if near > 0.0 or far > 0.0 else failure


def feature_epsilon(delta: float, mu: float, extractor_epsilon: float, extractor_delta: float, size: int = 1) -> float:
    """Return the smallest float64 ε ≥ 0 with ``feature_delta`` ≤ ``delta``; ``inf`` where none suffices (claim T11).

    Arguments as in ``feature_delta``; ``delta`` is a probability.

    >>> feature_epsilon(1e-6, 0.25, 0.5, 0.0)
    1.534260787218517
    """
    delta = probability("delta", delta)
    return smallest_float(lambda epsilon: feature_delta(epsilon, mu, extractor_epsilon, extractor_delta, size) <= delta)


def _of_group(epsilon: float, delta: float, size: int) -> tuple[float, float]:
    epsilon, delta = nonnegative("extractor_epsilon", epsilon), probability("extractor_delta", delta)
    return group_guarantee(epsilon, delta, size)
