"""Trade-off functions against 60-digit arithmetic, simulated tests, and each other."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from certified.privacy.gaussian import gaussian_delta
from certified.privacy.tradeoff import (
    approximate_trade_off,
    flat_type_two,
    gaussian_trade_off,
    gaussian_type_two,
    profile_trade_off,
    steep_type_two,
    trade_off_delta,
)
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
levels = st.one_of(st.floats(0.0, 1.0), st.floats(0.0, 1e-6))
epsilons = st.one_of(st.floats(0.0, 10.0), st.floats(0.0, 1e5))


def assert_is_rounded_down(bound: float, truth: mpmath.mpf) -> None:
    assert mpmath.mpf(bound) <= truth < mpmath.mpf(math.nextafter(bound, math.inf))


def test_gaussian_is_the_oracle_rounded_down() -> None:
    """At exact type I errors Φ(−x): the quantile is known, so the oracle needs no inverse function."""
    rng = np.random.default_rng(1)
    for x, mu in zip(rng.uniform(-8.0, 11.0, 1_500), 10.0 ** rng.uniform(-8, 1.5, 1_500), strict=True):
        with mpmath.workdps(60):
            alpha = float(mpmath.ncdf(-mpmath.mpf(x)))
            # One Newton step per doubling of digits takes the start x to the quantile of the rounded α.
            root = mpmath.mpf(x)
            for _ in range(6):
                root += (mpmath.ncdf(-root) - mpmath.mpf(alpha)) / mpmath.npdf(root)
            assert_is_rounded_down(gaussian_trade_off(alpha, mu), mpmath.ncdf(root - mpmath.mpf(mu)))


def test_approximate_is_the_oracle_rounded_down() -> None:
    rng = np.random.default_rng(2)
    for _ in range(4_000):
        alpha, delta = (float(v) for v in 10.0 ** rng.uniform(-18, 0, 2))
        epsilon = float(10.0 ** rng.uniform(-9, 2.8))
        with mpmath.workdps(60):
            a, e, d = map(mpmath.mpf, (alpha, epsilon, delta))
            truth = max(mpmath.mpf(0), 1 - d - mpmath.exp(e) * a, mpmath.exp(-e) * (1 - d - a))
            assert_is_rounded_down(approximate_trade_off(alpha, epsilon, delta), truth)


def test_gaussian_agrees_with_scipy() -> None:
    alpha, mu = np.meshgrid(np.linspace(0.01, 0.99, 50), np.linspace(0.1, 3.0, 20))
    expected = stats.norm.cdf(stats.norm.isf(alpha) - mu)
    np.testing.assert_allclose(np.vectorize(gaussian_trade_off)(alpha, mu), expected, rtol=1e-11)


@given(st.floats(1e-300, 1.0, exclude_max=True), st.floats(0.0, 20.0))
def test_gaussian_is_its_own_inverse(alpha: float, mu: float) -> None:
    """f(f(α)) ≥ α in exact arithmetic with equality; rounded down twice it stays within what rounding costs."""
    beta = gaussian_trade_off(alpha, mu)
    if 1e-6 < beta < 1.0 - 1e-6 and 1e-6 < alpha < 1.0 - 1e-6:
        assert gaussian_trade_off(beta, mu) == pytest.approx(alpha, rel=1e-6)


@given(levels, levels, st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_gaussian_falls_with_type_one_and_mu(first: float, second: float, third: float, fourth: float) -> None:
    low, high = sorted((first, second))
    small, large = sorted((third, fourth))
    assert gaussian_trade_off(low, small) >= gaussian_trade_off(high, small) >= gaussian_trade_off(high, large)


@given(levels, levels, epsilons, epsilons, levels)
def test_approximate_falls_with_type_one_and_epsilon(
    first: float, second: float, third: float, fourth: float, delta: float
) -> None:
    low, high = sorted((first, second))
    small, large = sorted((third, fourth))
    assert approximate_trade_off(low, small, delta) >= approximate_trade_off(high, small, delta)
    assert approximate_trade_off(high, small, delta) >= approximate_trade_off(high, large, delta)


@given(st.floats(1e-9, 1.0 - 1e-9), st.floats(0.01, 5.0), st.floats(0.0, 8.0))
def test_each_point_of_the_curve_is_a_line_below_the_gaussian(alpha: float, mu: float, epsilon: float) -> None:
    line = approximate_trade_off(alpha, epsilon, gaussian_delta(epsilon, mu, 1.0))
    assert line <= gaussian_trade_off(alpha, mu) * (1 + 1e-15) + 1e-300


@pytest.mark.parametrize("mu", [0.1, 1.0, 3.0])
def test_a_profile_comes_close_to_the_function(mu: float) -> None:
    profile = [(epsilon, gaussian_delta(epsilon, mu, 1.0)) for epsilon in np.linspace(0.0, 8.0 * mu, 400)]
    for alpha in (1e-3, 0.05, 0.3, 0.5, 0.9):
        bound, truth = profile_trade_off(alpha, profile), gaussian_trade_off(alpha, mu)
        assert truth * (1 - 1e-3) <= bound <= truth


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("mu", [0.3, 1.0])
def test_points_give_delta_from_above_and_finer_ones_come_closer(epsilon: float, mu: float) -> None:
    truth = gaussian_delta(epsilon, mu, 1.0)
    found = []
    for count in (50, 500, 5_000):
        grid = stats.norm.sf(np.linspace(-6.0, 6.0, count))
        found.append(trade_off_delta(epsilon, [(a, gaussian_trade_off(a, mu)) for a in grid.tolist()]))
    assert found[0] >= found[1] >= found[2] >= truth
    assert found[2] == pytest.approx(truth, abs=2e-3)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), max_size=6), st.floats(0.0, 5.0))
def test_delta_of_points_covers_every_function_above_them(points: list[tuple[float, float]], epsilon: float) -> None:
    """The least nonincreasing function above the points, f(a) = max of b_i over a_i ≥ a, on a fine grid."""
    delta = trade_off_delta(epsilon, points)
    for a in [*np.linspace(0.0, 1.0, 101), *(alpha for alpha, _ in points)]:
        least = max((beta for alpha, beta in points if alpha >= a), default=0.0)
        assert 1 - least - math.exp(epsilon) * a <= delta + 1e-12


def test_no_test_beats_the_bound() -> None:
    """Likelihood-ratio tests on samples: their type II error stays above the function, up to sampling error."""
    rng, mu, count = np.random.default_rng(3), 0.8, 100_000
    left, right = np.sort(rng.normal(size=count)), np.sort(rng.normal(mu, 1.0, size=count))
    for threshold in np.linspace(-1.0, 2.0, 13):
        alpha = float(np.mean(left > threshold))
        beta = float(np.mean(right <= threshold))
        assert beta >= gaussian_trade_off(alpha, mu) - 0.01


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (gaussian_trade_off(0.0, 5.0), 1.0),
        (gaussian_trade_off(1.0, 0.0), 0.0),
        (gaussian_trade_off(0.5, math.inf), 0.0),
        (gaussian_trade_off(0.25, 0.0), 0.75),
        (gaussian_trade_off(0.5, 1e10), 0.0),
        (gaussian_trade_off(0.5, 1e300), 0.0),
        (gaussian_trade_off(TINY, 0.0), math.nextafter(1.0, 0.0)),
        (approximate_trade_off(0.0, 1e6, 0.25), 0.75),
        (approximate_trade_off(TINY, 1e6, 0.25), 0.0),
        (approximate_trade_off(0.5, 0.0, 0.0), 0.5),
        (approximate_trade_off(0.5, 0.0, 1.0), 0.0),
        (approximate_trade_off(0.0, math.inf, 0.0), 1.0),
        (profile_trade_off(0.0, []), 0.0),
        (trade_off_delta(0.0, []), 1.0),
        (trade_off_delta(1.0, [(1.0, 0.0)]), 1.0),
        (trade_off_delta(2000.0, [(0.0, 1.0), (1.0, 0.5)]), 0.5),
        (trade_off_delta(0.0, [(0.5, 0.5)]), 0.5),
    ],
)
def test_edges(found: float, expected: float) -> None:
    assert found == expected


def test_formulas_run_on_every_scalar() -> None:
    check_formula(gaussian_type_two, 1.2, 0.7)
    check_formula(steep_type_two, 0.05, 0.7, 1e-3)
    check_formula(flat_type_two, 0.5, 0.7, 1e-3)


@pytest.mark.parametrize("point", [(-0.1, 0.5), (0.5, 1.5), (math.nan, 0.5)])
def test_bad_points_are_refused(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"^type I{1,2} error must not"):
        trade_off_delta(1.0, [point])
