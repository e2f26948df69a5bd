"""The projective residual update (Izzo, Smart, Chaudhuri & Zou 2021): no guarantee is published, and none is claimed.

For the removed rows X_S, the model trained without them would predict, to one Newton step, X_S·W + t with

    (I − G·diag(a))·t = X_S H⁻¹ Δ,   G = X_S H⁻¹ X_Sᵀ,   Δ = Σ_S ∇ℓ_i(W) + (α − α′)·W,

a system of m equations per output, with H the Hessian on all rows and a the curvatures of the removed ones. One
gradient step on these synthetic targets, preconditioned by the pseudoinverse of Σ_S x_i x_iᵀ, moves W by X_S⁺ t: the
projection of the Newton step onto the span of the removed rows (their theorems 1 and 5). For squared loss the
predictions are exact, and the update is the projection of the way to the retrained model.

Two remarks on the publication. Equation (7) and algorithm 2 divide by 1 − h_jj where equation (6) divides by 1 − h_ii;
only the latter is right, and the published code has it. And the cost that is stated, linear in the features, leaves out
the hat matrix, which takes H⁻¹; here that is formed on request. A sequence repeats the update from its own result.

Source: "Approximate data deletion from machine learning models", AISTATS 2021, arXiv 2002.10077.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.noise import release_gaussian
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, removed_gradient, row_count
from certified.solvers import solve
from certified.solvers.factor import factorise

Array = npt.NDArray[np.float64]

RANK_TOLERANCE = 1e-10
"""Singular values of X_S below this share of the largest count as zero, duplicates among the removed rows for one."""


@dataclass(frozen=True, repr=False)
class ProjectiveResidualState:
    """The rows in force and weights that may depend on removed ones: secrets. Attributes: see ``MechanismState``."""

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int


@dataclass(frozen=True)
class ProjectiveResidual:
    """The update as published: a heuristic. Its release carries no noise and no guarantee."""

    name: str = "projective residual"

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> ProjectiveResidualState:
        """Train to the floor of float64.

        Raises:
            ValueError: no strong convexity.
        """
        check_training(objective)
        solution = solve(objective)
        return ProjectiveResidualState(objective, solution.weights, self._claim(), 0, False, solution.passes)

    def remove(
        self, state: ProjectiveResidualState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> ProjectiveResidualState:
        """Move W within the span of the removed rows, towards their leave-out predictions.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        if objective.is_degenerate:
            weights = np.zeros(objective.shape)
        else:
            weights = state.weights + _projected_step(state.objective, objective, removed, state.weights)
        total = state.removed + row_count(removed)
        return replace(
            state, objective=objective, weights=weights, removed=total, passes=int(not objective.is_degenerate)
        )

    def release(self, state: ProjectiveResidualState, sampler: Sampler = release_gaussian) -> Array:
        """Return the weights as they are: the publication adds no noise."""
        return state.weights.copy()

    def _claim(self) -> Claim:
        return Claim(
            mechanism=self.name,
            source="Izzo, Smart, Chaudhuri & Zou, AISTATS 2021, arXiv 2002.10077",
            epsilon=math.inf,
            delta=1.0,
            noise_std=0.0,
            residual=None,
            distance=None,
            verdict="none",
        )


def _projected_step(before: Objective, after: Objective, removed: Rows, weights: Array) -> Array:
    """Return X_S⁺ t (p, K)."""
    in_force = np.asarray(removed.weights).reshape(-1) > 0.0
    features = np.asarray(removed.features).reshape(-1, removed.n_features)[in_force]
    curvature = np.asarray(replace(after, rows=removed).curvature(weights)).reshape(len(in_force), -1)[in_force]
    missing = removed_gradient(before, after, removed, weights)
    hessians = before.data_hessian(before.curvature(weights))
    shift = np.empty((len(features), after.shape[1]))
    for k in range(after.shape[1]):
        factor = factorise([hessians[min(k, len(hessians) - 1)]], after.penalty)
        products = features @ factor.solve(np.column_stack([missing[:, k], features.T]))
        newton, leverage = products[:, 0], products[:, 1:]
        shift[:, k] = np.linalg.solve(np.eye(len(features)) - leverage * curvature[:, k], newton)
    return np.asarray(np.linalg.pinv(features, rcond=RANK_TOLERANCE) @ shift)
