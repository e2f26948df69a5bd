"""Group privacy against exact arithmetic, and against the groups of Gaussian releases and randomised responses."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.conversions import pure_to_renyi
from certified.privacy.gaussian import gaussian_delta
from certified.privacy.group import (
    doubling_factor,
    group_factor,
    group_guarantee,
    group_mu,
    group_renyi,
    group_rho,
    group_share,
)
from certified.privacy.renyi import gaussian_renyi
from certified.privacy.zcdp import gaussian_rho
from tests.privacy.derivatives import check_formula

sizes = st.integers(1, 1000)
epsilons = st.one_of(st.floats(0.0, 5.0), st.floats(0.0, 1e4))
deltas = st.one_of(st.floats(1e-15, 1.0), st.floats(0.0, 1.0))


def assert_is_rounded_up(bound: float, truth: Fraction | mpmath.mpf) -> None:
    convert: Callable[[float], Fraction | mpmath.mpf] = Fraction if isinstance(truth, Fraction) else mpmath.mpf
    assert convert(bound) >= truth > convert(math.nextafter(bound, 0.0))


def test_values_are_the_oracle_rounded_up() -> None:
    rng = np.random.default_rng(1)
    for _ in range(4_000):
        k = int(rng.integers(1, 10_000))
        epsilon, delta = float(10.0 ** rng.uniform(-12, 0.5)), float(10.0 ** rng.uniform(-300, 0))
        assert_is_rounded_up(group_mu(epsilon, k), k * Fraction(epsilon))
        assert_is_rounded_up(group_rho(epsilon, k), k * k * Fraction(epsilon))
        group_epsilon, group_delta = group_guarantee(epsilon, delta, k)
        assert_is_rounded_up(group_epsilon, k * Fraction(epsilon))
        with mpmath.workdps(60):
            e = mpmath.mpf(epsilon)
            truth = mpmath.mpf(delta) * mpmath.expm1(k * e) / mpmath.expm1(e)
            assert_is_rounded_up(group_delta, min(mpmath.mpf(1), truth)) if k > 1 else None
        if k == 1:
            assert group_delta == delta


@given(epsilons, deltas, sizes)
def test_a_share_for_one_row_proves_the_target_for_the_group(epsilon: float, delta: float, size: int) -> None:
    found_epsilon, found_delta = group_guarantee(*group_share(epsilon, delta, size), size)
    assert found_epsilon <= epsilon
    assert found_delta <= delta


@given(st.floats(1e-3, 5.0), st.floats(1e-12, 1e-3), st.integers(2, 50))
def test_a_share_is_the_largest(epsilon: float, delta: float, size: int) -> None:
    share, part = group_share(epsilon, delta, size)
    assert group_guarantee(math.nextafter(share, math.inf), 0.0, size)[0] > epsilon
    assert group_guarantee(share, math.nextafter(part, 1.0), size)[1] > delta


@given(st.floats(0.0, 10.0), st.floats(1e-3, 2.0), st.integers(1, 8))
def test_groups_of_gaussian_releases_are_covered(epsilon: float, mu: float, size: int) -> None:
    """k rows move a Gaussian release by at most kμ: its exact δ, ρ and D never exceed what each claim allows."""
    joint, delta = group_guarantee(epsilon, gaussian_delta(epsilon, mu, 1.0), size)
    assert gaussian_delta(joint, group_mu(mu, size), 1.0) <= delta
    assert gaussian_rho(size * mu, 1.0) <= group_rho(gaussian_rho(mu, 1.0), size) * (1 + 1e-15)
    doubled = 2 ** (size - 1).bit_length()
    alpha, divergence = group_renyi(64.0, gaussian_renyi(64.0, mu, 1.0), doubled)
    assert gaussian_renyi(alpha, doubled * mu, 1.0) <= divergence


@given(st.floats(1e-3, 3.0), st.sampled_from([2, 4, 8]), st.floats(9.0, 1e3))
def test_groups_of_randomised_responses_are_covered(epsilon: float, size: int, alpha: float) -> None:
    """k bits of randomised response flipped at once have k times the divergence."""
    alpha = size * round(alpha)
    order, divergence = group_renyi(alpha, pure_to_renyi(alpha, epsilon), size)
    assert order == alpha / size
    assert size * pure_to_renyi(order, epsilon) <= divergence * (1 + 1e-14)


def test_renyi_is_the_product_rounded_up_and_below_the_published_factor() -> None:
    rng = np.random.default_rng(2)
    for _ in range(2_000):
        doublings = int(rng.integers(0, 6))
        alpha = float(2**doublings * (1.0 + float(rng.integers(1, 1000)) / 8))
        value = float(10.0 ** rng.uniform(-12, 3))
        order, grown = group_renyi(alpha, value, 2**doublings)
        truth = Fraction(value)
        for step in range(doublings):
            at = Fraction(alpha) / 2**step
            truth *= (2 * at - 3) / (at - 2)
        assert Fraction(grown) >= truth >= Fraction(math.nextafter(grown, 0.0))
        if order >= 1.5:
            assert truth <= 3**doublings * Fraction(value)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (group_guarantee(1.0, 1e-6, 1), (1.0, 1e-6)),
        (group_guarantee(0.0, 0.125, 4), (0.0, 0.5)),
        (group_guarantee(0.0, 0.5, 4), (0.0, 1.0)),
        (group_guarantee(1e300, 1e-300, 2), (2e300, 1.0)),
        (group_guarantee(math.inf, 0.0, 3), (math.inf, 0.0)),
        (group_share(1.0, 0.0, 4), (0.25, 0.0)),
        (group_share(0.0, 0.5, 4), (0.0, 0.125)),
        (group_share(1e5, 0.5, 2), (5e4, 0.0)),
        (group_share(math.inf, 0.5, 2), (math.inf, 0.0)),
        (group_renyi(16.0, 0.0, 8), (2.0, 0.0)),
        (group_renyi(16.0, math.inf, 8), (2.0, math.inf)),
        (group_renyi(2.0, 0.5, 1), (2.0, 0.5)),
        (group_mu(0.0, 5), 0.0),
        (group_rho(math.inf, 5), math.inf),
    ],
)
def test_edges(found: object, expected: object) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: group_mu(1.0, 0), ValueError, "size must be at least 1"),
        (lambda: group_rho(1.0, -1), ValueError, "size must not be negative"),
        (lambda: group_mu(1.0, 2.0), TypeError, "size must be an integer, got float"),
        (lambda: group_mu(1.0, True), TypeError, "size must be an integer, got bool"),
        (lambda: group_guarantee(1.0, 1.5, 2), ValueError, "delta must not exceed 1"),
        (lambda: group_renyi(8.0, 1.0, 3), ValueError, "size must be a power of two"),
        (lambda: group_renyi(4.0, 1.0, 4), ValueError, "alpha / size must be a finite number above 1"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_formulas_run_on_every_scalar() -> None:
    check_formula(lambda epsilon: group_factor(epsilon, 5), 0.7)
    check_formula(doubling_factor, 7.0)


@pytest.mark.parametrize("size", [16, 2**1100])
def test_orders_that_are_used_up_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="alpha / size"):
        group_renyi(16.0, 0.5, size)
