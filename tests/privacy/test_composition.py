"""μ adds up in squares; judged in exact rational arithmetic."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.composition import compose_gaussian, remaining_mu
from certified.privacy.gaussian import gaussian_delta

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
