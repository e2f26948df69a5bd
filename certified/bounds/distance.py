"""The distance certificate: an upper bound on ‖W − W*‖_F from W and the rows in force alone (claims T1, T2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.curvature import Linearisation, linearise, structural_curvature
from certified.bounds.enclosure import Enclosure, norm_bound
from certified.bounds.formulas import (
    decrement_ratio,
    self_concordant_radius,
    self_concordant_remainder,
    strong_convexity_distance,
    witness_decrement_squared,
    witness_newton_step,
)
from certified.bounds.row_sums import certified_gradient, certified_hvp
from certified.numerics.balls import lower, upper, working_precision
from certified.numerics.rounding import MAGNITUDE_LIMIT, UNIT_ROUNDOFF
from certified.objective import Objective
from certified.solvers.conjugate_gradient import products_solver

Array = npt.NDArray[np.float64]

_PRECISION = 192
_REFINEMENTS = 3


@dataclass(frozen=True)
class DistanceBound:
    """A certified upper bound on ‖W − W*‖_F and where it comes from.

    Attributes:
        value: the bound, ``inf`` where no claim applies.
        claim: what gave it: "T1", "T2" (form (i)), "T2w" (form (iii) with a witness), "T0" (a constant model).
        gradient_residual: upper bound on ‖∇F(W)‖_F, sum scaling, rounding included.
        rounding_error: the part of the residual that is rounding error of its own evaluation.
        curvature: m ≤ λ_min(∇²F(W)) that was used.
        passes: data passes spent.
        claims: all claims that it rests on, those of gradient and curvature included.
    """

    value: float
    claim: str
    gradient_residual: float
    rounding_error: float
    curvature: float
    passes: int
    claims: tuple[str, ...]


def certify_distance(objective: Objective, weights: Array, linearisation: Linearisation | None = None) -> DistanceBound:
    """Return the smallest certified upper bound on ‖W − W*‖_F that T1, T2 and T2w give.

    T1: r/α, without an intercept. T2: t/κ with q = κ·λ_N/√m < 1. T2w: a witness p ≈ H⁻¹g gives
    ‖p‖ + ‖g − Hp‖/m + (q/(1 − q) + log(1 − q))/κ. Without a linearisation one is formed at W.

    Args:
        objective: loss, rows in force, L2 strength.
        weights: W (p, K), any point.
        linearisation: a Hessian of the same rows at a nearby point, for m and the witness.
    """
    quick, gradient = assess(objective, weights)
    if quick.claim == "T0":
        return quick
    return sharpen(objective, weights, quick, gradient, linearisation or linearise(objective, weights))


def assess(objective: Objective, weights: Array, gradient: Enclosure | None = None) -> tuple[DistanceBound, Enclosure]:
    """Bound ‖W − W*‖_F in one or two data passes by T1 and the first form of T2; also return ∇F(W), a secret."""
    if objective.is_degenerate:
        # The reference is W* = 0 by definition, so the distance is that of W itself.
        value = norm_bound(weights) if weights.any() else 0.0
        return DistanceBound(value, "T0", 0.0, 0.0, math.inf, 0, ("T0",)), Enclosure(np.zeros(objective.shape), 0.0)
    gradient = gradient or certified_gradient(objective, weights)
    curvature = structural_curvature(objective, weights)
    candidates = [(_local_bound(objective, gradient.norm, curvature), "T2")]
    if not objective.has_free_intercept and objective.alpha > 0.0:
        candidates.append((_strong_convexity_bound(gradient.norm, objective.alpha), "T1"))
    value, claim = min(candidates)
    passes = 1 + objective.has_free_intercept
    claims = _claims(claim, gradient, "T2s" if objective.has_free_intercept else "T1")
    return DistanceBound(value, claim, gradient.norm, gradient.error, curvature, passes, claims), gradient


def sharpen(
    objective: Objective,
    weights: Array,
    bound: DistanceBound,
    gradient: Enclosure,
    linearisation: Linearisation,
) -> DistanceBound:
    """Improve ``bound`` by the curvature of a linearisation and by a witness for the Newton step (T2w).

    Without self-concordance there is nothing to improve on T1.
    """
    if not math.isfinite(objective.loss.self_concordance):
        return bound
    structural = (bound.curvature, "T2s" if objective.has_free_intercept else "T1")
    curvature, source = max(structural, (_transported_curvature(objective, weights, linearisation), "T2f"))
    if not (curvature > 0.0 and math.isfinite(gradient.norm)):
        return bound
    first = _local_bound(objective, gradient.norm, curvature)
    solve = products_solver(objective, weights) if objective.loss.couples_outputs else linearisation.factor.solve
    second, products = _witness_bound(objective, weights, gradient, solve, curvature)
    value, claim = min((first, "T2"), (second, "T2w"))
    passes = bound.passes + products
    if bound.value <= value:
        return replace(bound, passes=passes)
    claims = _claims(claim, gradient, source)
    return DistanceBound(value, claim, gradient.norm, gradient.error, curvature, passes, claims)


def _claims(claim: str, gradient: Enclosure, curvature: str) -> tuple[str, ...]:
    """The claims behind a bound: its form, the gradient's error and, for the local forms, the curvature."""
    forms = {"T1": ("T1",), "T2": ("T2", curvature), "T2w": ("T2", "T2w", curvature)}
    return *forms[claim], gradient.claim


