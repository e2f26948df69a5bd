"""Objective perturbation with Newton removal (Guo, Goldstein, Hannun & van der Maaten 2020), as published.

Training minimises F(W) + ⟨b, W⟩ with b ~ N(0, σ²I), and the minimiser itself is released. A request moves W by
v = H′⁻¹Δ, Δ = Σ_S ∇ℓ_i(W) + (α − α′)·W, with H′ the Hessian on the remaining rows, and adds the published bound on the
gradient residual that this leaves to an account (claim T7a). Where that would exceed σε/c, δ = 1.5·e^(−c²/2), the
model is trained again with a fresh b.

**The noise theorem behind (ε, δ) treats the residual as independent of b, which it is not, and is false (claim T8):**
for measured residuals by far, and in small problems also for the published bounds, whatever multiple of corollary 1.
So a tighter bound is refused, the claim says what is wrong, and nothing uses this mechanism by default;
``smoothed_perturbation`` repairs it (claim T9).

As in the published script: γ = 1/4 for the logistic loss; outputs are treated one by one and their bounds added up; the
residual of training is not charged; each request starts from the result of the last. Unlike it: the spectral norm is
certified at training and kept, as it only falls when rows leave (the script's power iteration is a lower bound), and
the defect of the linear solve is added to the account.

Source: "Certified data removal from machine learning models", ICML 2020, arXiv 1911.03030.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import max_extended_norm
from certified.bounds.enclosure import norm_bound
from certified.bounds.published.data_dependent import spectral_norm_bound
from certified.bounds.published.guo import guo_batch, guo_corollary, guo_noise_std
from certified.data.rows import Rows
from certified.numerics.rounding import UNIT_ROUNDOFF, gamma
from certified.objective import Objective
from certified.privacy.gaussian import nonnegative
from certified.privacy.noise import release_gaussian
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import (
    check_request,
    check_training,
    check_unit_weights,
    gradient_bound,
    removed_gradient,
    row_count,
    third_derivative,
)
from certified.solvers import solve
from certified.solvers.factor import Factor, factorise

Array = npt.NDArray[np.float64]
ResidualBound = Literal["theorem1", "corollary1"]

VERDICT = "published; noise theorem not valid for arbitrary residual bounds, nor always for its own: T8"

ASSUMPTIONS = (
    "the published noise theorem, which claim T8 refutes, in small problems for the published bounds as well",
    "the residual of training is not charged",
    "whether to train again is decided from the data and b, which the theorem leaves out",
    "requests do not depend on earlier releases, as b is reused",
)

SOLVE_TOLERANCE = 1e-10
"""Relative defect ‖Δ − H′v‖/‖Δ‖ at which the step counts as solved; the defect is charged."""
MAX_REFINEMENTS = 12
"""Refinements with an old factor before the Hessian is formed and factorised anew."""


@dataclass(frozen=True, repr=False)
class PerturbedState:
    """What the mechanism carries: secrets.

    Attributes:
        objective: with b as its linear term.
        weights, claim, removed, retrained, passes: see ``MechanismState``.
        residual: the account: published bounds on ‖∇F(W) + b‖ since training, added up.
        spectral_norm: upper bound on ‖X‖₂ at training.
        factor: factor of a Hessian near the current one.
    """

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int
    residual: float
    spectral_norm: float
    factor: Factor


@dataclass(frozen=True)
class ObjectivePerturbation:
    """Guo et al. 2020; its noise theorem is not valid for arbitrary residual bounds, nor always for its own (claim T8).

    Attributes:
        epsilon, delta: what is claimed.
        noise_std: σ of b, per coordinate; sum scaling, so the unit is that of the gradient of F.
        residual_bound: "corollary1", data-dependent, or "theorem1", the worst case as printed.
    """

    epsilon: float
    delta: float
    noise_std: float
    residual_bound: ResidualBound = "corollary1"
    name: str = "objective perturbation"

    def __post_init__(self) -> None:
        guo_noise_std(residual=0.0, epsilon=self.epsilon, delta=self.delta)
        if not 0.0 < nonnegative("noise_std", self.noise_std) < math.inf:
            raise ValueError(f"noise_std must be positive and finite, got {self.noise_std!r}; see guo_noise_std")
        if self.residual_bound not in ("theorem1", "corollary1"):
            raise ValueError(
                'residual_bound must be "theorem1" or "corollary1": the published noise theorem is false for tighter '
                "bounds on the residual (claim T8); use SmoothedPerturbation (claim T9) for those"
            )

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> PerturbedState:
        """Draw b and train on F + ⟨b, W⟩ to the floor of float64.

        Raises:
            ValueError: no strong convexity, a linear term, weighted rows, or an unbounded third derivative.
        """
        check_training(objective)
        check_unit_weights(objective.rows)
        third_derivative(objective)
        if self.residual_bound == "theorem1":
            gradient_bound(objective)
        perturbed = replace(objective, linear=sampler(np.zeros(objective.shape), self.noise_std))
        solution = solve(perturbed)
        hessians = objective.data_hessian(objective.curvature(solution.weights))
        return PerturbedState(
            objective=perturbed,
            weights=solution.weights,
            claim=self._claim(0.0),
            removed=0,
            retrained=False,
            passes=solution.passes + 2,
            residual=0.0,
            spectral_norm=spectral_norm_bound(_features_in_force(objective.rows)),
            factor=factorise(hessians, objective.penalty),
        )

    def remove(
        self, state: PerturbedState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> PerturbedState:
        """Take one Newton step for the batch ``removed``, or train again where the account would be overdrawn.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        perturbed = replace(objective, linear=state.objective.linear)
        total = state.removed + row_count(removed)
        if objective.is_degenerate:
            zero = np.zeros(objective.shape)
            return replace(
                state, objective=perturbed, weights=zero, claim=self._claim(0.0), removed=total, retrained=False,
                passes=0, residual=0.0,
            )  # fmt: skip
        missing = removed_gradient(state.objective, perturbed, removed, state.weights)
        step, defect, factor, passes = _newton_step(perturbed, state.weights, missing, state.factor)
        charge = defect + self._charge(state, perturbed, removed, step)
        residual = (state.residual + charge) * (1.0 + 4.0 * UNIT_ROUNDOFF)
        if not self._is_covered(residual):
            return replace(self.initialise(objective, sampler), retrained=True)
        return replace(
            state,
            objective=perturbed,
            weights=state.weights + step,
            claim=self._claim(residual),
            removed=total,
            retrained=False,
            passes=passes + 1,
            residual=residual,
            factor=factor,
        )

    def release(self, state: PerturbedState, sampler: Sampler = release_gaussian) -> Array:
        """Return the weights themselves: all the noise of this mechanism is in b."""
        return state.weights.copy()

    def _is_covered(self, residual: float) -> bool:
        """Whether ε′ = ``residual`` needs a σ = cε′/ε of at most ``noise_std``."""
        if not math.isfinite(residual):
            return False
        return bool(guo_noise_std(residual=residual, epsilon=self.epsilon, delta=self.delta) <= self.noise_std)

    def _charge(self, state: PerturbedState, objective: Objective, removed: Rows, step: Array) -> float:
        """The published bound on the residual that this step leaves; γ = 0 leaves none."""
        # Published for rows of norm at most 1; never tighter than that, and R or R³ times as much for longer ones.
        scale = max(1.0, max_extended_norm(state.objective))
        curvature = third_derivative(objective)
        if curvature == 0.0 or not row_count(removed):
            return 0.0
        if self.residual_bound == "theorem1":
            before, after = row_count(state.objective.rows), row_count(objective.rows)
            return float(
                guo_batch(
                    n=float(before),
                    removed=float(before - after),
                    strength=min(state.objective.alpha / before, objective.alpha / after),
                    gradient_bound=max(1.0, gradient_bound(state.objective)),
                    curvature_lipschitz=curvature * scale**3,
                )
            )
        columns = (step[:, [k]] for k in range(step.shape[1]))
        return math.fsum(
            guo_corollary(
                curvature_lipschitz=curvature * scale,
                spectral_norm=state.spectral_norm,
                step_norm=norm_bound(column),
                product_norm=_product_norm_bound(objective.rows, column),
            )
            for column in columns
        )

    def _claim(self, residual: float) -> Claim:
        return Claim(
            mechanism=self.name,
            source="Guo, Goldstein, Hannun & van der Maaten, ICML 2020, arXiv 1911.03030",
            epsilon=self.epsilon,
            delta=self.delta,
            noise_std=self.noise_std,
            residual=residual,
            distance=None,
            verdict=VERDICT,
            assumptions=ASSUMPTIONS,
        )


