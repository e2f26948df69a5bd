"""zCDP conversions against 60-digit optimisation over the order, and against the exact Gaussian curve."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from certified.privacy.gaussian import gaussian_delta
from certified.privacy.zcdp import (
    bun_steinke_epsilon,
    gaussian_concentration,
    gaussian_rho,
    zcdp_delta,
    zcdp_epsilon,
    zcdp_hockey_stick,
    zcdp_noise_std,
    zcdp_rho,
    zcdp_sensitivity,
)
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
epsilons = st.one_of(st.just(0.0), st.floats(1e-6, 100.0), st.floats(0.0, 1e300))
rhos = st.one_of(st.floats(1e-9, 100.0), st.floats(1e-300, 1e300))
deltas = st.one_of(st.floats(1e-15, 1.0), st.floats(0.0, 1.0))
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(1e-100, 1e100))


def oracle(epsilon: float, rho: float) -> mpmath.mpf:
    """inf over α: the best order by Newton's method in t = log(α − 1), from a floating-point start."""

    def slope(t: float) -> float:
        return (2 * math.exp(t) + 1) * rho - epsilon - math.log1p(math.exp(-t))

    if slope(-300.0) > 0.0:  # the best order is so close to 1 that δ is 1 up to 10⁻¹⁰⁰
        return mpmath.mpf(1) - mpmath.mpf("1e-30")
    start = optimize.brentq(slope, -300.0, 300.0, xtol=1e-13)
    with mpmath.workdps(60):
        e, r, t = mpmath.mpf(epsilon), mpmath.mpf(rho), mpmath.mpf(start)
        for _ in range(4):
            b = mpmath.exp(t)
            t -= ((2 * b + 1) * r - e - mpmath.log1p(1 / b)) / (2 * b * r + 1 / (1 + b))
        b = mpmath.exp(t)
        return mpmath.exp(b * ((1 + b) * r - e) + b * mpmath.log(b / (1 + b)) - mpmath.log(1 + b))


def random_parameters(count: int, seed: int) -> list[tuple[float, float]]:
    """(ε, ρ) with ρ from 1e-12 to 1e6 that cover δ from 1 down to 1e-320."""
    generator = np.random.default_rng(seed)
    rho = 10.0 ** generator.uniform(-12, 6, count)
    nats = 10.0 ** generator.uniform(-3, math.log10(735.0), count)
    epsilon = np.abs(rho + generator.choice([1.0, -1.0], count, p=[0.8, 0.2]) * 2 * np.sqrt(rho * nats))
    return list(zip(epsilon.tolist(), rho.tolist(), strict=True))


def test_delta_is_the_oracle_rounded_up() -> None:
    for epsilon, rho in random_parameters(4_000, seed=1):
        bound, truth = zcdp_delta(epsilon, rho), oracle(epsilon, rho)
        with mpmath.workdps(60):
            assert mpmath.mpf(bound) >= truth
            assert mpmath.mpf(math.nextafter(bound, 0.0)) < truth * (1 + mpmath.mpf("1e-20"))


def test_gaussian_rho_is_the_oracle_rounded_up() -> None:
    generator = np.random.default_rng(2)
    for s, sigma in 10.0 ** generator.uniform(-75, 75, (3_000, 2)):
        bound = gaussian_rho(s, sigma)
        with mpmath.workdps(60):
            truth = mpmath.mpf(s) ** 2 / (2 * mpmath.mpf(sigma) ** 2)
        assert mpmath.mpf(bound) >= truth > mpmath.mpf(math.nextafter(bound, 0.0))


def test_calibrations_agree_with_the_oracle() -> None:
    for epsilon, rho in random_parameters(120, seed=3):
        delta = zcdp_delta(epsilon, rho)
        if not 1e-300 < delta < 0.999:
            continue
        assert zcdp_epsilon(delta, rho) == pytest.approx(epsilon, rel=1e-7)
        assert zcdp_rho(epsilon, delta) == pytest.approx(rho, rel=1e-7)
        assert oracle(epsilon, zcdp_rho(epsilon, delta)) <= mpmath.mpf(delta)


