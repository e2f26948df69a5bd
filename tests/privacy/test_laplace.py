"""Laplace-type noise against 60-digit arithmetic, its own densities, and samples in several dimensions."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_mechanism import LaplacePrivacyLoss
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from certified.privacy.composition import compose_optimal_delta
from certified.privacy.laplace import (
    idealized_laplace,
    laplace_delta,
    laplace_epsilon,
    laplace_hockey_stick,
    laplace_scale,
    laplace_sensitivity,
    laplace_trade_off,
)
from certified.privacy.tradeoff import approximate_trade_off
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(1e-150, 1e150))
epsilons = st.one_of(st.floats(1e-6, 1e3), st.floats(1e-150, 1e150))


def random_parameters(count: int, seed: int) -> list[tuple[float, float, float]]:
    exponents = np.random.default_rng(seed).uniform([-12, -50, -50], [3, 50, 50], (count, 3))
    return [(e, d, s) for e, d, s in (10.0**exponents).tolist()]


def test_pure_calibrations_are_the_oracle_rounded_to_the_safe_side() -> None:
    for epsilon, distance, scale in random_parameters(3_000, seed=1):
        with mpmath.workdps(60):
            e, d, s = map(mpmath.mpf, (epsilon, distance, scale))
            found = laplace_epsilon(distance, scale)
            assert mpmath.mpf(found) >= d / s > mpmath.mpf(math.nextafter(found, 0.0))
            found = laplace_scale(epsilon, distance)
            assert mpmath.mpf(found) >= d / e > mpmath.mpf(math.nextafter(found, 0.0))
            found = laplace_sensitivity(epsilon, scale)
            assert mpmath.mpf(found) <= e * s < mpmath.mpf(math.nextafter(found, math.inf))


def test_delta_is_the_oracle_rounded_up() -> None:
    rng = np.random.default_rng(2)
    for epsilon, _, scale in random_parameters(3_000, seed=3):
        distance = scale * (epsilon + float(10.0 ** rng.uniform(-12, 3) * rng.choice([-1, 1, 1])))
        if distance <= 0.0:
            continue
        found = laplace_delta(epsilon, distance, scale)
        with mpmath.workdps(500):
            e, d, s = map(mpmath.mpf, (epsilon, distance, scale))
            truth = max(mpmath.mpf(0), -mpmath.expm1((e - d / s) / 2))
            assert mpmath.mpf(found) >= truth
            assert found == 0.0 or truth > mpmath.mpf(math.nextafter(found, 0.0))


def test_trade_off_is_the_oracle_rounded_down() -> None:
    """From the thresholds of the tests "above t", not from the formula."""
    rng = np.random.default_rng(4)
    for _ in range(3_000):
        ratio, t = float(10.0 ** rng.uniform(-6, 1.5)), float(rng.normal() * 10)
        with mpmath.workdps(60):

            def tail(x: mpmath.mpf) -> mpmath.mpf:
                return mpmath.exp(-x) / 2 if x >= 0 else 1 - mpmath.exp(x) / 2

            alpha = float(tail(mpmath.mpf(t)))
            beta = 1 - tail(mpmath.mpf(t) - mpmath.mpf(ratio))
        # α is rounded, so the exact β moves by at most the slope times the error.
        assert laplace_trade_off(alpha, ratio, 1.0) == pytest.approx(float(beta), rel=1e-9, abs=1e-12)


@given(st.floats(0.0, 1.0), st.floats(0.01, 20.0))
def test_trade_off_lies_between_pure_privacy_and_its_own_lines(alpha: float, ratio: float) -> None:
    found = laplace_trade_off(alpha, ratio, 1.0)
    assert approximate_trade_off(alpha, ratio, 0.0) <= found * (1 + 1e-15)
    for share in (0.0, 0.3, 0.9):
        line = approximate_trade_off(alpha, share * ratio, laplace_delta(share * ratio, ratio, 1.0))
        assert line <= found * (1 + 1e-15) + 1e-16


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_delta_agrees_with_dp_accounting(epsilon: float, scale: float) -> None:
    expected = LaplacePrivacyLoss(scale, sensitivity=1.0).get_delta_for_epsilon(epsilon)
    assert laplace_delta(epsilon, 1.0, scale) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(st.floats(0.0, 20.0), st.floats(0.01, 20.0))
def test_delta_is_never_above_that_of_pure_privacy(epsilon: float, ratio: float) -> None:
    assert laplace_delta(epsilon, ratio, 1.0) <= compose_optimal_delta(epsilon, ratio, 0.0, 1)


@given(epsilons, positives)
def test_pure_round_trips(epsilon: float, value: float) -> None:
    scale = laplace_scale(epsilon, value)
    assert laplace_epsilon(value, scale) <= epsilon < laplace_epsilon(value, math.nextafter(scale, 0.0))
    distance = laplace_sensitivity(epsilon, value)
    assert laplace_epsilon(distance, value) <= epsilon < laplace_epsilon(math.nextafter(distance, math.inf), value)


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0), positives, positives)
def test_delta_falls_with_epsilon_and_grows_with_distance(
    first: float, second: float, third: float, fourth: float
) -> None:
    low, high = sorted((first, second))
    near, far = sorted((third, fourth))
    assert laplace_delta(low, far, 1.0) >= laplace_delta(high, far, 1.0) >= laplace_delta(high, near, 1.0)


@pytest.mark.parametrize("dimension", [1, 2, 7])
def test_samples_have_a_gamma_radius_and_a_uniform_direction(dimension: int) -> None:
    draws = np.stack([idealized_laplace(np.zeros(dimension), 0.5, seed) for seed in range(2_000)])
    radius = np.linalg.norm(draws, axis=1)
    assert stats.kstest(radius, stats.gamma(dimension, scale=0.5).cdf).pvalue > 1e-3
    marginal = draws[:, 0] / radius
    if dimension == 1:
        assert stats.binomtest(int(np.sum(marginal > 0)), 2_000).pvalue > 1e-3
    else:
        law = stats.beta((dimension - 1) / 2, (dimension - 1) / 2, loc=-1, scale=2)
        assert stats.kstest(marginal, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("dimension", [1, 3, 10])
def test_no_event_of_samples_exceeds_pure_privacy(dimension: int) -> None:
    """The likelihood-ratio event at ε₀ has δ = 0: its two probabilities differ by e^ε₀ at most."""
    shift = np.zeros(dimension)
    shift[0] = 1.0
    draws = np.stack([idealized_laplace(np.zeros(dimension), 1.0, seed) for seed in range(20_000)])
    for epsilon in (0.2, 0.5, 0.8):
        near = np.mean(np.linalg.norm(draws + shift, axis=1) - np.linalg.norm(draws, axis=1) > epsilon)
        far = np.mean(np.linalg.norm(draws, axis=1) - np.linalg.norm(draws - shift, axis=1) > epsilon)
        assert near <= math.e * far + 0.02
        if dimension == 1:
            assert near - math.exp(epsilon) * far == pytest.approx(laplace_delta(epsilon, 1.0, 1.0), abs=0.03)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (laplace_epsilon(0.0, 0.0), 0.0),
        (laplace_epsilon(1.0, 0.0), math.inf),
        (laplace_epsilon(1.0, math.inf), 0.0),
        (laplace_scale(0.0, 1.0), math.inf),
        (laplace_scale(0.0, 0.0), 0.0),
        (laplace_scale(math.inf, 1.0), 0.0),
        (laplace_sensitivity(0.0, 1.0), 0.0),
        (laplace_sensitivity(MAX, MAX), MAX),
        (laplace_sensitivity(math.inf, 1.0), MAX),
        (laplace_delta(1.0, 1.0, 1.0), 0.0),
        (laplace_delta(0.0, 1e300, 1.0), 1.0),
        (laplace_delta(0.0, 1.0, 0.0), 1.0),
        (laplace_delta(0.0, TINY, MAX), TINY),
        (laplace_delta(math.inf, 1.0, 1.0), 0.0),
        (laplace_trade_off(0.0, 1e300, 1.0), 1.0),
        (laplace_trade_off(0.5, 1e300, 1.0), 0.0),
        (laplace_trade_off(0.25, 0.0, 1.0), 0.75),
        (laplace_trade_off(1.0, 1.0, 1.0), 0.0),
        (laplace_trade_off(0.0, 1.0, 1.0), 1.0),
    ],
)
def test_edges(found: float, expected: float) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: laplace_epsilon(math.inf, math.inf), ValueError, "sensitivity must be finite"),
        (lambda: idealized_laplace([0.0], 1.0, 0), TypeError, "center must be a NumPy array of dtype float64"),
        (lambda: idealized_laplace(np.array([math.nan]), 1.0, 0), ValueError, "center must be finite"),
        (lambda: idealized_laplace(np.zeros(2), 0.0, 0), ValueError, "scale must be positive and finite"),
        (lambda: idealized_laplace(np.zeros(2), math.inf, 0), ValueError, "scale must be positive and finite"),
        (lambda: idealized_laplace(np.zeros(2), 1.0, -1), ValueError, "seed must be an integer of at least 0"),
        (lambda: idealized_laplace(np.zeros(2), 1.0, True), ValueError, "seed must be an integer of at least 0"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_samples_are_reproducible_and_keep_their_shape() -> None:
    first, second = (idealized_laplace(np.ones((2, 3)), 0.5, seed=7) for _ in range(2))
    assert first.shape == (2, 3)
    np.testing.assert_array_equal(first, second)
    assert idealized_laplace(np.zeros((0, 3)), 0.5, seed=7).shape == (0, 3)


def test_formulas_run_on_every_scalar() -> None:
    check_formula(laplace_hockey_stick, 0.5, 1.5)