def _newton_step(
    objective: Objective, weights: Array, missing: Array, factor: Factor
) -> tuple[Array, float, Factor, int]:
    """Solve H′(W)·v = Δ by refinement with ``factor``, or with a new one if that is too old.

    Returns v, the computed defect ‖Δ − H′v‖, the factor that did it, and the Hessian-vector products used.
    """
    curvature = objective.curvature(weights)
    goal, passes = SOLVE_TOLERANCE * float(np.linalg.norm(missing)), 1
    for attempt in ("old factor", "new factor"):
        if attempt == "new factor":
            factor = factorise(objective.data_hessian(curvature), objective.penalty)
            passes += 1
        step, best = np.zeros_like(missing), (np.zeros_like(missing), float(np.linalg.norm(missing)))
        for _ in range(MAX_REFINEMENTS):
            remainder = missing - objective.hvp(curvature, step) if step.any() else missing
            passes += 1
            defect = float(np.linalg.norm(remainder))
            if defect <= best[1]:
                best = (step, defect)
            if defect <= goal or not defect <= 10.0 * best[1]:
                break
            step = step + factor.solve(remainder)
        if best[1] <= goal:
            break
    return *best, factor, passes


def _features_in_force(rows: Rows) -> Array:
    """X (n, d), the rows of positive weight."""
    in_force = np.asarray(rows.weights).reshape(-1) > 0.0
    return np.asarray(rows.features).reshape(-1, rows.n_features)[in_force]


def _product_norm_bound(rows: Rows, step: Array) -> float:
    """Bound ‖Xv‖₂ over the rows of weight 1, rounding included (claim T12)."""
    in_force = np.asarray(rows.weights).reshape(-1, 1)
    products = in_force * (np.asarray(rows.features).reshape(-1, rows.n_features) @ step)
    rounding = 2.0 * gamma(rows.n_features + 4) * norm_bound(np.asarray(rows.norms)) * norm_bound(step)
    return (norm_bound(products) + rounding) * (1.0 + 4.0 * UNIT_ROUNDOFF)
