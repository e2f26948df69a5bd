"""The verifier's own proof that W is near the minimiser, in balls (claims T1, T2, T2s, T2w).

Cheap arguments come first; the Hessian is formed only where they do not settle the certified figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

from certified.verification.coupled import coupled_solver
from certified.verification.float_sums import float_hessian
from certified.verification.losses import LOSSES
from certified.verification.objective import ArbObjective, Moments, RowSizes, matrix, norm

Array = npt.NDArray[np.float64]

_SHARE = 0.99
_REFINEMENTS = 4
_NEGLIGIBLE = 1e-18
_SMALL = 100
"""Weights up to which a system is solved in balls: a minute's work beyond."""


@dataclass(frozen=True)
class DistanceProof:
    """What could be proved at W.

    Attributes:
        distance: upper bound on ‖W − W*‖_F, an exact number; infinite where none was found.
        curvature: lower bound on λ_min(∇²F(W)), an exact number.
        refuted: whether W is proved to lie farther from W* than claimed.
    """

    distance: arb
    curvature: arb
    refuted: bool = False

    def settles(self, claimed: DistanceProof) -> bool:
        """Whether both claimed figures are confirmed."""
        return bool(self.distance <= claimed.distance) and bool(self.curvature >= claimed.curvature)


def prove_distance(
    objective: ArbObjective,
    moments: Moments,
    sizes: RowSizes,
    distance: float,
    curvature: float,
    *,
    witness: bool = True,
) -> DistanceProof:
    """Bound the distance and the curvature, with as much work as it takes to confirm the claimed figures.

    Args:
        objective: the objective in balls, at W.
        moments: its row sums.
        sizes: of its rows.
        distance: the claimed distance bound.
        curvature: the claimed lower bound on λ_min(∇²F(W)).
        witness: whether to look for a witness of the distance, for which the gradient should be narrow.
    """
    constants = LOSSES[objective.loss]
    residual = norm(moments.gradient.entries())
    kappa = constants.self_concordance * sizes.largest.upper().sqrt()
    structural = _structural_curvature(objective, moments).lower()
    bound = local_distance(residual, structural, kappa).upper()
    if not objective.has_free_intercept and objective.alpha > 0.0:
        bound = min(bound, (residual / objective.alpha).upper())
    proof = DistanceProof(bound, structural)
    claimed = DistanceProof(arb(distance), arb(curvature))
    if proof.settles(claimed):
        return proof
    # ∇F is Lipschitz, so a large gradient excludes a near minimiser.
    if residual > distance * (objective.alpha + constants.curvature_limit * sizes.weighted):
        return DistanceProof(bound, structural, refuted=True)
    if not kappa.is_finite():
        # Without self-concordance T1 is all there is.
        return proof
    if not witness and not proof.distance <= claimed.distance:
        return proof
    return _prove_with_witness(objective, moments.gradient, residual, kappa, proof, claimed)


def local_distance(residual: arb, curvature: arb, kappa: arb) -> arb:
    """Return t/κ ≥ ‖W − W*‖_F, t = −log(1 − q), q = κ·r/m < 1, with r ≥ ‖∇F(W)‖_F, m ≤ λ_min(∇²F(W)) (claim T2).

    For κ = 0 it is r/m; infinite where q < 1 is not certain.
    """
    if not curvature > 0:
        return arb.pos_inf()
    if kappa == 0:
        return residual / curvature
    ratio = kappa * residual / curvature
    return -(-ratio).log1p() / kappa if ratio < 1 else arb.pos_inf()


def _structural_curvature(objective: ArbObjective, moments: Moments) -> arb:
    """Return m ≤ λ_min(∇²F(W)): α; with an intercept by its moments (claim T2s).

    Σ a_i x̃_i x̃_iᵀ ⪰ (h; A)(h; A)ᵀ/A by Cauchy–Schwarz, so λ_min is at least that of [[α + h²/A, h], [h, A]], whose
    determinant is αA and whose trace is τ.
    """
    alpha = arb(objective.alpha)
    if not objective.has_free_intercept:
        return alpha
    smallest = alpha
    for total, first in zip(moments.totals, moments.first, strict=True):
        if not total > 0:
            return arb(0)
        trace = alpha + total + first * first / total
        top = (trace + (trace * trace - 4 * alpha * total).nonnegative_part().sqrt()) / 2
        smallest = smallest.min(alpha * total / top)
    return smallest


