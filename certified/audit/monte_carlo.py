"""Lower confidence bounds on ε and μ from scores of many runs of two mechanisms (claim T21, part 2).

A score is any number computed from a run, such as ⟨release − w*, w − w*⟩, which for Gaussian release noise is the
likelihood ratio and so the best there is (Neyman & Pearson 1933). An event "the score lies beyond a threshold" that
has probability p under one mechanism and q under the other proves ε ≥ log((p − δ)/q) and μ ≥ Φ⁻¹(p) − Φ⁻¹(q). Every
fourth run helps to choose the event; the others are counted, and p and q bounded by Clopper & Pearson 1934. So the
choice costs no confidence, and a bad score costs power, never the level.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from flint import arb
from scipy import special

from certified.audit.confidence import CONFIDENCE, proportion_bounds
from certified.numerics.balls import exact, round_down
from certified.privacy.gaussian import probability

Array = npt.NDArray[np.float64]
Gain = Callable[[Array, Array], Array]

_QUANTILES = np.concatenate([[0.002, 0.005, 0.01], np.linspace(0.02, 0.98, 49), [0.99, 0.995, 0.998]])
_CHOOSING = 4
"""Every fourth run helps to choose the event; the others are counted."""
_MARGIN = 2.0**-40
"""Relative; far more than the error of the beta quantiles, and of no consequence."""


def epsilon_lower_bound(
    first: npt.ArrayLike, second: npt.ArrayLike, delta: float, confidence: float = CONFIDENCE
) -> float:
    """Return a lower bound on the ε at ``delta`` between two mechanisms, with this confidence (claim T21).

    ε ≥ log((p − δ)/q) over both orders of the mechanisms and both sides of a threshold; 0 where nothing is found. A
    bound above a claimed ε refutes the claim at significance 1 − confidence.

    Args:
        first, second: scores of independent runs of each mechanism, at least two of each; more of them say more.
        delta: δ from 0 to 1.
        confidence: at least this probability that the bound is one, whatever the mechanisms and the score.

    Raises:
        ValueError: scores that are no finite vector, or a probability out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise, shifted = rng.normal(size=10_000), rng.normal(2.0, size=10_000)
        >>> found = epsilon_lower_bound(noise, shifted, delta=1e-3)
        >>> from certified.privacy import gaussian_epsilon
        >>> 0.5 < found / gaussian_epsilon(1e-3, sensitivity=2.0, noise_std=1.0) < 1.0
        True
    """
    delta = probability("delta", delta)
    likely, rare = _best_event(first, second, confidence, lambda p, q: np.log(np.maximum((p - delta) / q, 1e-300)))
    if not likely - delta > rare:
        return 0.0
    return max(0.0, round_down(lambda: ((exact(likely) - exact(delta)) / exact(rare)).log()))


def mu_lower_bound(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = CONFIDENCE) -> float:
    """Return a lower bound on the μ of Gaussian differential privacy between two mechanisms (claim T21).

    μ ≥ Φ⁻¹(p) − Φ⁻¹(q), else the mechanisms are not μ-GDP; arguments and errors as in `epsilon_lower_bound`.

    >>> rng = np.random.default_rng(0)
    >>> found = mu_lower_bound(rng.normal(size=10_000), rng.normal(2.0, size=10_000))
    >>> 1.6 < found < 2.0
    True
    """
    likely, rare = _best_event(first, second, confidence, lambda p, q: special.ndtri(p) - special.ndtri(q))
    if not 0.0 < rare < likely < 1.0:
        return 0.0
    return max(0.0, round_down(lambda: _quantile(likely) - _quantile(rare)))


def checked_scores(name: str, values: npt.ArrayLike, least: int = 1) -> Array:
    """Return ``values`` as a finite float64 vector.

    Raises:
        ValueError: names the argument and the remedy.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < least or not np.all(np.isfinite(scores)):
        raise ValueError(
            f"{name} must be a vector of at least {least} finite scores, one for each; got shape {scores.shape}"
        )
    return scores


def checked_confidence(confidence: float) -> float:
    """Return ``confidence``; raise ``ValueError`` unless it lies strictly between 0 and 1."""
    if not 0.0 < probability("confidence", confidence) < 1.0:
        raise ValueError(f"confidence must lie strictly between 0 and 1, got {confidence!r}; such as 0.999")
    return float(confidence)


def _best_event(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float, gain: Gain) -> tuple[float, float]:
    """Choose the event by ``gain(p, q)`` on some runs; return its p from below and its q from above on the others."""
    confidence = checked_confidence(confidence)
    runs = checked_scores("first", first, 2), checked_scores("second", second, 2)
    guess = [scores[::_CHOOSING] for scores in runs]
    count = [np.delete(scores, np.s_[::_CHOOSING]) for scores in runs]
    thresholds = np.quantile(np.concatenate(guess), _QUANTILES)
    low, high = zip(*(_bounds(scores, thresholds, confidence) for scores in guess), strict=True)
    with np.errstate(all="ignore"):
        gains = np.nan_to_num([gain(low[0], high[1]), gain(low[1], high[0])], nan=-math.inf)
    order, side, number = np.unravel_index(int(np.argmax(gains)), gains.shape)
    low, high = zip(*(_bounds(scores, thresholds[[number]], confidence) for scores in count), strict=True)
    likely, rare = low[order][side, 0], high[1 - order][side, 0]
    return float(likely) * (1.0 - _MARGIN), min(1.0, float(rare) * (1.0 + _MARGIN))


def _bounds(scores: Array, thresholds: Array, confidence: float) -> tuple[Array, Array]:
    """Bounds (2, thresholds) on the probabilities to lie above and below each threshold."""
    ordered = np.sort(scores)
    above = len(scores) - np.searchsorted(ordered, thresholds, side="right")
    below = np.searchsorted(ordered, thresholds, side="left")
    return proportion_bounds(np.stack([above, below]), len(scores), confidence)


def _quantile(value: float) -> arb:
    """Enclose Φ⁻¹(p) for 0 < p < 1."""
    p, root = exact(value), arb(2).sqrt()
    return -root * (2 * p).erfcinv() if value < 0.25 else root * (2 * p - 1).erfinv()
