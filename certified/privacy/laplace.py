"""Laplace-type noise in d dimensions, density ∝ e^(−‖b‖₂/s): pure ε-DP and its exact curve (claim T17e).

Added to two vectors at Euclidean distance at most Δ it makes them ε₀-indistinguishable with δ = 0 for ε₀ = Δ/s in every
dimension, as ‖b + v‖ − ‖b‖ ≤ ‖v‖. In one dimension this is the Laplace mechanism. It is the noise of the pure variant
of certified removal by objective perturbation. Releases compose by ``compose_basic`` and ``compose_optimal_epsilon``.

Sources: Dwork, McSherry, Nissim & Smith 2006; Chaudhuri, Monteleoni & Sarwate 2011 (arXiv 0912.0071) for d dimensions;
Guo et al. 2020 (arXiv 1911.03030) for removal; Dong, Roth & Su 2022 (arXiv 1905.02383) for the trade-off function.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, expm1
from certified.privacy.gaussian import nonnegative, probability
from certified.privacy.renyi import finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEEP = 2000.0
"""e^−2000 is below every positive float64, and 1 − e^−2000 rounds up to 1."""


def laplace_hockey_stick(epsilon: Scalar, ratio: Scalar) -> Scalar:
    """Return 1 − e^((ε − Δ/s)/2), the exact δ in one dimension at ε ≤ Δ/s = ``ratio`` (claim T17e).

    >>> round(laplace_hockey_stick(0.5, 1.0), 6)
    0.221199
    """
    return -expm1((epsilon - ratio) / 2)


def laplace_epsilon(sensitivity: float, scale: float) -> float:
    """Return the smallest float64 not below ε₀ = Δ/s: pure ε₀-DP in every dimension (claim T17e).

    ``sensitivity`` Δ and ``scale`` s have the unit of the released vector. Raises ``ValueError`` for a negative or NaN
    argument and for infinite sensitivity under an infinite scale.

    >>> laplace_epsilon(sensitivity=1.0, scale=4.0)
    0.25
    """
    sensitivity, scale = _distances(sensitivity, scale)
    if sensitivity == 0.0 or scale == math.inf:
        return 0.0
    if sensitivity == math.inf or scale == 0.0:
        return math.inf
    return round_up(lambda: exact(sensitivity) / exact(scale))


def laplace_scale(epsilon: float, sensitivity: float) -> float:
    """Return the smallest float64 s ≥ Δ/ε, pure ε-DP in every dimension; ``inf`` where none suffices (claim T17e).

    Arguments as in ``laplace_epsilon``.

    >>> laplace_scale(epsilon=0.25, sensitivity=1.0)
    4.0
    """
    epsilon = nonnegative("epsilon", epsilon)
    sensitivity = nonnegative("sensitivity", sensitivity)
    if sensitivity == 0.0 or (epsilon == math.inf and sensitivity < math.inf):
        return 0.0
    if epsilon == 0.0 or sensitivity == math.inf:
        return math.inf
    return round_up(lambda: exact(sensitivity) / exact(epsilon))


def laplace_sensitivity(epsilon: float, scale: float) -> float:
    """Return the largest finite float64 Δ ≤ εs, a distance at which noise of ``scale`` is ε-DP (claim T17e).

    Arguments as in ``laplace_epsilon``.

    >>> laplace_sensitivity(epsilon=0.25, scale=4.0)
    1.0
    """
    epsilon = nonnegative("epsilon", epsilon)
    scale = nonnegative("scale", scale)
    if epsilon == 0.0 or scale == 0.0:
        return 0.0
    if math.inf in (epsilon, scale):
        return finite(math.inf)
    return finite(round_down(lambda: exact(epsilon) * exact(scale)))


def laplace_delta(epsilon: float, sensitivity: float, scale: float) -> float:
    """Return the smallest float64 not below the exact δ(ε) = (1 − e^((ε − Δ/s)/2))₊ in **one** dimension (claim T17e).

    Arguments as in ``laplace_epsilon``.

    >>> laplace_delta(epsilon=0.5, sensitivity=1.0, scale=1.0)
    0.22119921692859515
    """
    epsilon = nonnegative("epsilon", epsilon)
    sensitivity, scale = _distances(sensitivity, scale)
    if sensitivity == 0.0 or scale == math.inf or epsilon == math.inf:
        return 0.0
    if sensitivity == math.inf or scale == 0.0:
        return 1.0

    def bound() -> arb:
        ratio = exact(sensitivity) / exact(scale)
        if ratio - exact(epsilon) > _STEEP:
            return arb(1)
        return laplace_hockey_stick(exact(epsilon), ratio)

    return max(0.0, round_up(bound))


def laplace_trade_off(type_one: float, sensitivity: float, scale: float) -> float:
    """Return a float64 not above the trade-off function of the Laplace mechanism in **one** dimension (claim T17e).

    With ε₀ = Δ/s: 1 − e^ε₀ α up to α = e^−ε₀/2, then e^−ε₀/(4α) up to α = ½, then e^−ε₀ (1 − α). Arguments as in
    ``laplace_epsilon``; ``type_one`` α is a probability. The safe side is below, as in ``tradeoff``.

    >>> laplace_trade_off(0.25, sensitivity=1.0, scale=1.0)
    0.3678794411714423
    """
    type_one = probability("type_one", type_one)
    ratio = laplace_epsilon(sensitivity, scale)
    if ratio > _STEEP:
        return 1.0 if type_one == 0.0 else 0.0

    def bound() -> arb:
        alpha, decay = exact(type_one), exp(-exact(ratio))
        if type_one >= 0.5:
            return decay * (1 - alpha)
        # The tangent of the convex middle piece where both agree: below the maximum of the two, and equal to it.
        return decay / (4 * alpha) if 2 * alpha > decay else 1 - alpha / decay

    return max(0.0, round_down(bound))


def idealized_laplace(center: NDArray[np.float64], scale: float, seed: int) -> NDArray[np.float64]:
    """Return center + b, b of density ∝ e^(−‖b‖₂/scale) over all coordinates together, for experiments only.

    Claim T17e does **not** hold: radius, a Gamma(d, scale) number, and direction are float64 approximations by NumPy's
    Philox generator, and whoever knows the seed can subtract them. Raises ``TypeError`` or ``ValueError`` for a center
    that is not a finite float64 array, a scale that is not positive and finite and a bad seed.

    >>> import numpy as np
    >>> idealized_laplace(np.zeros((2, 3)), scale=0.5, seed=7).shape
    (2, 3)
    """
    import numpy as np

    if not isinstance(center, np.ndarray) or center.dtype != np.float64:
        raise TypeError("center must be a NumPy array of dtype float64; convert it with astype(np.float64)")
    if not np.all(np.isfinite(center)):
        raise ValueError("center must be finite; it holds NaN or infinity")
    if not 0.0 < nonnegative("scale", scale) < math.inf:
        raise ValueError(f"scale must be positive and finite, got {scale!r}; see laplace_scale")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError("seed must be an integer of at least 0; pass one, such as 0")
    if center.size == 0:
        return center.copy()
    generator = np.random.Generator(np.random.Philox(seed))
    direction = generator.standard_normal(center.shape)
    radius = generator.gamma(center.size, scale)
    return np.asarray(center + radius / np.linalg.norm(direction.ravel()) * direction)


def _distances(sensitivity: float, scale: float) -> tuple[float, float]:
    sensitivity = nonnegative("sensitivity", sensitivity)
    scale = nonnegative("scale", scale)
    if sensitivity == math.inf and scale == math.inf:
        raise ValueError("sensitivity must be finite under an infinite scale; bound the distance first")
    return sensitivity, scale
