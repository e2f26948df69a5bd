from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from certified.removal.costs import REFERENCE, Speeds, measured_speeds, modelled_costs

SIZES = st.integers(1, 10**6)


@given(SIZES, st.integers(1, 3000), st.integers(1, 20))
def test_every_cost_is_positive_and_grows_with_the_problem(n: int, p: int, outputs: int) -> None:
    small, large = (modelled_costs(REFERENCE, k * n, p, outputs, outputs) for k in (1, 2))
    assert 0.0 < small.row < small.step
    assert small.gradient_pass < small.linearise < small.solve
    assert large.gradient_pass > small.gradient_pass and large.linearise > small.linearise
    assert large.step == small.step


def test_a_faster_machine_costs_less() -> None:
    slow, fast = (modelled_costs(Speeds(rate, rate), 10_000, 500, 1, 1) for rate in (1e9, 1e11))
    assert fast.step < slow.step and fast.gradient_pass < slow.gradient_pass and fast.linearise < slow.linearise


def test_the_rates_of_this_machine_are_plausible() -> None:
    found = measured_speeds()
    assert 1e8 < found.bandwidth < 1e13
    assert 1e8 < found.flops < 1e15
