"""The exact privacy curve of the Gaussian mechanism and its inverses, rounded to the safe side (claim T3).

Adding N(0, σ²I) to two vectors at distance at most s makes the results (ε, δ)-indistinguishable, in both
directions, for δ = H_μ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) with μ = s/σ, and at distance s for no smaller
δ.

Source: Balle & Wang 2018, "Improving the Gaussian mechanism for differential privacy" (arXiv 1805.06530).
δ increases with μ and decreases with ε, so each inverse is a bisection over the float64 numbers on
``gaussian_delta``, which is δ correctly rounded up: curve and inverses agree to the last bit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from numbers import Real

from flint import arb

from certified.numerics.balls import exact, round_up
from certified.numerics.scalar import Scalar, exp, normal_cdf


def hockey_stick(epsilon: Scalar, mu: Scalar) -> Scalar:
    """Return H_μ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ) for ε ≥ 0 and μ > 0 (claim T3).

    On floats and JAX values this is the plain formula, for planning and derivatives; the bound is
    ``gaussian_delta``.

    >>> round(hockey_stick(0.0, 1.0), 6)
    0.382925
    """
    return normal_cdf(mu / 2 - epsilon / mu) - exp(epsilon) * normal_cdf(-mu / 2 - epsilon / mu)


def gaussian_delta(epsilon: float, sensitivity: float, noise_std: float) -> float:
    """Return the smallest float64 not below δ = H_μ(ε), μ = sensitivity / noise_std (claim T3).

    ``sensitivity`` and ``noise_std`` have the unit of the released vector. Distance 0 gives δ = 0; no noise
    on a positive distance, or an infinite distance, gives δ = 1. Raises ``ValueError`` for a negative or NaN
    argument and for infinite sensitivity under infinite noise.

    >>> gaussian_delta(epsilon=1.0, sensitivity=1.0, noise_std=1.0)
    0.12693673750664397
    >>> gaussian_delta(epsilon=1.0, sensitivity=0.0, noise_std=1.0)
    0.0
    """
    epsilon = nonnegative("epsilon", epsilon)
    sensitivity = nonnegative("sensitivity", sensitivity)
    noise_std = nonnegative("noise_std", noise_std)
    if sensitivity == math.inf and noise_std == math.inf:
        raise ValueError("sensitivity must be finite under infinite noise_std; bound the distance first")
    if sensitivity == 0.0:
        return 0.0
    if sensitivity == math.inf or noise_std == 0.0:
        return 1.0
    if epsilon == math.inf or noise_std == math.inf:
        return 0.0
    return round_up(lambda: _delta_ball(exact(epsilon), exact(sensitivity) / exact(noise_std)))


def gaussian_epsilon(delta: float, sensitivity: float, noise_std: float) -> float:
    """Return the smallest float64 ε ≥ 0 with H_μ(ε) ≤ ``delta``; ``inf`` where none suffices (claim T3).

    Arguments as in ``gaussian_delta``. Raises ``ValueError`` for a negative or NaN argument and ``delta`` >
    1.

    >>> gaussian_epsilon(delta=1e-5, sensitivity=1.0, noise_std=4.0)
    0.9263415039982295
    >>> gaussian_epsilon(delta=0.0, sensitivity=1.0, noise_std=4.0)
    inf
    """
    delta = probability("delta", delta)
    return smallest_float(lambda epsilon: gaussian_delta(epsilon, sensitivity, noise_std) <= delta)


def gaussian_noise_std(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return the smallest float64 σ ≥ 0 with H_μ(ε) ≤ ``delta``; ``inf`` where none suffices (claim T3).

    Arguments as in ``gaussian_delta``. Raises ``ValueError`` for a negative or NaN argument and ``delta`` >
    1.

    >>> gaussian_noise_std(epsilon=1.0, delta=1e-5, sensitivity=1.0)
    3.730631634815942
    >>> gaussian_noise_std(epsilon=1.0, delta=0.0, sensitivity=1.0)
    inf
    """
    delta = probability("delta", delta)
    return smallest_float(lambda noise_std: gaussian_delta(epsilon, sensitivity, noise_std) <= delta)


