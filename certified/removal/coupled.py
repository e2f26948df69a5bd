"""Removal from a head whose outputs are coupled, such as softmax: products with vectors alone, no (Kp)×(Kp) matrix.

The weights in force are a good start and so is their preconditioner: a request takes a Newton step or two by conjugate
gradients, the first of which knows its residual from the changed rows alone. As everywhere, what is certified is the
point reached: by one pass (T1), and where rounding alone is above the target by balls and a witness (T12b, T2w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import linearise
from certified.bounds.distance import DistanceBound, assess, sharpen
from certified.bounds.enclosure import Enclosure
from certified.bounds.exact_gradient import exact_gradient
from certified.data.rows import Rows
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.objective import Objective
from certified.removal.state import RemovalState, UpdateInfo
from certified.solvers.conjugate_gradient import conjugate_gradient, preconditioner
from certified.solvers.factor import Factor
from certified.solvers.newton import WORN_OUT_COUPLED, solve

Array = npt.NDArray[np.float64]

SHARE = 0.7
"""The share of the target that the residual over α may take."""
FORCING = 1e-3
"""The share of the residual that one step aims to leave: beyond, the next Hessian counts for more."""
PART, PART_WORK, PART_RESIDUAL = 0.125, 1e8, 1e-2
"""Training begins on this share of the rows where a pass takes so many multiplications, and leaves this residual."""
CONTRACTION = 0.5
"""A step that leaves more than this share of the residual is left to the line search of the solver."""
FLOOR_SHARE = 0.1
"""Going below this share of the residual's own rounding error cannot improve the bound by much."""
REFINEMENTS = 2
"""Points at which the gradient is evaluated in balls, where the float64 residual's own error is above the target."""


def initialise(objective: Objective, start: Array, target: float) -> tuple[RemovalState, UpdateInfo]:
    """Train from ``start`` to within a certified ``target`` of the minimiser, or as near as float64 allows (T1, T2).

    Args:
        objective: the objective, with a loss that couples its outputs and α > 0.
        start: where to start (p, K).
        target: the distance demanded; where the state's bound exceeds it, none at most as large could be certified.
    """
    bound, gradient = assess(objective, start)
    search = _Search(objective, target, start, bound, gradient, None, bound.passes)
    if not np.any(start):
        search.solve_part()
    search.solve()
    return search.finished()


def update(
    state: RemovalState, objective: Objective, target: float, removed: Rows | None, added: Rows | None
) -> tuple[RemovalState, UpdateInfo]:
    """Move the weights from ``state`` to the minimiser on ``objective``'s rows; arguments as of `newton.update`.

    The residual at the old weights is known from the changed rows, so that the first pass is already a product.
    """
    gradient = state.gradient + (objective.penalty - state.objective.penalty) * state.weights
    for rows, sign in ((removed, -1.0), (added, 1.0)):
        if rows is not None:
            part = replace(objective, rows=rows, alpha=0.0, linear=None)
            gradient = gradient + sign * part.value_and_gradient(state.weights)[1]
    search = _Search(objective, target, state.weights, state.bound, Enclosure(gradient, 0.0), state.preconditioner, 0)
    search.step()
    return search.finished()


@dataclass(repr=False)
class _Search:
    """A point on its way, with what is known there. A secret."""

    objective: Objective
    target: float
    weights: Array
    bound: DistanceBound
    gradient: Enclosure
    factor: Factor | None
    passes: int
    steps: int = 0

    @property
    def residual(self) -> float:
        return float(np.linalg.norm(self.gradient.value))

    @property
    def goal(self) -> float:
        """The residual that suffices, as far as float64 can tell it from none."""
        floor = FLOOR_SHARE * self.gradient.error if np.isfinite(self.gradient.error) else 0.0
        return max(floor, SHARE * self.target * self.objective.alpha)

    @property
    def reached(self) -> bool:
        return self.bound.value <= self.target

    def finished(self) -> tuple[RemovalState, UpdateInfo]:
        """Polish and certify by every claim that applies until the target is reached or nothing more can be done."""
        previous = np.inf
        while not self.reached and self.goal < self.residual <= CONTRACTION * previous:
            previous = self.residual
            self.step()
        if not self.reached and not self.residual <= self.goal:
            self.solve()
        for number in range(REFINEMENTS):
            if self.reached:
                break
            if number > 0:
                self.move()
            self.assess(exact_gradient(self.objective, self.weights))
            if not self.reached:
                linearisation, spent = linearise(self.objective, self.weights), self.bound.passes
                self.bound = sharpen(self.objective, self.weights, self.bound, self.gradient, linearisation)
                self.passes += self.bound.passes - spent
        state = RemovalState(
            self.objective, self.weights, self.gradient.value, linearise(self.objective, self.weights), self.bound,
            preconditioner=self.factor,
        )  # fmt: skip
        return state, UpdateInfo(self.passes, self.steps, relinearised=False, route="solve")

    def assess(self, gradient: Enclosure | None = None) -> None:
        self.bound, self.gradient = assess(self.objective, self.weights, gradient)
        self.passes += self.bound.passes

    def step(self) -> None:
        """Move, and certify where that leads."""
        if self.residual > self.goal:
            self.move()
        self.assess()

    def move(self) -> None:
        """Take a Newton step by conjugate gradients."""
        curvature = self.objective.curvature(self.weights)
        if self.factor is None:
            self.factor = preconditioner(self.objective, curvature, exact=False)
        forcing = max(FORCING, min(0.5, self.goal / self.residual))
        step, products = conjugate_gradient(self.objective, curvature, self.factor, self.gradient.value, forcing)
        self.passes, self.steps = self.passes + products + 1, self.steps + 1
        if products > WORN_OUT_COUPLED:
            self.factor = None
        if np.all(np.abs(self.weights + step) <= MAGNITUDE_LIMIT):
            self.weights = self.weights + step

    def solve_part(self) -> None:
        """Find a better start on a spread sample of the rows, where there are many."""
        if self.objective.rows.slots * self.weights.size < PART_WORK or self.objective.linear is not None:
            return
        curvature = self.objective.curvature(self.weights)
        index = np.arange(0, len(curvature), round(1.0 / PART))
        sample, _, scale = self.objective.sampled(index, curvature)
        share = 1.0 / float(scale.mean())
        goal = PART_RESIDUAL * share * self.residual
        found = solve(replace(sample, alpha=share * self.objective.alpha), self.weights, tolerance=goal)
        self.weights, self.steps = found.weights, self.steps + found.iterations
        self.passes += 1 + math.ceil(share * found.passes)

    def solve(self) -> None:
        """Leave it to the solver, which searches along its steps."""
        found = solve(self.objective, self.weights, tolerance=self.goal, factor=self.factor)
        self.weights, self.factor = found.weights, found.factor
        self.passes, self.steps = self.passes + found.passes, self.steps + found.iterations
        self.assess()
