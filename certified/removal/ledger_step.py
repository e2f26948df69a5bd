"""Removal without touching the remaining rows: a step of the ledger, and a data pass only when its bound demands one.

The state keeps ∇F(W₁) and the Hessian at W₀ of exactly the rows in force (claim T6). A request changes both by the
changed rows alone, the weights follow by solving A·e = −∇F(W₁), and the distance to exact retraining is bounded from
these quantities: O(k·p²) for k rows. Where the bound exceeds the target, a pass moves W₁ to the weights; where passes
wear out, the Hessian is formed anew; the last resort is `certified.removal.newton`.

Unlike there, the bound relies on the rows named as removed and added being those that changed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import Anchor, anchor_at, exchange, factorised, moved_to
from certified.bounds.curvature import linearise
from certified.bounds.distance import DistanceBound
from certified.bounds.ledger import Defect, anchored_distance, defect
from certified.bounds.row_sums import certified_gradient, norm_bound
from certified.data.rows import Rows
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.numerics.threads import blas_threads_for
from certified.objective import Objective
from certified.removal import newton
from certified.removal.ledger_state import LedgerState, Spent, inverses_of, largest_eigenvalue, precondition
from certified.removal.planner import is_worn
from certified.removal.state import RemovalState, UpdateInfo

Array = npt.NDArray[np.float64]

MAX_SOLVE_STEPS = 12
"""Corrections by the fixed inverse in one solve; where they do not suffice, the inverse is renewed."""
MAX_PASSES = 4
"""Passes in one request before the Hessian is formed anew."""
SOLVE_SHARE = 0.01
"""The share of the target that the linear residual may take."""
WORTHWHILE = 1.5
"""A factorisation is made for a curvature that is this many times the known one."""


def initialise(objective: Objective, target: float, start: Array | None = None) -> tuple[LedgerState, UpdateInfo]:
    """Train to the floor of float64, certify, and anchor the ledger there; as `newton.initialise`.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``.
    """
    return _opened(*newton.initialise(objective, target, start))


def update(
    state: RemovalState,
    objective: Objective,
    target: float,
    removed: Rows | None = None,
    added: Rows | None = None,
) -> tuple[LedgerState, UpdateInfo]:
    """Move the weights to within a certified ``target`` of the minimiser on ``objective``'s rows (claim T6).

    No pass if the ledger's own bound allows it, then passes, then a new linearisation. The cheapest that suffices.

    Args:
        state: state before the change; of this module, or of `certified.removal.newton` to open a ledger.
        objective: the objective on the rows in force after it. The rows that differ are exactly those named here.
        target: the distance that (ε, δ) and the noise demand.
        removed: the rows taken out, as they were.
        added: the rows put in.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``; ``state`` is untouched.
    """
    if not isinstance(state, LedgerState) or state.anchor is None or not _same_problem(state, objective):
        return _opened(*newton.update(state, objective, target, removed, added))
    with blas_threads_for(len(state.weights)):
        changed = [(rows, sign) for rows, sign in ((removed, -1.0), (added, 1.0)) if rows is not None]
        anchor = exchange(state.anchor, state.objective.alpha, objective, changed)
        spent = replace(
            state.spent, requests=state.spent.requests + 1, requests_since_pass=state.spent.requests_since_pass + 1
        )
        return _Attempt(objective, target, anchor, state.inverses, state.weights, spent).run()


class _Attempt:
    """One request: the cheapest sequence of steps, passes and linearisations that certifies the target."""

    def __init__(
        self,
        objective: Objective,
        target: float,
        anchor: Anchor,
        inverses: tuple[Array, ...],
        weights: Array,
        spent: Spent,
    ) -> None:
        self.objective, self.target, self.spent = objective, target, spent
        self.anchor, self.inverses, self.weights = anchor, inverses, weights
        self.gradient = anchor.gradient.value
        self.passes = self.steps = 0
        self.relinearised = False

    def run(self) -> tuple[LedgerState, UpdateInfo]:
        bound = self.step()
        if not bound.value <= self.target and not is_worn(self.spent, len(self.weights)):
            bound = self.take_passes(bound)
        if not bound.value <= self.target:
            self.linearise()
            bound = self.take_passes(bound)
        info = UpdateInfo(self.passes, self.steps, self.relinearised)
        if bound.value <= self.target:
            return self.state(bound), info
        state, more = _opened(*newton.initialise(self.objective, self.target, self.weights))
        return state, UpdateInfo(info.passes + more.passes, info.steps + more.steps, relinearised=True)

    def step(self) -> DistanceBound:
        """Solve for the weights and bound their distance; renew the inverses where they solve too slowly."""
        measured, solved = _solve(self.anchor, self.inverses, self.weights, self.target)
        if not solved:
            self.inverses = inverses_of(self.anchor.linearisation)
            measured, _ = _solve(self.anchor, self.inverses, self.weights, self.target)
        self.steps += 1
        self.weights, self.gradient = measured.weights, measured.residual
        lever = np.stack([inverse[:, -1] for inverse in self.inverses], axis=1)
        return anchored_distance(self.anchor, measured, lever if self.objective.fit_intercept else None)

    def take_passes(self, bound: DistanceBound) -> DistanceBound:
        """Move the anchor to the weights and step, as long as that helps and is needed."""
        for _ in range(MAX_PASSES):
            previous = bound.value
            gradient = certified_gradient(self.objective, self.weights)
            self.anchor = moved_to(self.anchor, self.objective, self.weights, gradient)
            self.count_passes(1 + (self.anchor.drift > 0.0))
            bound = self.step()
            if bound.value <= self.target:
                return bound
            if not bound.value <= 0.5 * previous:
                break
        self.anchor = _sharpened(self.anchor, self.inverses)
        return self.step()

    def linearise(self) -> None:
        linearisation = linearise(self.objective, self.weights)
        self.inverses = inverses_of(linearisation)
        anchor = anchor_at(self.objective, self.weights, self.anchor.gradient, linearisation)
        self.anchor = _sharpened(anchor, self.inverses)
        self.spent, self.relinearised = Spent(), True
        self.count_passes(1)

    def count_passes(self, number: int) -> None:
        self.passes += number
        self.spent = replace(self.spent, passes=self.spent.passes + number, requests_since_pass=0)

    def state(self, bound: DistanceBound) -> LedgerState:
        bound = replace(bound, passes=self.passes)
        return LedgerState(
            self.objective, self.weights, self.gradient, self.anchor.linearisation, bound,
            self.anchor, self.inverses, self.spent,
        )  # fmt: skip


def _sharpened(anchor: Anchor, inverses: tuple[Array, ...]) -> Anchor:
    """Certify the curvature by a factorisation where the inverses promise clearly more than the penalty proves."""
    promised = min(1.0 / max(largest_eigenvalue(p), 1e-300) for p in inverses)
    return factorised(anchor) if promised > WORTHWHILE * anchor.curvature else anchor


def _solve(anchor: Anchor, inverses: tuple[Array, ...], weights: Array, target: float) -> tuple[Defect, bool]:
    """Solve A·(W − W₁) = −∇F(W₁) from the present weights by corrections with the fixed inverse."""
    goal = SOLVE_SHARE * target * anchor.curvature
    measured, previous = defect(anchor, weights), np.inf
    for _ in range(MAX_SOLVE_STEPS):
        norm = float(np.linalg.norm(measured.residual))
        if norm <= goal or not norm < 0.9 * previous:
            break
        candidate = measured.weights - precondition(inverses, measured.residual)
        if not np.all(np.abs(candidate) <= MAGNITUDE_LIMIT):
            break
        measured, previous = defect(anchor, candidate), norm
    return measured, float(np.linalg.norm(measured.residual)) <= max(goal, _floor(anchor, measured))


def _floor(anchor: Anchor, measured: Defect) -> float:
    """Below a few roundings of its terms a residual cannot fall, whatever the inverse."""
    return 1e-14 * len(measured.displacement) * (norm_bound(anchor.gradient.value) + norm_bound(measured.product))


def _same_problem(state: LedgerState, objective: Objective) -> bool:
    """Whether the objective differs from the state's by changed rows and strength alone, which the ledger covers."""
    before, first, second = state.objective, state.objective.linear, objective.linear
    linear = first is second or (first is not None and second is not None and np.array_equal(first, second))
    settings = (before.loss, before.fit_intercept) == (objective.loss, objective.fit_intercept)
    # Whoever drops or reorders outputs replaces the linearisation, and the anchor no longer belongs to the state.
    anchored = state.anchor is not None and state.anchor.linearisation is state.linearisation
    return linear and settings and before.shape == objective.shape and anchored and not objective.is_degenerate


def _opened(state: RemovalState, info: UpdateInfo) -> tuple[LedgerState, UpdateInfo]:
    """Anchor a ledger at a state of the Newton removal, by a pass; a constant model (T0) has none."""
    objective, linearisation = state.objective, state.linearisation
    if objective.is_degenerate:
        return _without_anchor(state), info
    gradient = certified_gradient(objective, state.weights)
    inverses = inverses_of(linearisation)
    anchor = _sharpened(anchor_at(objective, state.weights, gradient, linearisation), inverses)
    passes = 1 + (anchor.drift > 0.0)
    opened = LedgerState(
        objective, state.weights, gradient.value, linearisation, state.bound, anchor, inverses, Spent()
    )
    return opened, replace(info, passes=info.passes + passes)


def _without_anchor(state: RemovalState) -> LedgerState:
    return LedgerState(
        state.objective, state.weights, state.gradient, state.linearisation, state.bound, None, (), Spent()
    )
