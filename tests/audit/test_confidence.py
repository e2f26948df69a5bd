"""Clopper–Pearson limits are where the binomial tails are, and cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from certified.audit.confidence import CONFIDENCE, proportion_bounds


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (500, 1000)])
def test_proportion_bounds_invert_the_binomial_tails(hits: int, trials: int) -> None:
    low, high = proportion_bounds(hits, trials)
    assert low <= hits / trials <= high
    tail = (1.0 - CONFIDENCE) / 2.0
    assert low == 0.0 if hits == 0 else math.isclose(stats.binom.sf(hits - 1, trials, low), tail, rel_tol=1e-6)
    assert high == 1.0 if hits == trials else math.isclose(stats.binom.cdf(hits, trials, high), tail, rel_tol=1e-6)


@pytest.mark.parametrize("trials", [1, 7, 40])
def test_coverage_is_exact_for_every_proportion(trials: int) -> None:
    """No sampling: the probability of each count, added up over the counts whose interval misses."""
    counts = np.arange(trials + 1)
    low, high = proportion_bounds(counts, trials, confidence=0.9)
    for p in np.linspace(0.001, 0.999, 97):
        missed = (p < low) | (p > high)
        assert stats.binom.pmf(counts, trials, p)[missed].sum() <= 0.1 + 1e-12
