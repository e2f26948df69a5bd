"""The release budget: what is spent never exceeds what (ε, δ) permits, and what is left can be spent."""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from certified.privacy import gaussian_delta, gaussian_mu
from certified.privacy.budget import ReleaseBudget

EPSILONS = st.floats(0.01, 20.0)
DELTAS = st.floats(1e-12, 0.5)
NOISES = st.floats(1e-12, 1e6)


@st.composite
def budgets(draw: st.DrawFn) -> ReleaseBudget:
    """A budget with any part of it spent."""
    mu = draw(st.floats(1e-3, 10.0))
    spent = mu * draw(st.floats(0.0, 1.0))
    return ReleaseBudget(1.0, 1e-6, draw(NOISES), draw(st.integers(1, 1000)), mu, min(spent, mu))


@given(epsilon=EPSILONS, delta=DELTAS, noise_std=NOISES, max_releases=st.integers(1, 1000))
def test_a_fresh_budget_is_what_the_guarantee_permits(
    epsilon: float, delta: float, noise_std: float, max_releases: int
) -> None:
    budget = ReleaseBudget.create(epsilon, delta, noise_std, max_releases)
    assert budget.mu_total == gaussian_mu(epsilon, delta)
    assert (budget.mu_spent, budget.releases) == (0.0, 0)
    assert gaussian_delta(epsilon, budget.target, noise_std) <= delta
    share = Fraction(budget.target) / Fraction(noise_std)
    assert share**2 * (max_releases + 1) <= Fraction(budget.mu_total) ** 2
    assert math.isclose(float(share), budget.mu_total / math.sqrt(max_releases + 1), rel_tol=1e-14)


@given(budget=budgets())
def test_the_target_can_be_spent(budget: ReleaseBudget) -> None:
    after = budget.spend(budget.target)
    assert after.releases == budget.releases + 1
    assert after.mu_spent <= after.mu_total


@given(budget=budgets(), share=st.floats(0.0, 1.0))
def test_spending_composes_and_rounds_up(budget: ReleaseBudget, share: float) -> None:
    distance = share * budget.target
    after = budget.spend(distance)
    exact = Fraction(budget.mu_spent) ** 2 + (Fraction(distance) / Fraction(budget.noise_std)) ** 2
    assert exact <= Fraction(after.mu_spent) ** 2
    about = math.hypot(budget.mu_spent, distance / budget.noise_std)
    assert math.isclose(after.mu_spent, about, rel_tol=1e-14, abs_tol=1e-300)
    assert (after.epsilon, after.delta, after.noise_std, after.mu_total) == (
        budget.epsilon, budget.delta, budget.noise_std, budget.mu_total
    )  # fmt: skip


@given(max_releases=st.integers(1, 60), epsilon=EPSILONS)
def test_as_many_releases_as_planned_may_each_be_at_the_target(max_releases: int, epsilon: float) -> None:
    budget = ReleaseBudget.create(epsilon, 1e-6, 1.0, max_releases)
    first = budget.target
    for _ in range(max_releases):
        assert math.isclose(budget.target, first, rel_tol=1e-9)
        budget = budget.spend(budget.target)
    assert budget.releases == max_releases
    with pytest.raises(ValueError, match="release budget"):
        budget.spend(1.1 * first)


def test_targets_never_end() -> None:
    """Beyond the plan each release may use half of the μ² that is left."""
    budget = ReleaseBudget.create(1.0, 1e-6, 1.0, 2)
    first = budget.target
    for release in range(30):
        expected = first * 2.0 ** (-0.5 * max(0, release - 1))
        assert math.isclose(budget.target, expected, rel_tol=1e-6)
        budget = budget.spend(budget.target)
    assert budget.mu_spent <= budget.mu_total


def test_releases_that_cost_nothing_never_end() -> None:
    budget = ReleaseBudget.create(1.0, 1e-6, 1.0, 1)
    for _ in range(10):
        budget = budget.spend(0.0)
    assert (budget.mu_spent, budget.releases) == (0.0, 10)


def test_unspent_parts_stay_available() -> None:
    budget = ReleaseBudget.create(1.0, 1e-6, 1.0, 4)
    for _ in range(100):
        budget = budget.spend(budget.target / 10)
    assert budget.releases == 100
    assert budget.target > 0.0


@given(budget=budgets(), factor=st.floats(1.001, 1e3))
def test_more_than_is_left_is_refused_and_changes_nothing(budget: ReleaseBudget, factor: float) -> None:
    rest = math.sqrt(max(0.0, budget.mu_total**2 - budget.mu_spent**2)) * budget.noise_std
    before = repr(budget)
    with pytest.raises(ValueError, match="release budget"):
        budget.spend(factor * rest + 1e-6 * budget.mu_total * budget.noise_std)
    assert repr(budget) == before


@pytest.mark.parametrize("distance", [math.nan, -1.0, -0.5])
def test_a_distance_is_a_number_of_at_least_zero(distance: float) -> None:
    with pytest.raises(ValueError, match="distance"):
        ReleaseBudget.create(1.0, 1e-6, 1.0, 1).spend(distance)


def test_an_unbounded_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="release budget"):
        ReleaseBudget.create(1.0, 1e-6, 1.0, 1).spend(math.inf)


@pytest.mark.parametrize(("epsilon", "delta"), [(-1.0, 1e-6), (math.nan, 1e-6), (1.0, -1e-6), (1.0, 1.5)])
def test_a_budget_needs_a_guarantee(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon|delta"):
        ReleaseBudget.create(epsilon, delta, 1.0, 1)


def test_noise_too_small_for_any_distance_leaves_a_target_of_zero() -> None:
    budget = ReleaseBudget.create(1.0, 1e-6, math.ulp(0.0), 1)
    assert budget.target == 0.0
    assert budget.spend(0.0).releases == 1
