"""Lower confidence bounds on ε from samples: the Neyman–Pearson test between two Gaussians, by Clopper–Pearson."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certified.audit.confidence import proportion_bounds

Array = npt.NDArray[np.float64]


def epsilon_lower_bound(first: Array, second: Array, delta: float) -> float:
    """A 99.9 % lower bound on the ε at ``delta`` that separates two mechanisms, from the scores of runs of each.

    Half of the runs choose the event (a threshold, a side and an order), the other half are counted, so the choice
    costs no confidence.
    """
    guess, count = (first[::2], second[::2]), (first[1::2], second[1::2])
    thresholds = np.quantile(np.concatenate(guess), np.linspace(0.02, 0.98, 49))
    tried = [(order, side, _epsilons(guess, order, side, thresholds, delta)) for order in (1, -1) for side in (1, -1)]
    order, side, found = max(tried, key=lambda event: float(event[2].max()))
    return float(_epsilons(count, order, side, thresholds[[found.argmax()]], delta)[0])


def _epsilons(runs: tuple[Array, Array], order: int, side: int, thresholds: Array, delta: float) -> Array:
    """Lower bounds log((p − δ)/q) ≥ 0 for the events that a score lies beyond each threshold."""
    numerator, denominator = (np.sum(side * r[:, None] > side * thresholds, axis=0) for r in runs[::order])
    p, _ = proportion_bounds(numerator, len(runs[0]))
    _, q = proportion_bounds(denominator, len(runs[0]))
    return np.log(np.maximum((p - delta) / q, 1.0))
