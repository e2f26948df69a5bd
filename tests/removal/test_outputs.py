"""Keeping some outputs of a one-vs-rest state: nothing else moves, and the joint bound covers what is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb

from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from certified.removal import RemovalState, ledger_step
from certified.removal.ledger_state import LedgerState, open_at
from certified.removal.newton import initialise, update
from certified.removal.outputs import select_outputs
from tests.oracle import Problem, minimise

Array = npt.NDArray[np.float64]

TARGET = 1e-9
KEPT = [list(kept) for size in range(4) for kept in combinations(range(3), size)]
rng = np.random.default_rng(20)
FEATURES = rng.normal(size=(24, 2))
LABELS = np.arange(24) % 3


def one_vs_rest(loss: Loss = LOGISTIC) -> RemovalState:
    targets = np.where(LABELS[:, None] == np.arange(3), 1.0, -1.0)
    rows = Rows.from_arrays(FEATURES, targets, np.ones(24))
    return initialise(Objective(loss, rows, 1.0, True), TARGET)[0]


@pytest.mark.parametrize("kept", KEPT, ids=str)
@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_columns_are_kept_and_the_rest_is_dropped(loss: Loss, kept: list[int]) -> None:
    state = one_vs_rest(loss)
    part = select_outputs(state, kept)
    assert np.array_equal(part.weights, state.weights[:, kept])
    assert np.array_equal(part.gradient, state.gradient[:, kept])
    assert np.array_equal(part.linearisation.weights, state.linearisation.weights[:, kept])
    assert np.array_equal(part.objective.rows.targets, np.asarray(state.objective.rows.targets)[..., kept])
    assert part.objective.rows.features is state.objective.rows.features
    assert part.objective.shape == (3, len(kept))
    assert part.bound == state.bound


def test_the_hessian_of_each_kept_output_is_its_own() -> None:
    state = one_vs_rest()
    gradient = rng.normal(size=(3, 3))
    whole = state.linearisation.factor.solve(gradient)
    for kept in ([2], [0, 2], [1, 0]):
        part = select_outputs(state, kept)
        assert np.allclose(part.linearisation.factor.solve(gradient[:, kept]), whole[:, kept], rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("kept", KEPT[1:], ids=str)
def test_the_joint_bound_covers_the_kept_outputs(kept: list[int]) -> None:
    part = select_outputs(one_vs_rest(), kept)
    targets = np.where(LABELS[:, None] == np.array(kept), 1.0, -1.0)
    problem = Problem("logistic", FEATURES, targets, np.ones(24), 1.0, fit_intercept=True)
    assert minimise(problem, part.weights).distance(part.weights) <= arb(part.bound.value)


def test_the_state_it_came_from_is_untouched() -> None:
    state = one_vs_rest()
    before = state.weights.copy(), np.array(state.objective.rows.targets)
    select_outputs(state, [1])
    assert np.array_equal(state.weights, before[0])
    assert np.array_equal(state.objective.rows.targets, before[1])
    assert len(state.linearisation.data_hessians) == 3


def test_a_kept_state_can_delete_the_class_that_left() -> None:
    part = select_outputs(one_vs_rest(), [1])
    gone = np.flatnonzero(LABELS == 2)
    rows = part.objective.rows
    rest = Objective(LOGISTIC, rows.without(gone), 1.0, True)
    state, _ = update(part, rest, TARGET, removed=rows.take(gone))
    left = LABELS < 2
    targets = np.where(LABELS[left, None] == 1, 1.0, -1.0)
    problem = Problem("logistic", FEATURES[left], targets, np.ones(16), 1.0, fit_intercept=True)
    assert minimise(problem, state.weights).distance(state.weights) <= arb(state.bound.value)
    assert state.bound.value <= TARGET


@pytest.mark.parametrize("kept", KEPT[1:], ids=str)
@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_a_ledger_goes_on_without_a_pass(loss: Loss, kept: list[int]) -> None:
    """Rows leave, outputs are dropped and reordered while terms wait, rows leave again: the anchor stays valid."""
    features, labels = np.tile(0.5 * FEATURES, (10, 1)), np.tile(LABELS, 10)
    targets = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    weights = np.ones(len(labels))
    objective = Objective(loss, Rows.from_arrays(features, targets, weights), 8.0, True)
    state: RemovalState = ledger_step.initialise(objective, TARGET)[0]
    for row in (0, 1, 2, 3):
        if row == 2:
            state = select_outputs(state, kept)
        rows, position = state.objective.rows, np.array([row])
        weights[row] = 0.0
        after = replace(state.objective, rows=rows.without(position))
        state, info = ledger_step.update(state, after, 10.0, removed=rows.take(position))
        assert info.route == "step" and info.passes == 0
    problem = Problem(loss.name, features, targets[:, kept], weights, 8.0, fit_intercept=True)
    assert state.weights.shape == (3, len(kept))
    assert minimise(problem, state.weights).distance(state.weights) <= arb(state.bound.value)


def test_without_any_output_the_ledger_closes_and_opens_again() -> None:
    state = select_outputs(open_at(one_vs_rest()), [])
    assert isinstance(state, LedgerState) and state.anchor is None and state.inverses == ()
