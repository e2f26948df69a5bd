"""Deleting from a softmax head: certified against a minimiser of its own, with little work, keeping nothing."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.data.rows import Rows
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows
from certified.losses import SOFTMAX
from certified.objective import Objective
from certified.removal import RemovalState, UpdateInfo, ledger_step, newton
from tests.verification.test_coupled import exact_minimiser

Array = npt.NDArray[np.float64]
TARGET = 1e-8


def rows_of(n: int, d: int, outputs: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d))
    scores = 2.0 * features @ rng.normal(size=(d, outputs)) + rng.gumbel(size=(n, outputs))
    return features, np.eye(outputs)[scores.argmax(axis=1)]


def head(n: int, d: int, outputs: int, alpha: float, seed: int = 0) -> Objective:
    features, targets = rows_of(n, d, outputs, seed)
    return Objective(SOFTMAX, Rows.from_arrays(features, targets, np.ones(n)), alpha, True)


def remove(
    state: RemovalState, positions: npt.NDArray[np.int64], target: float = TARGET
) -> tuple[RemovalState, UpdateInfo]:
    rows = state.objective.rows
    after = replace(state.objective, rows=rows.without(positions))
    return ledger_step.update(state, after, target, removed=rows.take(positions))


@settings(max_examples=5)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 8),
    alpha=st.sampled_from([1e-3, 0.1, 10.0]),
    target=st.sampled_from([1e-9, 1e-6, 1e-2]),
)
def test_what_remains_is_certified_against_exact_retraining(seed: int, count: int, alpha: float, target: float) -> None:
    features, targets = rows_of(20, 3, 3, seed)
    objective = Objective(SOFTMAX, Rows.from_arrays(features, targets, np.ones(20)), alpha)
    state = ledger_step.initialise(objective, target)[0]
    gone = np.random.default_rng(seed).choice(20, count, replace=False)
    state, _ = remove(state, gone, target)
    kept = np.setdiff1d(np.arange(20), gone)
    minimiser = exact_minimiser(features[kept], targets[kept], alpha)
    # The minimiser was rounded to float64.
    truth = float(np.linalg.norm(state.weights - minimiser)) - 1e-15 * float(np.linalg.norm(minimiser))
    assert truth <= state.bound.value <= target
    # Put back, the rows are as if they had never left.
    part = objective.rows.take(gone)
    back = replace(objective, rows=state.objective.rows.place(part, gone))
    state, _ = ledger_step.update(state, back, target, added=part)
    whole = exact_minimiser(features, targets, alpha)
    assert np.linalg.norm(state.weights - whole) <= state.bound.value + 1e-15 * np.linalg.norm(whole)


def test_deleting_is_much_less_work_than_training() -> None:
    objective = head(3000, 20, 6, 0.3)
    state, trained = ledger_step.initialise(objective, 1e-6)
    for count in (1, 1, 30):
        state, info = remove(state, np.random.default_rng(count).choice(3000, count, replace=False), 1e-6)
        assert state.bound.value <= 1e-6
        assert info.passes <= 0.5 * trained.passes, (info, trained)


def test_the_preconditioner_is_kept_and_never_pickled() -> None:
    state = ledger_step.initialise(head(60, 3, 3, 0.1), TARGET)[0]
    assert state.preconditioner is not None
    after, _ = remove(state, np.array([4]))
    assert after.preconditioner is state.preconditioner
    assert pickle.loads(pickle.dumps(after)).preconditioner is None
    plain = newton.initialise(head(60, 3, 3, 0.1), TARGET)[0]
    copy = pickle.loads(pickle.dumps(plain))
    assert plain.preconditioner is not None and copy.preconditioner is None
    assert np.array_equal(copy.weights, plain.weights)
    assert remove(pickle.loads(pickle.dumps(after)), np.array([5]))[0].bound.value <= TARGET


def test_a_misleading_preconditioner_costs_work_alone() -> None:
    """What the state keeps steers: with another problem's in its place, the target is still certified."""
    objective = head(400, 5, 4, 1e-2)
    state = ledger_step.initialise(objective, TARGET)[0]
    strange = ledger_step.initialise(head(400, 5, 4, 1e3, seed=9), TARGET)[0].preconditioner
    found, _ = remove(replace(state, preconditioner=strange), np.arange(40))
    again = newton.initialise(found.objective, TARGET)[0]
    assert found.bound.value <= TARGET
    gap = float(np.linalg.norm(found.weights - again.weights))
    assert gap <= found.bound.value + again.bound.value


def test_rounding_alone_above_the_target_is_overcome_in_balls() -> None:
    objective = head(300, 5, 3, 1e-4)
    state, _ = ledger_step.initialise(objective, 1e-11)
    assert "T12b" in state.bound.claims
    assert state.bound.value <= 1e-11
    after, _ = remove(state, np.array([7, 8]), 1e-11)
    assert after.bound.value <= 1e-11


@pytest.mark.parametrize("count", [1, 50])
def test_streamed_rows(count: int) -> None:
    """Rows that are never held as a whole: trained, deleted from and certified as the same rows in memory."""
    features, targets = rows_of(700, 6, 4)
    held: RemovalState = ledger_step.initialise(head(700, 6, 4, 0.2), TARGET)[0]
    rows = StreamedRows.open(ArraySource(features, targets), 200)
    streamed: RemovalState = ledger_step.initialise(Objective(SOFTMAX, rows, 0.2, True), TARGET)[0]
    gone = np.random.default_rng(count).choice(700, count, replace=False)
    for change in (lambda state: state, lambda state: remove(state, gone)[0]):
        held, streamed = change(held), change(streamed)
        assert max(held.bound.value, streamed.bound.value) <= TARGET
        assert held.bound.claim == streamed.bound.claim
        assert np.linalg.norm(held.weights - streamed.weights) <= held.bound.value + streamed.bound.value
