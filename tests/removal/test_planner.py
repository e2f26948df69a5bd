from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.removal.costs import Costs, Speeds, modelled_costs
from certified.removal.planner import MAX_PASSES, Spent, Standing, first_route, is_worn, next_route

COSTS = Costs(step=1e-3, row=1e-4, gradient_pass=1e-2, linearise=0.5, solve=4.0)
RATIO = COSTS.linearise / COSTS.gradient_pass


def priced(ratio: float) -> Costs:
    return Costs(step=1e-3, row=1e-4, gradient_pass=1.0, linearise=ratio, solve=10.0 * ratio)


@pytest.mark.parametrize(
    "rows, route", [(0, "step"), (1, "step"), (1000, "step"), (10_000, "linearise"), (10**5, "solve")]
)
def test_a_request_begins_with_what_costs_less_than_exchanging_its_rows(rows: int, route: str) -> None:
    decision = first_route(rows, COSTS)
    assert decision.route == route
    assert route == "step" or str(rows) in decision.reason


def test_more_memory_bandwidth_makes_passes_cheap_beside_linearisations() -> None:
    """A pass reads memory, a linearisation multiplies matrices: what is worn on one machine is not on another."""
    spent = Spent(requests=400, passes=5, requests_since_pass=12)
    rates = Speeds(bandwidth=1e9, flops=1e12), Speeds(bandwidth=1e10, flops=1e10)
    assert [is_worn(spent, modelled_costs(rate, 10_000, 500, 1, 1)) for rate in rates] == [True, False]


def test_a_step_is_followed_by_a_pass() -> None:
    decision = next_route(Standing(2e-3, 1e-3, 1e-9), Spent(7, 0, 7), COSTS)
    assert decision.route == "pass"
    assert "0.002" in decision.reason and "0.001" in decision.reason and "7 requests" in decision.reason


def test_passes_go_on_while_they_help() -> None:
    assert next_route(Standing(2e-3, 1e-3, 0.0, 5e-3, 1), Spent(1, 1), COSTS).route == "pass"
    assert next_route(Standing(2e-3, 1e-3, 0.0, 3e-3, 1), Spent(1, 1), COSTS).route == "linearise"
    assert next_route(Standing(2e-3, 1e-3, 0.0, 1.0, MAX_PASSES), Spent(1, 4), COSTS).route == "linearise"
    assert next_route(Standing(math.inf, 1e-3, 0.0, math.inf, 1), Spent(1, 1), COSTS).route == "linearise"


def test_a_worn_linearisation_is_renewed_before_any_pass() -> None:
    worn = Spent(requests=10_000, passes=10, requests_since_pass=1)
    assert next_route(Standing(2e-3, 1e-3, 0.0), worn, COSTS).route == "linearise"
    assert next_route(Standing(2e-3, 1e-3, 0.0, 1.0, 1), worn, COSTS).route == "pass"


def test_where_rounding_alone_is_too_much_only_polishing_helps() -> None:
    """Known only after a pass: before it, the errors of many exchanges may have added up."""
    assert next_route(Standing(2e-9, 1e-9, 6e-10), Spent(1), COSTS).route == "pass"
    for standing in (Standing(2e-9, 1e-9, 6e-10, 1.0, 1), Standing(2e-9, 1e-9, 6e-10, 1.0, 0, True)):
        decision = next_route(standing, Spent(1, 1), COSTS)
        assert decision.route == "polish" and "rounding" in decision.reason


@given(st.floats(1e-12, 1e3), st.floats(0.0, 1e3), st.integers(0, 10**6), st.integers(0, 10**4), st.floats(1.0, 1e4))
def test_every_sequence_of_decisions_ends(bound: float, floor: float, requests: int, passes: int, ratio: float) -> None:
    """Whatever the routes achieve, a request polishes in the end."""
    spent, routes = Spent(requests, passes, requests), []
    standing = Standing(bound, bound / 2.0, floor)
    for _ in range(2 * MAX_PASSES + 3):
        route = next_route(standing, spent, priced(ratio)).route
        routes.append(route)
        if route == "polish":
            break
        linearised = standing.linearised or route == "linearise"
        here = 0 if route == "linearise" else standing.passes + 1
        standing = Standing(0.4 * standing.bound, 0.0, floor, standing.bound, here, linearised)
        spent = spent.linearised(2) if route == "linearise" else spent.passed(1)
    assert routes[-1] == "polish"
    assert routes.count("linearise") <= 1


def test_a_fresh_linearisation_is_never_worn() -> None:
    for requests in (1, 10, 10_000):
        assert not is_worn(Spent(requests, 0, requests), COSTS)


def test_a_pass_for_every_request_wears_out() -> None:
    """Once every request needs a pass, age alone decides, and it does so within the cost of a linearisation."""
    ages = [age for age in range(1, 1000) if is_worn(Spent(age + 500, age, 1), COSTS)]
    assert ages and ages[0] <= RATIO


@given(st.integers(1, 50), st.integers(0, 200), st.floats(2.0, 6.0))
def test_the_rule_minimises_the_average_cost(first: int, fade: int, ratio: float) -> None:
    """Where passes last ever fewer requests, no other number of passes costs less per request."""
    lasts = [max(1, int(first / (1.0 + fade * j / 100.0))) for j in range(400)]
    # j passes follow the linearisation, the interval after the last of them included.
    averages = [(ratio + j) / sum(lasts[: j + 1]) for j in range(len(lasts))]
    requests, passes = 0, 0
    for j, length in enumerate(lasts):
        requests += length
        if is_worn(Spent(requests, passes, length), priced(ratio)):
            break
        passes = j + 1
    else:
        assert averages[-1] <= min(averages) * 1.5
        return
    assert averages[passes] <= 1.5 * min(averages)


def test_what_was_spent_yields_rows_per_pass() -> None:
    spent = Spent().requested(3).requested(1)
    assert spent.rows_per_pass == math.inf
    spent = spent.passed(2).requested(4)
    assert (spent.rows_per_pass, spent.requests, spent.requests_since_pass) == (4.0, 3, 1)
    renewed = spent.linearised(2)
    assert (renewed.rows_per_pass, renewed.requests, renewed.passes, renewed.linearisations) == (2.0, 0, 0, 1)
