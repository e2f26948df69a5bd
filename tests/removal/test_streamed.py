"""Both removals on rows that are read chunk by chunk: they train, delete and add without a copy of the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from certified.data.rows import Rows
from certified.data.sources import ArraySource, SourceChangedError
from certified.data.streamed import StreamedRows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.removal import ledger_step, newton, published
from certified.removal.outputs import select_outputs
from tests.oracle import Problem, is_upper_bound

TARGET = 1e-2


def example(fit_intercept: bool) -> Problem:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(120, 3)) / np.sqrt(3.0)
    targets = np.where(features @ rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=(120, 1)) > 0.0, 1.0, -1.0)
    return Problem("logistic", features, targets, np.ones(120), 6.0, fit_intercept)


@pytest.mark.parametrize("mechanism", [newton, ledger_step], ids=["newton", "ledger step"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_any_sequence(mechanism: object, fit_intercept: bool) -> None:
    """After every deletion and addition the bound holds against exact retraining."""
    problem = example(fit_intercept)
    present, later = np.arange(110), np.arange(110, 120)
    source = ArraySource(problem.features[present], problem.targets[present])
    objective = Objective(LOGISTIC, StreamedRows.open(source, 25), problem.alpha, fit_intercept)
    state, _ = mechanism.initialise(objective, TARGET)  # type: ignore[attr-defined]
    weights = np.where(np.arange(120) < 110, 1.0, 0.0)
    for leaving in ([3], [24, 25], [99, 109]):
        rows, positions = state.objective.rows, np.array(leaving)
        changed = replace(state.objective, rows=rows.without(positions))
        state, _ = mechanism.update(state, changed, TARGET, removed=rows.take(positions))  # type: ignore[attr-defined]
        weights[leaving] = 0.0
        assert is_upper_bound(state.bound.value, replace(problem, weights=weights), state.weights)
    coming = Rows.from_arrays(problem.features[later], problem.targets[later], np.ones(10))
    changed = replace(state.objective, rows=state.objective.rows.append(coming))
    state, _ = mechanism.update(state, changed, TARGET, added=coming)  # type: ignore[attr-defined]
    weights[later] = 1.0
    assert is_upper_bound(state.bound.value, replace(problem, weights=weights), state.weights)
    assert state.bound.value <= TARGET
    positions = np.flatnonzero(weights)
    changed = replace(state.objective, rows=state.objective.rows.without(positions))
    taken = state.objective.rows.take(positions)
    state, _ = mechanism.update(state, changed, TARGET, removed=taken)  # type: ignore[attr-defined]
    assert state.bound.claim == "T0"
    assert not state.weights.any()


def test_a_source_that_changes_leaves_the_state_as_it_was() -> None:
    problem = example(False)
    features = problem.features.copy()
    rows = StreamedRows.open(ArraySource(features, problem.targets), 25)
    state, _ = newton.initialise(Objective(LOGISTIC, rows, problem.alpha), 1e-9)
    before = state.weights.copy()
    removed, rest = rows.take(np.array([1])), rows.without(np.array([1]))
    features[60] += 1.0
    with pytest.raises(SourceChangedError, match="rows 50 to 74"):
        newton.update(state, replace(state.objective, rows=rest), 1e-9, removed=removed)
    assert np.array_equal(state.weights, before)


PUBLISHED = (
    published.ObjectivePerturbation(1.0, 1e-4, noise_std=0.5),
    published.SmoothedPerturbation(1.0, 1e-4, noise_std=1e-3, perturbation_std=0.5),
    published.Sekhari(0.5, 1e-4, capacity=2),
    published.Jackknife(noise_std=0.1),
    published.ProjectiveResidual(),
    published.DescentToDelete(1.0, 1e-4, steps=30),
    published.Langevin(1e-5, 1e-4, steps=20, training_steps=50, radius=20.0),
    published.ProjectedNoisySGD(1e-5, 1e-4, steps=20, training_steps=50, radius=20.0),
    published.Recollection(0.1, epochs=100),
    published.DeltaGrad(training_steps=60),
)


@pytest.mark.parametrize("mechanism", PUBLISHED, ids=lambda mechanism: type(mechanism).__name__)
def test_published_mechanisms_ask_for_rows_in_memory(mechanism: published.Mechanism) -> None:
    problem = example(False)
    rows = StreamedRows.open(ArraySource(problem.features, problem.targets), 25)
    with pytest.raises(TypeError, match="rows are streamed"):
        mechanism.initialise(Objective(LOGISTIC, rows, problem.alpha))


def test_dropping_outputs_selects_them_in_every_chunk() -> None:
    problem = example(False)
    targets = np.concatenate([problem.targets, -problem.targets[::-1]], axis=1)
    rows = StreamedRows.open(ArraySource(problem.features, targets), 25)
    state, _ = newton.initialise(Objective(LOGISTIC, rows, problem.alpha), TARGET)
    chosen = select_outputs(state, [0])
    assert chosen.objective.shape == (3, 1)
    assert is_upper_bound(state.bound.value, problem, chosen.weights)
