"""The privacy filter over releases: how far from retraining the next release may be (claims T3, T4).

The targets never end: planned releases get equal shares of μ², and whoever goes on gets half of what is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from flint import arb

from certified.numerics.balls import lower, upper
from certified.privacy.composition import compose_gaussian, remaining_mu
from certified.privacy.gaussian import gaussian_mu, nonnegative


@dataclass(frozen=True)
class ReleaseBudget:
    """A Gaussian-DP filter: the μ_j of all releases together stay within the μ that (ε, δ) permits.

    Attributes:
        epsilon, delta: the guarantee for all releases jointly.
        noise_std: σ of every release.
        max_releases: releases planned for; each may use μ_total/√(max_releases + 1), and unspent parts stay available.
        mu_total: the largest μ with δ(ε; μ) ≤ delta, rounded down.
        mu_spent: upper bound on √Σμ_j² so far.
        releases: number of releases so far.
    """

    epsilon: float
    delta: float
    noise_std: float
    max_releases: int
    mu_total: float
    mu_spent: float = 0.0
    releases: int = 0

    @classmethod
    def create(cls, epsilon: float, delta: float, noise_std: float, max_releases: int) -> ReleaseBudget:
        """Open a budget; ``gaussian_mu`` checks (ε, δ)."""
        return cls(epsilon, delta, noise_std, max_releases, gaussian_mu(epsilon, delta))

    @property
    def target(self) -> float:
        """The distance that the next release may have, rounded down: an equal share of μ², or half of what is left."""
        share = arb(self.mu_total) / arb(self.max_releases + 1).sqrt()
        half = arb(remaining_mu(self.mu_total, self.mu_spent)) / arb(2).sqrt()
        return max(0.0, min(lower(mu * arb(self.noise_std)) for mu in (share, half)))

    def spend(self, distance: float) -> ReleaseBudget:
        """Return the budget after a release at certified ``distance`` from retraining."""
        distance = nonnegative("distance", distance)
        mu = upper(arb(distance) / arb(self.noise_std)) if distance > 0.0 else 0.0
        spent = compose_gaussian([self.mu_spent, mu])
        if not (math.isfinite(spent) and spent <= self.mu_total):
            raise ValueError(f"distance={distance:g} exceeds what is left of the release budget ({self.target:g})")
        return replace(self, mu_spent=spent, releases=self.releases + 1)
