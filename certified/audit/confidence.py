"""Exact confidence bounds on a probability that was only sampled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.999


def proportion_bounds(hits: npt.ArrayLike, trials: int, confidence: float = CONFIDENCE) -> tuple[Array, Array]:
    """Clopper–Pearson: p ≥ low and p ≤ high, jointly with this confidence.

    >>> low, high = proportion_bounds(5, 100, confidence=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0164, 0.1128)
    """
    k, tail = np.asarray(hits, dtype=np.float64), (1.0 - confidence) / 2.0
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), trials - k + 1), 0.0)
    high = np.where(k < trials, stats.beta.isf(tail, k + 1, np.maximum(trials - k, 1)), 1.0)
    return low, high
