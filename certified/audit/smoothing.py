"""The repair of objective perturbation by release noise, measured exactly with one weight (claim T9).

After the Newton step the release is w⁻ + N(0, τ²), and retraining releases w* + N(0, τ²). Given the training noise b
the two are Gaussians at distance |w⁻(b) − w*(b)|, so that T3 bounds their divergence, and by joint convexity the same
bound, averaged over b, holds for the mixtures that an observer sees. How the residual depends on b no longer matters.
All numbers here are float64 estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from certified.audit.objective_perturbation import Array, Divergences, ScalarDeletion


@dataclass(frozen=True)
class SmoothedRelease:
    """What the attacker achieves against the smoothed release, and what is claimed (claim T9).

    Attributes:
        exact: δ(ε) between the mixtures over b, both directions.
        average: E_b[H_{s(b)/τ}(ε)], which joint convexity proves to be an upper bound on both.
        claimed: H_{s/τ}(ε) for the largest distance s, the claim that a certificate makes.
        distance: that s.
    """

    exact: Divergences
    average: float
    claimed: float
    distance: float


def distances(problem: ScalarDeletion, t: Array) -> Array:
    """Return |w⁻ − w*| at each trained weight t, both under the same noise b(t): T3's shift given b (claim T9)."""
    return np.asarray(np.abs(t + problem.newton_step(t) - retrained(problem, t)))


def retrained(problem: ScalarDeletion, t: Array) -> Array:
    """Return w* for each t: exact retraining on the rows that remain, under the noise b(t) that led to t."""
    target = -problem.training_noise(t)
    reach = (np.abs(target) + sum(map(abs, problem.kept))) / problem.kept_alpha
    low, high = -reach, reach
    for _ in range(200):
        middle = 0.5 * (low + high)
        below = problem.kept_gradient(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def smoothed_release(
    problem: ScalarDeletion,
    release_std: float,
    epsilon: float,
    *,
    cutoff: float = 9.0,
    size: int = 2001,
    cells: int = 1200,
) -> SmoothedRelease:
    """Compute δ(ε) of the smoothed release by quadrature over b, beside its bounds (claim T9).

    The released line is cut into ``cells``, whose probabilities are sums over ``size`` values of b: post-processing, so
    that the exact δ is approached from below.

    >>> problem = ScalarDeletion((-1.35524349, 0.84494977), 4.80990705, 0.0403, (1, 1), 19.6)
    >>> found = smoothed_release(problem, release_std=100.0, epsilon=0.5)
    >>> found.exact.worst <= found.average <= found.claimed
    True
    """
    if not 0.0 < release_std < math.inf:
        raise ValueError(f"release_std must be positive and finite, got {release_std!r}; pass such a value")
    t = problem.grid(cutoff, size)
    below = ndtr(problem.training_noise(t) / problem.noise_std)
    middle = 0.5 * (t[1:] + t[:-1])
    weight = below[:-1] - below[1:]
    ours, theirs = middle + problem.newton_step(middle), retrained(problem, middle)
    shift = np.abs(ours - theirs)
    # Edges at equal shares of both mixtures, and tails beyond: cells that matter are narrow.
    order = np.argsort(np.concatenate([ours, theirs]))
    places = np.concatenate([ours, theirs])[order]
    shares = np.cumsum(np.concatenate([weight, weight])[order])
    spread = release_std * np.linspace(-9.0, 9.0, 61)
    anchors = np.interp(np.linspace(0.0, shares[-1], cells), shares, places)
    edges = np.unique(np.concatenate([anchors, places[0] + spread, places[-1] + spread]))
    p, q = (np.diff(weight @ ndtr((edges - centre[:, None]) / release_std)) for centre in (ours, theirs))
    factor = math.exp(min(epsilon, 700.0))
    exact = Divergences(float(np.sum(np.maximum(p - factor * q, 0.0))), float(np.sum(np.maximum(q - factor * p, 0.0))))
    average = float(weight @ _hockey_sticks(epsilon, shift / release_std))
    claimed = float(_hockey_sticks(epsilon, np.array([shift.max() / release_std]))[0])
    return SmoothedRelease(exact, average, claimed, float(shift.max()))


def _hockey_sticks(epsilon: float, mu: Array) -> Array:
    """H_μ(ε) of claim T3 for many μ, as plain float64 numbers."""
    positive = np.maximum(mu, 1e-300)
    value = ndtr(positive / 2 - epsilon / positive) - math.exp(epsilon) * ndtr(-positive / 2 - epsilon / positive)
    return np.asarray(np.where(mu > 0.0, np.maximum(value, 0.0), 0.0))
