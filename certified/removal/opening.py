"""Anchoring a ledger: gradient by a pass, curvature by whatever proves most, an inverse to solve with."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import Anchor, anchor_at, factorised
from certified.bounds.row_sums import certified_gradient
from certified.removal.ledger_state import LedgerState, inverses_of, largest_eigenvalue
from certified.removal.planner import Spent
from certified.removal.state import RemovalState, UpdateInfo

WORTHWHILE = 1.5
"""A factorisation is made for a curvature that is this many times the known one."""


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


def sharpened(anchor: Anchor, inverses: tuple[npt.NDArray[np.float64], ...]) -> Anchor:
    """Certify the curvature by a factorisation where the inverses promise clearly more than the penalty proves."""
    promised = min((1.0 / max(largest_eigenvalue(p), 1e-300) for p in inverses), default=0.0)
    return factorised(anchor) if promised > WORTHWHILE * anchor.curvature else anchor
