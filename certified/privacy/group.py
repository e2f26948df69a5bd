"""Group privacy: what a guarantee for one row says about k rows at once (claim T17c).

The worlds with and without k rows are joined by k steps that change one row each, and each notion of privacy has its
own triangle inequality along them.

Sources: Dwork & Roth 2014, *The Algorithmic Foundations of Differential Privacy*, for pure DP; Bun & Steinke 2016
(arXiv 1605.02065), Proposition 1.9; Mironov 2017 (arXiv 1702.07476), Propositions 2 and 11; Dong, Roth & Su 2022 (arXiv
1905.02383), Theorem 2.14.
"""

from __future__ import annotations

import math

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, expm1
from certified.privacy.composition import counted
from certified.privacy.gaussian import nonnegative, probability
from certified.privacy.renyi import order

_STEEP = 1000.0
"""e^1000 exceeds every float64 and 1/e^1000 is below every positive one."""


def group_factor(epsilon: Scalar, size: int) -> Scalar:
    """Return (e^(kε) − 1)/(e^ε − 1) = 1 + e^ε + … + e^((k−1)ε) for ε > 0, by which δ grows (claim T17c).

    >>> group_factor(1e-12, 3)
    3.000000000003
    """
    return expm1(size * epsilon) / expm1(epsilon)


def group_guarantee(epsilon: float, delta: float, size: int) -> tuple[float, float]:
    """Return (kε, δ(e^(kε) − 1)/(e^ε − 1)), rounded up, for k = ``size`` rows; δ is at most 1 (claim T17c).

    Raises ``ValueError`` for a negative or NaN ε or δ, δ > 1 and ``size`` < 1.

    >>> group_guarantee(0.5, 1e-6, 2)
    (1.0, 2.6487212707001282e-06)
    """
    epsilon = nonnegative("epsilon", epsilon)
    delta = probability("delta", delta)
    count = _size(size)
    return _multiple(epsilon, count), _group_delta(epsilon, delta, count)


def group_share(epsilon: float, delta: float, size: int) -> tuple[float, float]:
    """Return the largest (ε₁, δ₁) for one row, ε₁ = ε/k, whose group of k = ``size`` rows is (ε, δ) (claim T17c).

    Both are rounded down. Arguments as in ``group_guarantee``.

    >>> group_share(1.0, 1e-6, 2)
    (0.5, 3.775406687981454e-07)
    """
    epsilon = nonnegative("epsilon", epsilon)
    delta = probability("delta", delta)
    count = _size(size)
    share = epsilon if count == 1 or epsilon == math.inf else round_down(lambda: exact(epsilon) / count)
    if count == 1 or delta == 0.0:
        return share, delta
    if share > _STEEP:
        return share, 0.0
    if share == 0.0:
        return share, round_down(lambda: exact(delta) / count)
    return share, round_down(lambda: exact(delta) / group_factor(exact(share), count))


def group_mu(mu: float, size: int) -> float:
    """Return the smallest float64 not below kμ: a group of k = ``size`` rows under μ-GDP is kμ-GDP (claim T17c).

    Raises ``ValueError`` for a negative or NaN μ and ``size`` < 1.

    >>> group_mu(0.25, 4)
    1.0
    """
    return _multiple(nonnegative("mu", mu), _size(size))


def group_rho(rho: float, size: int) -> float:
    """Return the smallest float64 not below k²ρ: a group of k = ``size`` rows under ρ-zCDP is k²ρ-zCDP (claim T17c).

    Raises ``ValueError`` for a negative or NaN ρ and ``size`` < 1.

    >>> group_rho(0.03125, 4)
    0.5
    """
    return _multiple(nonnegative("rho", rho), _size(size) ** 2)


def group_renyi(alpha: float, divergence: float, size: int) -> tuple[float, float]:
    """Return (α/k, D′) for k = ``size`` rows, a power of two, from (α, D) for one row, α > k (claim T17c).

    Each doubling takes (α, D) to (α/2, D·(2α − 3)/(α − 2)), which is at most the published (α/2, 3D) from α = 3 on.
    D′ is rounded up. Where α/k is not above 1, or ``size`` is no power of two: ``ValueError``.

    >>> group_renyi(16.0, 0.5, 4)
    (4.0, 2.244047619047619)
    """
    alpha = order("alpha", alpha)
    divergence = nonnegative("divergence", divergence)
    count = _size(size)
    if count & (count - 1):
        raise ValueError(f"size must be a power of two for Rényi curves, got {count}; round it up to the next one")
    # A power of two divides exactly; one above alpha would not even fit into a float.
    result = order("alpha / size", alpha / count if count < alpha else 1.0)
    if divergence in (0.0, math.inf):
        return result, divergence
    doublings = count.bit_length() - 1

    def grown() -> arb:
        value, at = exact(divergence), exact(alpha)
        for _ in range(doublings):
            value, at = value * doubling_factor(at), at / 2
        return value

    return result, round_up(grown)


def doubling_factor(alpha: Scalar) -> Scalar:
    """Return (2α − 3)/(α − 2), the growth of D from one row at order α > 2 to two rows at α/2 (claim T17c).

    >>> doubling_factor(4.0)
    2.5
    """
    return (2 * alpha - 3) / (alpha - 2)


def _size(size: int) -> int:
    count = counted("size", size)
    if count < 1:
        raise ValueError("size must be at least 1; a group without rows changes nothing")
    return count


def _multiple(value: float, factor: int) -> float:
    if value in (0.0, math.inf):
        return value
    return round_up(lambda: exact(value) * factor)


def _group_delta(epsilon: float, delta: float, size: int) -> float:
    if delta in (0.0, 1.0) or size == 1:
        return delta
    if epsilon == 0.0:
        return min(1.0, _multiple(delta, size))
    if epsilon > _STEEP:
        return 1.0
    return min(1.0, round_up(lambda: exact(delta) * group_factor(exact(epsilon), size)))
