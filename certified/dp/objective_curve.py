"""The privacy curve of objective perturbation with a minimiser that is nearly exact (claim T15)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from certified.numerics.balls import exact, lower, upper, working_precision
from certified.privacy.objective_perturbation import PerturbedProblem, objective_delta


@dataclass(frozen=True)
class ObjectiveCurve:
    """δ_k(ε) = δ_z(ε − ε₁) + δ₁: the bound for the exact minimiser and what the inexact one costs (claim T15).

    Attributes:
        problem: L, β, λ and what is known of the slopes.
        noise_std: σ of b per weight.
        distance: s, certified of the released minimisers.
        release_noise_std: τ per weight.
        spent_epsilon, spent_delta: ε₁ and δ₁ ≥ H_{2s/τ}(ε₁).
    """

    problem: PerturbedProblem
    noise_std: float
    distance: float
    release_noise_std: float
    spent_epsilon: float
    spent_delta: float
    claims: tuple[str, ...] = ("T1", "T2", "T3", "T15")

    def delta(self, epsilon: float, group_size: int) -> float:
        """δ_k(ε), rounded up; 1 where ε is all spent on the inexact minimiser."""
        if not epsilon >= self.spent_epsilon:
            return 1.0
        if epsilon == math.inf:
            return self.spent_delta
        with working_precision(128):
            rest = lower(exact(epsilon) - exact(self.spent_epsilon))
        found = objective_delta(self.problem, max(0.0, rest), self.noise_std, group_size)
        with working_precision(128):
            return min(1.0, upper(exact(found) + exact(self.spent_delta)))

    def constants(self) -> dict[str, Any]:
        """The constants as JSON values."""
        return {"kind": "objective perturbation", **asdict(self), "claims": list(self.claims)}
