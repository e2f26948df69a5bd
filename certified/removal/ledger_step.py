"""Removal without touching the remaining rows: a step of the ledger, and a data pass only when its bound demands one.

The state keeps ∇F(W₁) and the Hessian at W₀ of exactly the rows in force (claim T6). A request changes both by the
changed rows alone, the weights follow by solving A·e = −∇F(W₁), and the distance to exact retraining is bounded from
these quantities: two products with a (p, p) matrix. Where the bound exceeds the target, `certified.removal.planner`
says what comes next: a pass that moves W₁ to the weights, a new Hessian, or `certified.removal.newton`.

Unlike there, the bound relies on the rows named as removed and added being those that changed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import changed_terms, exchange
from certified.data.rows import Rows
from certified.numerics.threads import blas_threads_for
from certified.objective import Objective
from certified.removal import newton
from certified.removal.attempt import Attempt
from certified.removal.correction import residual_after
from certified.removal.costs import REFERENCE, Speeds, modelled_costs
from certified.removal.ledger_state import LedgerState, opened
from certified.removal.planner import Spent, first_route
from certified.removal.state import RemovalState, UpdateInfo

Array = npt.NDArray[np.float64]


def initialise(objective: Objective, target: float, start: Array | None = None) -> tuple[LedgerState, UpdateInfo]:
    """Train to the floor of float64, certify, and anchor the ledger there; as `newton.initialise`.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``.
    """
    state, info = newton.initialise(objective, target, start)
    return opened(state, replace(info, reason="trained from the rows"), Spent())


def update(
    state: RemovalState,
    objective: Objective,
    target: float,
    removed: Rows | None = None,
    added: Rows | None = None,
    speeds: Speeds = REFERENCE,
) -> tuple[LedgerState, UpdateInfo]:
    """Move the weights to within a certified ``target`` of the minimiser on ``objective``'s rows (claim T6).

    No pass if the ledger's own bound allows it, then passes, then a new linearisation. The cheapest that suffices.

    Args:
        state: state before the change; of this module, or of `certified.removal.newton` to open a ledger.
        objective: the objective on the rows in force after it. The rows that differ are exactly those named here.
        target: the distance that (ε, δ) and the noise demand.
        removed: the rows taken out, as they were.
        added: the rows put in.
        speeds: rates of the machine, which decide between routes; fixed ones make the routes the same everywhere.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``; ``state`` is untouched.
    """
    changed = [(rows, sign) for rows, sign in ((removed, -1.0), (added, 1.0)) if rows is not None]
    count = _count(removed, added)
    if not isinstance(state, LedgerState) or state.anchor is None or not _same_problem(state, objective):
        return _through_newton(state, objective, target, removed, added, "this objective has no ledger")
    anchor, residual = state.anchor, state.gradient
    with blas_threads_for(len(state.weights)):
        streamed = not objective.rows.in_memory
        costs = modelled_costs(speeds, objective.rows.slots, *objective.shape, len(state.inverses), streamed=streamed)
        first = first_route(count, costs)
        if first.route == "step":
            terms = changed_terms(anchor, objective, changed)
            if not all(math.isfinite(part.gradient.error) for part, _ in terms):
                return _through_newton(state, objective, target, removed, added, "a row is beyond what T6 can bound")
            anchor = exchange(anchor, state.objective.alpha, objective, terms)
            residual = residual_after(anchor, state.weights, residual, terms, objective.alpha - state.objective.alpha)
        return Attempt(objective, target, costs, anchor, residual, state, state.spent.requested(count)).run(first)


def _through_newton(
    state: RemovalState, objective: Objective, target: float, removed: Rows | None, added: Rows | None, reason: str
) -> tuple[LedgerState, UpdateInfo]:
    """Carry a request out by passes, and anchor the ledger anew where it goes."""
    spent = state.spent if isinstance(state, LedgerState) else Spent()
    found, info = newton.update(state, objective, target, removed, added)
    return opened(found, replace(info, reason=reason), spent.requested(_count(removed, added)))


def _count(*changed: Rows | None) -> int:
    return sum(int(np.count_nonzero(np.asarray(rows.weights) > 0.0)) for rows in changed if rows is not None)


def _same_problem(state: LedgerState, objective: Objective) -> bool:
    """Whether the objective differs from the state's by changed rows and strength alone, which the ledger covers."""
    before, first, second = state.objective, state.objective.linear, objective.linear
    linear = first is second or (first is not None and second is not None and np.array_equal(first, second))
    settings = (before.loss, before.fit_intercept) == (objective.loss, objective.fit_intercept)
    # Whoever replaces the linearisation has left the anchor behind.
    anchored = state.anchor is not None and state.anchor.linearisation is state.linearisation
    return linear and settings and before.shape == objective.shape and anchored and not objective.is_degenerate