def gaussian_sensitivity(epsilon: float, delta: float, noise_std: float) -> float:
    """Return the largest finite float64 distance s with H_μ(ε) ≤ ``delta`` (claim T3).

    Arguments as in ``gaussian_delta``. Raises ``ValueError`` for a negative or NaN argument and ``delta`` >
    1.

    >>> gaussian_sensitivity(epsilon=1.0, delta=1e-5, noise_std=4.0)
    1.0722044928451768
    """
    delta = probability("delta", delta)
    too_far = smallest_float(lambda sensitivity: gaussian_delta(epsilon, sensitivity, noise_std) > delta)
    return math.nextafter(too_far, 0.0)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the largest finite float64 μ with H_μ(ε) ≤ ``delta`` (claim T3).

    Raises ``ValueError`` for a negative or NaN argument and ``delta`` > 1.

    >>> gaussian_mu(epsilon=1.0, delta=1e-5)
    0.2680511232112942
    """
    return gaussian_sensitivity(epsilon, delta, noise_std=1.0)


def nonnegative(name: str, value: object) -> float:
    """Return ``value`` as a float; raise an error naming the argument unless it is a float64 number ≥ 0.

    ``True`` and ``False`` are no numbers here: as ε, δ or σ they are options that came into the wrong place.

    >>> nonnegative("epsilon", -1.0)
    Traceback (most recent call last):
        ...
    ValueError: epsilon must not be negative or NaN, got -1.0; pass a value of at least 0
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}; pass a float")
    try:
        converted = float(value)
    except OverflowError:
        raise ValueError(f"{name} exceeds every float64 number; pass a smaller one or infinity") from None
    if not converted >= 0.0:
        raise ValueError(f"{name} must not be negative or NaN, got {converted!r}; pass a value of at least 0")
    if converted != value:
        raise ValueError(f"{name} must be a float64 number, got {value!r}; round it to the safe side first")
    return converted


def probability(name: str, value: float) -> float:
    converted = nonnegative(name, value)
    if converted > 1.0:
        raise ValueError(f"{name} must not exceed 1, got {converted!r}; it is a probability, such as 1e-5")
    return converted


def _delta_ball(epsilon: arb, mu: arb) -> arb:
    """Enclose H_μ(ε), or return a float64 that is H_μ(ε) rounded up."""
    near = mu / 2 - epsilon / mu
    if near < -40:  # 0 < δ ≤ Φ(−40) < 10⁻³⁴⁰: below the smallest positive float64
        return arb(math.ulp(0.0))
    if near > 40:  # 1 > δ ≥ Φ(40) − φ(40)/40 > 1 − 10⁻³⁴⁰, because e^ε Φ(−y) ≤ φ(near)/y
        return arb(1)
    far = mu / 2 + epsilon / mu
    if far > 1000:
        # Arb's erfc is no longer tight here: e^ε Φ(−y) = φ(near) Φ(−y)/φ(y) = e^(−near²/2) U(½, ½, y²/2)/(2√π).
        mills = (far * far / 2).hypgeom_u(arb(0.5), arb(0.5))
        return normal_cdf(near) - exp(-near * near / 2) * mills / (2 * arb.pi().sqrt())
    return hockey_stick(epsilon, mu)


def smallest_float(holds: Callable[[float], bool]) -> float:
    """Bisect for the smallest finite float64 ≥ 0 where the monotone ``holds`` is true, else ``inf``."""
    low, high = 0, _ordinal(math.inf)
    while low < high:
        middle = (low + high) // 2
        if holds(_from_ordinal(middle)):
            high = middle
        else:
            low = middle + 1
    return _from_ordinal(low)


def _ordinal(value: float) -> int:
    """Number the non-negative floats in order: their bit patterns, read as integers, already are."""
    return int.from_bytes(struct.pack(">d", value), "big")


def _from_ordinal(ordinal: int) -> float:
    (value,) = struct.unpack(">d", ordinal.to_bytes(8, "big"))
    return float(value)
