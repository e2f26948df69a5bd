"""Rényi conversions against 60-digit arithmetic and dp-accounting; inverses against each other."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon
from certified.privacy.renyi import (
    gaussian_divergence,
    gaussian_renyi,
    mironov_epsilon,
    renyi_budget,
    renyi_delta,
    renyi_divergence,
    renyi_epsilon,
    renyi_hockey_stick,
    renyi_noise_std,
    renyi_sensitivity,
)
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
orders = st.one_of(st.floats(1.0, 200.0, exclude_min=True), st.floats(1.0, 1e12, exclude_min=True))
epsilons = st.one_of(st.floats(0.0, 20.0), st.floats(0.0, 1e6))
divergences = st.one_of(st.floats(1e-9, 20.0), st.floats(1e-300, 1e6))
deltas = st.one_of(st.floats(1e-15, 1.0), st.floats(TINY, 1.0))
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(1e-100, 1e100))


def delta_oracle(epsilon: float, alpha: float, divergence: float) -> mpmath.mpf:
    with mpmath.workdps(80):
        a = mpmath.mpf(alpha)
        factor = (1 - 1 / a) ** (a - 1) / a
        return min(mpmath.mpf(1), factor * mpmath.exp((a - 1) * (mpmath.mpf(divergence) - mpmath.mpf(epsilon))))


def epsilon_oracle(delta: float, alpha: float, divergence: float) -> mpmath.mpf:
    with mpmath.workdps(80):
        a = mpmath.mpf(alpha)
        return max(mpmath.mpf(0), divergence + mpmath.log(1 - 1 / a) - mpmath.log(mpmath.mpf(delta) * a) / (a - 1))


def random_parameters(count: int, seed: int) -> list[tuple[float, float, float, float]]:
    """(ε, α, D, δ): ε to 700, α − 1 from 1e-6 to 1e6, D from 1e-12 to 1e3, δ from 1e-300 to 1."""
    generator = np.random.default_rng(seed)
    columns = (
        10.0 ** generator.uniform(-8, math.log10(700.0), count),
        1.0 + 10.0 ** generator.uniform(-6, 6, count),
        10.0 ** generator.uniform(-12, 3, count),
        10.0 ** generator.uniform(-300, 0, count),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_delta_is_the_oracle_rounded_up() -> None:
    for epsilon, alpha, divergence, _ in random_parameters(4_000, seed=1):
        bound, truth = renyi_delta(epsilon, {alpha: divergence}), delta_oracle(epsilon, alpha, divergence)
        assert mpmath.mpf(bound) >= truth > mpmath.mpf(math.nextafter(bound, 0.0))


def test_epsilon_is_the_oracle_rounded_up() -> None:
    for _, alpha, divergence, delta in random_parameters(4_000, seed=2):
        bound, truth = renyi_epsilon(delta, {alpha: divergence}), epsilon_oracle(delta, alpha, divergence)
        assert mpmath.mpf(bound) >= truth
        assert bound == 0.0 or truth > mpmath.mpf(math.nextafter(bound, 0.0))


def test_divergence_is_the_oracle_rounded_down() -> None:
    for epsilon, alpha, _, delta in random_parameters(3_000, seed=3):
        with mpmath.workdps(80):
            a = mpmath.mpf(alpha)
            truth = epsilon - mpmath.log(1 - 1 / a) + mpmath.log(mpmath.mpf(delta) * a) / (a - 1)
        bound = renyi_divergence(alpha, epsilon, delta)
        assert mpmath.mpf(bound) <= max(truth, mpmath.mpf(0)) < mpmath.mpf(math.nextafter(bound, math.inf))


def test_gaussian_divergence_is_the_oracle_rounded_up() -> None:
    generator = np.random.default_rng(4)
    for alpha, s, sigma in 10.0 ** generator.uniform([0, -100, -50], [6, 50, 50], (2_000, 3)):
        bound = gaussian_renyi(1.0 + alpha, s, sigma)
        with mpmath.workdps(80):
            truth = mpmath.mpf(1.0 + alpha) * mpmath.mpf(s) ** 2 / (2 * mpmath.mpf(sigma) ** 2)
        assert mpmath.mpf(bound) >= truth > mpmath.mpf(math.nextafter(bound, 0.0))


@pytest.mark.parametrize("alpha", [1.25, 2.0, 7.5])
def test_gaussian_divergence_is_the_integral_of_the_definition(alpha: float) -> None:
    def integrand(x: float) -> float:
        return math.exp(alpha * stats.norm.logpdf(x, 0.5) + (1 - alpha) * stats.norm.logpdf(x))

    moment, _ = integrate.quad(integrand, -30, 30)
    assert gaussian_renyi(alpha, 1.0, 2.0) == pytest.approx(math.log(moment) / (alpha - 1), rel=1e-8)


@pytest.mark.parametrize("noise_std", [0.7, 2.0, 9.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-5])
def test_epsilon_agrees_with_dp_accounting(noise_std: float, delta: float) -> None:
    orders = [1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
    curve = {alpha: gaussian_renyi(alpha, 1.0, noise_std) for alpha in orders}
    expected, _ = rdp_privacy_accountant.compute_epsilon(orders, [curve[alpha] for alpha in orders], delta)
    assert renyi_epsilon(delta, curve) == pytest.approx(expected, rel=1e-10)


@given(epsilons, orders, st.floats(0.05, 20.0), st.floats(0.05, 20.0))
def test_delta_is_never_below_the_exact_gaussian_curve(epsilon: float, alpha: float, s: float, sigma: float) -> None:
    curve = {alpha: gaussian_renyi(alpha, s, sigma)}
    assert renyi_delta(epsilon, curve) >= gaussian_delta(epsilon, s, sigma)
    assert renyi_epsilon(1e-6, curve) >= gaussian_epsilon(1e-6, s, sigma)


@given(epsilons, epsilons, orders, divergences, divergences)
def test_delta_falls_with_epsilon_and_grows_with_divergence(
    first: float, second: float, alpha: float, third: float, fourth: float
) -> None:
    low, high = sorted((first, second))
    small, large = sorted((third, fourth))
    assert renyi_delta(low, {alpha: large}) >= renyi_delta(high, {alpha: large}) >= renyi_delta(high, {alpha: small})


@given(deltas, orders, divergences)
def test_epsilon_is_the_smallest_certified(delta: float, alpha: float, divergence: float) -> None:
    epsilon = renyi_epsilon(delta, {alpha: divergence})
    assert renyi_delta(epsilon, {alpha: divergence}) <= delta
    if epsilon > 0.0:
        assert renyi_delta(math.nextafter(epsilon, 0.0), {alpha: divergence}) > delta
    assert epsilon <= max(0.0, mironov_epsilon(delta, alpha, divergence)) * (1 + 1e-12) + 1e-12


@given(orders, epsilons, deltas)
def test_divergence_is_the_largest_certified(alpha: float, epsilon: float, delta: float) -> None:
    divergence = renyi_divergence(alpha, epsilon, delta)
    assert renyi_delta(epsilon, {alpha: divergence}) <= delta
    if delta < 1.0:
        assert renyi_delta(epsilon, {alpha: math.nextafter(divergence, math.inf)}) > delta


@given(orders, st.floats(1e-50, 1e50), positives)
def test_noise_and_distance_are_the_best_certified(alpha: float, divergence: float, value: float) -> None:
    noise_std = renyi_noise_std(alpha, divergence, value)
    assert gaussian_renyi(alpha, value, noise_std) <= divergence
    assert gaussian_renyi(alpha, value, math.nextafter(noise_std, 0.0)) > divergence
    sensitivity = renyi_sensitivity(alpha, divergence, value)
    assert gaussian_renyi(alpha, sensitivity, value) <= divergence
    assert gaussian_renyi(alpha, math.nextafter(sensitivity, math.inf), value) > divergence


def test_the_best_order_counts() -> None:
    curve = {2.0: 0.1, 16.0: 1.0, 64.0: 4.0}
    for epsilon in (0.0, 1.0, 3.0, 9.0):
        assert renyi_delta(epsilon, curve) == min(renyi_delta(epsilon, {a: d}) for a, d in curve.items())
        assert renyi_epsilon(10.0**-epsilon, curve) == min(
            renyi_epsilon(10.0**-epsilon, {a: d}) for a, d in curve.items()
        )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (renyi_delta(0.0, {2.0: 0.0}), 0.0),
        (renyi_delta(1.0, {2.0: math.inf}), 1.0),
        (renyi_delta(math.inf, {2.0: 1.0}), 0.0),
        (renyi_delta(1e300, {2.0: 1.0}), TINY),
        (renyi_delta(0.0, {1e300: 1e300}), 1.0),
        (renyi_epsilon(0.0, {2.0: 1.0}), math.inf),
        (renyi_epsilon(0.0, {2.0: 0.0}), 0.0),
        (renyi_epsilon(1.0, {2.0: 1.0}), 0.0),
        (renyi_epsilon(0.5, {2.0: math.inf}), math.inf),
        (renyi_divergence(2.0, 1.0, 0.0), 0.0),
        (renyi_divergence(2.0, 1.0, 1.0), math.inf),
        (gaussian_renyi(2.0, 0.0, 0.0), 0.0),
        (gaussian_renyi(2.0, 1.0, 0.0), math.inf),
        (gaussian_renyi(2.0, 1.0, math.inf), 0.0),
        (renyi_noise_std(2.0, 0.0, 1.0), math.inf),
        (renyi_noise_std(2.0, math.inf, 1.0), 0.0),
        (renyi_sensitivity(2.0, 1.0, 0.0), 0.0),
        (renyi_sensitivity(2.0, MAX, MAX), MAX),
        (renyi_sensitivity(2.0, math.inf, 1.0), MAX),
    ],
)
def test_edges(found: float, expected: float) -> None:
    assert found == expected


def test_formulas_run_on_every_scalar() -> None:
    check_formula(renyi_hockey_stick, 1.0, 3.5, 0.5)
    check_formula(renyi_budget, 1.0, 3.5, 1e-5)
    check_formula(mironov_epsilon, 1e-5, 3.5, 0.5)
    check_formula(gaussian_divergence, 3.5, 0.5, 2.0)


@pytest.mark.parametrize(
    ("curve", "error", "message"),
    [
        ({}, ValueError, "curve must hold at least one order"),
        ({1.0: 0.5}, ValueError, "curve order must be a finite number above 1"),
        ({math.inf: 0.5}, ValueError, "curve order must be a finite number above 1"),
        ({2.0: -0.5}, ValueError, r"curve\[2.0\] must not be negative or NaN"),
        ({2.0: math.nan}, ValueError, r"curve\[2.0\] must not be negative or NaN"),
        ([(2.0, 0.5)], TypeError, "curve must map orders to divergences, got list"),
    ],
)
def test_bad_curves_are_refused(curve: object, error: type[Exception], message: str) -> None:
    for call in (renyi_delta, renyi_epsilon):
        with pytest.raises(error, match=f"^{message}"):
            call(0.5, curve)  # type: ignore[arg-type]


def test_infinite_distance_under_infinite_noise_has_no_answer() -> None:
    with pytest.raises(ValueError, match=r"^sensitivity must be finite"):
        gaussian_renyi(2.0, math.inf, math.inf)
