"""The privacy curve against 60-digit arithmetic, SciPy and dp-accounting; its inverses against the curve."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction

import jax
import mpmath
import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from certified.privacy.gaussian import (
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    gaussian_noise_std,
    gaussian_sensitivity,
    hockey_stick,
)

TINY = math.ulp(0.0)
MAX = sys.float_info.max

epsilons = st.one_of(st.just(0.0), st.floats(1e-9, 1e3), st.floats(0.0, MAX))
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(TINY, MAX))
deltas = st.one_of(st.floats(1e-15, 1.0), st.floats(0.0, 1.0))


def oracle(epsilon: float, sensitivity: float, noise_std: float, digits: int = 60) -> mpmath.mpf:
    """δ(ε) from the printed formula, with ``digits`` decimal digits."""
    with mpmath.workdps(digits):
        mu = mpmath.mpf(sensitivity) / mpmath.mpf(noise_std)
        ratio = mpmath.mpf(epsilon) / mu
        return mpmath.ncdf(mu / 2 - ratio) - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - ratio)


def random_parameters(count: int, seed: int) -> list[tuple[float, float, float]]:
    """(ε, s, σ) that cover δ from 1e-340 to 1 − 1e-19, ε from 1e-8 to 1e12 and σ from 1e-12 to 1e12."""
    generator = np.random.default_rng(seed)
    epsilon = 10.0 ** generator.uniform(-8, 12, count)
    near = generator.uniform(-39.5, 9.0, count)
    mu = near + np.sqrt(near**2 + 2 * epsilon)
    keep = mu > 1e-12
    noise_std = 10.0 ** generator.uniform(-12, 12, count)
    columns = (epsilon[keep], (mu * noise_std)[keep], noise_std[keep])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def assert_is_rounded_up(bound: float, truth: mpmath.mpf) -> None:
    assert mpmath.mpf(bound) >= truth > mpmath.mpf(math.nextafter(bound, 0.0))


def check_against_oracle(count: int, seed: int) -> None:
    parameters = random_parameters(count, seed)
    assert len(parameters) >= 0.95 * count
    for epsilon, sensitivity, noise_std in parameters:
        assert_is_rounded_up(gaussian_delta(epsilon, sensitivity, noise_std), oracle(epsilon, sensitivity, noise_std))


def test_delta_is_the_oracle_rounded_up() -> None:
    check_against_oracle(count=11_000, seed=20180516)


@pytest.mark.slow
def test_delta_is_the_oracle_rounded_up_many_times() -> None:
    check_against_oracle(count=200_000, seed=1)


@pytest.mark.parametrize(
    ("epsilon", "sensitivity", "noise_std", "digits"),
    [
        (0.0, 1.0, 1.0, 60),
        (0.0, 1e-300, 1.0, 700),  # 300 digits cancel
        (1e-300, 1e-300, 1.0, 700),
        (1e-12, 1e-13, 1e-1, 200),
        (1.0, 0.0276, 1.0, 400),  # δ near 1e-290
        (1e8, 14142.0, 1.0, 400),
        (1e15, 44721359.0, 1.0, 400),
        (1e-15, 3.0, 7.0, 100),
        (700.0, 1e154, 2e153, 400),
        (5e-324, 1.0, 3.0, 500),
    ],
)
def test_delta_at_extreme_parameters(epsilon: float, sensitivity: float, noise_std: float, digits: int) -> None:
    truth = oracle(epsilon, sensitivity, noise_std, digits)
    assert_is_rounded_up(gaussian_delta(epsilon, sensitivity, noise_std), truth)


@pytest.mark.parametrize(
    ("epsilon", "sensitivity", "noise_std", "expected"),
    [
        (1.0, 0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (math.inf, 0.0, math.inf, 0.0),
        (1.0, 1.0, 0.0, 1.0),
        (math.inf, 1.0, 0.0, 1.0),
        (1.0, math.inf, 1.0, 1.0),
        (math.inf, 1.0, 1.0, 0.0),
        (0.0, 1.0, math.inf, 0.0),
        (1e308, 1.0, 1.0, TINY),  # positive, however small
        (0.0, TINY, MAX, TINY),
        (0.0, TINY, 1.0, TINY),
        (1e300, MAX, TINY, 1.0),
        (0.0, 1e308, TINY, 1.0),
        (2.0**1001, 2.0**501, 1.0, 0.5),  # Φ(0) less about 2⁻⁵⁰²
        (2.0**201, 2.0**101, 1.0, 0.5),
    ],
)
def test_delta_at_the_edges(epsilon: float, sensitivity: float, noise_std: float, expected: float) -> None:
    assert gaussian_delta(epsilon, sensitivity, noise_std) == expected


@pytest.mark.parametrize("mu", [44.0, 900.0, 999.9, 1000.1, 2e4, 1e7, 2.0**40, 2.0**52])
@pytest.mark.parametrize("near", [-35.0, -1.5, 0.25, 7.5])
def test_delta_at_large_epsilon(mu: float, near: float) -> None:
    """Both sides of the switch to Mills' ratio: y = μ/2 + ε/μ is about μ here."""
    epsilon = mu * mu / 2 - near * mu
    assert_is_rounded_up(gaussian_delta(epsilon, mu, 1.0), oracle(epsilon, mu, 1.0, digits=120))


