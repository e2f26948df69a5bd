"""The verifier's own proof that W is near the minimiser, in balls (claims T1, T2, T2s, T2w).

Cheap arguments come first; the Hessian is formed only where they do not settle the certified figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

from certified.certificates.arb_objective import LOSSES, ArbObjective, Moments, norm

Array = npt.NDArray[np.float64]

_SHARES = (0.995, 0.9, 0.5)
_REFINEMENTS = 3


@dataclass(frozen=True)
class DistanceProof:
    """What could be proved at W.

    Attributes:
        distance: upper bound on ‖W − W*‖_F; infinite where none was found.
        curvature: lower bound on λ_min(∇²F(W)).
        refuted: whether W is proved to lie farther from W* than claimed.
    """

    distance: arb
    curvature: arb
    refuted: bool = False

    def settles(self, distance: float, curvature: float) -> bool:
        """Whether both claimed figures are confirmed."""
        return bool(self.distance <= distance) and bool(self.curvature >= curvature)


def prove_distance(
    objective: ArbObjective, moments: Moments, squared_norms: list[arb], distance: float, curvature: float
) -> DistanceProof:
    """Bound the distance and the curvature, with as much work as it takes to confirm the claimed figures.

    Args:
        objective: the objective in balls, at W.
        moments: its row sums.
        squared_norms: ‖x̃_i‖² of every row.
        distance: the claimed distance bound.
        curvature: the claimed lower bound on λ_min(∇²F(W)).
    """
    constants = LOSSES[objective.loss]
    residual = norm(moments.gradient.entries())
    kappa = constants.self_concordance * _largest(squared_norms).sqrt()
    structural = _structural_curvature(objective, moments)
    bound = local_distance(residual, structural, kappa)
    if not objective.fit_intercept and objective.alpha > 0.0:
        bound = bound.min(residual / objective.alpha)
    proof = DistanceProof(bound, structural)
    if proof.settles(distance, curvature):
        return proof
    # ∇F is Lipschitz, so a large gradient excludes a near minimiser.
    sizes = sum((arb(c) * s for c, s in zip(objective.sample_weights.tolist(), squared_norms, strict=True)), arb(0))
    if residual > distance * (objective.alpha + constants.curvature_limit * sizes):
        return DistanceProof(bound, structural, refuted=True)
    return _prove_by_hessian(objective, moments.gradient, residual, kappa, proof, distance, curvature)


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
    if not objective.fit_intercept:
        return alpha
    smallest = alpha
    for total, first in zip(moments.totals, moments.first, strict=True):
        if not total > 0:
            return arb(0)
        trace = alpha + total + first * first / total
        largest = (trace + (trace * trace - 4 * alpha * total).nonnegative_part().sqrt()) / 2
        smallest = smallest.min(alpha * total / largest)
    return smallest


def _prove_by_hessian(
    objective: ArbObjective,
    gradient: arb_mat,
    residual: arb,
    kappa: arb,
    proof: DistanceProof,
    distance: float,
    curvature: float,
) -> DistanceProof:
    """Improve ``proof`` by a curvature from the Hessian, then by a witness p ≈ H⁻¹g (claims T2, T2w)."""
    p, outputs = objective.shape
    shared = objective.loss == "squared"
    smallest, step, defect, overlap = arb.pos_inf(), arb(0), arb(0), arb(0)
    for k in range(outputs):
        if k == 0 or not shared:
            hessian = objective.hessian(k)
            approximate = _approximate(hessian)
            smallest = smallest.min(_proved_curvature(hessian, approximate, curvature))
        if not smallest > 0:
            return proof
        column = arb_mat(p, 1, [gradient[k, j] for j in range(p)])
        witness, rest = _witness(hessian, approximate, column)
        step += norm(witness.entries()) ** 2
        defect += norm(rest.entries()) ** 2
        overlap += (column.transpose() * witness)[0, 0]
    smallest = smallest.max(proof.curvature)
    step, defect = step.sqrt(), defect.sqrt()
    newton_step, decrement_squared = step + defect / smallest, overlap + residual * defect / smallest
    first = local_distance(residual, smallest, kappa)
    second = _witness_distance(residual, smallest, kappa, newton_step, decrement_squared)
    return DistanceProof(proof.distance.min(first).min(second), smallest)


def _witness_distance(residual: arb, curvature: arb, kappa: arb, newton_step: arb, decrement_squared: arb) -> arb:
    """Return ‖H⁻¹g‖ + a/(1 − a)·λ_N/√m, a = (e^t − 1)/t − 1, t = −log(1 − q), q = κλ_N/√m (claims T2, T2w)."""
    decrement = decrement_squared.min(residual * residual / curvature).nonnegative_part().sqrt()
    ratio = (kappa * decrement / curvature.sqrt()).upper()
    if ratio == 0:
        return newton_step
    if not ratio < 1:
        return arb.pos_inf()
    variation = ratio / ((ratio - 1) * (-ratio).log1p()) - 1
    if not variation < 1:
        return arb.pos_inf()
    return newton_step + variation / (1 - variation) * decrement / curvature.sqrt()


def _proved_curvature(hessian: arb_mat, approximate: Array, claimed: float) -> arb:
    """Return the largest m that a congruence test proves, among shares of the estimated λ_min and the claimed one."""
    if not np.all(np.isfinite(approximate)):
        return arb(0)
    estimate = float(np.linalg.eigvalsh(approximate)[0])
    candidates = {share * estimate for share in _SHARES} | {claimed}
    for candidate in sorted(candidates, reverse=True):
        if 0.0 < candidate < estimate and _exceeds(hessian, approximate, candidate):
            return arb(candidate)
    return arb(0)


def _exceeds(hessian: arb_mat, approximate: Array, shift: float) -> bool:
    """Prove H − mI ≻ 0: some V has V(H − mI)Vᵀ = I + E with ‖E‖_F < 1 (Sylvester's law of inertia)."""
    p = len(approximate)
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(approximate - shift * np.eye(p)))
    except np.linalg.LinAlgError:
        return False
    if not np.all(np.isfinite(inverse)):
        return False
    v = arb_mat(p, p, inverse.ravel().tolist())
    shifted = arb_mat(hessian)
    for j in range(p):
        shifted[j, j] = shifted[j, j] - shift
    image = (v * shifted) * v.transpose()
    for j in range(p):
        image[j, j] = image[j, j] - 1
    return bool(norm(image.entries()) < 1)


def _witness(hessian: arb_mat, approximate: Array, gradient: arb_mat) -> tuple[arb_mat, arb_mat]:
    """Return p ≈ H⁻¹g by refinement, and its defect g − Hp; any p is sound."""
    p = len(approximate)
    witness, defect = arb_mat(p, 1), gradient
    for _ in range(_REFINEMENTS):
        correction = np.linalg.solve(approximate, _approximate(defect))
        if not np.all(np.isfinite(correction)):
            break
        candidate = (witness + arb_mat(p, 1, correction.ravel().tolist())).mid()
        rest = gradient - hessian * candidate
        if not norm(rest.entries()) < norm(defect.entries()):
            break
        witness, defect = candidate, rest
    return witness, defect


def _approximate(matrix: arb_mat) -> Array:
    return np.array([float(v) for v in matrix.entries()]).reshape(matrix.nrows(), matrix.ncols())


def _largest(values: list[arb]) -> arb:
    """A number at least as large as every enclosed one."""
    return max((v.upper() for v in values), default=arb(0))
