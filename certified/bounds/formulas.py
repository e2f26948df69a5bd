"""Scalar distance formulas, plain arithmetic on floats, Arb balls or JAX tracers.

On balls the results are rigorous enclosures; callers round them outward. Symbols follow the notation table: residual
r, strong convexity or curvature bound m ≤ λ_min(H), κ = ν·R, Newton decrement λ_N.
"""

from __future__ import annotations

from typing import Any

from certified.numerics.scalar import exp, expm1, log, sqrt

Scalar = Any
"""A float, an Arb ball or a JAX scalar; every argument of one call is of the same kind."""


def strong_convexity_distance(residual: Scalar, strong_convexity: Scalar) -> Scalar:
    """Return r/μ ≥ ‖W − W*‖_F for a μ-strongly convex objective with ‖∇F(W)‖_F ≤ r (claim T1).

    >>> strong_convexity_distance(1.0, 4.0)
    0.25
    """
    return residual / strong_convexity


def decrement_ratio(kappa: Scalar, decrement: Scalar, curvature: Scalar) -> Scalar:
    """Return q = κ·λ_N/√m; claim T2 applies when q < 1."""
    return kappa * decrement / sqrt(curvature)


def self_concordant_radius(ratio: Scalar, kappa: Scalar) -> Scalar:
    """Return t/κ ≥ ‖W − W*‖_F with t = −log(1 − q), q < 1 (claim T2, first form)."""
    return -log(1 - ratio) / kappa


def self_concordant_remainder(ratio: Scalar, kappa: Scalar) -> Scalar:
    """Return (q/(1 − q) + log(1 − q))/κ: ‖H⁻¹g‖ plus this is at least ‖W − W*‖_F (claim T2, form (iii))."""
    return (ratio / (1 - ratio) + log(1 - ratio)) / kappa


def witness_newton_step(witness: Scalar, defect: Scalar, curvature: Scalar) -> Scalar:
    """Return ‖p‖ + ‖ρ‖/m ≥ ‖H⁻¹g‖ for ρ = g − H·p (claim T2w)."""
    return witness + defect / curvature


def witness_decrement_squared(overlap: Scalar, witness: Scalar, defect: Scalar, curvature: Scalar) -> Scalar:
    """Return |⟨g, p⟩| + ‖p‖·‖ρ‖ + ‖ρ‖²/m ≥ λ_N² = ⟨g, H⁻¹g⟩ (claim T2w)."""
    return overlap + witness * defect + defect * defect / curvature


def intercept_curvature(alpha: Scalar, total_curvature: Scalar, first_moment: Scalar) -> Scalar:
    """Return 2αA/(τ + √(τ² − 4αA)), τ = α + A + h²/A: a lower bound on λ_min(H) (claim T2s).

    H = Σ a_i x̃_i x̃_iᵀ + α·P with A = Σ a_i and h = ‖Σ a_i x_i‖, and P sparing the intercept.

    >>> intercept_curvature(1.0, 1.0, 0.0)
    1.0
    """
    trace = alpha + total_curvature + first_moment * first_moment / total_curvature
    determinant = alpha * total_curvature
    # (τ² − 4αA) written as a sum of squares, so that rounding never makes it negative.
    gap = alpha - total_curvature + first_moment * first_moment / total_curvature
    discriminant = gap * gap + 4 * first_moment * first_moment
    return 2 * determinant / (trace + sqrt(discriminant))


def curvature_change(drift: Scalar, reach: Scalar) -> Scalar:
    """Return β = e^δ(e^u − 1)/u − 1: the largest relative change of a mean curvature over a step (claim T6).

    δ bounds ν·|x̃_i·(W₁ − W₀)| between the points of linearisation and of the gradient, u > 0 bounds ν·|x̃_i·V| over
    the step.

    >>> round(curvature_change(0.0, 1e-3), 7)
    0.0005002
    """
    return exp(drift) * expm1(reach) / reach - 1


def curvature_decrease(drift: Scalar, reach: Scalar) -> Scalar:
    """Return β₋ = e^(−δ)(1 − e^(−u))/u: a mean curvature over a step is at least β₋ times the old (claim T6).

    >>> round(curvature_decrease(0.0, 1e-3), 7)
    0.9995002
    """
    return exp(-drift) * -expm1(-reach) / reach


def data_amplification(curvature: Scalar, alpha: Scalar) -> Scalar:
    """Return C ≥ ‖A⁻¹B^½‖₂ for A = B + α·I, B ⪰ 0, and m ≤ λ_min(A) (claim T6).

    C = 1/(2√α) where m ≤ 2α, else √(m − α)/m. Without a penalty on every coordinate, α = 0 gives C = 1/√m.

    >>> data_amplification(4.0, 4.0), data_amplification(4.0, 0.0)
    (0.25, 0.5)
    """
    if curvature > 2 * alpha:
        return sqrt(curvature - alpha) / curvature
    return 1 / (2 * sqrt(alpha))


def intercept_amplification(alpha: Scalar, lever: Scalar) -> Scalar:
    """Return C = √(1/(4α) + α·‖A⁻¹e_p‖²) ≥ ‖A⁻¹B^½‖₂ for A = B + α·P, P sparing the last coordinate (claim T6).

    >>> intercept_amplification(4.0, 0.0)
    0.25
    """
    return sqrt(1 / (4 * alpha) + alpha * lever * lever)
