"""What a removal mechanism carries between requests (a secret), and what it reports about one (not a secret)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import Linearisation
from certified.bounds.distance import DistanceBound
from certified.objective import Objective
from certified.removal.planner import Route
from certified.solvers.factor import Factor

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class RemovalState:
    """Noise-free weights, the rows in force and their linearisation: everything here is a secret.

    Attributes:
        objective: loss, rows in force, L2 strength.
        weights: W (p, K), without noise.
        gradient: computed ∇F(W) (p, K) at the last pass.
        linearisation: a Hessian of exactly these rows at a nearby point.
        bound: certified distance of ``weights`` to the exact minimiser.
        preconditioner: what the last solution of a coupled loss was preconditioned with. It steers and proves nothing,
            so it is not kept up to date, and may depend on rows that have left: it is not pickled.
    """

    objective: Objective
    weights: Array
    gradient: Array
    linearisation: Linearisation
    bound: DistanceBound
    preconditioner: Factor | None = field(default=None, kw_only=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemovalState, (self.objective, self.weights, self.gradient, self.linearisation, self.bound)


@dataclass(frozen=True)
class UpdateInfo:
    """What one update cost.

    Attributes:
        passes: data passes over all rows in force.
        steps: Newton steps.
        relinearised: whether the Hessian was formed anew.
        route: the most expensive part of what was done (`certified.removal.planner`).
        reason: why, in one sentence without secrets.
    """

    passes: int
    steps: int
    relinearised: bool
    route: Route = "solve"
    reason: str = ""
