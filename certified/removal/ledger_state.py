"""What the ledger carries between requests beyond a removal state: an anchor, inverses to solve with, what it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import Anchor, anchor_at, factorised
from certified.bounds.curvature import Linearisation, linearise
from certified.bounds.distance import DistanceBound
from certified.bounds.row_sums import certified_gradient
from certified.objective import Objective
from certified.removal.inverses import inverses_of, largest_eigenvalue
from certified.removal.planner import Spent
from certified.removal.state import RemovalState, UpdateInfo

Array = npt.NDArray[np.float64]

WORTHWHILE = 1.5
"""A factorisation is made for a curvature that is this many times the known one."""


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
    bare = Linearisation(weights, (), objective.penalty)
    linearisation = bare if objective.is_degenerate else linearise(objective, weights)
    return open_at(RemovalState(objective, weights, gradient, linearisation, bound))


def settled(state: LedgerState) -> LedgerState:
    """The same state holding no changed row: what waited is added to the Hessians, in O(kp²) (claim T6a)."""
    if state.anchor is None or not len(state.anchor.linearisation.waiting.features):
        return state
    linearisation = state.anchor.linearisation.settled()
    return replace(state, linearisation=linearisation, anchor=replace(state.anchor, linearisation=linearisation))


def open_at(state: RemovalState) -> LedgerState:
    """Anchor a ledger at a removal state by one pass, without solving; the weights and their bound stay (claim T6).

    For a state of `certified.removal.newton`, or one restored from a file.
    """
    return opened(state, UpdateInfo(0, 0, relinearised=False), Spent())[0]


def opened(state: RemovalState, info: UpdateInfo, spent: Spent) -> tuple[LedgerState, UpdateInfo]:
    """Anchor a ledger at a removal state, by one pass; a constant model (T0) and losses beyond T6 have none."""
    objective, linearisation = state.objective, state.linearisation
    without = objective.loss.couples_outputs or not math.isfinite(objective.loss.self_concordance)
    if objective.is_degenerate or without:
        parts = objective, state.weights, state.gradient, linearisation, state.bound
        return LedgerState(*parts, None, (), spent, preconditioner=state.preconditioner), info
    gradient = certified_gradient(objective, state.weights)
    inverses = inverses_of(linearisation)
    anchor = sharpened(anchor_at(objective, state.weights, gradient, linearisation), inverses)
    info = replace(info, passes=info.passes + 1)
    spent = spent.linearised(info.passes) if info.relinearised else spent.passed(info.passes)
    ledger = LedgerState(
        objective, state.weights, gradient.value, anchor.linearisation, state.bound, anchor, inverses, spent
    )
    return ledger, info


def sharpened(anchor: Anchor, inverses: tuple[Array, ...]) -> Anchor:
    """Certify the curvature by a factorisation where the inverses promise clearly more than the penalty proves."""
    promised = min((1.0 / max(largest_eigenvalue(p), 1e-300) for p in inverses), default=0.0)
    return factorised(anchor) if promised > WORTHWHILE * anchor.curvature else anchor
