from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds import certify_distance
from certified.bounds.exact_gradient import exact_gradient
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from certified.removal import RemovalState, TargetNotReachedError, UpdateInfo, newton
from certified.removal.newton import initialise, update
from tests.oracle import Problem, is_upper_bound
from tests.strategies import objective_of, powers_of_ten, problems, without

Array = npt.NDArray[np.float64]
BENIGN = {"scaled": False, "strengths": powers_of_ten(-2, 2), "intercepts": [False]}
TARGET = 1e-8
N = 120


def data(loss: Loss, n: int = N, outputs: int = 1, seed: int = 0, alpha: float = 1.0) -> Objective:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)) / 2.0
    scores = features @ rng.normal(size=(4, outputs)) + 0.5 * rng.normal(size=(n, outputs))
    targets = np.where(scores > 0.0, 1.0, -1.0) if loss is LOGISTIC else scores
    return Objective(loss, Rows.from_arrays(features, targets, np.ones(n)), alpha, True)


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def remove(
    state: RemovalState, positions: npt.NDArray[np.int64], target: float = TARGET
) -> tuple[RemovalState, UpdateInfo]:
    rows = state.objective.rows
    after = replace(state.objective, rows=rows.without(positions))
    return update(state, after, target, removed=rows.take(positions))


def add_back(state: RemovalState, original: Rows, positions: npt.NDArray[np.int64]) -> RemovalState:
    part = original.take(positions)
    after = replace(state.objective, rows=state.objective.rows.place(part, positions))
    return update(state, after, TARGET, added=part)[0]


def close(first: RemovalState, second: RemovalState) -> bool:
    """Whether two states with the same rows lie within the sum of their bounds, as both certify the same minimiser."""
    gap = float(np.linalg.norm(first.weights - second.weights))
    return gap <= (first.bound.value + second.bound.value) * (1.0 + 1e-12)


@given(problems(**BENIGN), st.data(), powers_of_ten(-9, 0))
def test_update(problem: Problem, drawn: st.DataObject, target: float) -> None:
    """Claim T5: what comes back is certified on the remaining rows within the target, and agrees with retraining."""
    state, _ = initialise(objective_of(problem), np.inf)
    positions = drawn.draw(st.lists(st.integers(0, len(problem.features) - 1), unique=True))
    try:
        after, _ = remove(state, at(*positions), target)
    except TargetNotReachedError as error:
        assert error.bound.value > target
        return
    rest = without(problem, positions)
    assert after.bound.value <= target
    assert is_upper_bound(after.bound.value, rest, after.weights)
    retrained, _ = initialise(objective_of(rest), np.inf)
    assert close(after, retrained)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("outputs", [1, 3])
def test_removal_agrees_with_retraining(loss: Loss, outputs: int) -> None:
    objective = data(loss, outputs=outputs)
    positions = np.arange(10)
    removed, _ = remove(initialise(objective, TARGET)[0], positions)
    retrained, _ = initialise(replace(objective, rows=objective.rows.without(positions)), TARGET)
    assert close(removed, retrained)
    assert removed.weights.shape == (5, outputs)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_removing_and_adding_back_is_the_identity(loss: Loss) -> None:
    start, _ = initialise(data(loss), TARGET)
    for positions in (at(7), np.arange(20), np.arange(0, N, 2)):
        gone, _ = remove(start, positions)
        assert not close(gone, start)
        assert close(add_back(gone, start.objective.rows, positions), start)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_a_batch_is_the_sequence_in_any_order(loss: Loss) -> None:
    start, _ = initialise(data(loss), TARGET)
    positions = np.random.default_rng(1).choice(N, 12, replace=False)
    batch, _ = remove(start, positions)
    for order in (positions, positions[::-1], np.sort(positions)):
        state = start
        for position in order:
            state, _ = remove(state, at(position))
        assert close(state, batch)


def test_correcting_a_row_is_removing_and_adding() -> None:
    objective = data(LOGISTIC)
    start, _ = initialise(objective, TARGET)
    old = objective.rows.take(at(4))
    new = Rows.from_arrays(np.full((1, 4), 0.3), -np.ones((1, 1)), np.full(1, 2.0))
    after = replace(objective, rows=objective.rows.place(new, at(4)))
    corrected, _ = update(start, after, TARGET, removed=old, added=new)
    assert close(corrected, initialise(after, TARGET)[0])