@given(epsilons, epsilons, rhos, rhos)
def test_delta_falls_with_epsilon_and_grows_with_rho(first: float, second: float, third: float, fourth: float) -> None:
    low, high = sorted((first, second))
    small, large = sorted((third, fourth))
    assert zcdp_delta(low, large) >= zcdp_delta(high, large) >= zcdp_delta(high, small)


@given(deltas, rhos)
def test_epsilon_is_the_smallest_certified(delta: float, rho: float) -> None:
    epsilon = zcdp_epsilon(delta, rho)
    assert zcdp_delta(epsilon, rho) <= delta
    if epsilon > 0.0:
        assert zcdp_delta(math.nextafter(epsilon, 0.0), rho) > delta
    if 1e-300 < delta < 1.0 and rho < 1e100:
        assert epsilon <= bun_steinke_epsilon(delta, rho) * (1 + 1e-12)


@given(epsilons, deltas)
def test_rho_is_the_largest_certified(epsilon: float, delta: float) -> None:
    rho = zcdp_rho(epsilon, delta)
    assert zcdp_delta(epsilon, rho) <= delta
    if rho < MAX:
        assert zcdp_delta(epsilon, math.nextafter(rho, math.inf)) > delta


@given(st.floats(1e-100, 1e100), positives)
def test_noise_and_distance_are_the_best_certified(rho: float, value: float) -> None:
    noise_std = zcdp_noise_std(rho, value)
    assert gaussian_rho(value, noise_std) <= rho < gaussian_rho(value, math.nextafter(noise_std, 0.0))
    sensitivity = zcdp_sensitivity(rho, value)
    assert gaussian_rho(sensitivity, value) <= rho < gaussian_rho(math.nextafter(sensitivity, math.inf), value)


@given(st.floats(0.0, 50.0), st.floats(0.01, 20.0), st.floats(0.01, 20.0))
def test_delta_is_never_below_the_exact_gaussian_curve(epsilon: float, s: float, sigma: float) -> None:
    assert zcdp_delta(epsilon, gaussian_rho(s, sigma)) >= gaussian_delta(epsilon, s, sigma)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (zcdp_delta(0.0, 0.0), 0.0),
        (zcdp_delta(1.0, math.inf), 1.0),
        (zcdp_delta(math.inf, 1.0), 0.0),
        (zcdp_delta(1e308, 1e-300), TINY),
        (zcdp_delta(0.0, 1e300), 1.0),
        (zcdp_epsilon(0.0, 1.0), math.inf),
        (zcdp_epsilon(0.0, 0.0), 0.0),
        (zcdp_epsilon(1.0, 1.0), 0.0),
        (zcdp_rho(1.0, 0.0), 0.0),
        (zcdp_rho(1.0, 1.0), MAX),
        (gaussian_rho(0.0, 0.0), 0.0),
        (gaussian_rho(1.0, 0.0), math.inf),
        (gaussian_rho(1.0, math.inf), 0.0),
        (zcdp_noise_std(0.0, 1.0), math.inf),
        (zcdp_noise_std(math.inf, 1.0), 0.0),
        (zcdp_noise_std(1.0, 0.0), 0.0),
        (zcdp_sensitivity(0.0, 1.0), 0.0),
        (zcdp_sensitivity(MAX, MAX), MAX),
        (zcdp_sensitivity(math.inf, 1.0), MAX),
    ],
)
def test_edges(found: float, expected: float) -> None:
    assert found == expected


@pytest.mark.parametrize("tiny", [1e-300, TINY])
def test_absurdly_small_delta(tiny: float) -> None:
    epsilon = zcdp_epsilon(tiny, 0.5)
    assert zcdp_delta(epsilon, 0.5) <= tiny < zcdp_delta(0.999 * epsilon, 0.5)


def test_formulas_run_on_every_scalar() -> None:
    check_formula(zcdp_hockey_stick, 1.0, 2.5, 0.1)
    check_formula(bun_steinke_epsilon, 1e-5, 0.1)
    check_formula(gaussian_concentration, 0.5, 2.0)


def test_infinite_distance_under_infinite_noise_has_no_answer() -> None:
    with pytest.raises(ValueError, match=r"^sensitivity must be finite"):
        gaussian_rho(math.inf, math.inf)
