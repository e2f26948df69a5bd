"""A minimiser known to within a declared distance: what both mechanisms release with noise (claims T14, T15)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from certified.numerics.balls import exact, upper, working_precision
from certified.objective import Objective
from certified.privacy.gaussian import nonnegative, probability
from certified.removal import newton

Array = npt.NDArray[np.float64]
Sampler = Callable[[Array, float], Array]
"""``sampler(center, noise_std)`` returns center + noise; `release_gaussian` is the exact one."""

DEFAULT_DISTANCE = 2.0**-30
"""The distance demanded of a computed minimiser, in units of L/λ, unless another is declared."""


class MinimiserNotReachedError(RuntimeError):
    """No distance small enough to the exact minimiser could be certified, so nothing was released."""

    def __init__(self, distance: float) -> None:
        super().__init__(
            f"no distance at most {distance:.3g} to the exact minimiser could be certified: declare a larger distance "
            "(without looking at the rows), scale the features, or regularise more; that this happened depends on the "
            "rows, so keep it secret"
        )


def declared_distance(distance: float | None, gradient_bound: float, strength: float) -> float:
    """Return the distance s that computed minimisers must keep to: fixed in advance, whatever the rows."""
    if distance is None:
        with working_precision(128):
            return upper(exact(DEFAULT_DISTANCE) * exact(gradient_bound) / exact(strength))
    if not 0.0 < nonnegative("distance", distance) < math.inf:
        raise ValueError("distance must be positive and finite: no computed minimiser is exact")
    return float(distance)


def minimise_within(objective: Objective, distance: float) -> Array:
    """Return W, a secret, certified to within ``distance`` of the exact minimiser (claims T1, T2).

    Raises:
        MinimiserNotReachedError: no such distance could be certified.
    """
    try:
        return newton.initialise(objective, distance)[0].weights
    except newton.TargetNotReachedError:
        pass
    # Raised out here, without a context: the other error holds a bound that depends on the rows.
    raise MinimiserNotReachedError(distance)


def checked_goal(epsilon: float, delta: float, group_size: int) -> tuple[float, float, int]:
    """The (ε, δ) asked for and for how many rows, with errors that name the argument."""
    if not 0.0 < nonnegative("epsilon", epsilon) < math.inf:
        raise ValueError(f"epsilon must be positive and finite, got {epsilon!r}")
    if not 0.0 < probability("delta", delta) < 1.0:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {delta!r}; such as 1e-6")
    if isinstance(group_size, bool) or not isinstance(group_size, int | np.integer) or group_size < 1:
        raise ValueError(f"group_size must be an integer of at least 1, got {group_size!r}")
    return float(epsilon), float(delta), int(group_size)
