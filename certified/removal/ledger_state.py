"""What the ledger carries between requests beyond a removal state: its anchor, a preconditioner, and what was spent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from certified.bounds.anchor import Anchor
from certified.bounds.curvature import Linearisation
from certified.numerics.threads import blas_threads_for
from certified.removal.state import RemovalState

Array = npt.NDArray[np.float64]

_POWER_STEPS = 10


@dataclass(frozen=True)
class Spent:
    """Counts since the last linearisation, from which `certified.removal.planner` decides. Not a secret."""

    requests: int = 0
    passes: int = 0
    requests_since_pass: int = 0


@dataclass(frozen=True, repr=False)
class LedgerState(RemovalState):
    """A removal state that can change without a data pass (claim T6). No changed row is kept; all of it is a secret.

    Attributes:
        anchor: gradient at W₁ and Hessian at W₀ of the rows in force; ``None`` where the model is a constant (T0).
        inverses: approximate inverses of the Hessians. They steer and prove nothing, so they are not kept up to date.
        spent: what led here since the last linearisation.
    """

    anchor: Anchor | None
    inverses: tuple[Array, ...]
    spent: Spent


def inverses_of(linearisation: Linearisation) -> tuple[Array, ...]:
    """Invert the Hessians, shifted where they are singular, in O(p³)."""
    inverses = []
    for lower in linearisation.factor.lower:
        with blas_threads_for(len(lower)):
            inverse, _ = lapack.dpotri(lower, lower=1)
        inverses.append(np.tril(inverse) + np.tril(inverse, -1).T)
    return tuple(inverses)


def precondition(inverses: tuple[Array, ...], residual: Array) -> Array:
    """Return the approximate solution (p, K) of A·V = residual."""
    if len(inverses) == 1:
        return np.asarray(inverses[0] @ residual)
    return np.stack([inverse @ r for inverse, r in zip(inverses, residual.T, strict=True)], axis=1)


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
