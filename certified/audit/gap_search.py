"""The search for deletions that break the published claim of objective perturbation, and how often one does (claim T8).

Every problem has rows of norm at most 1, as published, and a claim with ε ≤ 1. Four numbers are tried for ε': the
supremum of the residual itself; Corollary 1's bound, supremum over |b| ≤ cutoff·σ; theorem 1 as printed, which ignores
that the loss is perturbed; and theorem 1 corrected for that, at ‖b‖ = cutoff·σ. All four are granted the probability of
|b| > cutoff·σ on top of δ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from certified.audit.objective_perturbation import (
    PUBLISHED_LIPSCHITZ,
    Array,
    PublishedClaim,
    ScalarDeletion,
    divergences,
)
from certified.audit.perturbation_sampling import VectorDeletion, delta_lower_bound, sample

RESIDUALS = ("supremum", "corollary 1", "theorem 1", "theorem 1 corrected")
CUTOFF = 7.0


@dataclass(frozen=True)
class Verdict:
    """One claim beside the truth.

    Attributes:
        residual: which ε' was inserted, one of ``RESIDUALS``.
        claim: what the publication then states.
        allowed: its δ, and what it is granted on top.
        delta: the true δ at its ε, or a lower confidence bound on it.
    """

    residual: str
    claim: PublishedClaim
    allowed: float
    delta: float

    @property
    def applies(self) -> bool:
        """Whether ε ≤ 1, where the Gaussian mechanism's textbook theorem is stated."""
        return self.claim.epsilon <= 1.0

    @property
    def violated(self) -> bool:
        return self.applies and self.delta > self.allowed


def judge(problem: ScalarDeletion, delta: float, *, size: int = 4001) -> dict[str, Verdict]:
    """Compare all claims about a problem with one weight with the exact δ (claim T8)."""
    t = problem.grid(CUTOFF, size)
    values = {
        "supremum": float(np.max(np.abs(problem.residual(t)))),
        "corollary 1": float(np.max(problem.corollary_bound(t))),
        **_theorem_one(problem.l2_strength, problem.counts, problem.noise_std),
    }
    allowed = delta + 2.0 * float(ndtr(-CUTOFF))
    found = {}
    for name, value in values.items():
        claim = PublishedClaim.of(value, problem.noise_std, delta)
        true = divergences(problem, claim.epsilon, size=size).worst if claim.epsilon <= 1.0 else math.nan
        found[name] = Verdict(name, claim, allowed, true)
    return found


def judge_sampled(problem: VectorDeletion, delta: float, draws: int, rng: np.random.Generator) -> dict[str, Verdict]:
    """Compare claims about a problem with several weights with a 99.9 % lower confidence bound on δ (claim T8).

    Suprema over b are those of ``draws`` draws; the probability of a worse draw is bounded, and granted to the claim.
    As ε follows from them, δ at this ε is bounded with as many fresh ones.
    """
    found = sample(problem, draws, rng)
    values = {
        "supremum": float(np.max(found.residual)),
        "corollary 1": float(np.max(found.corollary_bound)),
        **_theorem_one(problem.l2_strength, problem.counts, problem.noise_std * math.sqrt(problem.deleted.shape[0])),
    }
    verdicts, fresh = {}, sample(problem, draws, rng)
    for name, value in values.items():
        claim = PublishedClaim.of(value, problem.noise_std, delta)
        verdicts[name] = Verdict(
            name, claim, delta + found.unseen, delta_lower_bound(fresh.log_ratio, claim.epsilon, rng)
        )
    return verdicts


def random_problems(count: int, rng: np.random.Generator) -> Iterator[ScalarDeletion]:
    """Draw problems with one weight; half of them have many rows that are zero in this feature."""
    for _ in range(count):
        kept = rng.uniform(-1.0, 1.0, size=int(rng.integers(1, 4)))
        rows = len(kept) + 1 + (int(10.0 ** rng.uniform(0, 6)) if rng.random() < 0.5 else 0)
        alpha = 10.0 ** rng.uniform(-3.5, 0.5)
        sigma = float(10.0 ** rng.uniform(-0.5, 3))
        yield ScalarDeletion.per_sample(
            tuple(kept.tolist()), float(rng.uniform(-1.0, 1.0)), alpha / rows, sigma, rows=rows
        )


