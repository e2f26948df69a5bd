"""How far gradient descent on a strongly convex objective is from its minimiser (claim T7n).

One step of length η on an m-strongly convex, L-smooth objective brings any two points closer by the factor
c = max(|1 − ηm|, |1 − ηL|). The results are rounded up and speak of descent in real arithmetic.
"""

from __future__ import annotations

import math

from flint import arb

from certified.numerics.balls import exact, round_up
from certified.privacy.gaussian import nonnegative


def best_step(strong_convexity: float, smoothness: float) -> float:
    """Return η = 2/(m + L), whose contraction (L − m)/(L + m) no other step length beats (claim T7n).

    >>> best_step(strong_convexity=1.0, smoothness=3.0)
    0.5
    """
    m, smooth = _curvatures(strong_convexity, smoothness)
    return 2.0 / (m + smooth)


def contraction_factor(step: float, strong_convexity: float, smoothness: float) -> float:
    """Return c = max(|1 − ηm|, |1 − ηL|), rounded up: the Lipschitz constant of W ↦ W − η∇F(W) (claim T7n).

    Below 1 exactly where 0 < η < 2/L. Raises ``ValueError`` for a negative or infinite argument and m > L.

    >>> contraction_factor(step=0.5, strong_convexity=1.0, smoothness=3.0)
    0.5
    """
    step = finite("step", step)
    m, smooth = _curvatures(strong_convexity, smoothness)
    return round_up(lambda: abs(1 - exact(step) * exact(m)).max(abs(1 - exact(step) * exact(smooth))))


def distance_after_steps(distance: float, shift: float, contraction: float, steps: int) -> float:
    """Return c^I·(d + s) ≥ ‖W_I − W*‖ after I steps on the new objective, rounded up (claim T7n).

    Args:
        distance: d, the distance to the minimiser of the old objective before the steps.
        shift: s, the distance of the two minimisers.
        contraction: c, on the new objective.
        steps: I.

    >>> distance_after_steps(distance=1.0, shift=3.0, contraction=0.5, steps=3)
    0.5
    """
    values = [finite(*pair) for pair in (("distance", distance), ("shift", shift), ("contraction", contraction))]
    count = whole("steps", steps, 0)
    d, s, c = (exact(value) for value in values)
    return round_up(lambda: c**count * (d + s))


def gaussian_norm_bound(noise_std: float, dimension: int, failure: float) -> float:
    """Return σ(√q + √(2 log(1/δ₁))), which σ‖N‖ in q dimensions exceeds with probability at most δ₁ (claim T7n).

    >>> round(gaussian_norm_bound(noise_std=1.0, dimension=4, failure=0.01), 3)
    5.035
    """
    std, tail = finite("noise_std", noise_std), finite("failure", failure)
    count = whole("dimension", dimension, 0)
    if not 0.0 < tail < 1.0:
        raise ValueError(f"failure must lie strictly between 0 and 1, got {tail!r}; it is a probability")
    return round_up(lambda: exact(std) * (arb(count).sqrt() + (-2 * exact(tail).log()).sqrt()))


def finite(name: str, value: object) -> float:
    """Return ``value`` as a float; raise an error naming the argument unless it is finite and at least 0.

    >>> finite("step", 0.5)
    0.5
    """
    number = nonnegative(name, value)
    if number == math.inf:
        raise ValueError(f"{name} must be finite; pass a bound that the loss and the rows admit")
    return number


def whole(name: str, value: object, least: int) -> int:
    """Return ``value``; raise an error naming the argument unless it is an integer of at least ``least``.

    >>> whole("steps", 3, 1)
    3
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}; pass such a number")
    return value


def _curvatures(strong_convexity: float, smoothness: float) -> tuple[float, float]:
    m, smooth = finite("strong_convexity", strong_convexity), finite("smoothness", smoothness)
    if not 0.0 < m <= smooth:
        raise ValueError(
            f"strong_convexity must be positive and at most smoothness, got {m!r} and {smooth!r}; "
            "penalise every coordinate and pass an upper bound as smoothness"
        )
    return m, smooth
