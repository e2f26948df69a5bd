"""Audit of objective perturbation in several dimensions, by sampling with the exact Jacobian (claim T8).

After deletion the release is what retraining would have released for the noise β = b − u(b). Where b ↦ β is one to
one, the privacy loss at β is L = (‖β‖² − ‖b‖²)/(2σ²) − log|det dβ/db| and δ(ε) = E[(1 − e^(ε−L))₊] over b ~ N(0, σ²I).
Where several b lead to one β, the density there is the sum over them, L so computed is too small, and the expectation
is still a lower bound. So no inversion and no assumption is needed, and a sample mean of numbers in [0, 1] convicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from certified.audit.confidence import CONFIDENCE, proportion_bounds
from certified.audit.objective_perturbation import PUBLISHED_LIPSCHITZ

Array = npt.NDArray[np.float64]

_MOST_STEPS = 200
_TRAINED = 1e-12


@dataclass(frozen=True)
class VectorDeletion:
    """Logistic regression on signed rows y·x, from which one row is deleted (claim T8).

    Attributes:
        kept: (n, d) signed rows that remain. Rows of zeros only count in ``counts``.
        deleted: (d,) signed row to delete.
        l2_strength: λ.
        counts: (n before, n after) with α = λn under per-sample scaling, (1, 1) under total scaling.
        noise_std: σ of each coordinate of the linear term b.
    """

    kept: Array
    deleted: Array
    l2_strength: float
    counts: tuple[int, int]
    noise_std: float


@dataclass(frozen=True)
class PerturbationSample:
    """Draws of the training noise b and what they lead to.

    Attributes:
        log_ratio: (N,) privacy loss L at the release.
        residual: (N,) ‖u‖.
        corollary_bound: (N,) the published bound γ‖X‖‖H⁻¹Δ‖‖XH⁻¹Δ‖ on it.
    """

    log_ratio: Array
    residual: Array
    corollary_bound: Array

    @property
    def unseen(self) -> float:
        """Upper confidence bound on the probability of a draw beyond the largest of these, whatever is measured."""
        return -math.expm1(math.log1p(-CONFIDENCE) / len(self.residual))


def sample(problem: VectorDeletion, size: int, rng: np.random.Generator) -> PerturbationSample:
    """Train under ``size`` draws of b, delete by the Newton step, and measure the exact privacy loss (claim T8).

    Raises ``ArithmeticError`` if training does not converge.
    """
    noise = problem.noise_std * rng.normal(size=(size, problem.deleted.shape[0]))
    return measure(problem, noise)


def measure(problem: VectorDeletion, noise: Array) -> PerturbationSample:
    """As ``sample``, for given b of shape (N, d)."""
    before, after = problem.counts
    full = np.vstack([problem.kept, problem.deleted])
    t = _train(full, problem.l2_strength * before, noise)
    share, alpha, row = problem.l2_strength * (before - after), problem.l2_strength * after, problem.deleted[None]
    delta = _gradient(row, share, t)
    hessian = _hessian(problem.kept, alpha, t)
    step = np.linalg.solve(hessian, delta[..., None])[..., 0]
    residual = _gradient(problem.kept, alpha, t + step) + noise
    effective = noise - residual
    # dβ/db = H(t + s)·H⁻¹(H_D − DH[s])·H_D⁻¹, where H_D is the Hessian of training.
    z = t @ problem.kept.T
    third = expit(z) * expit(-z) * (1.0 - 2.0 * expit(z)) * (step @ problem.kept.T)
    bent = np.einsum("ni,ij,ik->njk", third, problem.kept, problem.kept)
    trained = hessian + _hessian(row, share, t)
    log_det = (
        _log_det(_hessian(problem.kept, alpha, t + step))
        + _log_det(trained - bent)
        - _log_det(hessian)
        - _log_det(trained)
    )
    # ‖β‖² − ‖b‖² = −(b + β)·u keeps the digits that two large squares would lose.
    log_ratio = -np.sum((noise + effective) * residual, axis=1) / (2.0 * problem.noise_std**2) - log_det
    bound = PUBLISHED_LIPSCHITZ * np.linalg.norm(problem.kept, 2) * np.linalg.norm(step, axis=1)
    return PerturbationSample(
        log_ratio, np.linalg.norm(residual, axis=1), bound * np.linalg.norm(step @ problem.kept.T, axis=1)
    )


def delta_lower_bound(
    log_ratio: Array, epsilon: float, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> float:
    """Return a lower confidence bound on δ(ε) from privacy losses sampled under M: Clopper–Pearson on coin flips (T8).

    Each draw is flipped into 0 or 1 with mean (1 − e^(ε−L))₊, so that the bound is exact whatever the law of L.
    """
    excess = -np.expm1(np.minimum(epsilon - log_ratio, 0.0))
    hits = int(np.sum(rng.random(len(excess)) < excess))
    return float(proportion_bounds(hits, len(excess), confidence)[0])


def _train(rows: Array, alpha: float, noise: Array) -> Array:
    """Minimise under every b at once, along a path of falling strengths: under little strength losses look kinked."""
    t = np.zeros_like(noise)
    strength = max(alpha, float(np.linalg.norm(rows, 2)) ** 2)
    while strength > alpha:
        t = _newton(rows, strength, noise, t, 1e-3)
        strength *= 0.25
    return _newton(rows, alpha, noise, t, _TRAINED)


def _newton(rows: Array, alpha: float, noise: Array, t: Array, tolerance: float) -> Array:
    """Newton's method with step halving."""
    scale = 1.0 + np.linalg.norm(noise, axis=1) + np.sum(np.linalg.norm(rows, axis=1))
    value = _value(rows, alpha, noise, t)
    for _ in range(_MOST_STEPS):
        gradient = _gradient(rows, alpha, t) + noise
        if np.all(np.linalg.norm(gradient, axis=1) <= tolerance * scale):
            return t
        step = np.linalg.solve(_hessian(rows, alpha, t), gradient[..., None])[..., 0]
        promised, length = np.sum(gradient * step, axis=1), np.ones(len(t))
        rounding = 1e-14 * (np.abs(value) + alpha * np.sum(t * t, axis=1) + np.abs(np.sum(noise * t, axis=1)))
        while True:
            moved = t - length[:, None] * step
            reached = _value(rows, alpha, noise, moved)
            short = reached > value - 1e-4 * length * promised + rounding
            if not np.any(short & (length > 1e-12)):
                break
            length[short] *= 0.5
        t, value = moved, reached
    raise ArithmeticError("training did not converge; raise l2_strength")


def _value(rows: Array, alpha: float, noise: Array, t: Array) -> Array:
    losses = np.sum(np.logaddexp(0.0, -t @ rows.T), axis=1)
    return np.asarray(losses + 0.5 * alpha * np.sum(t * t, axis=1) + np.sum(noise * t, axis=1))


def _gradient(rows: Array, alpha: float, t: Array) -> Array:
    return np.asarray(alpha * t - expit(-t @ rows.T) @ rows)


def _hessian(rows: Array, alpha: float, t: Array) -> Array:
    z = t @ rows.T
    data = np.einsum("ni,ij,ik->njk", expit(z) * expit(-z), rows, rows, optimize=True)
    return np.asarray(data + alpha * np.eye(rows.shape[1]))


def _log_det(matrices: Array) -> Array:
    return np.asarray(np.linalg.slogdet(matrices)[1])
