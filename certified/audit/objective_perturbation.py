"""Deletion under objective perturbation with one weight, solved exactly: the published theorem measured (claim T8).

Training minimises Σ log(1 + e^(−a·w)) + (α/2)w² + b·w over the signed features a = y·x of all rows, b ~ N(0, σ²).
Deletion is one Newton step on the rows that remain, and the result w⁻ is released. Retraining minimises over those rows
with a noise of its own. The trained weight t determines everything in closed form: the noise b(t) that led to it, the
Newton step s(t), the gradient residual u(t), and the *effective noise* β = b − u, for which retraining would have
released w⁻. So the two releases differ exactly as β from b, and b ↦ β carries the factor |dβ/db| into its density: a
bound on |u| says nothing about it.

Source of the mechanism and of the claim examined: Guo, Goldstein, Hannun & van der Maaten 2020 (arXiv 1911.03030). All
numbers here are float64 estimates; ``certified.audit.certified_gap`` proves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

Array = npt.NDArray[np.float64]

PUBLISHED_LIPSCHITZ = 0.25
"""Lipschitz constant γ of ℓ'' as printed for the logistic loss; the smallest one is 1/(6√3), see claim C-logistic."""


@dataclass(frozen=True)
class ScalarDeletion:
    """Logistic regression with one weight, from which one row is deleted (claim T8).

    Attributes:
        kept: signed features a = y·x of the rows that remain. Rows of zeros only count in ``counts``.
        deleted: signed feature of the row to delete.
        l2_strength: λ.
        counts: (n before, n after) with α = λn under per-sample scaling, (1, 1) under total scaling.
        noise_std: σ of the linear term b.
    """

    kept: tuple[float, ...]
    deleted: float
    l2_strength: float
    counts: tuple[int, int]
    noise_std: float

    def __post_init__(self) -> None:
        if not self.kept:
            raise ValueError("kept must not be empty; pass the signed feature of at least one row, 0.0 included")
        if not all(map(math.isfinite, (*self.kept, self.deleted))):
            raise ValueError("kept and deleted must be finite; remove rows that hold NaN or infinity")
        for name in ("l2_strength", "noise_std"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)!r}; pass such a value")
        if not self.counts[0] >= self.counts[1] >= 1:
            raise ValueError(
                f"counts must be (before, after) with before ≥ after ≥ 1, got {self.counts!r}; reorder them"
            )

    @classmethod
    def per_sample(
        cls, kept: Sequence[float], deleted: float, l2_strength: float, noise_std: float, *, rows: int | None = None
    ) -> ScalarDeletion:
        """Return the published setting: α = λn, so that the deleted row takes its share λw of the penalty along.

        ``rows`` counts all rows before deletion, rows of zeros included; by default there are none of those.
        """
        rows = len(kept) + 1 if rows is None else rows
        if rows < len(kept) + 1:
            raise ValueError(f"rows must be at least {len(kept) + 1}, got {rows}; count every row before deletion")
        return cls(tuple(map(float, kept)), float(deleted), l2_strength, (rows, rows - 1), noise_std)

    @property
    def full_alpha(self) -> float:
        """α before deletion."""
        return self.l2_strength * self.counts[0]

    @property
    def kept_alpha(self) -> float:
        """α after deletion."""
        return self.l2_strength * self.counts[1]

    @cached_property
    def _signed(self) -> Array:
        return np.array(self.kept, dtype=np.float64)[:, None]

    def kept_gradient(self, w: Array) -> Array:
        """∇F(w) on the remaining rows, without noise; w of shape (m,)."""
        return np.asarray(self.kept_alpha * w - np.sum(self._signed * expit(-self._signed * w), axis=0))

    def kept_curvature(self, w: Array) -> Array:
        """F''(w) on the remaining rows."""
        z = self._signed * w
        return np.asarray(self.kept_alpha + np.sum(self._signed**2 * expit(z) * expit(-z), axis=0))

    def training_noise(self, t: Array) -> Array:
        """b(t), the noise under which training returned t: strictly decreasing, onto the real line."""
        return -self.kept_gradient(t) - self._row_gradient(t)

    def newton_step(self, t: Array) -> Array:
        """s = H⁻¹Δ: the published removal moves t to w⁻ = t + s."""
        return np.asarray(self._row_gradient(t) / self.kept_curvature(t))

    def residual(self, t: Array) -> Array:
        """u = ∇F(t + s) + b, the gradient left on the remaining rows, noise included."""
        a, s = self._signed, self.newton_step(t)
        z = a * t
        slopes = expit(-z) - expit(-z - a * s) - a * s * expit(z) * expit(-z)
        return np.asarray(np.sum(a * slopes, axis=0))

    def _row_gradient(self, t: Array) -> Array:
        """Δ, the gradient of the deleted row, its share of the penalty included."""
        share: Array = self.l2_strength * (self.counts[0] - self.counts[1]) * t
        return np.asarray(share - self.deleted * expit(-self.deleted * t))

    def effective_noise(self, t: Array) -> Array:
        """β = b − u: retraining with this noise releases the same w⁻."""
        return -self.kept_gradient(t + self.newton_step(t))

    def slope(self, t: Array) -> Array:
        """dβ/db, the factor that a bound on |u| ignores."""
        a, a0, s, h = self._signed, self.deleted, self.newton_step(t), self.kept_curvature(t)
        z = a * t
        third = np.sum(a**3 * expit(z) * expit(-z) * (1.0 - 2.0 * expit(z)), axis=0)
        full = h + self.l2_strength * (self.counts[0] - self.counts[1]) + a0**2 * expit(a0 * t) * expit(-a0 * t)
        return np.asarray(self.kept_curvature(t + s) * (full - s * third) / (h * full))

    def corollary_bound(self, t: Array, lipschitz: float = PUBLISHED_LIPSCHITZ) -> Array:
        """Corollary 1 of the publication, γ‖X‖‖H⁻¹Δ‖‖XH⁻¹Δ‖ ≥ |u|, which presumes |x| ≤ 1."""
        return lipschitz * float(np.sum(self._signed**2)) * self.newton_step(t) ** 2

    def grid(self, cutoff: float, size: int) -> Array:
        """Return trained weights, increasing, that cover |b| ≤ cutoff·σ; dense near 0, where the losses bend."""
        reach = sum(map(abs, self.kept)) + abs(self.deleted) + cutoff * self.noise_std
        end = math.asinh(reach / self.full_alpha)
        t = np.sinh(np.linspace(-end, end, size))
        inside = np.flatnonzero(np.abs(self.training_noise(t)) <= cutoff * self.noise_std)
        # One more on each side, so that the whole of |b| ≤ cutoff·σ lies between the ends.
        first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, size - 1)
        refined = np.sinh(np.linspace(math.asinh(t[first]), math.asinh(t[last]), size))
        return np.asarray(refined)


@dataclass(frozen=True)
class PublishedClaim:
    """Theorem 3 of the publication: ‖u‖ ≤ ε' and σ = cε'/ε give (ε, 1.5e^(−c²/2)) (claim T8 refutes it for some ε').

    Attributes:
        residual: ε', what is inserted for the bound on the residual.
        epsilon, delta: the guarantee that the theorem then states.
    """

    residual: float
    epsilon: float
    delta: float

    @classmethod
    def of(cls, residual: float, noise_std: float, delta: float) -> PublishedClaim:
        """Return the claim at ``delta``: c = √(2 log(1.5/δ)), ε = cε'/σ.

        >>> round(PublishedClaim.of(residual=1.0, noise_std=5.0, delta=1e-4).epsilon, 4)
        0.8771
        """
        if not 0.0 < delta < 1.5:
            raise ValueError(f"delta must be between 0 and 1.5, got {delta!r}; pass a probability, such as 1e-4")
        return cls(residual, math.sqrt(2.0 * math.log(1.5 / delta)) * residual / noise_std, delta)


@dataclass(frozen=True)
class Divergences:
    """δ(ε) in both directions: ``forward`` sup P(M) − e^ε P(A), ``backward`` with M and A exchanged."""

    forward: float
    backward: float

    @property
    def worst(self) -> float:
        return max(self.forward, self.backward)


def supremum(problem: ScalarDeletion, cutoff: float = 7.0, size: int = 8001) -> float:
    """Estimate sup |u(b)| over |b| ≤ cutoff·σ: the smallest ε' that any bound on the residual can have (claim T8)."""
    return float(np.max(np.abs(problem.residual(problem.grid(cutoff, size)))))


def corollary_supremum(problem: ScalarDeletion, cutoff: float = 7.0, size: int = 8001) -> float:
    """Estimate the supremum of Corollary 1's own bound over |b| ≤ cutoff·σ."""
    return float(np.max(problem.corollary_bound(problem.grid(cutoff, size))))


def divergences(problem: ScalarDeletion, epsilon: float, *, cutoff: float = 9.0, size: int = 8001) -> Divergences:
    """Compute the exact δ(ε) between releases after deletion and after retraining, both directions (claim T8).

    The line of effective noises is cut into cells between neighbouring values of β on a grid. A cell's probability
    under A is Gaussian in β, under M the sum over the branches of b ↦ β of Gaussian probabilities in b, and δ is
    Σ (P − e^ε Q)₊ over cells: releasing the cell alone is post-processing, so this approaches δ from below, with an
    error of second order in the cell width. No derivative enters.

    >>> problem = ScalarDeletion((-1.35524349, 0.84494977), 4.80990705, 0.0403, (1, 1), 19.6)
    >>> round(divergences(problem, epsilon=0.87605).worst, 4)
    0.0615
    """
    t = problem.grid(cutoff, size)
    b = problem.training_noise(t) / problem.noise_std
    beta = problem.effective_noise(t) / problem.noise_std
    edges = np.unique(beta)
    ours = np.zeros(len(edges) - 1)
    for branch in monotone_branches(beta):
        order = slice(None) if beta[branch][0] < beta[branch][-1] else slice(None, None, -1)
        ours += np.abs(normal_masses(np.interp(edges, beta[branch][order], b[branch][order])))
    theirs = normal_masses(edges)
    factor = math.exp(min(epsilon, 700.0))
    forward = np.sum(np.maximum(ours - factor * theirs, 0.0))
    backward = np.sum(np.maximum(theirs - factor * ours, 0.0))
    return Divergences(float(forward), float(backward))


def monotone_branches(values: Array) -> list[slice]:
    """Split an index range where ``values`` changes direction; neighbours share their turning point.

    >>> monotone_branches(np.array([3.0, 2.0, 1.0, 4.0, 5.0]))
    [slice(0, 3, None), slice(2, 5, None)]
    """
    rising = np.diff(values) > 0.0
    turns = [0, *(np.flatnonzero(rising[1:] != rising[:-1]) + 1).tolist(), len(values) - 1]
    return [slice(first, last + 1) for first, last in itertools.pairwise(turns)]


def densities(problem: ScalarDeletion, *, cutoff: float = 5.0, size: int = 8001) -> tuple[Array, Array, Array]:
    """Return weights w (increasing) and the exact densities of the release there, after deletion and retraining (T8).

    After retraining φ_σ(β(w))·F''(w); after deletion Σ φ_σ(b)·|db/dβ|·F''(w) over the branches of b ↦ β.
    """
    t = problem.grid(cutoff, size)
    released = t + problem.newton_step(t)
    w, sigma = np.unique(released), problem.noise_std
    jacobian = problem.kept_curvature(w)
    theirs = _gaussian(-problem.kept_gradient(w), sigma) * jacobian
    density = _gaussian(problem.training_noise(t), sigma) / np.abs(problem.slope(t))
    ours = np.zeros_like(w)
    for branch in monotone_branches(released):
        order = slice(None) if released[branch][0] < released[branch][-1] else slice(None, None, -1)
        ours += np.interp(w, released[branch][order], density[branch][order], left=0.0, right=0.0)
    return w, ours * jacobian, theirs


def normal_masses(edges: Array) -> Array:
    """Standard normal probabilities between neighbouring edges, from the tail that is nearer."""
    right = edges[:-1] > 0.0
    return np.asarray(np.where(right, ndtr(-edges[:-1]) - ndtr(-edges[1:]), ndtr(edges[1:]) - ndtr(edges[:-1])))


def _gaussian(x: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi)))