def test_delta_agrees_with_scipy() -> None:
    epsilon, mu = np.meshgrid(np.linspace(0.0, 8.0, 60), np.geomspace(0.3, 8.0, 60))
    expected = stats.norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon + stats.norm.logcdf(-mu / 2 - epsilon / mu))
    actual = np.vectorize(gaussian_delta)(epsilon, mu, 1.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("noise_std", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 5.0])
def test_delta_and_epsilon_agree_with_dp_accounting(epsilon: float, noise_std: float) -> None:
    reference = GaussianPrivacyLoss(standard_deviation=noise_std, sensitivity=1.0)
    delta = gaussian_delta(epsilon, 1.0, noise_std)
    assert delta == pytest.approx(reference.get_delta_for_epsilon(epsilon), rel=1e-9)
    assert gaussian_epsilon(delta, 1.0, noise_std) == pytest.approx(epsilon, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 2.0])
def test_the_plain_formula_runs_on_floats_and_under_differentiation(epsilon: float) -> None:
    assert hockey_stick(epsilon, 1.5) == pytest.approx(gaussian_delta(epsilon, 1.5, 1.0), rel=1e-13)
    with jax.enable_x64(True):
        slope = float(jax.grad(hockey_stick, argnums=1)(epsilon, 1.5))
    # ∂H/∂μ = φ(μ/2 − ε/μ): the terms in ε/μ² cancel because e^ε φ(y) = φ(near).
    assert slope == pytest.approx(stats.norm.pdf(0.75 - epsilon / 1.5), rel=1e-12)


@given(epsilons, epsilons, positives, positives)
def test_delta_falls_with_epsilon(first: float, second: float, sensitivity: float, noise_std: float) -> None:
    low, high = sorted((first, second))
    assert gaussian_delta(low, sensitivity, noise_std) >= gaussian_delta(high, sensitivity, noise_std)


@given(epsilons, positives, positives, positives)
def test_delta_grows_with_distance_and_falls_with_noise(
    epsilon: float, first: float, second: float, third: float
) -> None:
    low, high = sorted((first, second))
    assert gaussian_delta(epsilon, low, third) <= gaussian_delta(epsilon, high, third)
    assert gaussian_delta(epsilon, third, low) >= gaussian_delta(epsilon, third, high)


@given(deltas, positives, positives)
def test_epsilon_is_the_smallest_certified(delta: float, sensitivity: float, noise_std: float) -> None:
    epsilon = gaussian_epsilon(delta, sensitivity, noise_std)
    assert gaussian_delta(epsilon, sensitivity, noise_std) <= delta
    if epsilon > 0.0:
        assert gaussian_delta(math.nextafter(epsilon, 0.0), sensitivity, noise_std) > delta


@given(epsilons, deltas, positives)
def test_noise_std_is_the_smallest_certified(epsilon: float, delta: float, sensitivity: float) -> None:
    noise_std = gaussian_noise_std(epsilon, delta, sensitivity)
    assert gaussian_delta(epsilon, sensitivity, noise_std) <= delta
    if noise_std > 0.0:
        assert gaussian_delta(epsilon, sensitivity, math.nextafter(noise_std, 0.0)) > delta


@given(epsilons, deltas, positives)
def test_sensitivity_is_the_largest_certified(epsilon: float, delta: float, noise_std: float) -> None:
    sensitivity = gaussian_sensitivity(epsilon, delta, noise_std)
    assert gaussian_delta(epsilon, sensitivity, noise_std) <= delta
    if sensitivity < MAX:
        assert gaussian_delta(epsilon, math.nextafter(sensitivity, math.inf), noise_std) > delta


@given(epsilons, deltas)
def test_mu_is_the_largest_certified(epsilon: float, delta: float) -> None:
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_delta(epsilon, mu, 1.0) <= delta
    if mu < MAX:
        assert gaussian_delta(epsilon, math.nextafter(mu, math.inf), 1.0) > delta


