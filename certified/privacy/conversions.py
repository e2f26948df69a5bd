"""Conversions from one notion of privacy into another, each rounded up (claims T17a, T17b and T17g).

What implies what: pure ε-DP ⇒ μ-GDP ⇒ ρ-zCDP ⇒ (α, D)-Rényi at every order ⇒ (ε, δ) for every ε. No arrow can be
turned around. Pure ε-DP ⇒ zCDP ⇒ Rényi directly loses less than the way over GDP, so it has functions of its own.

Sources: Mironov 2017 (arXiv 1702.07476); Bun & Steinke 2016 (arXiv 1605.02065); Dong, Roth & Su 2022 (arXiv
1905.02383). Pure DP into zCDP with ε·tanh(ε/2), instead of the published ε²/2, and into GDP are proved in T17g.
"""

from __future__ import annotations

import math

from flint import arb

from certified.numerics.balls import exact, round_up
from certified.numerics.scalar import Scalar, exp, expm1, log1p
from certified.privacy.gaussian import nonnegative
from certified.privacy.renyi import order

_FLAT = 1000.0
"""Above this ε, zCDP and Rényi results are below ε by less than e^−900: they round up to ε."""

_STEEP = 1e6
"""Above this ε the conversion into GDP uses Φ(−x) ≤ e^(−x²/2)/2 and loses less than 10⁻⁵ of μ."""


def pure_concentration(epsilon: Scalar) -> Scalar:
    """Return ε·tanh(ε/2), the ρ of an ε-DP pair (claim T17g).

    >>> round(pure_concentration(1.0), 6)
    0.462117
    """
    return -epsilon * expm1(-epsilon) / (1 + exp(-epsilon))


def pure_divergence(alpha: Scalar, epsilon: Scalar) -> Scalar:
    """Return ε − log((1 + e^−ε)/(1 + e^(−(2α−1)ε)))/(α − 1), the divergence of randomised response (claim T17b).

    >>> round(pure_divergence(2.0, 1.0), 6)
    0.735326
    """
    return epsilon - (log1p(exp(-epsilon)) - log1p(exp(-(2 * alpha - 1) * epsilon))) / (alpha - 1)


def pure_to_gdp(epsilon: float) -> float:
    """Return the smallest float64 μ such that ε-DP implies μ-GDP: Φ(−μ/2) = 1/(1 + e^ε) (claim T17g).

    Above ε = 10⁶ an upper bound on this number that is less than 0.001 % larger. Raises ``ValueError`` for a negative
    or NaN ε.

    >>> pure_to_gdp(1.0)
    1.232035385344901
    """
    epsilon = nonnegative("epsilon", epsilon)
    if epsilon in (0.0, math.inf):
        return epsilon
    if epsilon > _STEEP:
        return round_up(lambda: 2 * (2 * exact(epsilon)).sqrt())
    # The argument of erfc⁻¹ is 1 − tanh(ε/2), so the result is √8·erf⁻¹(tanh(ε/2)): exact where ε is tiny, too.
    small = epsilon < 1.0
    return round_up(
        lambda: arb(8).sqrt() * (
            (exact(epsilon) / 2).tanh().erfinv() if small else (2 / (1 + exact(epsilon).exp())).erfcinv()
        )
    )  # fmt: skip


def pure_to_zcdp(epsilon: float) -> float:
    """Return the smallest float64 not below ρ = ε·tanh(ε/2): ε-DP implies ρ-zCDP (claim T17g).

    No smaller ρ holds for all ε-DP pairs; the published ε²/2 is larger. Raises ``ValueError`` for a negative or NaN ε.

    >>> pure_to_zcdp(1.0)
    0.4621171572600098
    """
    epsilon = nonnegative("epsilon", epsilon)
    if epsilon == 0.0 or epsilon > _FLAT:
        return epsilon
    return round_up(lambda: pure_concentration(exact(epsilon)))


def pure_to_renyi(alpha: float, epsilon: float) -> float:
    """Return the smallest float64 D of order ``alpha`` that ε-DP implies: randomised response's (claim T17b).

    Raises ``ValueError`` for an order that is not a finite number above 1 and a negative or NaN ε.

    >>> pure_to_renyi(2.0, epsilon=1.0)
    0.7353256640555192
    """
    alpha = order("alpha", alpha)
    epsilon = nonnegative("epsilon", epsilon)
    if epsilon == 0.0 or epsilon > _FLAT:
        return epsilon
    return round_up(lambda: pure_divergence(exact(alpha), exact(epsilon)))


def gdp_to_zcdp(mu: float) -> float:
    """Return the smallest float64 not below ρ = μ²/2: μ-GDP implies ρ-zCDP (claim T17g).

    >>> gdp_to_zcdp(0.25)
    0.03125
    """
    mu = nonnegative("mu", mu)
    return mu if mu in (0.0, math.inf) else round_up(lambda: exact(mu) ** 2 / 2)


def gdp_to_renyi(alpha: float, mu: float) -> float:
    """Return the smallest float64 not below D = αμ²/2: μ-GDP implies (α, D)-Rényi privacy (claim T17g).

    >>> gdp_to_renyi(8.0, mu=0.25)
    0.25
    """
    alpha = order("alpha", alpha)
    mu = nonnegative("mu", mu)
    return mu if mu in (0.0, math.inf) else round_up(lambda: exact(alpha) * exact(mu) ** 2 / 2)


def zcdp_to_renyi(alpha: float, rho: float) -> float:
    """Return the smallest float64 not below D = αρ: the definition of ρ-zCDP (claim T17a).

    >>> zcdp_to_renyi(8.0, rho=0.03125)
    0.25
    """
    alpha = order("alpha", alpha)
    rho = nonnegative("rho", rho)
    return rho if rho in (0.0, math.inf) else round_up(lambda: exact(alpha) * exact(rho))
