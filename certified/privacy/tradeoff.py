"""Trade-off functions: the least type II error of a test between two worlds, by its type I error (claim T17d).

T(P, Q)(α) is the smallest β that a test of P against Q with type I error at most α can reach. Two worlds are f-DP if
T(P, Q) ≥ f and T(Q, P) ≥ f, so the safe side is **below**: every function here returns a lower bound on the type II
error, rounded down. Each is symmetric, f = f⁻¹, so it also gives the least type I error for a given type II error.

f determines δ and back: δ(ε) = sup_α (1 − f(α) − e^ε α) and f(α) = sup_ε max(1 − δ(ε) − e^ε α, e^−ε (1 − δ(ε) − α)).
Composition and groups of Gaussian trade-offs are ``compose_gaussian`` and ``group_mu``.

Sources: Wasserman & Zhou 2010; Kairouz, Oh & Viswanath 2015 (arXiv 1311.0776); Dong, Roth & Su 2022 (arXiv 1905.02383),
Propositions 2.5 and 2.12.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, normal_cdf
from certified.privacy.gaussian import nonnegative, probability

_STEEP = 1000.0
"""e^1000 times any positive float64 exceeds 1, and 1/e^1000 is below every positive float64."""


def gaussian_type_two(threshold: Scalar, mu: Scalar) -> Scalar:
    """Return Φ(x − μ), the type II error of the test "above x" of N(0, 1) against N(μ, 1) (claim T17d).

    Its type I error is Φ(−x), so this is G_μ(Φ(−x)).

    >>> round(gaussian_type_two(0.0, 1.0), 6)
    0.158655
    """
    return normal_cdf(threshold - mu)


def steep_type_two(type_one: Scalar, epsilon: Scalar, delta: Scalar) -> Scalar:
    """Return 1 − δ − e^ε α, the trade-off of (ε, δ) where it is steep (claim T17d).

    >>> round(steep_type_two(0.1, 1.0, 0.0), 6)
    0.728172
    """
    return 1 - delta - exp(epsilon) * type_one


def flat_type_two(type_one: Scalar, epsilon: Scalar, delta: Scalar) -> Scalar:
    """Return e^−ε (1 − δ − α), the trade-off of (ε, δ) where it is flat (claim T17d).

    >>> round(flat_type_two(0.5, 1.0, 0.0), 6)
    0.18394
    """
    return exp(-epsilon) * (1 - delta - type_one)


def gaussian_trade_off(type_one: float, mu: float) -> float:
    """Return the largest float64 not above G_μ(α) = Φ(Φ⁻¹(1 − α) − μ), the trade-off of μ-GDP (claim T17d).

    ``type_one`` α is a probability. Raises ``ValueError`` for a negative or NaN argument and α > 1.

    >>> gaussian_trade_off(0.05, mu=1.0)
    0.7404889771585559
    >>> gaussian_trade_off(0.05, mu=0.0)
    0.95
    """
    type_one = probability("type_one", type_one)
    mu = nonnegative("mu", mu)
    if type_one == 1.0 or mu == math.inf:
        return 0.0
    if type_one == 0.0:
        return 1.0
    if mu == 0.0:
        return round_down(lambda: 1 - exact(type_one))
    return max(0.0, round_down(lambda: gaussian_type_two(_threshold(type_one), exact(mu))))


def approximate_trade_off(type_one: float, epsilon: float, delta: float) -> float:
    """Return the largest float64 not above f(α) = max(1 − δ − e^ε α, e^−ε (1 − δ − α), 0), that of (ε, δ) (claim T17d).

    Raises ``ValueError`` for a negative or NaN argument and α or δ > 1.

    >>> approximate_trade_off(0.05, epsilon=1.0, delta=0.01)
    0.8540859085770477
    """
    type_one = probability("type_one", type_one)
    epsilon = nonnegative("epsilon", epsilon)
    delta = probability("delta", delta)
    if epsilon > _STEEP:
        return round_down(lambda: 1 - exact(delta)) if type_one == 0.0 else 0.0
    arguments = type_one, epsilon, delta
    steep = round_down(lambda: steep_type_two(*map(exact, arguments)))
    flat = round_down(lambda: flat_type_two(*map(exact, arguments)))
    return max(0.0, steep, flat)


def profile_trade_off(type_one: float, profile: Iterable[tuple[float, float]]) -> float:
    """Return the best lower bound on the type II error that several (ε_j, δ_j) prove together (claim T17d).

    All of them must hold for the same pair of worlds in both directions: points of one δ(ε) curve, for instance. The
    more points, the closer to the trade-off function of the curve, and never above it. Raises ``ValueError`` for a bad
    pair and a bad α.

    >>> profile_trade_off(0.05, [(0.0, 0.4), (1.0, 0.127)])
    0.7370859085770477
    """
    values = [approximate_trade_off(type_one, epsilon, delta) for epsilon, delta in profile]
    return max(values, default=approximate_trade_off(type_one, 0.0, 1.0))


def trade_off_delta(epsilon: float, points: Iterable[tuple[float, float]]) -> float:
    """Return a δ at ε that lower bounds β_i ≤ f(α_i) on a trade-off function prove, rounded up (claim T17d).

    δ = max over neighbours α_i < α_(i+1) of 1 − β_(i+1) − e^ε α_i, as f does not increase: above the exact
    sup_α (1 − f(α) − e^ε α) by at most the largest step of β. The points hold in both directions; the first interval
    starts at α = 0, and f(1) = 0. Raises ``ValueError`` for a negative or NaN ε and coordinates outside [0, 1].

    >>> grid = [i / 1000 for i in range(1001)]
    >>> trade_off_delta(1.0, [(alpha, gaussian_trade_off(alpha, mu=1.0)) for alpha in grid])
    0.12965462974684114
    """
    epsilon = nonnegative("epsilon", epsilon)
    known = sorted((probability("type I error", alpha), probability("type II error", beta)) for alpha, beta in points)
    lefts = [0.0, *(alpha for alpha, _ in known)]
    rights = [*(beta for _, beta in known), 0.0]
    # A bound further right holds here, too.
    for index in reversed(range(len(rights) - 1)):
        rights[index] = max(rights[index], rights[index + 1])
    candidates = zip(lefts, rights, strict=True)
    if epsilon > _STEEP:
        return max(_shortfall(0.0, alpha, beta) for alpha, beta in candidates if alpha == 0.0)
    return max(0.0, *(_shortfall(epsilon, alpha, beta) for alpha, beta in candidates))


def _shortfall(epsilon: float, alpha: float, beta: float) -> float:
    return round_up(lambda: steep_type_two(exact(alpha), exact(epsilon), exact(beta)))


def _threshold(type_one: float) -> arb:
    """Enclose Φ⁻¹(1 − α) for 0 < α < 1."""
    alpha = exact(type_one)
    root = arb(2).sqrt()
    return root * (2 * alpha).erfcinv() if type_one < 0.25 else root * (1 - 2 * alpha).erfinv()