def _transported_curvature(objective: Objective, weights: Array, linearisation: Linearisation) -> float:
    """Return e^{−κ‖W − W₀‖}·m₀ ≤ λ_min(∇²F(W)), by self-concordance along the segment (claim T2)."""
    if np.array_equal(weights, linearisation.weights) or linearisation.curvature == 0.0:
        return linearisation.curvature
    drift = norm_bound(weights - linearisation.weights) * (1.0 + 4.0 * UNIT_ROUNDOFF)
    with working_precision(_PRECISION):
        return max(0.0, lower((-arb(_kappa(objective)) * arb(drift)).exp() * arb(linearisation.curvature)))


def max_extended_norm(objective: Objective) -> float:
    """Return R, an upper bound on the norms of the rows in force, the constant feature of an intercept included."""
    largest = objective.rows.largest_norm
    if objective.fit_intercept:
        largest = math.sqrt(largest * largest + 1.0) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    return largest


def _kappa(objective: Objective) -> float:
    return objective.loss.self_concordance * max_extended_norm(objective) * (1.0 + 4.0 * UNIT_ROUNDOFF)


def _strong_convexity_bound(residual: float, alpha: float) -> float:
    if not math.isfinite(residual):
        return math.inf
    with working_precision(_PRECISION):
        return upper(strong_convexity_distance(arb(residual), arb(alpha)))


def _local_bound(objective: Objective, residual: float, curvature: float) -> float:
    """T2, first form, with λ_N ≤ r/√m; infinite without self-concordance."""
    kappa = _kappa(objective)
    if not (curvature > 0.0 and math.isfinite(residual) and math.isfinite(kappa)):
        return math.inf
    with working_precision(_PRECISION):
        m, r, k = arb(curvature), arb(residual), arb(kappa)
        if kappa == 0.0:
            return upper(r / m)
        ratio = decrement_ratio(k, r / m.sqrt(), m)
        return upper(self_concordant_radius(ratio, k)) if ratio < 1 else math.inf


def _witness_bound(
    objective: Objective, weights: Array, gradient: Enclosure, solve: Callable[[Array], Array], curvature: float
) -> tuple[float, int]:
    """T2, form (iii), from a witness p ≈ H⁻¹g refined until its defect no longer matters."""
    best, witness = math.inf, solve(gradient.value)
    for products in range(1, _REFINEMENTS + 1):
        if not np.all(np.abs(witness) <= MAGNITUDE_LIMIT):
            return best, products - 1
        product = certified_hvp(objective, weights, witness)
        defect = gradient.value - product.value
        slack = gradient.error + product.error + 2.0 * UNIT_ROUNDOFF * (gradient.norm + product.norm)
        value = _witness_value(objective, gradient, witness, norm_bound(defect), slack, curvature)
        if not value < 0.9 * best:
            return min(best, value), products
        best = value
        if norm_bound(defect) <= 2.0 * slack:
            return best, products
        witness = witness + solve(defect)
    return best, _REFINEMENTS


def _witness_value(
    objective: Objective, gradient: Enclosure, witness: Array, defect: float, slack: float, curvature: float
) -> float:
    if not (math.isfinite(defect) and math.isfinite(slack)):
        return math.inf
    overlap = abs(float(np.sum(gradient.value * witness)))
    size, kappa = norm_bound(witness), _kappa(objective)
    with working_precision(_PRECISION):
        m, p, k = arb(curvature), arb(size), arb(kappa)
        g, rho = arb(gradient.norm), arb(defect) + arb(slack)
        step = witness_newton_step(p, rho, m)
        if kappa == 0.0:
            return upper(step)
        # The computed inner product errs by at most γ·‖g‖‖p‖; ⟨g, p⟩ also sees the error of g itself.
        dot = arb(overlap) + (arb(gradient.error) + g * arb(2.0**-50) * witness.size) * p
        squared = witness_decrement_squared(dot, p, rho, m)
        decrement = squared.sqrt() if upper(squared) < upper(g * g / m) else g / m.sqrt()
        ratio = decrement_ratio(k, decrement, m)
        if not ratio < 1:
            return math.inf
        remainder = max(0.0, upper(self_concordant_remainder(ratio, k)))
        return min(upper(self_concordant_radius(ratio, k)), upper(step + arb(remainder)))
