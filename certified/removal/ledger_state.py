"""What the ledger carries between requests beyond a removal state: its anchor, a preconditioner, and what was spent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.linalg.blas import dsymv

from certified.bounds.anchor import Anchor
from certified.bounds.curvature import Linearisation, linearise
from certified.bounds.distance import DistanceBound
from certified.numerics.threads import blas_threads_for
from certified.objective import Objective
from certified.removal.planner import Spent
from certified.removal.state import RemovalState

Array = npt.NDArray[np.float64]

_POWER_STEPS = 10


@dataclass(frozen=True, repr=False)
class LedgerState(RemovalState):
    """A removal state that can change without a data pass (claim T6). A secret.

    Terms of the last few changed rows wait in the linearisation until they are added up many at a time, so it holds
    those rows: `settled` adds them up at once. The anchor still depends on rows that left since it was taken: with the
    rows in force, ∇F(W₁) tells what left. So nothing of the ledger is pickled; a copy is anchored anew where it is.

    Attributes:
        anchor: gradient at W₁ and Hessian at W₀ of the rows in force; ``None`` where the model is a constant (T0).
        inverses: approximate inverses of the Hessians. They steer and prove nothing, so they are not kept up to date.
        spent: what led here.
        stride: a factor on the inverses that was best of late.
    """

    anchor: Anchor | None
    inverses: tuple[Array, ...]
    spent: Spent
    stride: float = 1.0

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.objective, self.weights, self.gradient, self.bound)


def _reopened(objective: Objective, weights: Array, gradient: Array, bound: DistanceBound) -> LedgerState:
    """The state at these weights with a Hessian and an anchor of the rows in force alone."""
    from certified.removal.ledger_step import open_at

    bare = Linearisation(weights, (), objective.penalty)
    linearisation = bare if objective.is_degenerate else linearise(objective, weights)
    return open_at(RemovalState(objective, weights, gradient, linearisation, bound))


def settled(state: LedgerState) -> LedgerState:
    """The same state holding no changed row: what waited is added to the Hessians, in O(kp²) (claim T6a)."""
    if state.anchor is None or not len(state.anchor.linearisation.waiting.features):
        return state
    linearisation = state.anchor.linearisation.settled()
    return replace(state, linearisation=linearisation, anchor=replace(state.anchor, linearisation=linearisation))


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
