"""Newton removal: step on the remaining rows, then polish until the certified distance meets the target (T5).

How the weights are found never matters for the guarantee: only the certified distance of the final point does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import Linearisation, exchange, linearise
from certified.bounds.distance import DistanceBound, assess, sharpen
from certified.bounds.enclosure import Enclosure
from certified.bounds.exact_gradient import exact_gradient
from certified.data.rows import Rows
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.objective import Objective
from certified.removal import coupled
from certified.removal.state import RemovalState, UpdateInfo
from certified.solvers.newton import solve

Array = npt.NDArray[np.float64]

MAX_STEPS = 20
"""Newton steps with a fixed factor before the Hessian is formed anew, which costs as much as dozens of passes."""
CONTRACTION = 0.3
"""A step that leaves more than this share of the residual does not contract well enough to repeat."""
MAX_REFINEMENTS = 3
"""Newton steps on the ball-arithmetic gradient, where the float64 residual's own error is above the target."""
FLOOR_SHARE = 0.5
"""Polishing below this share of the residual's own rounding error cannot improve the bound by much."""


class TargetNotReachedError(RuntimeError):
    """The certified distance stays above the target even at the floor of float64.

    Attributes:
        bound: the smallest distance bound that was certified.
    """

    def __init__(self, bound: DistanceBound, target: float) -> None:
        super().__init__(
            f"no distance at most the target {target:.3g}, which epsilon, delta, noise_std and the releases so far "
            "demand, could be certified, even at the floor of float64; fit again with a noise_std ten or more times "
            "larger (fixed without looking at this model), scale the features, or regularise more (smaller C)"
        )
        self.bound = bound


def initialise(objective: Objective, target: float, start: Array | None = None) -> tuple[RemovalState, UpdateInfo]:
    """Train to the floor of float64 and certify the result; ``target`` is the distance the release demands.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``.
    """
    weights = np.zeros(objective.shape) if start is None else start
    return _solve_again(objective, weights, target)


def update(
    state: RemovalState,
    objective: Objective,
    target: float,
    removed: Rows | None = None,
    added: Rows | None = None,
) -> tuple[RemovalState, UpdateInfo]:
    """Move the weights from ``state`` to the minimiser on ``objective``'s rows, within a certified ``target``.

    The first Newton step needs only the changed rows, W − H'⁻¹(∇F(W) − Σ_S ∇ℓ_i(W)); each further one a data pass.

    Args:
        state: state before the change.
        objective: the objective on the rows in force after it (its α may differ as well).
        target: the distance that (ε, δ) and the noise demand.
        removed: the rows taken out, as they were.
        added: the rows put in.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``; ``state`` is untouched.
    """
    if objective.is_degenerate or state.objective.is_degenerate:
        return _solve_again(objective, state.weights, target)
    if objective.loss.couples_outputs:
        with np.errstate(over="ignore", invalid="ignore"):
            found, info = coupled.update(state, objective, target, removed, added)
        reached = found.bound.value <= target
        return (found, info) if reached else _solve_again(objective, np.zeros(objective.shape), target)
    out, into = (None if r is None else replace(objective, rows=r, alpha=0.0, linear=None) for r in (removed, added))
    linearisation = exchange(state.linearisation, out, into, objective.penalty)
    gradient = state.gradient + (objective.penalty - state.objective.penalty) * state.weights
    for part, sign in ((out, -1.0), (into, 1.0)):
        if part is not None:
            gradient = gradient + sign * part.value_and_gradient(state.weights)[1]
    start = state.weights - linearisation.factor.solve(gradient)
    return polish(objective, start if _admissible(start) else state.weights, linearisation, target)


