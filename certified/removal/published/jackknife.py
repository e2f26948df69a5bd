"""The infinitesimal jackknife: the Newton step with the Hessian of all rows (Suriyakumar & Wilson 2022; claim T7b).

Training keeps W* and a factor of H_D(W*). For all rows S removed since, in however many requests,

    W⁻ = W* + H_D(W*)⁻¹ Δ,   Δ = Σ_S ∇ℓ_i(W*) + (α − α′)·W*,

so a request costs O(p²) where the Newton step, with H_{D∖S}, costs O(p³). The release is W⁻ + N(0, σ²I).

Only the abstract and the algorithm were available, not the printed noise: σ is the caller's, fixed in advance, and no
(ε, δ) is claimed. Where its hypotheses hold, the distance of claim T7b is stated; what the library certifies for the
weights themselves stands beside it.

Source: "Algorithms that approximate data removal: new results and limitations", NeurIPS 2022, arXiv 2209.12269.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import max_extended_norm
from certified.bounds.published.jackknife import jackknife_distance
from certified.data.rows import Rows
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from certified.privacy.gaussian import nonnegative
from certified.privacy.noise import release_gaussian
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import (
    check_request,
    check_training,
    mean_constants,
    removed_gradient,
    row_count,
)
from certified.solvers import solve
from certified.solvers.factor import Factor, factorise

Array = npt.NDArray[np.float64]

ASSUMPTIONS = (
    "the printed noise was not available: no (ε, δ) is claimed",
    "W* minimises exactly: the residual of training is not charged",
    "α is proportional to the number of rows in force, as the penalty is part of every row's loss",
)


@dataclass(frozen=True, repr=False)
class JackknifeState:
    """What the mechanism carries: secrets that depend, through W* and the factor, on rows removed since training.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``.
        trained: W* (p, K) on the rows in force at training.
        factor: factor of the Hessian of those rows at W*.
        missing: Δ (p, K) of all rows removed since training.
        bounds: the constants of claim T7b, empty where it does not apply.
    """

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int
    trained: Array
    factor: Factor
    missing: Array
    bounds: dict[str, float]


@dataclass(frozen=True)
class Jackknife:
    """The infinitesimal jackknife with release noise fixed in advance.

    Attributes:
        noise_std: σ of the release, per coordinate.
    """

    noise_std: float
    name: str = "jackknife"

    def __post_init__(self) -> None:
        if not 0.0 < nonnegative("noise_std", self.noise_std) < math.inf:
            raise ValueError(f"noise_std must be positive and finite, got {self.noise_std!r}; see gaussian_noise_std")

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> JackknifeState:
        """Train to the floor of float64 and factorise the Hessian there.

        Raises:
            ValueError: no strong convexity.
        """
        check_training(objective)
        solution = solve(objective)
        bounds = _bounds(objective)
        hessians = objective.data_hessian(objective.curvature(solution.weights))
        return JackknifeState(
            objective=objective,
            weights=solution.weights,
            claim=self._claim(bounds, 0),
            removed=0,
            retrained=False,
            passes=solution.passes + 1,
            trained=solution.weights,
            factor=factorise(hessians, objective.penalty),
            missing=np.zeros(objective.shape),
            bounds=bounds,
        )

    def remove(
        self, state: JackknifeState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> JackknifeState:
        """Move by H_D(W*)⁻¹ Δ from W*; neither a pass over the remaining rows nor a factorisation.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        missing = state.missing + removed_gradient(state.objective, objective, removed, state.trained)
        total = state.removed + row_count(removed)
        moved = np.zeros(objective.shape) if objective.is_degenerate else state.trained + state.factor.solve(missing)
        return replace(
            state,
            objective=objective,
            weights=moved,
            claim=replace(state.claim, distance=0.0) if objective.is_degenerate else self._claim(state.bounds, total),
            removed=total,
            retrained=False,
            passes=0,
            missing=missing,
        )

    def release(self, state: JackknifeState, sampler: Sampler = release_gaussian) -> Array:
        """Return W⁻ + N(0, σ²I)."""
        return sampler(state.weights, self.noise_std)

    def _claim(self, bounds: dict[str, float], removed: int) -> Claim:
        distance = None
        if removed == 0:
            distance = 0.0
        elif bounds and removed < bounds["n"]:
            distance = float(jackknife_distance(removed=float(removed), **bounds))
        return Claim(
            mechanism=self.name,
            source="Suriyakumar & Wilson, NeurIPS 2022, arXiv 2209.12269",
            epsilon=math.inf,
            delta=1.0,
            noise_std=self.noise_std,
            residual=None,
            distance=distance,
            verdict="none",
            assumptions=ASSUMPTIONS,
        )


def _bounds(objective: Objective) -> dict[str, float]:
    """The constants of claim T7b; empty where its hypotheses fail: weighted rows, or an unbounded derivative."""
    weights, loss = np.asarray(objective.rows.weights), objective.loss
    bounded = math.isfinite(loss.derivative_limit + loss.self_concordance * loss.curvature_limit)
    if not (bounded and np.all((weights == 0.0) | (weights == 1.0))):
        return {}
    constants, norm = mean_constants(objective), max_extended_norm(objective)
    penalty = objective.alpha / constants["n"]
    smoothness = (objective.loss.curvature_limit * norm * norm + penalty) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    return {**constants, "smoothness": smoothness}
