"""Releases compose as claimed; judged in exact rational and 60-digit arithmetic, and by randomised responses."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from dp_accounting.pld import common, privacy_loss_distribution
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.composition import (
    advanced_epsilon,
    compose_advanced,
    compose_basic,
    compose_gaussian,
    compose_optimal_delta,
    compose_optimal_epsilon,
    compose_renyi,
    compose_zcdp,
    counted,
    optimal_hockey_stick,
    optimal_release_epsilon,
    remaining_mu,
)
from certified.privacy.conversions import pure_to_zcdp
from certified.privacy.gaussian import gaussian_delta
from certified.privacy.renyi import gaussian_renyi, renyi_delta
from certified.privacy.zcdp import zcdp_delta
from tests.privacy.derivatives import check_formula

MAX = sys.float_info.max
mus = st.one_of(st.floats(0.0, 10.0), st.floats(0.0, 1e150), st.floats(0.0, 1e-150))


def squared(value: float) -> Fraction:
    return Fraction(value) ** 2


@given(st.lists(mus, max_size=8))
def test_composition_is_the_square_root_rounded_up(values: list[float]) -> None:
    total = compose_gaussian(values)
    truth = sum(map(squared, values), Fraction(0))
    assert squared(total) >= truth
    assert total == 0.0 or squared(math.nextafter(total, 0.0)) < truth


@given(mus, mus)
def test_what_remains_is_the_square_root_rounded_down(first: float, second: float) -> None:
    spent, total = sorted((first, second))
    left = remaining_mu(total, spent)
    truth = squared(total) - squared(spent)
    assert squared(left) <= truth < squared(math.nextafter(left, math.inf))
    assert compose_gaussian([spent, left]) <= total


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20))
def test_a_filter_never_exceeds_its_budget(shares: list[float]) -> None:
    """Spend a share of what remains, again and again, then all the rest."""
    total, spent = 1.5, 0.0
    history = []
    for share in [*shares, 1.0]:
        history.append(share * remaining_mu(total, spent))
        spent = compose_gaussian([spent, history[-1]])
        assert spent <= total
    assert sum(map(squared, history)) <= squared(total)
    assert spent >= total * (1 - 1e-9)


def test_equal_releases_compose_like_one_with_less_noise() -> None:
    assert compose_gaussian([0.25] * 16) == 1.0
    assert gaussian_delta(1.0, compose_gaussian([0.25] * 16), 1.0) == gaussian_delta(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([0.0, 0.0], 0.0),
        ([0.3], 0.3),
        ([1.0, math.inf], math.inf),
        ([MAX, MAX], math.inf),
        ([5e-324], 5e-324),
    ],
)
def test_composition_at_the_edges(values: list[float], expected: float) -> None:
    assert compose_gaussian(values) == expected


def test_composition_reads_an_iterator_once() -> None:
    assert compose_gaussian(iter([3.0, 4.0])) == 5.0


@pytest.mark.parametrize(("total", "spent", "expected"), [(2.0, 0.0, 2.0), (2.0, 2.0, 0.0), (0.0, 0.0, 0.0)])
def test_what_remains_at_the_edges(total: float, spent: float, expected: float) -> None:
    assert remaining_mu(total, spent) == expected


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_bad_budgets_are_named(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^mus\[1\] must not be negative or NaN"):
        compose_gaussian([1.0, bad])
    with pytest.raises(ValueError, match=r"^total_mu must not be negative or NaN"):
        remaining_mu(bad, 0.0)
    with pytest.raises(ValueError, match=r"^spent_mu must not be negative or NaN"):
        remaining_mu(1.0, bad)


def test_an_unlimited_or_broken_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^total_mu must be finite"):
        remaining_mu(math.inf, 1.0)
    with pytest.raises(ValueError, match=r"^spent_mu=1.5 must not exceed total_mu=1.0"):
        remaining_mu(1.0, 1.5)


def response_delta(total: float, epsilons: list[float], deltas: list[float]) -> mpmath.mpf:
    """The hockey-stick divergence of (ε_j, δ_j) randomised responses, summed over all 4^k outcomes."""
    result = mpmath.mpf(0)
    outcomes = []
    for epsilon, delta in zip(epsilons, deltas, strict=True):
        e, d = mpmath.mpf(epsilon), mpmath.mpf(delta)
        likely, rare = (1 - d) / (1 + mpmath.exp(-e)), (1 - d) / (1 + mpmath.exp(e))
        outcomes.append([(d, 0), (0, d), (likely, rare), (rare, likely)])
    for combination in itertools.product(*outcomes):
        p, q = mpmath.mpf(1), mpmath.mpf(1)
        for left, right in combination:
            p, q = p * left, q * right
        result += max(mpmath.mpf(0), p - mpmath.exp(total) * q)
    return result


def test_optimal_composition_is_the_hockey_stick_of_randomised_responses() -> None:
    """Claim T17h, over every outcome."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        k = int(rng.integers(1, 6))
        epsilon, delta = float(10.0 ** rng.uniform(-3, 0.7)), float(rng.choice([0.0, 10.0 ** rng.uniform(-12, -1)]))
        total = k * epsilon * float(rng.uniform(0.0, 1.1))
        found = compose_optimal_delta(total, epsilon, delta, k)
        with mpmath.workdps(60):
            truth = response_delta(total, [epsilon] * k, [delta] * k)
            assert mpmath.mpf(found) >= truth * (1 - mpmath.mpf("1e-50"))
            assert found == 0.0 or mpmath.mpf(math.nextafter(found, 0.0)) <= truth


