"""How well scores tell members from others: ROC curve, and the true-positive rate at a low false-positive rate (T21).

The loss threshold attack (Yeom, Giacomelli, Fredrikson & Jha 2018, arXiv 1709.01604) scores a row by −loss;
`lira` makes stronger scores. Rows of one training are not independent runs: a bound on ε takes
`epsilon_lower_bound`, with one row over many trainings, or `audit_one_run`, with many rows of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.audit.confidence import CONFIDENCE, proportion_bounds
from certified.audit.monte_carlo import checked_confidence, checked_scores
from certified.privacy.gaussian import probability

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class ROC:
    """The empirical rates of the attack "member if the score reaches a threshold", for every threshold.

    Attributes:
        false_positive, true_positive: rates from (0, 0) to (1, 1), nondecreasing.
        area: area under the curve: the share of pairs that the score orders rightly, ties counted half.
    """

    false_positive: Array
    true_positive: Array
    area: float

    @property
    def points(self) -> list[tuple[float, float]]:
        """(false, true) positive rates, as `certified.plots.plot_curves` takes them."""
        return list(zip(self.false_positive.tolist(), self.true_positive.tolist(), strict=True))


@dataclass(frozen=True)
class LowRate:
    """True-positive rate at a low false-positive rate; all four limits hold jointly with ``confidence`` (claim T21).

    Attributes:
        threshold: member if the score exceeds it; chosen on half of the others, which are not counted.
        true_positive, false_positive: measured rates.
        true_interval, false_interval: Clopper–Pearson intervals for them.
        confidence: of the four limits, for independent scores.
    """

    threshold: float
    true_positive: float
    false_positive: float
    true_interval: Interval
    false_interval: Interval
    confidence: float


def roc(members: npt.ArrayLike, others: npt.ArrayLike) -> ROC:
    """Return the ROC curve of scores that should be higher for members.

    Raises:
        ValueError: scores that are no finite vector.

    Example:
        >>> curve = roc([3.0, 2.0], [2.5, 1.0])
        >>> curve.points, curve.area
        ([(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)], 0.75)
    """
    inside, outside = (np.sort(checked_scores(name, s)) for name, s in (("members", members), ("others", others)))
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    true, false = (
        np.concatenate([[0.0], 1.0 - np.searchsorted(scores, thresholds, side="left") / len(scores)])
        for scores in (inside, outside)
    )
    return ROC(false, true, float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2.0)))


def rate_at(
    members: npt.ArrayLike, others: npt.ArrayLike, false_positive: float, confidence: float = CONFIDENCE
) -> LowRate:
    """Return the true-positive rate at a threshold that aims at ``false_positive``, with exact intervals (claim T21).

    The threshold lets at most that share of every other non-member pass; the rest of them are counted.

    Raises:
        ValueError: scores that are no finite vector, fewer than two non-members, or a rate or confidence out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = rate_at(rng.normal(2.0, size=2000), rng.normal(size=4000), false_positive=0.01)
        >>> found.true_interval[0] < 0.37 < found.true_interval[1]
        True
    """
    confidence, false_positive = checked_confidence(confidence), probability("false_positive", false_positive)
    inside, outside = checked_scores("members", members), checked_scores("others", others, 2)
    guess, count = np.sort(outside[::2]), outside[1::2]
    passing = math.floor(false_positive * len(guess))
    threshold = float(guess[-passing - 1]) if passing < len(guess) else -math.inf
    rates, intervals = [], []
    for scores in (inside, count):
        hits = int(np.sum(scores > threshold))
        low, high = proportion_bounds(hits, len(scores), (1.0 + confidence) / 2.0)
        rates.append(hits / len(scores))
        intervals.append((float(low), float(high)))
    return LowRate(threshold, rates[0], rates[1], intervals[0], intervals[1], confidence)
