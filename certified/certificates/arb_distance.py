"""The verifier's own proof that W is near the minimiser, in balls (claims T1, T2, T2s, T2w).

Cheap arguments come first; the Hessian is formed only where they do not settle the certified figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

from certified.certificates.arb_objective import LOSSES, ArbObjective, Moments, largest, matrix, norm

Array = npt.NDArray[np.float64]

_SHARE = 0.99
_REFINEMENTS = 3
_NEGLIGIBLE = 1e-12


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

    def settles(self, claimed: DistanceProof) -> bool:
        """Whether both claimed figures are confirmed."""
        return bool(self.distance <= claimed.distance) and bool(self.curvature >= claimed.curvature)


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
    kappa = constants.self_concordance * largest(squared_norms).sqrt()
    structural = _structural_curvature(objective, moments)
    bound = local_distance(residual, structural, kappa)
    if not objective.fit_intercept and objective.alpha > 0.0:
        bound = bound.min(residual / objective.alpha)
    proof = DistanceProof(bound, structural)
    claimed = DistanceProof(arb(distance), arb(curvature))
    if proof.settles(claimed):
        return proof
    # ∇F is Lipschitz, so a large gradient excludes a near minimiser.
    sizes = sum((arb(c) * s for c, s in zip(objective.sample_weights.tolist(), squared_norms, strict=True)), arb(0))
    if residual > distance * (objective.alpha + constants.curvature_limit * sizes):
        return DistanceProof(bound, structural, refuted=True)
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
    if not objective.fit_intercept:
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
    blocks = 1 if objective.loss == "squared" else objective.shape[1]
    spectra = [_Spectrum.of(objective.approximate_hessian(k)) for k in range(blocks)]
    witness, defect = _witness(objective, spectra, gradient, proof.curvature)
    size = norm([arb(v) for v in witness.ravel().tolist()])
    overlap = sum((gradient[k, j] * float(witness[j, k]) for j, k in np.ndindex(*witness.shape)), arb(0))
    for by_hessian in (False, True):
        if by_hessian:
            proof = DistanceProof(proof.distance, proof.curvature.max(_curvature(objective, spectra, proof, claimed)))
        m = proof.curvature
        if m > 0:
            first = local_distance(residual, m, kappa)
            second = _witness_distance(residual, m, kappa, size + defect / m, overlap + residual * defect / m)
            proof = DistanceProof(proof.distance.min(first).min(second), m)
        if proof.settles(claimed):
            break
    return proof


def _witness_distance(residual: arb, curvature: arb, kappa: arb, newton_step: arb, decrement_squared: arb) -> arb:
    """Return the smaller of t/κ and ‖H⁻¹g‖ + a/(1 − a)·λ_N/√m, both bounds on ‖W − W*‖_F (claims T2, T2w).

    t = −log(1 − q), q = κλ_N/√m < 1 and a = (e^t − 1)/t − 1; λ_N² is the smaller of the witness's bound and r²/m.
    """
    scaled = (decrement_squared.min(residual * residual / curvature) / curvature).nonnegative_part().sqrt()
    ratio = (kappa * scaled).upper()
    if ratio == 0:
        return newton_step
    if not ratio < 1:
        return arb.pos_inf()
    growth = -(-ratio).log1p()
    variation = ratio / ((1 - ratio) * growth) - 1
    first = growth / kappa
    return first.min(newton_step + variation / (1 - variation) * scaled) if variation < 1 else first


@dataclass(frozen=True, repr=False)
class _Spectrum:
    """A float64 Hessian and its eigendecomposition: it guides searches and proves nothing."""

    hessian: Array
    values: Array
    vectors: Array

    @classmethod
    def of(cls, hessian: Array) -> _Spectrum:
        if not np.all(np.isfinite(hessian)):
            hessian = np.eye(len(hessian))
        return cls(hessian, *np.linalg.eigh(hessian))

    def solve(self, gradient: Array) -> Array:
        """H⁻¹g, with the eigenvalues that rounding may have made raised to its level."""
        level = max(len(self.values) * np.finfo(np.float64).eps * float(self.values[-1]), np.finfo(np.float64).tiny)
        return np.asarray(self.vectors @ ((self.vectors.T @ gradient) / np.maximum(self.values, level)))


def _curvature(objective: ArbObjective, spectra: list[_Spectrum], known: DistanceProof, claimed: DistanceProof) -> arb:
    """Return a curvature proved by congruence on every output: the claimed one, else one near the estimated λ_min."""
    smallest = arb.pos_inf()
    for k, spectrum in enumerate(spectra):
        target = float(claimed.curvature)
        if known.curvature >= target:
            target = _SHARE * float(spectrum.values[0])
        if not (known.curvature < target and _exceeds(objective.hessian(k), spectrum.hessian, target)):
            return arb(0)
        smallest = smallest.min(arb(target))
    return smallest


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


def _witness(objective: ArbObjective, spectra: list[_Spectrum], gradient: arb_mat, curvature: arb) -> tuple[Array, arb]:
    """Return V ≈ H⁻¹g, refined until its defect hardly matters, and ‖g − HV‖_F; any V is sound."""
    witness, defect, rest = np.zeros(objective.shape), norm(gradient.entries()), gradient
    for _ in range(_REFINEMENTS):
        columns = [spectra[k % len(spectra)].solve(g) for k, g in enumerate(_approximate(rest))]
        candidate = witness + np.stack(columns, axis=1)
        if not np.all(np.isfinite(candidate)):
            break
        remaining = gradient - objective.hessian_product(candidate)
        size = norm(remaining.entries())
        if not size < defect:
            break
        witness, defect, rest = candidate, size, remaining
        if defect < _NEGLIGIBLE * curvature * float(np.linalg.norm(witness)):
            break
    return witness, defect


def _approximate(values: arb_mat) -> Array:
    return np.array([float(v) for v in values.entries()]).reshape(values.nrows(), values.ncols())
