"""A Newton step from the trained weights, plus Gaussian noise (Sekhari, Acharya, Kamath & Suresh 2021; claim T7b).

Training keeps W* and the Hessian there. For all rows S removed since, in however many requests,

    W⁻ = W* + H_{D∖S}(W*)⁻¹ Δ,   Δ = Σ_S ∇ℓ_i(W*) + (α − α′)·W*,

and the release is W⁻ + N(0, σ²I). The published σ follows m = |S|, which leaves the reference, where nothing is
removed, without noise. Here m is a capacity fixed in advance, so that both sides carry the same noise; above it the
model is trained again.

Source: "Remember what you want to forget: algorithms for machine unlearning", NeurIPS 2021, arXiv 2103.03279.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.published.sekhari import sekhari_distance, sekhari_noise_std
from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.noise import release_gaussian
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import (
    check_request,
    check_training,
    check_unit_weights,
    mean_constants,
    removed_gradient,
    row_count,
)
from certified.solvers import solve
from certified.solvers.factor import factorise

Array = npt.NDArray[np.float64]

ASSUMPTIONS = (
    "W* minimises exactly: the residual of training is not charged",
    "α is proportional to the number of rows in force, as the penalty is part of every row's loss",
    "one release, and the state, which depends on the removed rows through W*, is never seen",
)


@dataclass(frozen=True, repr=False)
class SekhariState:
    """What the mechanism carries: secrets that depend, through W*, on rows removed since training.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``.
        trained: W* (p, K) on the rows in force at training.
        data_hessians: Σ a_i x_i x_iᵀ at W* over the remaining rows, (K, p, p) or (1, p, p).
        missing: Δ (p, K) of all rows removed since training.
        constants: n, λ, L and M of the published bounds.
    """

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int
    trained: Array
    data_hessians: Array
    missing: Array
    constants: dict[str, float]


@dataclass(frozen=True)
class Sekhari:
    """The mechanism for up to ``capacity`` removals between trainings (claim T7b for the distance).

    Attributes:
        epsilon: ε < 1: beyond, the classical Gaussian mechanism that the published noise uses is no theorem.
        delta: δ.
        capacity: m, the most rows removed before the model is trained again.
    """

    epsilon: float
    delta: float
    capacity: int
    name: str = "sekhari"

    def __post_init__(self) -> None:
        if isinstance(self.capacity, bool) or not isinstance(self.capacity, int) or self.capacity < 1:
            raise ValueError(f"capacity must be a whole number of at least 1, got {self.capacity!r}; pass such a value")
        unit = {"n": self.capacity + 1.0, "strong_convexity": 1.0, "lipschitz": 1.0, "hessian_lipschitz": 1.0}
        self._noise_std(unit)

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> SekhariState:
        """Train to the floor of float64 and form the Hessian there.

        Raises:
            ValueError: no strong convexity, a loss without bounded derivative, weighted rows, or no more rows than
                ``capacity``.
        """
        check_training(objective)
        check_unit_weights(objective.rows)
        constants = mean_constants(objective)
        if constants["n"] <= self.capacity:
            raise ValueError(
                f"capacity={self.capacity} must be below the number of rows, {constants['n']:g}; lower it or add rows"
            )
        solution = solve(objective)
        hessians = objective.data_hessian(objective.curvature(solution.weights))
        return SekhariState(
            objective=objective,
            weights=solution.weights,
            claim=self._claim(constants, 0),
            removed=0,
            retrained=False,
            passes=solution.passes + 1,
            trained=solution.weights,
            data_hessians=hessians,
            missing=np.zeros(objective.shape),
            constants=constants,
        )

    def remove(
        self, state: SekhariState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> SekhariState:
        """Take one Newton step from W* for all rows removed since training; no pass over the remaining rows.

        Raises:
            ValueError: a request that does not fit the state, or too few rows left to train again.
        """
        check_request(state.objective, objective, removed)
        total = state.removed + row_count(removed)
        if objective.is_degenerate:
            claim = replace(state.claim, distance=0.0)
            zero = np.zeros(objective.shape)
            return replace(
                state, objective=objective, weights=zero, claim=claim, removed=total, retrained=False, passes=0
            )
        if total > self.capacity:
            return replace(self.initialise(objective, sampler), retrained=True)
        part = replace(objective, rows=removed)
        hessians = state.data_hessians - part.data_hessian(part.curvature(state.trained))
        missing = state.missing + removed_gradient(state.objective, objective, removed, state.trained)
        return replace(
            state,
            objective=objective,
            weights=state.trained + factorise(hessians, objective.penalty).solve(missing),
            claim=self._claim(state.constants, total),
            removed=total,
            retrained=False,
            passes=0,
            data_hessians=hessians,
            missing=missing,
        )

    def release(self, state: SekhariState, sampler: Sampler = release_gaussian) -> Array:
        """Return W⁻ + N(0, σ²I)."""
        return sampler(state.weights, state.claim.noise_std)

    def _noise_std(self, constants: dict[str, float]) -> float:
        return float(sekhari_noise_std(removed=self.capacity, epsilon=self.epsilon, delta=self.delta, **constants))

    def _claim(self, constants: dict[str, float], removed: int) -> Claim:
        return Claim(
            mechanism=self.name,
            source="Sekhari, Acharya, Kamath & Suresh, NeurIPS 2021, arXiv 2103.03279",
            epsilon=self.epsilon,
            delta=self.delta,
            noise_std=self._noise_std(constants),
            residual=None,
            distance=sekhari_distance(removed=removed, **constants) if removed else 0.0,
            verdict="published",
            assumptions=ASSUMPTIONS,
        )
