"""Zero-concentrated differential privacy: (ε, δ) both ways and the Gaussian mechanism (claim T17a).

Two worlds are ρ-zCDP if D_α ≤ ρα in both directions at every order α > 1. Each order proves an (ε, δ), and the best
one is taken: it is found in floating point, where an error only costs tightness, and its bound is evaluated in balls.

Sources: Bun & Steinke 2016 (arXiv 1605.02065); conversion of Canonne, Kamath & Steinke 2020 (arXiv 2004.00010,
Corollary 13).
"""

from __future__ import annotations

import math

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, log, sqrt
from certified.privacy.gaussian import nonnegative, probability, smallest_float
from certified.privacy.renyi import finite, probability_from_log, renyi_exponent

_LARGEST_EXCESS = 2.0**1000
_STEPS = 72
"""Halvings that leave log(α − 1) ∈ [−693, 693] known to the last bits of a float64."""


def zcdp_hockey_stick(epsilon: Scalar, excess: Scalar, rho: Scalar) -> Scalar:
    """Return e^((α−1)(αρ−ε)) (1 − 1/α)^(α−1)/α at α = 1 + ``excess``, a δ for ρ-zCDP at ε (claim T17a).

    On floats and JAX values this is the plain formula, for planning and derivatives; the bound is ``zcdp_delta``.

    >>> round(zcdp_hockey_stick(1.0, 13.0, 0.03125), 9)
    1.8184e-05
    """
    return exp(renyi_exponent(epsilon, excess, (1 + excess) * rho))


def bun_steinke_epsilon(delta: Scalar, rho: Scalar) -> Scalar:
    """Return ρ + 2√(ρ log(1/δ)), the conversion of Bun & Steinke 2016, Proposition 1.3 (claim T17a).

    For comparison: ``zcdp_epsilon`` never gives more.

    >>> round(bun_steinke_epsilon(1e-5, 0.03125), 6)
    1.230881
    """
    return rho + 2 * sqrt(-rho * log(delta))


def gaussian_concentration(sensitivity: Scalar, noise_std: Scalar) -> Scalar:
    """Return s²/(2σ²), the ρ of two Gaussians at distance s (claim T17a).

    >>> gaussian_concentration(1.0, 4.0)
    0.03125
    """
    return sensitivity * sensitivity / (2 * noise_std * noise_std)


def zcdp_delta(epsilon: float, rho: float) -> float:
    """Return a float64 δ that ρ-zCDP proves at ε: inf over α of ``zcdp_hockey_stick``, rounded up (claim T17a).

    Raises ``ValueError`` for a negative or NaN argument.

    >>> zcdp_delta(epsilon=1.0, rho=0.03125)
    1.2253081147396502e-05
    """
    epsilon = nonnegative("epsilon", epsilon)
    rho = nonnegative("rho", rho)
    if rho == 0.0:
        return 0.0
    if rho == math.inf:
        return 1.0
    if epsilon == math.inf:
        return 0.0
    best = _best_excess(epsilon, rho)
    return probability_from_log(lambda: renyi_exponent(exact(epsilon), exact(best), (1 + exact(best)) * exact(rho)))


def zcdp_epsilon(delta: float, rho: float) -> float:
    """Return the smallest float64 ε ≥ 0 with ``zcdp_delta(ε, rho)`` ≤ ``delta``; ``inf`` where none (claim T17a).

    Raises ``ValueError`` for a negative or NaN argument and ``delta`` > 1.

    >>> zcdp_epsilon(delta=1e-5, rho=0.03125)
    1.0122866377648303
    """
    delta = probability("delta", delta)
    rho = nonnegative("rho", rho)
    return smallest_float(lambda epsilon: zcdp_delta(epsilon, rho) <= delta)


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the largest finite float64 ρ with ``zcdp_delta(epsilon, ρ)`` ≤ ``delta`` (claim T17a).

    Raises ``ValueError`` for a negative or NaN argument and ``delta`` > 1.

    >>> zcdp_rho(epsilon=1.0, delta=1e-5)
    0.030556595197639563
    """
    delta = probability("delta", delta)
    epsilon = nonnegative("epsilon", epsilon)
    too_much = smallest_float(lambda rho: zcdp_delta(epsilon, rho) > delta)
    return math.nextafter(too_much, 0.0)


def gaussian_rho(sensitivity: float, noise_std: float) -> float:
    """Return the smallest float64 not below s²/(2σ²), the ρ of the Gaussian mechanism (claim T17a).

    ``sensitivity`` s and ``noise_std`` σ have the unit of the released vector. Raises ``ValueError`` for a negative or
    NaN argument and for infinite sensitivity under infinite noise.

    >>> gaussian_rho(sensitivity=1.0, noise_std=4.0)
    0.03125
    """
    sensitivity = nonnegative("sensitivity", sensitivity)
    noise_std = nonnegative("noise_std", noise_std)
    if sensitivity == math.inf and noise_std == math.inf:
        raise ValueError("sensitivity must be finite under infinite noise_std; bound the distance first")
    if sensitivity == 0.0 or noise_std == math.inf:
        return 0.0
    if sensitivity == math.inf or noise_std == 0.0:
        return math.inf
    return round_up(lambda: gaussian_concentration(exact(sensitivity), exact(noise_std)))


def zcdp_noise_std(rho: float, sensitivity: float) -> float:
    """Return the smallest float64 σ ≥ s/√(2ρ), Gaussian noise that is ρ-zCDP; ``inf`` where none is (claim T17a).

    >>> zcdp_noise_std(rho=0.03125, sensitivity=1.0)
    4.0
    """
    rho = nonnegative("rho", rho)
    sensitivity = nonnegative("sensitivity", sensitivity)
    if sensitivity == 0.0 or (rho == math.inf and sensitivity < math.inf):
        return 0.0
    if rho == 0.0 or sensitivity == math.inf:
        return math.inf
    return round_up(lambda: exact(sensitivity) / (2 * exact(rho)).sqrt())


def zcdp_sensitivity(rho: float, noise_std: float) -> float:
    """Return the largest finite float64 s ≤ σ·√(2ρ), a distance at which Gaussian noise is ρ-zCDP (claim T17a).

    >>> zcdp_sensitivity(rho=0.03125, noise_std=4.0)
    1.0
    """
    rho = nonnegative("rho", rho)
    noise_std = nonnegative("noise_std", noise_std)
    if rho == 0.0 or noise_std == 0.0:
        return 0.0
    if math.inf in (rho, noise_std):
        return finite(math.inf)
    return finite(round_down(lambda: exact(noise_std) * (2 * exact(rho)).sqrt()))


def _best_excess(epsilon: float, rho: float) -> float:
    """Return about the α − 1 that minimises δ: the root of (2α − 1)ρ − ε + log(1 − 1/α), which increases in α."""
    low, high = -math.log(_LARGEST_EXCESS), math.log(_LARGEST_EXCESS)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        excess = math.exp(middle)
        if (2.0 * excess + 1.0) * rho - epsilon - math.log1p(1.0 / excess) > 0.0:
            high = middle
        else:
            low = middle
    return math.exp((low + high) / 2)
