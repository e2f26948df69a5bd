"""Hockey-stick divergences of single steps by other means: thresholds in high precision, and quadrature on a grid."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np

from certified.accounting.mechanisms import Difference


def single_step_delta(noise: float, rate: float, difference: Difference, epsilon: float) -> mpmath.mpf:
    """P(x > t) − e^ε Q(x > t) at the place t where the ratio of the mixtures is e^ε, with 30 digits."""
    with mpmath.workdps(30):
        sigma, q = mpmath.mpf(noise), mpmath.mpf(rate)

        def weights(count: int) -> list[mpmath.mpf]:
            return [mpmath.binomial(count, i) * q**i * (1 - q) ** (count - i) for i in range(count + 1)]

        first, second = weights(difference.removed), weights(difference.added)

        def log_ratio(x: mpmath.mpf) -> mpmath.mpf:
            above = mpmath.fsum(w * mpmath.npdf(x, i, sigma) for i, w in enumerate(first))
            below = mpmath.fsum(w * mpmath.npdf(x, -j, sigma) for j, w in enumerate(second))
            return mpmath.log(above / below) - mpmath.mpf(epsilon)

        low, high = mpmath.mpf(-60) * sigma, 60 * sigma + difference.removed
        if log_ratio(high) <= 0:
            return mpmath.mpf(0)
        if log_ratio(low) >= 0:
            return 1 - mpmath.exp(mpmath.mpf(epsilon))
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (low, middle) if log_ratio(middle) > 0 else (middle, high)
        right = mpmath.fsum(w * mpmath.ncdf((i - low) / sigma) for i, w in enumerate(first))
        left = mpmath.fsum(w * mpmath.ncdf((-j - low) / sigma) for j, w in enumerate(second))
        return right - mpmath.exp(mpmath.mpf(epsilon)) * left


def grid_delta(noise: float, rate: float, removed: np.ndarray, added: np.ndarray, gamma: float) -> float:
    """∫ (p − γq)₊ for rows that contribute the given vectors in the plane, by the midpoint rule: within about 10⁻⁴."""
    reach = max(len(removed), len(added))
    places = np.linspace(-6.0 * noise - reach, 6.0 * noise + reach, 250)
    x, y = np.meshgrid(places, places)
    cell = (places[1] - places[0]) ** 2

    def density(rows: np.ndarray) -> np.ndarray:
        total = np.zeros_like(x)
        for taken in itertools.product((0, 1), repeat=len(rows)):
            mean = np.array(taken) @ rows if len(rows) else np.zeros(2)
            weight = math.prod(rate if one else 1.0 - rate for one in taken)
            total += weight * np.exp(-((x - mean[0]) ** 2 + (y - mean[1]) ** 2) / (2.0 * noise**2))
        return total / (2.0 * math.pi * noise**2)

    return float(np.maximum(density(removed) - gamma * density(added), 0.0).sum() * cell)
