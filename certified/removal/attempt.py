"""One request, carried out: the routes that the planner names, one after the other, until the target is certified."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import Anchor, anchor_at, moved_to, with_measured_drift
from certified.bounds.curvature import linearise
from certified.bounds.distance import DistanceBound
from certified.bounds.ledger import Defect, anchored_distance
from certified.bounds.row_sums import certified_gradient
from certified.objective import Objective
from certified.removal import newton
from certified.removal.correction import solve
from certified.removal.costs import Costs
from certified.removal.inverses import inverses_of
from certified.removal.ledger_state import LedgerState, opened, sharpened
from certified.removal.planner import ROUTES, Decision, Spent, Standing, next_route
from certified.removal.state import RemovalState, UpdateInfo

Array = npt.NDArray[np.float64]

SOLVE_SHARES = (0.1, 0.01)
"""The share of the target that the linear residual may take, and where that share decides."""
DRIFT_REACHES = 4.0
"""A pass for the drift alone pays where the bound is within this factor of the target."""


class Attempt:
    """The state of one request. Nothing of the state that it started from changes."""

    def __init__(
        self, objective: Objective, target: float, costs: Costs, anchor: Anchor, residual: Array, state: LedgerState,
        spent: Spent,
    ) -> None:  # fmt: skip
        self.objective, self.target, self.costs, self.spent = objective, target, costs, spent
        self.anchor, self.inverses = anchor, state.inverses
        self.weights, self.residual, self.stride = state.weights, residual, state.stride
        self.passes = self.steps = self.passes_here = 0
        self.linearised = self.sharpened = False

    def run(self, first: Decision) -> tuple[LedgerState, UpdateInfo]:
        """Take the routes that the planner names, beginning with ``first``."""
        decision = costliest = first
        previous = np.inf
        while decision.route not in ("polish", "solve"):
            bound = {"step": self.solve, "pass": self.take_pass, "linearise": self.linearise}[decision.route]()
            if bound.value <= self.target:
                return self._state(bound), self._info(costliest)
            floor = bound.rounding_error / self.anchor.curvature if self.anchor.curvature > 0.0 else np.inf
            standing = Standing(bound.value, self.target, floor, previous, self.passes_here, self.linearised)
            previous = bound.value
            decision = next_route(standing, self.spent, self.costs)
            costliest = max(costliest, decision, key=lambda taken: ROUTES.index(taken.route))
        state, more = self._newton(decision)
        return opened(state, self._info(decision, more), self.spent)

    def solve(self) -> DistanceBound:
        """Solve for the weights and bound their distance; renew the inverses where they solve too slowly."""
        for share in SOLVE_SHARES:
            goal = share * self.target * self.anchor.curvature
            found = solve(self.anchor, self.inverses, self.weights, self.residual, goal, self.stride)
            if not found.reached:
                self.inverses = inverses_of(self.anchor.linearisation)
                found = solve(self.anchor, self.inverses, self.weights, self.residual, goal)
            self.steps += 1
            measured, self.stride = found.measured, found.stride
            self.weights, self.residual = measured.weights, measured.residual
            bound = self._bound(measured)
            # Elsewhere the residual is too small a part of the bound to decide.
            if not self.target < bound.value <= 1.5 * self.target:
                break
        return bound

    def take_pass(self) -> DistanceBound:
        """Move the anchor to the weights and solve there; measure its drift and its curvature where they decide."""
        gradient = certified_gradient(self.objective, self.weights)
        self.anchor, self.residual = moved_to(self.anchor, self.objective, self.weights, gradient), gradient.value
        lasting = self.spent.requests_since_pass > 1
        self.passes_here += 1
        self._count(1)
        bound = self.solve()
        # The drift is paid for by every step to come, or it may be what this one lacks.
        near = self.target < bound.value <= DRIFT_REACHES * self.target
        if self.anchor.drift > 0.0 and (near or (lasting and bound.value <= self.target)):
            self.anchor = with_measured_drift(self.anchor, self.objective)
            self._count(1)
            bound = self.solve()
        if not bound.value <= self.target and not self.sharpened:
            self.anchor, self.sharpened = sharpened(self.anchor, self.inverses), True
            bound = self.solve()
        return bound

    def linearise(self) -> DistanceBound:
        """Form the Hessian anew at the weights, anchor there and solve."""
        linearisation = linearise(self.objective, self.weights)
        gradient = certified_gradient(self.objective, self.weights)
        self.inverses, self.residual, self.stride = inverses_of(linearisation), gradient.value, 1.0
        self.anchor = sharpened(anchor_at(self.objective, self.weights, gradient, linearisation), self.inverses)
        self.passes += 2
        self.spent = self.spent.linearised(2)
        self.passes_here, self.linearised, self.sharpened = 0, True, True
        return self.solve()

    def _bound(self, measured: Defect) -> DistanceBound:
        bound = anchored_distance(self.anchor, measured)
        if bound.value <= self.target or not self.objective.fit_intercept:
            return bound
        lever = np.stack([inverse[:, -1] for inverse in self.inverses], axis=1)
        return anchored_distance(self.anchor, measured, lever)

    def _newton(self, decision: Decision) -> tuple[RemovalState, UpdateInfo]:
        if decision.route == "solve":
            return newton.initialise(self.objective, self.target, self.weights)
        return newton.polish(self.objective, self.weights, self.anchor.linearisation, self.target)

    def _count(self, passes: int) -> None:
        self.passes += passes
        self.spent = self.spent.passed(passes)

    def _info(self, decision: Decision, more: UpdateInfo | None = None) -> UpdateInfo:
        info = more or UpdateInfo(0, 0, relinearised=False, route=decision.route)
        return replace(
            info,
            passes=self.passes + info.passes,
            steps=self.steps + info.steps,
            relinearised=self.linearised or info.relinearised,
            reason=decision.reason,
        )

    def _state(self, bound: DistanceBound) -> LedgerState:
        return LedgerState(
            self.objective, self.weights, self.residual, self.anchor.linearisation,
            replace(bound, passes=self.passes), self.anchor, self.inverses, self.spent, self.stride,
        )  # fmt: skip