def random_vector_problems(count: int, dimension: int, rng: np.random.Generator) -> Iterator[VectorDeletion]:
    """Draw problems with several weights, rows in the unit ball, few enough that the strength decides."""
    for _ in range(count):
        kept = rng.normal(size=(int(rng.integers(1, 2 * dimension + 2)), dimension))
        kept /= np.maximum(1.0, np.linalg.norm(kept, axis=1))[:, None]
        deleted = rng.normal(size=dimension)
        rows = len(kept) + 1 + (int(10.0 ** rng.uniform(0, 6)) if rng.random() < 0.5 else 0)
        alpha, sigma = 10.0 ** rng.uniform(-3, 0), float(10.0 ** rng.uniform(0, 2.5))
        yield VectorDeletion(kept, deleted / np.linalg.norm(deleted), alpha / rows, (rows, rows - 1), sigma)


def worst_problem(
    residual: str, delta: float, rng: np.random.Generator, *, generations: int = 60, population: int = 32
) -> tuple[ScalarDeletion, Verdict]:
    """Search by differential evolution for the largest true δ under a claim of ``delta`` (claim T8).

    The unknowns are one kept and the deleted feature, α, σ, and how many rows there are. Returns the best problem,
    which need not violate anything.
    """
    if residual not in RESIDUALS:
        raise ValueError(f"residual must be one of {', '.join(RESIDUALS)}, got {residual!r}; choose one of them")
    low, high = np.array([-1.0, -1.0, -3.0, 0.0, 0.5]), np.array([1.0, 1.0, 1.0, 4.0, 6.0])
    points = rng.uniform(low, high, size=(population, len(low)))
    scores = np.array([_score(point, residual, delta) for point in points])
    for _ in range(generations):
        best = points[np.argsort(-scores)[rng.integers(0, 5, size=population)]]
        first, second = points[rng.permutation(population)], points[rng.permutation(population)]
        stretch = rng.uniform(0.4, 0.9, size=(population, 1))
        moved = np.clip(points + stretch * (best - points + first - second), low, high)
        moved = np.where(rng.random(points.shape) < 0.8, moved, points)
        found = np.array([_score(point, residual, delta) for point in moved])
        better = found >= scores
        points[better], scores[better] = moved[better], found[better]
    problem = _decode(points[int(np.argmax(scores))])
    return problem, judge(problem, delta)[residual]


def _decode(point: Array) -> ScalarDeletion:
    kept, deleted, alpha, sigma, rows = point.tolist()
    count = max(2, round(10.0**rows))
    return ScalarDeletion.per_sample((kept,), deleted, 10.0**alpha / count, 10.0**sigma, rows=count)


def _score(point: Array, residual: str, delta: float) -> float:
    """log δ, or below every one of those how far the claim is from saying something that could be false."""
    verdict = judge(_decode(point), delta, size=801)[residual]
    if not verdict.applies:
        return -2000.0 - math.log(verdict.claim.epsilon)
    return math.log(verdict.delta) if verdict.delta > 1e-300 else -1000.0 - math.log(verdict.claim.epsilon)


def _theorem_one(strength: float, counts: tuple[int, int], noise_std: float) -> dict[str, float]:
    """Residual bounds that hold for all data of norm at most 1, with γ = 1/4 and C = 1 as printed."""
    before, after = counts
    scale = PUBLISHED_LIPSCHITZ / (strength**2 * after)
    return {
        "theorem 1": 4.0 * scale,
        "theorem 1 corrected": (2.0 + CUTOFF * noise_std / before) ** 2 * scale,
    }