def _prove_with_witness(
    objective: ArbObjective, gradient: arb_mat, residual: arb, kappa: arb, proof: DistanceProof, claimed: DistanceProof
) -> DistanceProof:
    """Improve ``proof`` by a witness V ≈ H⁻¹g and, where that is not enough, by a curvature from the Hessian."""
    # Of coupled outputs no Hessian is formed: the penalty's curvature is all that is proved.
    coupled = objective.loss == "softmax"
    if coupled and proof.distance <= claimed.distance:
        return proof
    blocks = 0 if coupled else 1 if objective.loss == "squared" else objective.shape[1]
    approximations = [_Approximation.of(objective.approximate_hessian(k)) for k in range(blocks)]
    if proof.distance <= claimed.distance:
        return DistanceProof(
            proof.distance, max(proof.curvature, _curvature(objective, approximations, proof, claimed))
        )
    solve = coupled_solver(objective) if coupled else partial(_solve_each, approximations)
    witness, defect = _witness(objective, solve, gradient, proof.curvature)
    size = norm(witness.entries())
    overlap = sum((gradient[k, j] * witness[j, k] for j, k in np.ndindex(*objective.shape)), arb(0))
    for by_hessian in (False,) if coupled else (False, True):
        m = (
            max(proof.curvature, _curvature(objective, approximations, proof, claimed))
            if by_hessian
            else proof.curvature
        )
        if m > 0:
            first = local_distance(residual, m, kappa)
            decrement_squared = overlap + size * defect + defect * defect / m
            second = _witness_distance(residual, m, kappa, size + defect / m, decrement_squared)
            proof = DistanceProof(min(proof.distance, first.upper(), second.upper()), m)
        if proof.settles(claimed):
            break
    return proof


def _witness_distance(residual: arb, curvature: arb, kappa: arb, newton_step: arb, decrement_squared: arb) -> arb:
    """Return min(t/κ, ‖H⁻¹g‖ + (e^t − 1 − t)/κ) ≥ ‖W − W*‖_F, t = −log(1 − q), q = κλ_N/√m < 1 (claims T2, T2w).

    λ_N² is at most the witness's bound and r²/m.
    """
    square = min((residual * residual / curvature).upper(), decrement_squared.upper())
    scaled = (square / curvature).nonnegative_part().sqrt()
    ratio = (kappa * scaled).upper()
    if ratio == 0:
        return newton_step
    if not ratio < 1:
        return arb.pos_inf()
    growth = -(-ratio).log1p()
    return min((growth / kappa).upper(), (newton_step + (ratio / (1 - ratio) - growth) / kappa).upper())


@dataclass(frozen=True, repr=False)
class _Approximation:
    """A float64 Hessian H and the eigendecomposition of SHS with unit diagonal: guides for searches, no proofs."""

    hessian: Array
    scale: Array
    values: Array
    vectors: Array

    @classmethod
    def of(cls, hessian: Array) -> _Approximation:
        diagonal = np.diagonal(hessian)
        if not np.all(np.isfinite(hessian)) or not np.all(diagonal > 0.0):
            hessian, diagonal = np.eye(len(hessian)), np.ones(len(hessian))
        scale = 1.0 / np.sqrt(diagonal)
        return cls(hessian, scale, *np.linalg.eigh(scale[:, None] * hessian * scale))

    def solve(self, gradient: Array) -> Array:
        """H⁻¹g, with the eigenvalues that rounding may have made raised to its level."""
        level = len(self.values) * np.finfo(np.float64).eps
        weights = (self.vectors.T @ (self.scale * gradient)) / np.maximum(self.values, level)
        return np.asarray(self.scale * (self.vectors @ weights))


