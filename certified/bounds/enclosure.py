"""A computed array with a bound on its error, and scalars rounded upwards (claim T12)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.numerics.rounding import UNIT_ROUNDOFF, gamma

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Enclosure:
    """A computed array and a bound on its Frobenius distance to the exact one.

    Attributes:
        value: the computed array.
        error: upper bound on ‖value − exact‖_F (‖·‖₂ for a symmetric matrix).
        claim: what the error rests on.
    """

    value: Array
    error: float
    claim: str = "T12"

    @property
    def norm(self) -> float:
        """Upper bound on the norm of the exact array."""
        return inflated(norm_bound(self.value) + self.error)


def norm_bound(array: Array) -> float:
    """Return an upper bound on the Frobenius norm of a computed array."""
    return inflated(math.sqrt(float(np.vdot(array, array))) * (1.0 + 2.0 * gamma(array.size + 2)) + 1e-150 * array.size)


def inflated(value: float) -> float:
    """A bound after one more rounding to nearest."""
    return value * (1.0 + 4.0 * UNIT_ROUNDOFF) if math.isfinite(value) else value


def nan_to_inf(value: float) -> float:
    """An overflow on the way to a bound leaves no bound."""
    return math.inf if math.isnan(value) else value