def test_optimal_composition_is_the_printed_formula_rounded_up() -> None:
    """Kairouz, Oh & Viswanath: at ε_total = (k − 2i)ε the sum has i terms."""
    rng = np.random.default_rng(2)
    for _ in range(600):
        k = int(rng.integers(1, 60))
        i = int(rng.integers(0, k // 2 + 1))
        epsilon = float(rng.integers(1, 2**20)) / 2**17  # multiples of ε are float64 numbers
        delta = float(10.0 ** rng.uniform(-300, -1))
        with mpmath.workdps(120):
            e, d = mpmath.mpf(epsilon), mpmath.mpf(delta)
            terms = (
                mpmath.binomial(k, j) * (mpmath.exp((k - j) * e) - mpmath.exp((k - 2 * i + j) * e)) for j in range(i)
            )
            inner = mpmath.fsum(terms) / (1 + mpmath.exp(e)) ** k
            some = -mpmath.expm1(k * mpmath.log1p(-d))
            truth = some + (1 - some) * inner
            found = compose_optimal_delta((k - 2 * i) * epsilon, epsilon, delta, k)
            assert mpmath.mpf(found) >= truth * (1 - mpmath.mpf("1e-90"))
            assert mpmath.mpf(math.nextafter(found, 0.0)) <= truth


@pytest.mark.parametrize(("epsilon", "releases"), [(0.1, 100), (1.0, 8), (0.02, 1000)])
def test_optimal_composition_stays_below_other_bounds(epsilon: float, releases: int) -> None:
    for total_delta in (1e-9, 1e-3):
        found = compose_optimal_epsilon(total_delta, epsilon, 0.0, releases)
        assert found <= compose_advanced([(epsilon, 0.0)] * releases, total_delta)[0]
        assert found <= compose_basic([(epsilon, 0.0)] * releases)[0]
        concentrated = compose_zcdp([pure_to_zcdp(epsilon)] * releases)
        assert compose_optimal_delta(found, epsilon, 0.0, releases) <= zcdp_delta(found, concentrated)


@pytest.mark.parametrize("delta", [0.0, 1e-4])
def test_optimal_composition_agrees_with_dp_accounting(delta: float) -> None:
    epsilon, releases = 0.125, 12
    one = privacy_loss_distribution.from_privacy_parameters(
        common.DifferentialPrivacyParameters(epsilon, delta), value_discretization_interval=2.0**-10
    )
    together = one.self_compose(releases)
    for total in (0.0, 0.3, 0.75, 1.2):
        expected = together.get_delta_for_epsilon(total)
        assert compose_optimal_delta(total, epsilon, delta, releases) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.floats(0.0, 20.0), st.floats(0.0, 20.0), st.floats(1e-3, 3.0), st.floats(0.0, 0.5), st.integers(0, 40))
def test_optimal_delta_falls_with_epsilon(
    first: float, second: float, epsilon: float, delta: float, releases: int
) -> None:
    low, high = sorted((first, second))
    assert compose_optimal_delta(low, epsilon, delta, releases) >= compose_optimal_delta(high, epsilon, delta, releases)
    assert compose_optimal_delta(low, epsilon, delta, releases) <= compose_optimal_delta(
        low, epsilon, delta, releases + 1
    )


@given(st.floats(0.0, 1.0), st.floats(1e-3, 3.0), st.floats(0.0, 0.1), st.integers(1, 12))
def test_optimal_epsilon_is_the_smallest_certified(
    total_delta: float, epsilon: float, delta: float, releases: int
) -> None:
    total = compose_optimal_epsilon(total_delta, epsilon, delta, releases)
    if total == math.inf:
        assert compose_optimal_delta(1e300, epsilon, delta, releases) > total_delta
        return
    assert compose_optimal_delta(total, epsilon, delta, releases) <= total_delta
    if total > 0.0:
        assert compose_optimal_delta(math.nextafter(total, 0.0), epsilon, delta, releases) > total_delta


@given(st.floats(1e-3, 10.0), st.floats(0.0, 0.9), st.integers(1, 12))
def test_release_epsilon_is_the_largest_certified(total_epsilon: float, total_delta: float, releases: int) -> None:
    epsilon = optimal_release_epsilon(total_epsilon, total_delta, releases)
    assert compose_optimal_delta(total_epsilon, epsilon, 0.0, releases) <= total_delta
    assert compose_optimal_delta(total_epsilon, math.nextafter(epsilon, math.inf), 0.0, releases) > total_delta


def test_pure_shares_divide_the_total_exactly() -> None:
    """A product that rounds to the total is not below it: 0.1 is more than a tenth, so ten of it exceed 1."""
    assert optimal_release_epsilon(1.0, 0.0, 10) == math.nextafter(0.1, 0.0)
    assert compose_optimal_delta(1.0, 0.1, 0.0, 10) > 0.0


def test_basic_and_advanced_are_the_oracle_rounded_up() -> None:
    rng = np.random.default_rng(3)
    for _ in range(2_000):
        k = int(rng.integers(1, 8))
        epsilons = [float(v) for v in 10.0 ** rng.uniform(-6, 0.5, k)]
        deltas = [float(v) for v in 10.0 ** rng.uniform(-30, -0.1, k)]
        slack = float(10.0 ** rng.uniform(-30, -0.01))
        pairs = list(zip(epsilons, deltas, strict=True))
        basic, failure = compose_basic(pairs)
        truth, missing = sum(map(Fraction, epsilons), Fraction(0)), Fraction(1)
        for delta in deltas:
            missing *= 1 - Fraction(delta)
        assert Fraction(basic) >= truth > Fraction(math.nextafter(basic, 0.0))
        assert Fraction(failure) >= 1 - missing > Fraction(math.nextafter(failure, 0.0))
        advanced, total = compose_advanced(pairs, slack)
        if advanced == basic:
            assert total == failure
            continue
        exact_total = 1 - (1 - Fraction(slack)) * missing
        assert Fraction(total) >= exact_total > Fraction(math.nextafter(total, 0.0))
        with mpmath.workdps(60):
            squares = mpmath.fsum(mpmath.mpf(e) ** 2 for e in epsilons)
            mean = mpmath.fsum(mpmath.mpf(e) * mpmath.tanh(mpmath.mpf(e) / 2) for e in epsilons)
            limit = mean + mpmath.sqrt(2 * mpmath.log(1 / mpmath.mpf(slack)) * squares)
            assert mpmath.mpf(advanced) >= limit > mpmath.mpf(math.nextafter(advanced, 0.0))


def test_advanced_covers_randomised_responses_of_different_strength() -> None:
    rng = np.random.default_rng(4)
    for _ in range(8):
        epsilons = [float(v) for v in rng.uniform(0.01, 0.8, 5)]
        deltas = [float(v) for v in rng.uniform(0.0, 1e-3, 5)]
        for guarantee in (compose_basic, lambda pairs: compose_advanced(pairs, 0.2)):
            epsilon, delta = guarantee(list(zip(epsilons, deltas, strict=True)))
            with mpmath.workdps(40):
                assert response_delta(epsilon, epsilons, deltas) <= mpmath.mpf(delta) * (1 + mpmath.mpf("1e-30"))


@given(st.lists(st.one_of(st.floats(0.0, 10.0), st.floats(0.0, 1e-200)), max_size=8))
def test_zcdp_and_renyi_are_sums_rounded_up(values: list[float]) -> None:
    truth = sum(map(Fraction, values), Fraction(0))
    total = compose_zcdp(values)
    assert Fraction(total) >= truth
    assert total == 0.0 or truth > Fraction(math.nextafter(total, 0.0))
    if values:
        assert compose_renyi([{2.0: value} for value in values]) == {2.0: total}


def test_gaussian_releases_compose_alike_in_every_notion() -> None:
    orders, mu = (1.5, 4.0, 32.0), compose_gaussian([0.3, 0.4])
    curve = compose_renyi([{a: gaussian_renyi(a, s, 1.0) for a in orders} for s in (0.3, 0.4)])
    assert curve == pytest.approx({a: gaussian_renyi(a, mu, 1.0) for a in orders}, rel=1e-12)
    assert renyi_delta(1.0, curve) >= gaussian_delta(1.0, mu, 1.0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (compose_zcdp([]), 0.0),
        (compose_zcdp([1.0, math.inf]), math.inf),
        (compose_basic([]), (0.0, 0.0)),
        (compose_basic([(math.inf, 0.0)]), (math.inf, 0.0)),
        (compose_basic([(1.0, 1.0), (1.0, 0.1)]), (2.0, 1.0)),
        (compose_basic([(1.0, 1e-300)]), (1.0, 1e-300)),
        (compose_advanced([], 0.1), (0.0, 0.0)),
        (compose_advanced([(1.0, 0.1)], 0.0), (1.0, 0.1)),
        (compose_advanced([(0.0, 0.1)], 0.5), (0.0, 0.1)),
        (compose_optimal_delta(1.0, 1.0, 0.0, 0), 0.0),
        (compose_optimal_delta(1.0, 1.0, 0.0, 1), 0.0),
        (compose_optimal_delta(1.0, 0.0, 0.25, 1), 0.25),
        (compose_optimal_delta(1.0, math.inf, 0.0, 1), 1.0),
        (compose_optimal_delta(math.inf, math.inf, 0.25, 1), 0.25),
        (compose_optimal_delta(0.0, 1e300, 0.0, 3), 1.0),
        (compose_optimal_delta(1.0, 1.0, 1.0, 3), 1.0),
        (compose_optimal_epsilon(0.0, 0.5, 0.0, 4), 2.0),
        (compose_optimal_epsilon(0.0, 0.5, 0.1, 4), math.inf),
        (optimal_release_epsilon(0.0, 0.0, 3), 0.0),
        (optimal_release_epsilon(1.0, 0.0, 1), 1.0),
        (optimal_release_epsilon(1.0, 1.0, 1), MAX),
    ],
)
def test_compositions_at_the_edges(found: object, expected: object) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compose_zcdp([1.0, -1.0]), ValueError, r"rhos\[1\] must not be negative"),
        (lambda: compose_renyi([]), ValueError, "curves must hold at least one curve"),
        (lambda: compose_renyi([{2.0: 1.0}, {3.0: 1.0}]), ValueError, "curves must share their orders"),
        (lambda: compose_renyi([{2.0: 1.0}, {}]), ValueError, r"curves\[1\] must hold at least one order"),
        (lambda: compose_basic([(1.0, 0.0), (math.nan, 0.0)]), ValueError, "epsilon of release 1 must not be"),
        (lambda: compose_basic([(1.0, 1.5)]), ValueError, "delta of release 0 must not exceed 1"),
        (lambda: compose_advanced([(1.0, 0.0)], 2.0), ValueError, "slack must not exceed 1"),
        (lambda: compose_optimal_delta(1.0, 1.0, 0.0, -1), ValueError, "releases must not be negative"),
        (lambda: compose_optimal_delta(1.0, 1.0, 0.0, 1.5), TypeError, "releases must be an integer"),  # type: ignore[arg-type]
        (lambda: compose_optimal_delta(1.0, 1.0, 0.0, True), TypeError, "releases must be an integer, got bool"),
        (lambda: compose_optimal_delta(1.0, 1.0, 0.0, np.float64(2.0)), TypeError, "releases must be an integer"),  # type: ignore[arg-type]
        (lambda: compose_optimal_delta(1.0, 1.0, 0.0, np.int64(-1)), ValueError, "releases must not be negative"),  # type: ignore[arg-type]
    ],
)
def test_bad_releases_are_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_numpy_integers_are_counts() -> None:
    assert compose_optimal_delta(1.0, 0.5, 0.0, np.int64(9)) == compose_optimal_delta(1.0, 0.5, 0.0, 9)  # type: ignore[arg-type]
    assert type(counted("releases", np.uint8(3))) is int


def test_formulas_run_on_every_scalar() -> None:
    check_formula(lambda first, second, slack: advanced_epsilon([first, second], slack), 0.3, 0.7, 1e-4)
    check_formula(lambda total, epsilon, delta: optimal_hockey_stick(total, epsilon, delta, 6), 0.7, 0.4, 1e-3)