def polish(
    objective: Objective, weights: Array, linearisation: Linearisation, target: float
) -> tuple[RemovalState, UpdateInfo]:
    """Move weights to within a certified ``target`` of the minimiser by W ← W − P·∇F(W) with a fixed factor (T5).

    While that contracts; then the bound is sharpened, and where rounding alone is above the target the residual is
    evaluated in balls. The last resort is the exact solver, which forms the Hessian anew.

    Args:
        objective: the objective on the rows in force.
        weights: where to start (p, K).
        linearisation: the Hessian of the same rows at a nearby point.
        target: the distance demanded.

    Raises:
        TargetNotReachedError: no certified distance at most ``target``.
    """
    passes, previous = 0, np.inf
    for steps in range(1, MAX_STEPS + 1):
        bound, gradient = assess(objective, weights)
        passes += bound.passes
        norm = float(np.linalg.norm(gradient.value))
        at_floor = norm <= FLOOR_SHARE * gradient.error
        if bound.value > target and at_floor:
            passes -= bound.passes
            bound = sharpen(objective, weights, bound, gradient, linearisation)
            passes += bound.passes
        if bound.value <= target:
            state = RemovalState(objective, weights, gradient.value, linearisation, bound)
            return state, UpdateInfo(passes, steps, relinearised=False, route="polish")
        if at_floor:
            refined = _refine(objective, weights, linearisation, target, exact_gradient(objective, weights))
            passes += refined.passes
            if refined.bound.value <= target:
                return refined.state, UpdateInfo(passes, steps + refined.steps, relinearised=False, route="polish")
            break
        candidate = weights - linearisation.factor.solve(gradient.value)
        if not norm <= CONTRACTION * previous or not _admissible(candidate):
            break
        weights, previous = candidate, norm
    state, info = _solve_again(objective, weights, target)
    return state, replace(info, passes=info.passes + passes, steps=info.steps + steps)


def _solve_again(objective: Objective, start: Array, target: float) -> tuple[RemovalState, UpdateInfo]:
    """Solve from ``start``, and from zero where that fails: a request must not be refused that training would grant."""
    if objective.is_degenerate:
        return _degenerate(objective), UpdateInfo(0, 0, relinearised=True)
    # A step from far away may overflow; the line search takes it back.
    with np.errstate(over="ignore", invalid="ignore"):
        state, info = _solve_from(objective, start, target)
        if np.any(start) and not state.bound.value <= target:
            state, more = _solve_from(objective, np.zeros(objective.shape), target)
            info = replace(more, passes=info.passes + more.passes, steps=info.steps + more.steps)
    if not state.bound.value <= target:
        raise TargetNotReachedError(state.bound, target)
    return state, info


def _solve_from(objective: Objective, start: Array, target: float) -> tuple[RemovalState, UpdateInfo]:
    """Run the exact solver to the floor, form the Hessian there and certify by every claim that applies."""
    if objective.loss.couples_outputs:
        return coupled.initialise(objective, start, target)
    _, rough = assess(objective, start)
    # Where φ'' is unbounded, the rounding error at the start says nothing about that at the minimiser.
    known = np.isfinite(rough.error) and np.isfinite(objective.loss.curvature_limit)
    tolerance = 0.1 * rough.error if known else 0.0
    solution = solve(objective, start, tolerance=tolerance)
    weights, passes = solution.weights, solution.passes + 2
    refined = _refine(objective, weights, linearise(objective, weights), target)
    return refined.state, UpdateInfo(passes + refined.passes, solution.iterations + refined.steps, relinearised=True)


@dataclass(frozen=True, repr=False)
class _Refined:
    state: RemovalState
    passes: int
    steps: int

    @property
    def bound(self) -> DistanceBound:
        return self.state.bound


def _refine(
    objective: Objective,
    weights: Array,
    linearisation: Linearisation,
    target: float,
    gradient: Enclosure | None = None,
) -> _Refined:
    """Certify by every claim that applies, with steps on the gradient in balls as far as the target demands them.

    ``gradient`` is the gradient in balls where it is known already.
    """
    passes = 0
    for steps in range(gradient is not None, MAX_REFINEMENTS + 1):
        bound, gradient = assess(objective, weights, gradient)
        if bound.value > target:
            bound = sharpen(objective, weights, bound, gradient, linearisation)
        passes += bound.passes
        found = _Refined(RemovalState(objective, weights, gradient.value, linearisation, bound), passes, steps)
        if bound.value <= target or steps == MAX_REFINEMENTS:
            break
        if steps:
            weights = weights - linearisation.factor.solve(gradient.value)
            if not _admissible(weights):
                break
        gradient = exact_gradient(objective, weights)
    return found


def _degenerate(objective: Objective) -> RemovalState:
    """No output or no row in force: the model is a constant of the remaining rows, distance 0 (claim T0)."""
    zero = np.zeros(objective.shape)
    bound, gradient = assess(objective, zero)
    return RemovalState(objective, zero, gradient.value, Linearisation(zero, (), objective.penalty), bound)


def _admissible(weights: Array) -> bool:
    return bool(np.all(np.abs(weights) <= MAGNITUDE_LIMIT))
