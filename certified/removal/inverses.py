"""Approximate inverses of the Hessians, to solve with: they steer and prove nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.linalg.blas import dsymv

from certified.bounds.curvature import Linearisation
from certified.numerics.threads import blas_threads_for

Array = npt.NDArray[np.float64]

_POWER_STEPS = 10


def inverses_of(linearisation: Linearisation) -> tuple[Array, ...]:
    """Invert the Hessians, shifted where they are singular, in O(p³)."""
    inverses = []
    for lower in linearisation.factor.lower:
        with blas_threads_for(len(lower)):
            inverse, _ = lapack.dpotri(lower, lower=1)
        # In Fortran order, as products by half want it.
        inverses.append(np.asfortranarray(np.tril(inverse) + np.tril(inverse, -1).T))
    return tuple(inverses)


def precondition(inverses: tuple[Array, ...], residual: Array) -> Array:
    """Return the approximate solution (p, K) of A·V = residual."""
    result, last = np.empty_like(residual), len(inverses) - 1
    for k in range(residual.shape[1]):
        result[:, k] = dsymv(1.0, inverses[min(k, last)], residual[:, k], lower=1)
    return result


def largest_eigenvalue(matrix: Array) -> float:
    """Estimate λ_max of a symmetric positive matrix by power iteration; no bound."""
    vector = np.random.default_rng(0).standard_normal(len(matrix))
    size = 0.0
    for _ in range(_POWER_STEPS):
        vector = matrix @ (vector / np.linalg.norm(vector))
        size = float(np.linalg.norm(vector))
        if not 0.0 < size < np.inf:
            return np.inf
    return size
