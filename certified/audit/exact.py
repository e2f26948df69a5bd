"""One instance, no sampling: how far the weights are from exact retraining, and the privacy that this is (T21, part 1).

Releases W + N(0, σ²I) and W* + N(0, σ²I) are exactly μ-GDP with μ = ‖W − W*‖/σ, in both directions (claim T3), so no
attack says more. W* is solved as far as float64 goes and certified (claims T1, T2), which encloses ‖W − W*‖ and so μ,
δ(ε) and ε(δ). Beside a certificate's μ this is its tightness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.distance import certify_distance
from certified.numerics.balls import exact, lower, upper, working_precision
from certified.objective import Objective
from certified.privacy.gaussian import nonnegative
from certified.privacy.gdp import gdp_delta, gdp_epsilon
from certified.solvers import solve

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class InstanceAudit:
    """What the releases of one instance really give away (claim T21). It tells about secrets: for auditors only.

    Attributes:
        distance: interval that contains ‖W − W*‖_F.
        noise_std: σ per weight.
        releases: how many, each with fresh noise.
        mu: interval that contains √releases·‖W − W*‖/σ.
    """

    distance: Interval
    noise_std: float
    releases: int
    mu: Interval

    def delta(self, epsilon: float) -> Interval:
        """Return an interval that contains δ(ε), exact for this instance."""
        low, high = (gdp_delta(epsilon, mu) for mu in self.mu)
        return math.nextafter(low, 0.0), high

    def epsilon(self, delta: float) -> Interval:
        """Return an interval that contains ε(δ), exact for this instance."""
        low, high = (gdp_epsilon(delta, mu) for mu in self.mu)
        return math.nextafter(low, 0.0), high

    def tightness(self, mu: float) -> float:
        """Return exact over certified μ, from below: above 1 refutes a certificate that claims ``mu``.

        Raises:
            ValueError: ``mu`` is not positive.
        """
        if not nonnegative("mu", mu) > 0.0:
            raise ValueError("mu must be positive: a claim of no difference has no tightness; compare `mu` with 0")
        with working_precision(128):
            return lower(exact(self.mu[0]) / exact(mu))


def audit_instance(objective: Objective, weights: Array, noise_std: float, *, releases: int = 1) -> InstanceAudit:
    """Enclose μ = √releases·‖W − W*‖_F/σ for W* the exact minimiser of ``objective`` (claim T21).

    Args:
        objective: the remaining rows and the strength: what exact retraining minimises.
        weights: W (p, K) before noise.
        noise_std: σ > 0 per weight, in units of the weights.
        releases: number of releases seen.

    Raises:
        ValueError: weights of another shape or not finite, σ not positive, no release, or a minimiser that could not
            be certified.

    Example:
        >>> from certified.data.rows import Rows
        >>> from certified.losses import SQUARED
        >>> rows = Rows.from_arrays(np.eye(2), np.array([[2.0], [4.0]]), np.ones(2))
        >>> found = audit_instance(Objective(SQUARED, rows, alpha=1.0), np.array([[1.0], [2.5]]), noise_std=0.5)
        >>> [round(mu, 9) for mu in found.mu], round(found.tightness(mu=1.25), 6)
        ([1.0, 1.0], 0.8)
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != objective.shape or not np.all(np.isfinite(weights)):
        raise ValueError(f"weights must be finite and have shape {objective.shape}, got shape {weights.shape}")
    if not 0.0 < nonnegative("noise_std", noise_std) < math.inf:
        raise ValueError("noise_std must be positive and finite: without noise any difference shows")
    if isinstance(releases, bool) or not isinstance(releases, int) or releases < 1:
        raise ValueError(f"releases must be a whole number of at least 1, got {releases!r}")
    near = np.zeros(objective.shape) if objective.is_degenerate else solve(objective).weights
    error = certify_distance(objective, near).value
    if not math.isfinite(error):
        raise ValueError("objective has no minimiser that could be certified: regularise more, or scale the features")
    with working_precision(192):
        squares = ((exact(float(a)) - exact(float(b))) ** 2 for a, b in zip(weights.flat, near.flat, strict=True))
        between = sum(squares, arb(0)).sqrt()
        low, high = max(0.0, lower(between - exact(error))), upper(between + exact(error))
        scale = arb(releases).sqrt() / exact(noise_std)
        mu = lower(exact(low) * scale), upper(exact(high) * scale)
    return InstanceAudit((low, high), float(noise_std), releases, mu)
