"""Removal from a head whose outputs are coupled, such as softmax: products with vectors alone, no (Kp)×(Kp) matrix.

The weights in force are a good start, so a request takes a Newton step by conjugate gradients or two. As everywhere,
what is certified is the point reached, by one pass (T1, first form of T2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import linearise
from certified.bounds.distance import assess
from certified.objective import Objective
from certified.removal.state import RemovalState, UpdateInfo
from certified.solvers.newton import solve

Array = npt.NDArray[np.float64]

SHARE = 0.5
"""The share of the target that the residual over α may take."""
ROUNDS = 3
"""Solutions, each to a tenth of the residual before, after which the last bound stands."""


def minimise(objective: Objective, start: Array, target: float, *, warm: bool) -> tuple[RemovalState, UpdateInfo]:
    """Move from ``start`` to within a certified ``target`` of the minimiser, or as near as float64 allows (T1, T2).

    Args:
        objective: the objective, with a loss that couples its outputs and α > 0.
        start: where to start (p, K).
        target: the distance demanded; where the state's bound exceeds it, none at most as large could be certified.
        warm: whether the start is so near that its Hessian is nearly that of the minimiser.
    """
    weights, steps = start, 0
    bound, gradient = assess(objective, weights)
    passes = bound.passes
    for attempt in range(ROUNDS):
        if bound.value <= target or float(np.linalg.norm(gradient.value)) <= gradient.error:
            break
        floor = 0.1 * gradient.error if np.isfinite(gradient.error) else 0.0
        tolerance = max(floor, SHARE * 0.1**attempt * target * objective.alpha)
        solution = solve(objective, weights, tolerance=tolerance, warm=warm or attempt > 0)
        weights, steps = solution.weights, steps + solution.iterations
        bound, gradient = assess(objective, weights)
        passes += solution.passes + bound.passes
    state = RemovalState(objective, weights, gradient.value, linearise(objective, weights), bound)
    return state, UpdateInfo(passes, steps, relinearised=False, route="solve")
