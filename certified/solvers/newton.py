"""Newton's method with preconditioned conjugate gradients and a line search on the slope.

The preconditioner is the exact Hessian where that is cheap (then a step is a plain Newton step, and squared loss is
solved in closed form with refinement), else the Hessian of a spread sample of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np
import numpy.typing as npt

from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.objective import Objective
from certified.solvers.conjugate_gradient import conjugate_gradient, preconditioner
from certified.solvers.factor import Factor

Array = npt.NDArray[np.float64]

EXACT_HESSIAN_WORK = 1e9
"""Up to this many multiplications per output the Hessian itself preconditions, renewed at every step."""
EXACT_WHEN_STREAMED = 512
"""Up to this many weights so does it for streamed rows, as reading a row costs more than its share of a Hessian."""
WORN_OUT = 40
"""Conjugate-gradient products in one step after which the sampled preconditioner is renewed."""
WORN_OUT_COUPLED = 12
"""The same for a loss that couples its outputs, whose preconditioner is better, and costs as much as several passes."""
NEARLY_DONE = 30.0
"""Within this multiple of the tolerance no preconditioner is renewed any more."""
MAX_TRIALS = 60
"""Lengths tried along one step."""
STALLED_STEPS = 3
"""Steps at the floor without halving the residual after which the floor counts as reached."""


@dataclass(frozen=True)
class Solution:
    """A minimiser to floating-point accuracy, with what it took to find it.

    Attributes:
        weights: W (p, K). A secret: it carries no noise.
        residual: computed ‖∇F(W)‖_F, sum scaling; not a certified bound.
        iterations: Newton steps taken.
        passes: gradient and Hessian-vector passes over all rows.
        converged: whether the residual met the tolerance (at tolerance 0: whether the floor was reached).
        factor: the preconditioner of the last step, if any. A secret as well.
    """

    weights: Array
    residual: float
    iterations: int
    passes: int
    converged: bool
    factor: Factor | None = None

    def __repr__(self) -> str:
        cost = f"iterations={self.iterations}, passes={self.passes}"
        return f"Solution(residual={self.residual:.3g}, {cost}, converged={self.converged})"


def solve(
    objective: Objective,
    start: Array | None = None,
    *,
    tolerance: float = 0.0,
    max_iterations: int = 200,
    factor: Factor | None = None,
) -> Solution:
    """Minimise the objective from ``start`` until ‖∇F(W)‖_F ≤ tolerance; 0 means the floor of float64.

    The point with the smallest residual is returned; `Solution.converged` says whether it met the tolerance. A
    ``factor`` of a nearby problem serves as the first preconditioner where the Hessian itself is too dear.
    """
    weights = np.zeros(objective.shape) if start is None else start.copy()
    value, gradient, curvature = objective.value_and_gradient(weights)
    if start is not None and not np.isfinite(value):
        # Rows that came since may overflow there; nothing overflows at zero.
        return solve(objective, tolerance=tolerance, max_iterations=max_iterations)
    best = Solution(weights, float(np.linalg.norm(gradient)), 0, 1, False)
    passes, stalled, previous = 1, 0, best.residual
    exact = _exact_is_cheap(objective)
    renew, worn_out = False, WORN_OUT_COUPLED if objective.loss.couples_outputs else WORN_OUT
    iteration = 0
    while best.residual > tolerance and iteration < max_iterations and stalled < STALLED_STEPS:
        norm = float(np.linalg.norm(gradient))
        if factor is None or (exact and not objective.loss.constant_curvature):
            factor = preconditioner(objective, curvature, exact=exact)
        if exact:
            step, products = factor.solve(-gradient), 0
        else:
            # As the steps come closer to Newton's, they are solved more precisely (Eisenstat & Walker 1996).
            forcing = max(min(0.1, (norm / previous) ** 1.5), 0.3 * tolerance / norm, 1e-14)
            step, products = conjugate_gradient(objective, curvature, factor, gradient, forcing)
            previous = norm
            renew = products > worn_out
        move = _line_search(objective, weights, value, gradient, step)
        if move is None:
            break
        iteration += 1
        passes += products + move.passes
        weights, value, gradient, curvature = move.weights, move.value, move.gradient, move.curvature
        residual = float(np.linalg.norm(gradient))
        if renew and residual > NEARLY_DONE * tolerance:
            factor = None
        stalled = stalled + 1 if residual > 0.5 * best.residual and _at_floor(move) else 0
        if residual < best.residual:
            best = Solution(weights, residual, iteration, passes, False)
    converged = best.residual <= tolerance or (tolerance == 0.0 and stalled >= STALLED_STEPS)
    return replace(best, iterations=iteration, passes=passes, converged=converged, factor=factor)


@dataclass(frozen=True, repr=False)
class _Move:
    weights: Array
    value: float
    gradient: Array
    curvature: jax.Array
    predicted: float
    passes: int


def _at_floor(move: _Move) -> bool:
    """Whether the step promised no decrease that float64 can still see in the value."""
    return move.predicted <= 1e-13 * abs(move.value) + 1e-300


def _exact_is_cheap(objective: Objective) -> bool:
    p, rows = objective.shape[0], objective.rows
    if objective.loss.couples_outputs:
        return False
    cheap = rows.slots * p * p <= EXACT_HESSIAN_WORK or (not rows.in_memory and p <= EXACT_WHEN_STREAMED)
    return objective.loss.constant_curvature or cheap


def _line_search(objective: Objective, weights: Array, value: float, gradient: Array, step: Array) -> _Move | None:
    """Find a length with sufficient decrease (Armijo) and a clearly smaller slope (strong Wolfe).

    Returns the last trial if none qualifies, and None if none could be represented at all.
    """
    slope = float(np.sum(gradient * step))
    low, high, length = 0.0, np.inf, 1.0
    move = None
    for passes in range(1, MAX_TRIALS + 1):
        candidate = weights + length * step
        if np.all(np.abs(candidate) <= MAGNITUDE_LIMIT):
            new_value, new_gradient, curvature = objective.value_and_gradient(candidate)
            move = _Move(candidate, new_value, new_gradient, curvature, abs(slope) * length, passes)
            # Armijo's sufficient decrease, up to what float64 resolves of the value.
            grown = not new_value <= value + 1e-4 * length * slope + 1e-12 * abs(value)
            # Where the value overflows, so does the gradient.
            new_slope = np.inf if grown else float(np.sum(new_gradient * step))
            too_far = grown or not new_slope <= 0.9 * abs(slope)
            if not too_far and new_slope >= 0.9 * slope:
                break
        else:
            too_far = True
        low, high = (low, length) if too_far else (length, high)
        length = 2.0 * length if np.isinf(high) else 0.5 * (low + high)
    return move
