"""Constants from which capacities and costs of mechanisms follow before any row is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certified.numerics.balls import exact, round_up
from certified.privacy.gaussian import gaussian_sensitivity


@dataclass(frozen=True)
class CapacityProblem:
    """Constants of a problem with penalty (λ/2)‖w‖² per row, and the guarantee and noise that are granted.

    Attributes:
        n: rows at first.
        dimension: weights d.
        strength: λ, L2 strength per row.
        gradient_bound: C ≥ ‖∇ℓ_i‖, without the penalty: sup|ℓ′|·R.
        curvature_limit: sup ℓ″.
        third_derivative: M ≥ sup|ℓ‴|.
        feature_norm: R ≥ ‖x_i‖.
        epsilon, delta: the guarantee.
        noise_std: standard deviation of the noise on released weights.
        perturbation_std: standard deviation of b in the objective perturbation of Guo et al.; 0 leaves it out.
    """

    n: int
    dimension: int
    strength: float
    gradient_bound: float
    curvature_limit: float
    third_derivative: float
    feature_norm: float
    epsilon: float
    delta: float
    noise_std: float
    perturbation_std: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("n", 2), ("dimension", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}; pass such a value")
        positive = ("strength", "gradient_bound", "curvature_limit", "feature_norm", "epsilon", "delta", "noise_std")
        for name in positive:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)!r}; pass such a value")
        for name in ("third_derivative", "perturbation_std"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be at least 0 and finite, got {getattr(self, name)!r}; pass such a value"
                )
        if not self.delta < 1.0:
            raise ValueError(f"delta must be below 1, got {self.delta!r}; it is a probability, such as 1e-5")
        if math.inf in (self.lipschitz, self.hessian_lipschitz, self.row_smoothness):
            raise ValueError("gradient_bound, feature_norm and loss constants must not overflow; rescale the rows")
        if self.distance_target == 0.0:
            raise ValueError(f"noise_std={self.noise_std!r} hides no distance at (ε, δ); raise noise_std")

    @property
    def distance_target(self) -> float:
        """The largest distance that the noise hides at (ε, δ), rounded down (claim T3)."""
        return gaussian_sensitivity(self.epsilon, self.delta, self.noise_std)

    @property
    def lipschitz(self) -> float:
        """2C ≥ ‖∇f_i‖ at a minimiser, where the penalty adds at most C (claim T7b)."""
        return 2.0 * self.gradient_bound

    @property
    def hessian_lipschitz(self) -> float:
        """MR³, a Lipschitz constant of a row's Hessian, rounded up (claim T7a)."""
        return round_up(lambda: exact(self.third_derivative) * exact(self.feature_norm) ** 3)

    @property
    def row_smoothness(self) -> float:
        """sup ℓ″·R² + λ ≥ ‖∇²f_i‖, rounded up."""
        return round_up(lambda: exact(self.curvature_limit) * exact(self.feature_norm) ** 2 + exact(self.strength))
