"""A certified lower bound on the smallest eigenvalue of a symmetric matrix (claim T2f)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from certified.numerics.rounding import UNIT_ROUNDOFF, gamma
from certified.numerics.threads import blas_threads_for

Array = npt.NDArray[np.float64]

_FRACTIONS = (0.99, 0.95, 0.9, 0.5, 0.1)
_INVERSE_ITERATIONS = 30


def min_eigenvalue_bound(matrix: Array, error: float) -> float:
    """Return m ≤ λ_min(A) for every symmetric A with ‖A − matrix‖₂ ≤ error; 0 when none is certified (claim T2f).

    A floating-point Cholesky factorisation of matrix − m̂·I that runs to completion proves
    λ_min ≥ m̂ − γ/(1 − γ)·tr(matrix) − error (Rump 2006; Demmel 1989). Only the estimate m̂ is heuristic.

    >>> import numpy as np
    >>> 0.98 < min_eigenvalue_bound(np.eye(3), 0.0) <= 1.0
    True
    """
    p = len(matrix)
    diagonal = np.diagonal(matrix)
    if not np.all(np.isfinite(matrix)) or not np.all(diagonal > 0.0) or not error < np.inf:
        return 0.0
    estimate = _estimate(matrix)
    backward = 2.0 * gamma(4 * p + 16) * float(np.sum(diagonal)) * (1.0 + gamma(p + 4))
    slack = (backward + error + 4.0 * UNIT_ROUNDOFF * float(np.max(diagonal)) + p * p * 1e-290) * (1.0 + 1e-14)
    for fraction in _FRACTIONS:
        shift = fraction * estimate
        if shift <= slack:
            return 0.0
        if _factorises(matrix - shift * np.eye(p)):
            return (shift - slack) * (1.0 - 4.0 * UNIT_ROUNDOFF)
    return 0.0


def _factorises(matrix: Array) -> bool:
    try:
        with blas_threads_for(len(matrix)):
            lower, _ = cho_factor(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return False
    return bool(np.all(np.isfinite(np.diagonal(lower))))


def _estimate(matrix: Array) -> float:
    """Estimate λ_min by inverse iteration; a wrong estimate costs tightness, never soundness."""
    try:
        with blas_threads_for(len(matrix)):
            factor = cho_factor(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return 0.0
    vector = np.random.default_rng(0).standard_normal(len(matrix))
    growth = 1.0
    for _ in range(_INVERSE_ITERATIONS):
        vector = cho_solve(factor, vector / np.linalg.norm(vector), check_finite=False)
        largest = float(np.max(np.abs(vector)))
        if not 0.0 < largest < np.inf:
            return 0.0
        # The squares of the entries themselves may overflow.
        vector = vector / largest
        growth = largest * float(np.linalg.norm(vector))
    return 1.0 / growth
