"""Auditing a private training by one run: canaries, each put in by a fair coin, and guesses which were (claim T21).

Of m canaries the auditor guesses r and is right v times. W ~ Binomial(r, 1/(1 + e^−ε)). Under (ε, δ)-privacy

    P(right ≥ v) ≤ P(W ≥ v) + mδ·P(W ≥ v)·P(W < v)/(v·P(W = v)),

and under μ-GDP the recursion `contradicts_trade_off` bounds it. Each is an exact test, so the least ε or μ that is not
rejected is a lower confidence bound, whatever the canaries, the training and the scores.

Sources: Steinke, Nasr & Jagielski 2023 (arXiv 2305.08846), whose term for δ is 2mδ·max_i P(v − i ≤ W < v)/i;
Mahloujifar, Melis & Chaudhuri 2025 (arXiv 2410.22235). T21 proves both, and derives the term for δ anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from flint import arb
from scipy import special, stats

from certified.audit.confidence import CONFIDENCE
from certified.audit.monte_carlo import checked_confidence, checked_scores
from certified.numerics.balls import exact, round_up
from certified.privacy.gaussian import nonnegative, probability
from certified.privacy.tradeoff import gaussian_trade_off

_DOWN = 1.0 - 2.0**-50
_NORMAL = NormalDist()
_PRECISION = 1e-6
_LARGEST = 60.0


@dataclass(frozen=True)
class OneRunAudit:
    """What one run proves (claim T21); each bound alone holds with the stated confidence.

    Attributes:
        correct, guesses, canaries: v of r guesses about m canaries were right.
        delta: the δ that ``epsilon`` is for.
        epsilon: lower bound on ε at δ.
        mu: lower bound on the μ of Gaussian differential privacy.
        confidence: of each.
    """

    correct: int
    guesses: int
    canaries: int
    delta: float
    epsilon: float
    mu: float
    confidence: float


def audit_one_run(
    scores: npt.ArrayLike, included: npt.ArrayLike, *, guesses: int, delta: float, confidence: float = CONFIDENCE
) -> OneRunAudit:
    """Guess the ``guesses``/2 highest scores to be in and as many lowest out, and bound ε and μ (claim T21).

    Args:
        scores: one for each of m canaries, higher for what looks trained on; computed without ``included``.
        included: whether each canary was in the training, by independent fair coins.
        guesses: r, an even number up to m, fixed before looking at ``included``.
        delta: δ of the guarantee under audit.
        confidence: of each bound.

    Raises:
        ValueError: scores that are not finite, flags that do not match, or a number out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> included = rng.random(1000) < 0.5
        >>> found = audit_one_run(included + rng.normal(size=1000), included, guesses=200, delta=1e-5)
        >>> found.correct, round(found.epsilon, 2), round(found.mu, 2)
        (176, 1.34, 0.44)
    """
    values = checked_scores("scores", scores)
    flags = np.asarray(included)
    if flags.dtype != np.bool_ or flags.shape != values.shape:
        raise ValueError(f"included must hold one boolean for each of the {len(values)} scores; pass coin flips")
    if not _whole(guesses) or guesses % 2 or not 0 < guesses <= len(values):
        raise ValueError(f"guesses must be an even number from 2 to {len(values)}, got {guesses!r}")
    order = np.argsort(values, kind="stable")
    right = int(np.sum(flags[order[-guesses // 2 :]])) + int(np.sum(~flags[order[: guesses // 2]]))
    counts = right, guesses, len(values)
    return OneRunAudit(
        *counts,
        float(delta),
        one_run_epsilon(*counts, delta=delta, confidence=confidence),
        one_run_mu(*counts, confidence=confidence),
        float(confidence),
    )


def one_run_p_value(correct: int, guesses: int, canaries: int, *, epsilon: float, delta: float) -> float:
    """Bound the probability of so many right guesses under (ε, δ)-privacy, rounded up (claim T21, part 3).

    >>> one_run_p_value(90, 100, 1000, epsilon=1.0, delta=0.0) < 1e-4
    True
    >>> one_run_p_value(0, 100, 1000, epsilon=1.0, delta=0.0)
    1.0
    """
    _check_counts(correct, guesses, canaries)
    epsilon, delta = nonnegative("epsilon", epsilon), probability("delta", delta)
    if correct == 0 or epsilon > _LARGEST:
        return 1.0
    return min(1.0, round_up(lambda: _p_value_ball(correct, guesses, canaries, exact(epsilon), exact(delta))))


@lru_cache(maxsize=4096)
def one_run_epsilon(
    correct: int, guesses: int, canaries: int, *, delta: float, confidence: float = CONFIDENCE
) -> float:
    """Return the lower bound on ε at ``delta`` that v right of r guesses about m canaries give (claim T21, part 3).

    The bound never exceeds 60. Raises ``ValueError`` for numbers out of range.

    >>> round(one_run_epsilon(90, 100, 1000, delta=1e-5), 3)
    1.224
    """
    _check_counts(correct, guesses, canaries)
    level, delta = 1.0 - checked_confidence(confidence), probability("delta", delta)
    return _search(
        lambda epsilon: _p_value(correct, guesses, canaries, epsilon, delta) < level,
        lambda epsilon: one_run_p_value(correct, guesses, canaries, epsilon=epsilon, delta=delta) < level,
    )


@lru_cache(maxsize=4096)
def one_run_mu(correct: int, guesses: int, canaries: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the lower bound on μ that v right of r guesses about m canaries give (claim T21, part 4).

    The bound never exceeds 60. Raises ``ValueError`` for numbers out of range.

    >>> round(one_run_mu(90, 100, 1000), 3)
    0.394
    """
    _check_counts(correct, guesses, canaries)
    counts, level = (correct, guesses, canaries), 1.0 - checked_confidence(confidence)
    return _search(
        lambda mu: contradicts_trade_off(*counts, level, lambda y: _NORMAL.cdf(_NORMAL.inv_cdf(y) - mu)),
        lambda mu: contradicts_trade_off(*counts, level, lambda y: gaussian_trade_off(_complement(y), mu)),
    )


