from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.removal.costs import Speeds, modelled_costs
from certified.removal.forecast import forecast, rows_until_pass

COSTS = modelled_costs(Speeds(1e10, 1e10), 10_000, 500, 1, 1)


@given(st.floats(-9, -1), st.floats(0.3, 3.0))
def test_a_coarser_target_needs_fewer_passes(exponent: float, factor: float) -> None:
    fine = forecast(10.0**exponent, 1.0, 0.005, COSTS)
    coarse = forecast(10.0 ** (exponent + factor), 1.0, 0.005, COSTS)
    assert coarse.rows_per_pass >= 0.7 * fine.rows_per_pass
    assert coarse.seconds_per_row <= 1.5 * fine.seconds_per_row


@given(st.floats(-9, -1), st.floats(1e-4, 1.0), st.floats(0.1, 10.0), st.floats(0.0, 1.0))
def test_an_interval_ends_where_the_remainder_is_the_target(
    exponent: float, step: float, kappa: float, drift: float
) -> None:
    target = 10.0**exponent
    size = step * math.sqrt(rows_until_pass(target, step, kappa, drift))
    assert 0.5 * size * (drift + 0.5 * kappa * size) == pytest.approx(target, rel=1e-5)


def test_the_time_lies_between_a_step_and_a_linearisation() -> None:
    for target in (1e-12, 1e-9, 1e-6, 1e-3, 1.0):
        assert COSTS.step <= forecast(target, 1.0, 0.005, COSTS).seconds_per_row <= 2.0 * COSTS.linearise


def test_a_constant_curvature_needs_no_pass() -> None:
    found = forecast(1e-9, 0.0, 0.005, COSTS)
    assert found.rows_per_pass == math.inf
    assert found.seconds_per_row == COSTS.step


@pytest.mark.parametrize("name", ["target", "kappa", "row_step"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_bad_arguments_are_named(name: str, value: float) -> None:
    arguments = {"target": 1e-3, "kappa": 1.0, "row_step": 0.1, name: value}
    with pytest.raises(ValueError, match=name):
        forecast(**arguments, costs=COSTS)
