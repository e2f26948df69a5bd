from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from certified.removal.costs import REFERENCE, Speeds, measured_speeds, modelled_costs
from certified.removal.planner import first_route

SIZES = st.integers(1, 10**6)


@given(SIZES, st.integers(1, 3000), st.integers(1, 20))
def test_every_cost_is_positive_and_grows_with_the_problem(n: int, p: int, outputs: int) -> None:
    small, large = (modelled_costs(REFERENCE, k * n, p, outputs, outputs) for k in (1, 2))
    assert 0.0 < small.row < small.step
    assert small.gradient_pass < small.linearise < small.solve
    assert large.gradient_pass > small.gradient_pass and large.linearise > small.linearise
    assert large.step == small.step


@given(SIZES, st.integers(1, 3000), st.integers(1, 20))
def test_streamed_rows_cost_more_to_read_and_no_more_to_leave_alone(n: int, p: int, outputs: int) -> None:
    """A pass pays for reading, a linearisation twice, and a step only for the row that leaves."""
    held, streamed = (modelled_costs(REFERENCE, n, p, outputs, outputs, streamed=s) for s in (False, True))
    reading = 8.0 * n * p / REFERENCE.streaming
    assert streamed.gradient_pass >= max(held.gradient_pass, reading)
    assert streamed.linearise >= max(held.linearise, 2.0 * reading)
    assert streamed.step - held.step <= 1.01 * reading / n
    assert streamed.solve >= held.solve


def test_streaming_makes_training_again_the_dearer_way_out() -> None:
    """Requests that in memory would train again are carried out by a step where every pass reads a disk."""
    held, streamed = (modelled_costs(REFERENCE, 10**6, 64, 1, 1, streamed=s) for s in (False, True))
    rows = int(1.5 * held.linearise / held.row)
    assert [first_route(rows, costs).route for costs in (held, streamed)] == ["linearise", "step"]


def test_a_faster_machine_costs_less() -> None:
    slow, fast = (modelled_costs(Speeds(rate, rate), 10_000, 500, 1, 1) for rate in (1e9, 1e11))
    assert fast.step < slow.step and fast.gradient_pass < slow.gradient_pass and fast.linearise < slow.linearise


def test_the_rates_of_this_machine_are_plausible() -> None:
    found = measured_speeds()
    assert 1e8 < found.bandwidth < 1e13
    assert 1e8 < found.flops < 1e15