def test_a_change_of_strength_comes_along() -> None:
    """Per-sample scaling: α shrinks with every row that leaves."""
    objective = data(LOGISTIC)
    start, _ = initialise(objective, TARGET)
    after = replace(objective, rows=objective.rows.without(at(0, 1)), alpha=objective.alpha * (N - 2) / N)
    state, _ = update(start, after, TARGET, removed=objective.rows.take(at(0, 1)))
    assert close(state, initialise(after, TARGET)[0])


def test_a_small_removal_costs_few_passes_and_no_new_hessian() -> None:
    start, _ = initialise(data(LOGISTIC), TARGET)
    _, info = remove(start, at(3))
    assert not info.relinearised
    assert info.steps <= newton.MAX_STEPS
    assert info.passes <= 2 * newton.MAX_STEPS


def test_a_long_sequence_stays_certified() -> None:
    """Half of all rows leave, one by one: every bound meets its target, and the last one is checked from scratch."""
    state, _ = initialise(data(LOGISTIC), TARGET)
    for position in range(N // 2):
        state, _ = remove(state, at(position))
        assert state.bound.value <= TARGET
    assert close(state, initialise(state.objective, TARGET)[0])
    assert state.linearisation.curvature > 0.0


def test_a_large_change_forms_the_hessian_anew() -> None:
    """Fifty rows of weight 1e6 join: the old linearisation is useless, and the result is certified all the same."""
    objective = data(LOGISTIC)
    start, _ = initialise(objective, TARGET)
    rng = np.random.default_rng(2)
    targets = rng.choice([-1.0, 1.0], size=(50, 1))
    newcomers = Rows.from_arrays(5.0 * rng.normal(size=(50, 4)), targets, np.full(50, 1e6))
    after = replace(objective, rows=objective.rows.place(newcomers, np.arange(50)))
    state, info = update(start, after, 1e-6, removed=objective.rows.take(np.arange(50)), added=newcomers)
    assert info.relinearised
    assert state.bound.value <= 1e-6


def test_the_ball_gradient_reaches_where_float64_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target below the rounding of one float64 gradient is met by a few exact ones."""
    objective = data(LOGISTIC, alpha=1e-3)
    state, _ = initialise(objective, np.inf)
    floor = certify_distance(objective, state.weights).value
    target = 0.05 * floor
    finer, _ = initialise(objective, target)
    assert finer.bound.value <= target
    monkeypatch.setattr(newton, "MAX_REFINEMENTS", 0)
    with pytest.raises(TargetNotReachedError):
        initialise(objective, target)


def test_symmetric_rows_do_not_confuse_the_ball_gradient() -> None:
    """Mirror images cancel exactly in one coordinate, which leaves a ball around zero."""
    features = np.array([[1.0, 1.0], [1.0, -1.0]])
    objective = Objective(LOGISTIC, Rows.from_arrays(features, np.ones((2, 1)), np.ones(2)), 1.0)
    gradient = exact_gradient(objective, np.array([[0.3], [0.0]]))
    assert gradient.value[1, 0] == 0.0
    assert gradient.error < 1e-15
    with pytest.raises(TargetNotReachedError):
        initialise(objective, 1e-40)


@pytest.mark.parametrize("target", [np.inf, 1e-3])
def test_one_class_with_an_intercept_is_refused_at_any_finite_target(target: float) -> None:
    rows = Rows.from_arrays(np.ones((4, 1)), np.ones((4, 1)), np.ones(4))
    objective = Objective(LOGISTIC, rows, 1.0, True)
    if target == np.inf:
        assert initialise(objective, target)[0].bound.value == np.inf
    else:
        with pytest.raises(TargetNotReachedError, match="could be certified"):
            initialise(objective, target)


def test_a_start_is_used_and_left_alone() -> None:
    objective = data(LOGISTIC)
    cold, info = initialise(objective, TARGET)
    start = cold.weights.copy()
    warm, warm_info = initialise(objective, TARGET, start)
    assert warm_info.steps <= 1 < info.steps
    assert np.array_equal(start, cold.weights)
    assert close(cold, warm)
    start[:] = 7.0
    assert close(cold, warm)


def test_the_message_names_the_remedies() -> None:
    with pytest.raises(TargetNotReachedError, match=r"noise_std.*scale the features.*regularise more"):
        initialise(data(LOGISTIC), 1e-60)
