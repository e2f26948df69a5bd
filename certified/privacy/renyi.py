"""Rényi differential privacy: curves, (ε, δ) both ways and the Gaussian mechanism (claim T17b).

Two laws P, Q have Rényi divergence D_α(P‖Q) = log E_Q[(dP/dQ)^α]/(α − 1) of order α > 1; a pair of worlds is
(α, D)-Rényi private if both directions stay within D. A curve is a mapping from orders α to bounds D. Each order by
itself proves (ε, δ) for δ = e^((α−1)(D−ε)) (1 − 1/α)^(α−1)/α, so the best order of the curve may be taken.

Sources: Mironov 2017 (arXiv 1702.07476); the sharper conversion of Balle, Barthe, Gaboardi, Hsu & Sato 2020 (arXiv
1905.09982) and of Canonne, Kamath & Steinke 2020 (arXiv 2004.00010, Proposition 12).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, log, log1p
from certified.privacy.gaussian import nonnegative, probability

LEAST_EXPONENT = -800
"""e⁻⁸⁰⁰ < 2⁻¹⁰⁷⁴: a positive number below it rounds up to the smallest positive float64."""


def renyi_hockey_stick(epsilon: Scalar, alpha: Scalar, divergence: Scalar) -> Scalar:
    """Return e^((α−1)(D−ε)) (1 − 1/α)^(α−1)/α, the δ that order α proves at ε (claim T17b).

    On floats and JAX values this is the plain formula, for planning and derivatives; the bound is ``renyi_delta``.

    >>> round(renyi_hockey_stick(1.0, 2.0, 0.5), 6)
    0.151633
    """
    return exp(renyi_exponent(epsilon, alpha - 1, divergence))


def renyi_exponent(epsilon: Scalar, excess: Scalar, divergence: Scalar) -> Scalar:
    """Return the logarithm of ``renyi_hockey_stick`` at order α = 1 + ``excess`` (claim T17b).

    >>> round(renyi_exponent(1.0, 1.0, 0.5), 6)
    -1.886294
    """
    return excess * (divergence - epsilon - log1p(1 / excess)) - log1p(excess)


def renyi_budget(epsilon: Scalar, alpha: Scalar, delta: Scalar) -> Scalar:
    """Return ε + log(δα)/(α−1) − log(1 − 1/α), the D at which order α proves exactly (ε, δ) (claim T17b).

    >>> round(renyi_hockey_stick(1.0, 8.0, renyi_budget(1.0, 8.0, 1e-5)) / 1e-5, 6)
    1.0
    """
    return epsilon + log(delta * alpha) / (alpha - 1) + log1p(1 / (alpha - 1))


def mironov_epsilon(delta: Scalar, alpha: Scalar, divergence: Scalar) -> Scalar:
    """Return D + log(1/δ)/(α − 1), the conversion of Mironov 2017, Proposition 3 (claim T17b).

    For comparison: ``renyi_epsilon`` never gives more.

    >>> round(mironov_epsilon(1e-5, 11.0, 0.5), 6)
    1.651293
    """
    return divergence - log(delta) / (alpha - 1)


def gaussian_divergence(alpha: Scalar, sensitivity: Scalar, noise_std: Scalar) -> Scalar:
    """Return αs²/(2σ²), the divergence of two Gaussians at distance s (claim T17b).

    >>> gaussian_divergence(4.0, 1.0, 2.0)
    0.5
    """
    return alpha * sensitivity * sensitivity / (2 * noise_std * noise_std)


def renyi_delta(epsilon: float, curve: Mapping[float, float]) -> float:
    """Return a δ that a Rényi ``curve`` proves at ε: the best of its orders, each rounded up (claim T17b).

    ``curve`` maps orders α > 1 to bounds D ≥ 0, for instance ``{alpha: gaussian_renyi(alpha, 1.0, 4.0) for alpha in
    (2, 4, 8, 16)}``. Raises ``ValueError`` for an empty curve, an order that is not a finite number above 1, and a
    negative or NaN ε or D.

    >>> renyi_delta(1.0, {2.0: 0.125, 16.0: 1.0})
    0.023738275363452854
    """
    epsilon = nonnegative("epsilon", epsilon)
    return min(_delta(epsilon, alpha, divergence) for alpha, divergence in checked_curve("curve", curve).items())


def renyi_epsilon(delta: float, curve: Mapping[float, float]) -> float:
    """Return the smallest float64 ε ≥ 0 that a Rényi ``curve`` proves at ``delta``; ``inf`` where none (claim T17b).

    ε = min over orders of D + log(1 − 1/α) − log(δα)/(α − 1). Arguments as in ``renyi_delta``; ``delta`` > 1 is a
    ``ValueError``.

    >>> renyi_epsilon(1e-5, {alpha: gaussian_renyi(alpha, 1.0, 4.0) for alpha in (8.0, 16.0, 24.0)})
    1.0181505950444587
    """
    delta = probability("delta", delta)
    return min(_epsilon(delta, alpha, divergence) for alpha, divergence in checked_curve("curve", curve).items())


def renyi_divergence(alpha: float, epsilon: float, delta: float) -> float:
    """Return the largest float64 D ≥ 0 that proves (ε, δ) at order α; 0 where only equal laws do (claim T17b).

    Raises ``ValueError`` for an order that is not a finite number above 1, a negative or NaN ε or δ, and ``delta`` > 1.

    >>> renyi_divergence(16.0, epsilon=1.0, delta=1e-5)
    0.48184940495554135
    """
    alpha = order("alpha", alpha)
    epsilon = nonnegative("epsilon", epsilon)
    delta = probability("delta", delta)
    if delta == 1.0 or epsilon == math.inf:
        return math.inf
    if delta == 0.0:
        return 0.0
    return max(0.0, round_down(lambda: renyi_budget(exact(epsilon), exact(alpha), exact(delta))))


def gaussian_renyi(alpha: float, sensitivity: float, noise_std: float) -> float:
    """Return the smallest float64 not below αs²/(2σ²), the Gaussian mechanism's divergence (claim T17b).

    ``sensitivity`` s and ``noise_std`` σ have the unit of the released vector. Raises ``ValueError`` for a bad order, a
    negative or NaN argument, and for infinite sensitivity under infinite noise.

    >>> gaussian_renyi(8.0, sensitivity=1.0, noise_std=4.0)
    0.25
    """
    alpha = order("alpha", alpha)
    sensitivity = nonnegative("sensitivity", sensitivity)
    noise_std = nonnegative("noise_std", noise_std)
    if sensitivity == math.inf and noise_std == math.inf:
        raise ValueError("sensitivity must be finite under infinite noise_std; bound the distance first")
    if sensitivity == 0.0 or noise_std == math.inf:
        return 0.0
    if sensitivity == math.inf or noise_std == 0.0:
        return math.inf
    return round_up(lambda: gaussian_divergence(exact(alpha), exact(sensitivity), exact(noise_std)))


def renyi_noise_std(alpha: float, divergence: float, sensitivity: float) -> float:
    """Return the smallest float64 σ ≥ s·√(α/(2D)), so that D_α ≤ D; ``inf`` where none suffices (claim T17b).

    >>> renyi_noise_std(8.0, divergence=0.25, sensitivity=1.0)
    4.0
    """
    alpha = order("alpha", alpha)
    divergence = nonnegative("divergence", divergence)
    sensitivity = nonnegative("sensitivity", sensitivity)
    if sensitivity == 0.0 or (divergence == math.inf and sensitivity < math.inf):
        return 0.0
    if divergence == 0.0 or sensitivity == math.inf:
        return math.inf
    return round_up(lambda: exact(sensitivity) * (exact(alpha) / (2 * exact(divergence))).sqrt())


def renyi_sensitivity(alpha: float, divergence: float, noise_std: float) -> float:
    """Return the largest finite float64 s ≤ σ·√(2D/α), so that D_α ≤ D (claim T17b).

    >>> renyi_sensitivity(8.0, divergence=0.25, noise_std=4.0)
    1.0
    """
    alpha = order("alpha", alpha)
    divergence = nonnegative("divergence", divergence)
    noise_std = nonnegative("noise_std", noise_std)
    if divergence == 0.0 or noise_std == 0.0:
        return 0.0
    if math.inf in (divergence, noise_std):
        return math.nextafter(math.inf, 0.0)
    return finite(round_down(lambda: exact(noise_std) * (2 * exact(divergence) / exact(alpha)).sqrt()))


def order(name: str, alpha: float) -> float:
    """Return ``alpha`` as a float; raise an error naming the argument unless it is a finite number above 1.

    >>> order("alpha", 1.0)
    Traceback (most recent call last):
        ...
    ValueError: alpha must be a finite number above 1, got 1.0; Rényi orders start there
    """
    alpha = nonnegative(name, alpha)
    if not 1.0 < alpha < math.inf:
        raise ValueError(f"{name} must be a finite number above 1, got {alpha!r}; Rényi orders start there")
    return alpha


def checked_curve(name: str, curve: Mapping[float, float]) -> dict[float, float]:
    """Return a Rényi curve as floats; raise an error naming ``name`` unless it is one.

    >>> checked_curve("curve", {2: 0})
    {2.0: 0.0}
    """
    if not isinstance(curve, Mapping):
        raise TypeError(f"{name} must map orders to divergences, got {type(curve).__name__}; pass a dict")
    if not curve:
        raise ValueError(f"{name} must hold at least one order; an empty curve proves nothing")
    return {order(f"{name} order", a): nonnegative(f"{name}[{a!r}]", d) for a, d in curve.items()}


def finite(value: float) -> float:
    """Return ``value``, or the largest finite float64 in place of infinity.

    >>> finite(math.inf)
    1.7976931348623157e+308
    """
    return min(value, math.nextafter(math.inf, 0.0))


def probability_from_log(evaluate: Callable[[], arb]) -> float:
    """Return the smallest float64 not below min(1, e^x) for the real number x that ``evaluate`` encloses.

    >>> probability_from_log(lambda: arb(3)), probability_from_log(lambda: arb(-1))
    (1.0, 0.36787944117144233)
    """

    def bound() -> arb:
        exponent = evaluate()
        if exponent >= 0:
            return arb(1)
        return arb(math.ulp(0.0)) if exponent < LEAST_EXPONENT else exponent.exp()

    return min(1.0, round_up(bound))


def _delta(epsilon: float, alpha: float, divergence: float) -> float:
    if divergence == 0.0:  # the laws are equal
        return 0.0
    if divergence == math.inf:
        return 1.0
    if epsilon == math.inf:
        return 0.0
    return probability_from_log(lambda: renyi_exponent(exact(epsilon), exact(alpha) - 1, exact(divergence)))


def _epsilon(delta: float, alpha: float, divergence: float) -> float:
    if divergence == 0.0 or delta == 1.0:
        return 0.0
    if divergence == math.inf or delta == 0.0:
        return math.inf
    return max(0.0, round_up(lambda: exact(divergence) - renyi_budget(arb(0), exact(alpha), exact(delta))))
