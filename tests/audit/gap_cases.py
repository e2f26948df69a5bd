"""The counterexamples to the published claim, and the mechanism written down anew in multi-precision arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath

from certified.audit import ScalarDeletion
from certified.audit.certified_gap import Quantity

mpf = mpmath.mpf


@dataclass(frozen=True)
class Case:
    """A problem, what is inserted for ε', and the claim and the truth as proofs/T8 prints them."""

    problem: ScalarDeletion
    quantity: Quantity
    claimed_delta: float
    epsilon: float
    true_delta: float


TIGHT = ScalarDeletion.per_sample((-0.50041541742, -0.50236159035), 1.0, 3.16936e-4, 4.44396)
WIDE = ScalarDeletion((-1.35524349, 0.84494977), 4.80990705, 0.0403, (1, 1), 19.6)
RARE = ScalarDeletion.per_sample((0.7,), -1.0, 1.5e-5, 350.0, rows=10**4)
RAREST = ScalarDeletion.per_sample((0.65,), -1.0, 7e-8, 400.0, rows=10**6)
PAIR = ScalarDeletion.per_sample((1.0,), -1.0, 2.0, 100.0)

CASES = {
    "a": Case(TIGHT, "residual", 1e-4, 0.9177, 0.0768),
    "b": Case(WIDE, "residual", 1e-4, 0.8762, 0.0614),
    "c": Case(RARE, "corollary", 1e-5, 0.1178, 6.89e-5),
    "c'": Case(RARE, "corollary", 1e-10, 0.1652, 2.95e-5),
    "d": Case(RAREST, "corollary", 1e-4, 0.2377, 1.419e-4),
    "e": Case(PAIR, "theorem", 1e-5, 0.01221, 2.77e-4),
}


class Reference:
    """The mechanism of the publication for one weight, from its definition, in multi-precision arithmetic."""

    def __init__(self, problem: ScalarDeletion) -> None:
        self.kept = [mpf(a) for a in problem.kept]
        self.row = mpf(problem.deleted)
        self.full, self.alpha = (mpf(problem.l2_strength) * count for count in problem.counts)
        self.sigma = mpf(problem.noise_std)

    def gradient(self, w: mpf) -> mpf:
        return self.alpha * w - sum(a / (1 + mpmath.exp(a * w)) for a in self.kept)

    def delta(self, t: mpf) -> mpf:
        return (self.full - self.alpha) * t - self.row / (1 + mpmath.exp(self.row * t))

    def noise(self, t: mpf) -> mpf:
        return -self.gradient(t) - self.delta(t)

    def released(self, t: mpf) -> mpf:
        return t + self.delta(t) / mpmath.diff(self.gradient, t)

    def residual(self, t: mpf) -> mpf:
        return self.gradient(self.released(t)) + self.noise(t)

    def retraining_noise(self, w: mpf) -> mpf:
        return -self.gradient(w)

    def mass(self, noise: Callable[[mpf], mpf], left: mpf, right: mpf) -> mpf:
        """Probability that the noise lies between two values of a decreasing function of the weight."""
        return mpmath.ncdf(noise(left) / self.sigma) - mpmath.ncdf(noise(right) / self.sigma)