@given(st.floats(0.01, 20.0), st.floats(1e-12, 0.5), st.floats(1e-9, 1e9))
def test_calibrations_agree_with_each_other(epsilon: float, delta: float, sensitivity: float) -> None:
    noise_std = gaussian_noise_std(epsilon, delta, sensitivity)
    assert gaussian_delta(epsilon, sensitivity, noise_std) == pytest.approx(delta, rel=1e-9)
    assert gaussian_epsilon(delta, sensitivity, noise_std) == pytest.approx(epsilon, rel=1e-9)
    assert sensitivity <= gaussian_sensitivity(epsilon, delta, noise_std) <= sensitivity * (1 + 1e-9)
    assert sensitivity / gaussian_mu(epsilon, delta) == pytest.approx(noise_std, rel=1e-9)


@pytest.mark.parametrize("tiny", [1e-300, 1e-100, 5e-324])
def test_calibration_holds_for_absurdly_small_delta(tiny: float) -> None:
    noise_std = gaussian_noise_std(1.0, tiny, 1.0)
    assert gaussian_delta(1.0, 1.0, noise_std) <= tiny < gaussian_delta(1.0, 1.0, 0.999 * noise_std)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: gaussian_epsilon(0.0, 1.0, 1.0), math.inf),
        (lambda: gaussian_epsilon(0.0, 0.0, 1.0), 0.0),
        (lambda: gaussian_epsilon(0.5, 1.0, 0.0), math.inf),
        (lambda: gaussian_epsilon(1.0, 1.0, 0.0), 0.0),
        (lambda: gaussian_epsilon(0.5, math.inf, 1.0), math.inf),
        (lambda: gaussian_epsilon(0.0, 1.0, math.inf), 0.0),
        (lambda: gaussian_noise_std(1.0, 0.0, 1.0), math.inf),
        (lambda: gaussian_noise_std(1.0, 0.0, 0.0), 0.0),
        (lambda: gaussian_noise_std(1.0, 1.0, 1.0), 0.0),
        (lambda: gaussian_noise_std(1.0, 0.1, math.inf), math.inf),
        (lambda: gaussian_noise_std(0.0, TINY, 1e308), math.inf),
        (lambda: gaussian_sensitivity(1.0, 0.0, 1.0), 0.0),
        (lambda: gaussian_sensitivity(1.0, 0.1, 0.0), 0.0),
        (lambda: gaussian_sensitivity(1.0, 1.0, 1.0), MAX),
        (lambda: gaussian_sensitivity(1.0, 0.1, math.inf), MAX),
        (lambda: gaussian_mu(1.0, 0.0), 0.0),
        (lambda: gaussian_mu(0.0, 1.0), MAX),
    ],
)
def test_inverses_at_the_edges(call: Callable[[], float], expected: float) -> None:
    assert call() == expected


FUNCTIONS: dict[Callable[..., float], dict[str, float]] = {
    gaussian_delta: {"epsilon": 1.0, "sensitivity": 1.0, "noise_std": 1.0},
    gaussian_epsilon: {"delta": 1e-5, "sensitivity": 1.0, "noise_std": 1.0},
    gaussian_noise_std: {"epsilon": 1.0, "delta": 1e-5, "sensitivity": 1.0},
    gaussian_sensitivity: {"epsilon": 1.0, "delta": 1e-5, "noise_std": 1.0},
    gaussian_mu: {"epsilon": 1.0, "delta": 1e-5},
}


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (-1.0, ValueError, "must not be negative or NaN"),
        (-TINY, ValueError, "must not be negative or NaN"),
        (-math.inf, ValueError, "must not be negative or NaN"),
        (math.nan, ValueError, "must not be negative or NaN"),
        (Fraction(1, 3), ValueError, "must be a float64 number"),
        (10**400, ValueError, "exceeds every float64 number"),
        ("1.0", TypeError, "must be a real number, got str; pass a float"),
        (None, TypeError, "must be a real number"),
        (1j, TypeError, "must be a real number"),
        (True, TypeError, "must be a real number, got bool; pass a float"),
        (np.True_, TypeError, "must be a real number, got bool"),
    ],
)
@pytest.mark.parametrize(
    ("function", "name"), [(function, name) for function, valid in FUNCTIONS.items() for name in valid]
)
def test_bad_arguments_are_named(
    function: Callable[..., float], name: str, bad: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{name} {message}"):
        function(**(FUNCTIONS[function] | {name: bad}))


@pytest.mark.parametrize("function", [f for f, valid in FUNCTIONS.items() if "delta" in valid])
def test_delta_above_one_is_refused(function: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match=r"^delta must not exceed 1"):
        function(**(FUNCTIONS[function] | {"delta": 5}))


def test_infinite_distance_under_infinite_noise_has_no_answer() -> None:
    with pytest.raises(ValueError, match=r"^sensitivity must be finite"):
        gaussian_delta(1.0, math.inf, math.inf)


def test_numpy_scalars_and_integers_are_accepted() -> None:
    assert gaussian_delta(np.float32(0.5), np.int64(1), 2) == gaussian_delta(0.5, 1.0, 2.0)
