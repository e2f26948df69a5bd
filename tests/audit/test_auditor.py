"""The auditor itself: silent where there is nothing to find, and loud where there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from certified.audit.confidence import CONFIDENCE, proportion_bounds
from certified.privacy import gaussian_epsilon
from tests.audit.auditor import epsilon_lower_bound


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (500, 1000)])
def test_proportion_bounds_invert_the_binomial_tails(hits: int, trials: int) -> None:
    low, high = proportion_bounds(hits, trials)
    assert low <= hits / trials <= high
    tail = (1.0 - CONFIDENCE) / 2.0
    assert low == 0.0 if hits == 0 else math.isclose(stats.binom.sf(hits - 1, trials, low), tail, rel_tol=1e-6)
    assert high == 1.0 if hits == trials else math.isclose(stats.binom.cdf(hits, trials, high), tail, rel_tol=1e-6)


def test_null_data_rarely_look_private() -> None:
    """400 pairs of equal mechanisms: each may exceed 0 with probability 0.001; eight or more do with about 1e-8."""
    rng = np.random.default_rng()
    found = [epsilon_lower_bound(*rng.normal(size=(2, 1000)), delta=0.0) for _ in range(400)]
    assert sum(epsilon > 0.0 for epsilon in found) < 8


@pytest.mark.parametrize("mu", [0.5, 1.0, 3.0])
def test_the_bound_stays_below_the_truth_and_has_power(mu: float) -> None:
    rng = np.random.default_rng()
    delta = 1e-3
    truth = gaussian_epsilon(delta, mu, 1.0)
    found = [epsilon_lower_bound(rng.normal(mu, size=4000), rng.normal(size=4000), delta) for _ in range(20)]
    assert sum(epsilon > truth for epsilon in found) < 4
    assert np.median(found) > 0.2 * truth