def _curvature(
    objective: ArbObjective, approximations: list[_Approximation], known: DistanceProof, claimed: DistanceProof
) -> arb:
    """Return a curvature proved by congruence on every output: the claimed one, else one near the estimated λ_min."""
    smallest = arb.pos_inf()
    for k, approximation in enumerate(approximations):
        target = float(claimed.curvature)
        if known.curvature >= target:
            target = _SHARE * float(np.linalg.eigvalsh(approximation.hessian)[0])
        if not (known.curvature < target and _is_proved(objective, k, approximation.hessian, target)):
            return arb(0)
        smallest = min(smallest, arb(target))
    return smallest


def _is_proved(objective: ArbObjective, output: int, approximate: Array, target: float) -> bool:
    """Whether λ_min exceeds ``target``, by the Hessian enclosed in float64 or, if that is too wide, in balls."""
    return any(
        _exceeds(hessian(objective, output), approximate, target) for hessian in (float_hessian, ArbObjective.hessian)
    )


def _exceeds(hessian: arb_mat, approximate: Array, shift: float) -> bool:
    """Prove H − mI ≻ 0: some V has V(H − mI)Vᵀ = I + E with ‖E‖_F < 1 (Sylvester's law of inertia)."""
    p = len(approximate)
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(approximate - shift * np.eye(p)))
    except np.linalg.LinAlgError:
        return False
    if not np.all(np.isfinite(inverse)):
        return False
    v = matrix(inverse)
    shifted = arb_mat(hessian)
    for j in range(p):
        shifted[j, j] = shifted[j, j] - shift
    image = (v * shifted) * v.transpose()
    for j in range(p):
        image[j, j] = image[j, j] - 1
    return bool(norm(image.entries()) < 1)


def _solve_each(approximations: list[_Approximation], gradient: Array) -> Array:
    """H⁻¹G (p, K) for G (K, p), each output on its own; one Hessian may serve all."""
    return np.stack([approximations[k % len(approximations)].solve(g) for k, g in enumerate(gradient)], axis=1)


def _witness(
    objective: ArbObjective, solve: Callable[[Array], Array], gradient: arb_mat, curvature: arb
) -> tuple[arb_mat, arb]:
    """Return V ≈ H⁻¹g (p, K), refined until its defect hardly matters, and ‖g − HV‖_F; any exact V is sound."""
    witness, defect, rest = arb_mat(*objective.shape), norm(gradient.entries()), gradient
    for _ in range(_REFINEMENTS):
        correction = solve(_approximate(rest))
        if not np.all(np.isfinite(correction)):
            break
        candidate = (witness + matrix(correction)).mid()
        remaining = gradient - objective.hessian_product(candidate)
        size = norm(remaining.entries())
        if not size < defect:
            break
        witness, defect, rest = candidate, size, remaining
        if defect < _NEGLIGIBLE * curvature * norm(witness.entries()):
            return witness, defect
    return _precise_witness(objective, gradient, witness, defect)


def _precise_witness(objective: ArbObjective, gradient: arb_mat, witness: arb_mat, defect: arb) -> tuple[arb_mat, arb]:
    """Where float64 is no guide: solve HV = g in the precision of the balls, for a Hessian that is small enough."""
    rows, outputs = objective.shape
    if rows > _SMALL or objective.loss == "softmax":
        return witness, defect
    blocks = 1 if objective.loss == "squared" else outputs
    try:
        hessians = [arb_mat(objective.hessian(k)).mid() for k in range(blocks)]
        right = [arb_mat(rows, 1, [gradient[k, j].mid() for j in range(rows)]) for k in range(outputs)]
        columns = [hessians[k % blocks].solve(right[k]).mid() for k in range(outputs)]
    except ZeroDivisionError:
        return witness, defect
    candidate = arb_mat(rows, outputs, [columns[k][j, 0] for j in range(rows) for k in range(outputs)])
    remaining = norm((gradient - objective.hessian_product(candidate)).entries())
    return (candidate, remaining) if remaining < defect else (witness, defect)


def _approximate(values: arb_mat) -> Array:
    return np.array([float(v) for v in values.entries()]).reshape(values.nrows(), values.ncols())
