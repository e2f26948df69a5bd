"""Cholesky factors of the Hessian, one per output, used to precondition and to take Newton steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from certified.numerics.threads import blas_threads_for

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Factor:
    """Factors of H_k + τ_k I with the smallest τ_k ≥ 0 for which the factorisation succeeds."""

    lower: tuple[Array, ...]

    def solve(self, gradient: Array) -> Array:
        """Return the (p, K) array whose column k is H_k⁻¹ g_k."""
        if len(self.lower) == 1:
            return np.asarray(cho_solve((self.lower[0], True), gradient, check_finite=False))
        columns = [cho_solve((c, True), g, check_finite=False) for c, g in zip(self.lower, gradient.T, strict=True)]
        return np.stack(columns, axis=1) if columns else np.zeros_like(gradient)


def factorise(data_hessians: Iterable[Array], penalty: Array) -> Factor:
    """Factorise each (p, p) data Hessian + diag(penalty); a singular matrix is shifted just enough."""
    return Factor(tuple(_shifted_cholesky(h + np.diagflat(penalty)) for h in data_hessians))


def _shifted_cholesky(hessian: Array) -> Array:
    scale = float(np.max(np.diagonal(hessian), initial=0.0)) or 1.0
    shift = 0.0
    while True:
        try:
            with blas_threads_for(len(hessian)):
                lower, _ = cho_factor(hessian + shift * np.eye(len(hessian)), lower=True, check_finite=False)
            return np.asarray(lower)
        except np.linalg.LinAlgError:
            shift = 10.0 * shift if shift else 1e-15 * scale * len(hessian)
