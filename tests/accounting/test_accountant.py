"""Certified δ and ε: against one step in closed form, other accountants, and what must hold between them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.accounting import ApproximateRelease, Relation, SubsampledGaussian, dp_delta, dp_epsilon
from certified.accounting.mechanisms import directions
from certified.privacy import gaussian_delta
from tests.accounting.oracle import single_step_delta

ADD_OR_REMOVE = Relation.add_or_remove
STEP = SubsampledGaussian(1.0, 0.1, 1)


@given(
    st.floats(0.2, 20.0),
    st.floats(1e-4, 0.999),
    st.integers(1, 4),
    st.sampled_from(list(Relation)),
    st.floats(0.0, 3.0),
)
@settings(max_examples=6, deadline=None)
def test_one_step(noise: float, rate: float, rows: int, relation: Relation, epsilon: float) -> None:
    step = SubsampledGaussian(noise, rate, 1)
    truth = max(single_step_delta(noise, rate, way, epsilon) for way in directions(relation, rows))
    bound = dp_delta(epsilon, [step], relation=relation, rows=rows)
    assert truth <= bound <= truth * 1.01 + 1e-17


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "relation"),
    [(1.0, 0.0171, 600, ADD_OR_REMOVE), (0.7, 0.002, 3000, ADD_OR_REMOVE), (2.0, 0.1, 400, Relation.replace)],
)
def test_agrees_with_other_accountants(noise: float, rate: float, steps: int, relation: Relation) -> None:
    """PLD of dp-accounting within a relative 10⁻³; its RDP, which is not tight, above."""
    event = SelfComposedDpEvent(PoissonSampledDpEvent(rate, GaussianDpEvent(noise)), steps)
    name = {ADD_OR_REMOVE: "ADD_OR_REMOVE_ONE", Relation.replace: "REPLACE_ONE"}[relation]
    neighbours = NeighboringRelation[name]
    ours = dp_epsilon(1e-6, [SubsampledGaussian(noise, rate, steps)], relation=relation)
    assert ours == pytest.approx(PLDAccountant(neighbours).compose(event).get_epsilon(1e-6), rel=1e-3)
    if relation == ADD_OR_REMOVE:
        assert ours <= RdpAccountant(neighboring_relation=neighbours).compose(event).get_epsilon(1e-6)


def test_delta_and_epsilon_are_nearly_inverse_and_direct() -> None:
    phases = [SubsampledGaussian(1.0, 0.01, 500), SubsampledGaussian(2.0, 0.05, 100), ApproximateRelease(0.05, 1e-7)]
    epsilon = dp_epsilon(1e-5, phases, relation=Relation.replace, rows=2)
    assert dp_delta(epsilon, phases, relation=Relation.replace, rows=2) == pytest.approx(1e-5, rel=3e-3)


def test_order_splitting_and_silent_phases_change_nothing() -> None:
    whole = dp_delta(1.0, [SubsampledGaussian(1.0, 0.01, 300)], relation=ADD_OR_REMOVE)
    parts = [SubsampledGaussian(1.0, 0.01, 100), SubsampledGaussian(1.0, 0.01, 200), SubsampledGaussian(1.0, 0.0, 9)]
    assert dp_delta(1.0, parts, relation=ADD_OR_REMOVE) == pytest.approx(whole, rel=1e-3)
    silent = [SubsampledGaussian(1.0, 0.01, 0), ApproximateRelease(0.0, 0.0, 5)]
    assert dp_delta(0.0, silent, relation=ADD_OR_REMOVE) == 0.0
    assert dp_epsilon(0.0, silent, relation=ADD_OR_REMOVE) == 0.0
    assert dp_delta(0.0, [SubsampledGaussian(1.0, 0.5, 1)], relation=ADD_OR_REMOVE, rows=0) == 0.0


def test_subsampling_approaches_the_closed_form() -> None:
    """Nearly every row in every batch: just below q = 1, which has the closed form, also for groups and replacement."""
    for relation, rows, mu in ((ADD_OR_REMOVE, 1, 0.5), (ADD_OR_REMOVE, 3, 1.5), (Relation.replace, 1, 1.0)):
        exact = dp_delta(1.0, [SubsampledGaussian(10.0, 1.0, 25)], relation=relation, rows=rows)
        assert exact == gaussian_delta(1.0, mu, 1.0)
        nearly = dp_delta(1.0, [SubsampledGaussian(10.0, 1.0 - 1e-9, 25)], relation=relation, rows=rows)
        assert exact * (1 - 1e-6) <= nearly <= exact * 1.002


def test_zero_out_is_add_or_remove_and_replacement_costs_more() -> None:
    steps = [SubsampledGaussian(1.0, 0.05, 50)]
    found = {relation: dp_epsilon(1e-5, steps, relation=relation) for relation in Relation}
    assert found[Relation.zero_out] == found[ADD_OR_REMOVE] < found[Relation.replace]
    assert found[Relation.replace] < dp_epsilon(1e-5, steps, relation=ADD_OR_REMOVE, rows=2)


def test_edges() -> None:
    steps = [SubsampledGaussian(1.0, 0.1, 10)]
    assert dp_epsilon(1.0, steps, relation=ADD_OR_REMOVE) == 0.0
    assert dp_epsilon(0.0, steps, relation=ADD_OR_REMOVE) == math.inf
    assert 0.0 < dp_delta(math.inf, steps, relation=ADD_OR_REMOVE) < 1e-9
    broken = [*steps, ApproximateRelease(0.0, 1.0)]
    assert dp_delta(5.0, broken, relation=ADD_OR_REMOVE) == 1.0
    assert dp_epsilon(0.5, broken, relation=ADD_OR_REMOVE) == math.inf


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SubsampledGaussian(0.0, 0.1, 1), ValueError, "noise_multiplier must be from 0.01"),
        (lambda: SubsampledGaussian(math.nan, 0.1, 1), ValueError, "noise_multiplier must not be negative or NaN"),
        (lambda: SubsampledGaussian(1.0, 1.1, 1), ValueError, "sampling_rate must not exceed 1"),
        (lambda: SubsampledGaussian(1.0, 0.1, -1), ValueError, "steps must not be negative"),
        (lambda: SubsampledGaussian(1.0, 0.1, 1.5), TypeError, "steps must be an integer"),  # type: ignore[arg-type]
        (lambda: SubsampledGaussian(1.0, 0.1, 10**13), ValueError, "steps must be at most"),
        (lambda: ApproximateRelease(-1.0), ValueError, "epsilon must not be negative"),
        (lambda: ApproximateRelease(1.0, 2.0), ValueError, "delta must not exceed 1"),
        (lambda: dp_delta(-1.0, [], relation=ADD_OR_REMOVE), ValueError, "epsilon must not be negative"),
        (lambda: dp_epsilon(2.0, [], relation=ADD_OR_REMOVE), ValueError, "delta must not exceed 1"),
        (lambda: dp_delta(1.0, [3], relation=ADD_OR_REMOVE), TypeError, r"phases\[0\] must be"),  # type: ignore[list-item]
        (lambda: dp_delta(1.0, [], relation="replace"), TypeError, "relation must be a Relation"),  # type: ignore[arg-type]
        (lambda: dp_delta(1.0, [], relation=ADD_OR_REMOVE, rows=999), ValueError, "rows must be at most"),
        (lambda: dp_delta(1.0, [], relation=ADD_OR_REMOVE, rows=-1), ValueError, "rows must not be negative"),
        (lambda: dp_delta(1.0, [], relation=ADD_OR_REMOVE, rows=True), TypeError, "rows must be an integer, got bool"),
        (lambda: SubsampledGaussian(True, 0.1, 1), TypeError, "noise_multiplier must be a real number, got bool"),
        (lambda: SubsampledGaussian(1.0, True, 1), TypeError, "sampling_rate must be a real number, got bool"),
        (lambda: SubsampledGaussian(1.0, 0.1, True), TypeError, "steps must be an integer, got bool"),
        (lambda: ApproximateRelease(True), TypeError, "epsilon must be a real number, got bool"),
        (lambda: dp_epsilon(True, [], relation=ADD_OR_REMOVE), TypeError, "delta must be a real number, got bool"),
        (lambda: dp_delta(1.0, STEP, relation=ADD_OR_REMOVE), TypeError, "phases must be a list.* in brackets"),  # type: ignore[arg-type]
        (lambda: dp_epsilon(0.1, STEP, relation=ADD_OR_REMOVE), TypeError, "phases must be a list.* in brackets"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]


def test_losses_that_hardly_vary_do_not_make_the_bound_trivial() -> None:
    """Where noise is little, the row that is not there costs log 1/(1 − q) in nearly every outcome."""
    found = dp_delta(1e-9, [SubsampledGaussian(0.01, 1e-3, 1)], relation=Relation.add_or_remove)
    truth = max(single_step_delta(0.01, 1e-3, way, 1e-9) for way in directions(Relation.add_or_remove, 1))
    assert truth <= found <= 1.001 * truth


def test_numpy_integers_are_integers() -> None:
    steps = SubsampledGaussian(1.0, 0.1, np.int64(5))  # type: ignore[arg-type]
    assert steps == SubsampledGaussian(1.0, 0.1, 5) and type(steps.steps) is int
    assert type(ApproximateRelease(0.1, steps=np.uint16(2)).steps) is int  # type: ignore[arg-type]
    one, two = (dp_delta(1.0, [steps], relation=ADD_OR_REMOVE, rows=rows) for rows in (2, np.int32(2)))  # type: ignore[arg-type]
    assert one == two


def test_phases_are_read_once() -> None:
    """An iterator is empty the second time: the second direction would promise everything."""
    times = 0

    def steps() -> Iterator[SubsampledGaussian]:
        nonlocal times
        times += 1
        yield STEP

    class Phases:
        def __iter__(self) -> Iterator[SubsampledGaussian]:
            return steps()

    for bound in (dp_delta, dp_epsilon):
        assert bound(0.01, Phases(), relation=ADD_OR_REMOVE) == bound(0.01, [STEP], relation=ADD_OR_REMOVE) > 0.0
    assert times == 2
