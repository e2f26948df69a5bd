from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from certified.removal.ledger_state import Spent
from certified.removal.planner import is_worn, linearisation_cost


def test_a_fresh_linearisation_is_never_worn() -> None:
    for requests in (1, 10, 10_000):
        assert not is_worn(Spent(requests, 0, requests), 784)


def test_a_pass_for_every_request_wears_out() -> None:
    """Once every request needs a pass, age alone decides, and it does so within the cost of a linearisation."""
    ages = [age for age in range(1, 1000) if is_worn(Spent(age + 500, age, 1), 784)]
    assert ages and ages[0] <= linearisation_cost(784)


@given(st.integers(1, 50), st.integers(0, 200), st.integers(1, 40))
def test_the_rule_minimises_the_average_cost(first: int, fade: int, p: int) -> None:
    """Where passes last ever fewer requests, no other number of passes costs less per request."""
    lasts = [max(1, int(first / (1.0 + fade * j / 100.0))) for j in range(400)]
    cost = linearisation_cost(p)
    # j passes follow the linearisation, the interval after the last of them included.
    averages = [(cost + j) / sum(lasts[: j + 1]) for j in range(len(lasts))]
    requests, passes = 0, 0
    for j, length in enumerate(lasts):
        requests += length
        if is_worn(Spent(requests, passes, length), p):
            break
        passes = j + 1
    else:
        assert averages[-1] <= min(averages) * 1.5
        return
    assert averages[passes] <= 1.5 * min(averages)