def contradicts_trade_off(
    correct: int, guesses: int, canaries: int, level: float, least: Callable[[float], float]
) -> bool:
    """Whether P(right ≥ v) ≥ ``level`` contradicts a symmetric trade-off function f (claim T21, part 4).

    ``least(y)`` is a lower bound on f(1 − y). With P_j = P(right ≥ j), S = Σ_(j≥t) P_j and R the mean share of the
    canaries guessed right, counted where at least t are,

        P_(t−1) ≥ max(P_t, (m·f(1 − R) + S)/(r − t + 1)),  m·R = (t − 1)·P_t + S,

    from P_v = level down to P_0, which must not exceed 1. Every operation is rounded down.

    >>> contradicts_trade_off(95, 100, 100, 0.001, lambda y: y), contradicts_trade_off(50, 100, 100, 0.001, lambda y: y)
    (True, False)
    """
    tail, total = level, level
    for t in range(correct, 0, -1):
        mean = ((t - 1) * tail + total) * _DOWN / canaries * _DOWN
        if mean >= 1.0:
            return True
        tail = max(tail, (canaries * least(mean) + total) / (guesses - t + 1) * _DOWN * _DOWN)
        total = (total + tail) * _DOWN
        if tail > 1.0:
            return True
    return False


def _p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """The bound of `one_run_p_value` in float64, for the search."""
    chance = float(special.expit(epsilon))
    tail, mass = (float(f(correct - k, guesses, chance)) for k, f in ((1, stats.binom.sf), (0, stats.binom.pmf)))
    if tail == 0.0 or mass == 0.0:
        return tail
    return tail + canaries * delta * tail * (1.0 - tail) / (correct * mass) if correct else 1.0


def _p_value_ball(correct: int, guesses: int, canaries: int, epsilon: arb, delta: arb) -> arb:
    """Enclose it by the terms of the binomial distribution, each from the next."""
    odds = epsilon.exp()
    term = (odds / (1 + odds)) ** guesses
    tail, mass = arb(0), arb(0)
    for j in range(guesses, correct - 1, -1):
        mass, tail = term, tail + term
        term = term * j / (guesses - j + 1) / odds
    return tail + canaries * delta * tail * (1 - tail) / (correct * mass)


def _search(rejected: Callable[[float], bool], proved: Callable[[float], bool]) -> float:
    """Return a number that is proved to be rejected, near the largest that seems to be; 0 where none is."""
    low, high = 0.0, _LARGEST
    while high - low > _PRECISION * max(high, 0.01):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    while low > _PRECISION:
        low *= 1.0 - _PRECISION
        if proved(low):
            return low
    return 0.0


def _complement(share: float) -> float:
    """1 − y, rounded up."""
    return min(1.0, math.nextafter(1.0 - share, 2.0))


def _check_counts(correct: int, guesses: int, canaries: int) -> None:
    if not all(map(_whole, (correct, guesses, canaries))) or not 0 <= correct <= guesses <= canaries or canaries < 1:
        raise ValueError(
            f"correct, guesses and canaries must be whole numbers in increasing order, got {correct!r}, {guesses!r}, "
            f"{canaries!r}"
        )


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
