"""Conversions against 60-digit arithmetic, against randomised response, and against each other."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.conversions import (
    gdp_to_renyi,
    gdp_to_zcdp,
    pure_concentration,
    pure_divergence,
    pure_to_gdp,
    pure_to_renyi,
    pure_to_zcdp,
    zcdp_to_renyi,
)
from certified.privacy.gdp import gdp_delta
from certified.privacy.zcdp import zcdp_delta
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
epsilons = st.one_of(st.floats(1e-9, 50.0), st.floats(1e-300, 1e5))
orders = st.floats(1.0, 1e6, exclude_min=True)


def response_divergence(alpha: float, epsilon: float) -> mpmath.mpf:
    """The Rényi divergence of randomised response, from the definition."""
    a, e = mpmath.mpf(alpha), mpmath.mpf(epsilon)
    p, q = 1 / (1 + mpmath.exp(-e)), 1 / (1 + mpmath.exp(e))
    return mpmath.log(p**a * q ** (1 - a) + q**a * p ** (1 - a)) / (a - 1)


def spread(low: float, high: float, count: int, seed: int) -> list[float]:
    return [float(value) for value in 10.0 ** np.random.default_rng(seed).uniform(low, high, count)]


def assert_is_rounded_up(bound: float, truth: mpmath.mpf) -> None:
    assert mpmath.mpf(bound) >= truth > mpmath.mpf(math.nextafter(bound, 0.0))


def test_pure_to_renyi_is_the_oracle_rounded_up() -> None:
    for alpha, epsilon in zip(spread(-4, 3, 800, seed=1), spread(-9, 2.8, 800, seed=2), strict=True):
        with mpmath.workdps(700):
            truth = response_divergence(1.0 + alpha, epsilon)
            assert_is_rounded_up(pure_to_renyi(1.0 + alpha, epsilon), truth)


def test_pure_to_zcdp_is_the_oracle_rounded_up() -> None:
    for epsilon in spread(-150, 300, 3_000, seed=3):
        with mpmath.workdps(60):
            # Where tanh rounds to 1 in 60 digits, the real product is still below ε.
            truth = mpmath.mpf(epsilon) * min(mpmath.tanh(mpmath.mpf(epsilon) / 2), 1 - mpmath.mpf("1e-50"))
            assert_is_rounded_up(pure_to_zcdp(epsilon), truth)


def test_pure_to_gdp_is_the_oracle_rounded_up() -> None:
    """μ is at or above the root of Φ(−μ/2)(1 + e^ε) = 1, and the float64 before it is below."""
    for epsilon in spread(-12, 3.5, 2_000, seed=4):
        mu = pure_to_gdp(epsilon)
        with mpmath.workdps(60):
            # Φ(−μ/2) ≤ 1/(1 + e^ε), without cancellation for tiny ε: erf(μ/√8) ≥ tanh(ε/2).
            def reaches(value: float, e: mpmath.mpf) -> bool:
                root = mpmath.mpf(value) / mpmath.sqrt(8)
                if e < 1:
                    return bool(mpmath.erf(root) >= mpmath.tanh(e / 2))
                return bool(mpmath.erfc(root) * (1 + mpmath.exp(e)) <= 2)

            assert reaches(mu, mpmath.mpf(epsilon))
            assert not reaches(math.nextafter(mu, 0.0), mpmath.mpf(epsilon))


def test_products_are_the_oracle_rounded_up() -> None:
    for alpha, value in zip(spread(0, 6, 2_000, seed=5), spread(-140, 140, 2_000, seed=6), strict=True):
        with mpmath.workdps(80):
            a, v = mpmath.mpf(1.0 + alpha), mpmath.mpf(value)
            assert_is_rounded_up(gdp_to_zcdp(value), v * v / 2)
            assert_is_rounded_up(gdp_to_renyi(1.0 + alpha, value), a * v * v / 2)
            assert_is_rounded_up(zcdp_to_renyi(1.0 + alpha, value), a * v)


@given(st.floats(1e-3, 30.0), orders)
def test_randomised_response_is_the_worst_case(epsilon: float, alpha: float) -> None:
    """Claim T17g: its divergence stays below αρ, which it reaches as α → 1; and the published ε²/2 is larger."""
    rho = pure_to_zcdp(epsilon)
    assert pure_to_renyi(alpha, epsilon) <= zcdp_to_renyi(alpha, rho)
    assert rho <= epsilon * epsilon / 2 * (1 + 1e-15)
    with mpmath.workdps(60):
        assert response_divergence(1 + mpmath.mpf("1e-12"), epsilon) > mpmath.mpf(rho) * (1 - mpmath.mpf("1e-9"))


@given(st.floats(1e-3, 30.0), st.floats(0.0, 1.0))
def test_gaussian_curve_covers_randomised_response(epsilon: float, share: float) -> None:
    """Claim T17g: δ of randomised response at ε′ < ε is (e^ε − e^ε′)/(1 + e^ε), never above the curve of μ."""
    at = share * epsilon
    truth = -math.expm1(at - epsilon) / (1 + math.exp(-epsilon))
    assert gdp_delta(at, pure_to_gdp(epsilon)) >= truth * (1 - 1e-12)
    if share == 0.0:
        assert gdp_delta(0.0, pure_to_gdp(epsilon)) == pytest.approx(truth, rel=1e-12)


@given(st.floats(0.0, 20.0), st.floats(1e-3, 20.0))
def test_the_concentrated_curve_covers_the_gaussian_one(epsilon: float, mu: float) -> None:
    assert zcdp_delta(epsilon, gdp_to_zcdp(mu)) >= gdp_delta(epsilon, mu)


@pytest.mark.parametrize("epsilon", [0.9999, 1.0, 9.999e5, 1e6])
def test_pure_to_gdp_grows_across_its_branches(epsilon: float) -> None:
    assert pure_to_gdp(epsilon) < pure_to_gdp(epsilon * (1 + 1e-9)) <= pure_to_gdp(epsilon) * (1 + 1e-5)


@given(epsilons, epsilons, orders)
def test_all_grow(first: float, second: float, alpha: float) -> None:
    low, high = sorted((first, second))
    functions: list[Callable[[float], float]] = [
        pure_to_gdp,
        pure_to_zcdp,
        gdp_to_zcdp,
        lambda value: pure_to_renyi(alpha, value),
        lambda value: gdp_to_renyi(alpha, value),
        lambda value: zcdp_to_renyi(alpha, value),
    ]
    for function in functions:
        assert function(low) <= function(high)


@pytest.mark.parametrize("function", [pure_to_gdp, pure_to_zcdp, gdp_to_zcdp])
def test_edges(function: Callable[[float], float]) -> None:
    assert function(0.0) == 0.0
    assert function(math.inf) == math.inf
    assert 0.0 < function(TINY) <= 2 * TINY
    assert function(MAX) > 1e154


def test_edges_of_orders() -> None:
    assert pure_to_renyi(2.0, 0.0) == 0.0
    assert pure_to_renyi(1e300, 700.0) == 700.0
    assert pure_to_renyi(2.0, MAX) == MAX
    assert gdp_to_renyi(2.0, math.inf) == zcdp_to_renyi(2.0, MAX) == math.inf


def test_formulas_run_on_every_scalar() -> None:
    check_formula(pure_concentration, 1.5)
    check_formula(pure_divergence, 3.5, 1.5)
