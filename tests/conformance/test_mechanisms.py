"""The contract of a removal mechanism. A new one joins ``MECHANISMS``.

However the weights were found, the certified distance to the exact minimiser on the rows in force must hold, the
target must be met or refused, and the state given must survive as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified import removal
from certified.bounds import certify_distance
from certified.data.rows import Rows
from certified.objective import Objective
from certified.removal import RemovalState, TargetNotReachedError, UpdateInfo
from tests.oracle import Problem, is_upper_bound
from tests.strategies import objective_of, powers_of_ten, problems, without

Array = npt.NDArray[np.float64]
Initialise = Callable[[Objective, float], tuple[RemovalState, UpdateInfo]]
Update = Callable[[RemovalState, Objective, float, Rows | None, Rows | None], tuple[RemovalState, UpdateInfo]]


@dataclass(frozen=True)
class Mechanism:
    """A pair of pure functions; ``update`` takes the rows removed and the rows added."""

    name: str
    initialise: Initialise
    update: Update

    def __str__(self) -> str:
        return self.name


MECHANISMS = (Mechanism("newton", removal.initialise, removal.update),)
TARGETS = st.sampled_from([np.inf, 1.0, 1e-3, 1e-9])


@pytest.fixture(params=MECHANISMS, ids=str)
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    chosen: Mechanism = request.param
    return chosen


def every_mechanism(test: Callable[..., None]) -> Callable[..., None]:
    """Parametrise a property over the mechanisms; fixtures would be shared between its examples."""
    return pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)(test)


def snapshot(state: RemovalState) -> list[Array]:
    """A copy of every array and number that a state holds."""
    rows = jax.tree_util.tree_leaves(state.objective.rows)
    linearisation = state.linearisation
    parts = [state.weights, state.gradient, linearisation.weights, linearisation.penalty, state.objective.alpha]
    parts += [part for h in linearisation.data_hessians for part in (h.value, h.error)]
    return [np.array(part, copy=True) for part in (*rows, *parts, state.bound.value)]


def same(before: list[Array], after: list[Array]) -> bool:
    return len(before) == len(after) and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def attempt(call: Callable[[], tuple[RemovalState, UpdateInfo]]) -> RemovalState | None:
    """The new state, None if no distance at most the target was certified."""
    try:
        return call()[0]
    except TargetNotReachedError as error:
        assert not error.bound.value < 0.0
        return None


def positions_in(problem: Problem) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(problem.features) - 1), unique=True, min_size=1)


def index(positions: list[int]) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


@every_mechanism
@given(problems(), TARGETS)
def test_initial_bound_holds_and_meets_the_target(mechanism: Mechanism, problem: Problem, target: float) -> None:
    state = attempt(lambda: mechanism.initialise(objective_of(problem), target))
    if state is not None:
        assert state.bound.value <= target
        assert is_upper_bound(state.bound.value, problem, state.weights)


@every_mechanism
@given(problems(), st.data(), TARGETS)
def test_bound_holds_after_removal(mechanism: Mechanism, problem: Problem, data: st.DataObject, target: float) -> None:
    """On any problem, for any rows, at any target; a refusal leaves the state as it was, and so does success."""
    objective = objective_of(problem)
    start = attempt(lambda: mechanism.initialise(objective, np.inf))
    assert start is not None
    before = snapshot(start)
    positions = data.draw(positions_in(problem))
    rows = objective.rows
    after = replace(objective, rows=rows.without(index(positions)))
    state = attempt(lambda: mechanism.update(start, after, target, rows.take(index(positions)), None))
    assert same(before, snapshot(start))
    if state is not None:
        assert state.bound.value <= target
        assert state.objective is after
        rest = without(problem, positions)
        assert is_upper_bound(state.bound.value, rest, state.weights)
        assert is_upper_bound(certify_distance(after, state.weights, state.linearisation).value, rest, state.weights)


@every_mechanism
@given(problems(), st.data(), TARGETS, powers_of_ten(-3, 3))
def test_bound_holds_after_adding_rows_and_changing_the_strength(
    mechanism: Mechanism, problem: Problem, data: st.DataObject, target: float, factor: float
) -> None:
    positions = data.draw(positions_in(problem))
    whole = replace(problem, alpha=problem.alpha * factor)
    objective = objective_of(without(problem, positions))
    start = attempt(lambda: mechanism.initialise(objective, np.inf))
    assert start is not None
    before = snapshot(start)
    after = objective_of(whole)
    state = attempt(lambda: mechanism.update(start, after, target, None, after.rows.take(index(positions))))
    assert same(before, snapshot(start))
    if state is not None:
        assert state.bound.value <= target
        assert is_upper_bound(state.bound.value, whole, state.weights)


@every_mechanism
@given(problems(strengths=powers_of_ten(-6, 3)), st.data())
def test_bound_holds_along_a_chain(mechanism: Mechanism, problem: Problem, data: st.DataObject) -> None:
    """Rows leave and come back one by one; what errors do in the linearisation must not reach the bound unseen."""
    objective = objective_of(problem)
    state = attempt(lambda: mechanism.initialise(objective, np.inf))
    out: list[int] = []
    for position in data.draw(st.lists(st.integers(0, len(problem.features) - 1), max_size=6)):
        assert state is not None
        rows = state.objective.rows
        chosen = objective.rows.take(index([position]))
        leaves = position not in out
        out = [*out, position] if leaves else [p for p in out if p != position]
        rows = rows.without(index([position])) if leaves else rows.place(chosen, index([position]))
        after, previous = replace(objective, rows=rows), state
        removed, added = (chosen, None) if leaves else (None, chosen)
        state = attempt(lambda s=previous, o=after, r=removed, a=added: mechanism.update(s, o, np.inf, r, a))
        assert state is not None
        assert is_upper_bound(state.bound.value, without(problem, out), state.weights)


def benign(seed: int = 0) -> tuple[Problem, Objective]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(8, 2))
    targets = np.where(features[:, :1] + rng.normal(size=(8, 1)) > 0.0, 1.0, -1.0)
    problem = Problem("logistic", features, targets, np.ones(8), 0.5, True)
    return problem, objective_of(problem)


def test_an_impossible_target_is_refused_and_the_state_kept(mechanism: Mechanism) -> None:
    _, objective = benign()
    start, _ = mechanism.initialise(objective, 1e-9)
    before = snapshot(start)
    rows = objective.rows
    after = replace(objective, rows=rows.without(index([3])))
    with pytest.raises(TargetNotReachedError) as caught:
        mechanism.update(start, after, 1e-40, rows.take(index([3])), None)
    assert caught.value.bound.value > 1e-40
    assert same(before, snapshot(start))
    again, _ = mechanism.update(start, after, 1e-9, rows.take(index([3])), None)
    assert again.bound.value <= 1e-9


def test_is_a_pure_function(mechanism: Mechanism) -> None:
    _, objective = benign()
    rows, results = objective.rows, []
    for _ in range(2):
        start, _ = mechanism.initialise(objective, 1e-9)
        after = replace(objective, rows=rows.without(index([1, 5])))
        state, info = mechanism.update(start, after, 1e-9, rows.take(index([1, 5])), None)
        results.append((snapshot(state), info))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_results_are_float64_and_the_configuration_is_left_alone(mechanism: Mechanism) -> None:
    _, objective = benign()
    start, _ = mechanism.initialise(objective, 1e-9)
    assert not jax.config.jax_enable_x64
    for array in (start.weights, start.gradient, *(h.value for h in start.linearisation.data_hessians)):
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64
    assert isinstance(start.bound.value, float)


def test_no_secret_in_any_text(mechanism: Mechanism) -> None:
    _, objective = benign()
    start, info = mechanism.initialise(objective, 1e-9)
    after = replace(objective, rows=objective.rows.without(index([0])))
    with pytest.raises(TargetNotReachedError) as caught:
        mechanism.update(start, after, 1e-40, objective.rows.take(index([0])), None)
    secrets = [*start.weights.ravel(), *start.gradient.ravel(), *np.asarray(objective.rows.features).ravel()[:16]]
    texts = [repr(start), str(start), repr(info), str(caught.value), repr(caught.value)]
    for secret in secrets:
        assert not any(f"{abs(secret):.5g}" in text for text in texts)


def test_a_change_of_nothing_stays_within_the_target(mechanism: Mechanism) -> None:
    problem, objective = benign()
    start, _ = mechanism.initialise(objective, 1e-9)
    state, _ = mechanism.update(start, objective, 1e-9, None, None)
    assert is_upper_bound(state.bound.value, problem, state.weights)
    assert np.linalg.norm(state.weights - start.weights) <= start.bound.value + state.bound.value


def test_removing_every_row_leaves_the_constant_model(mechanism: Mechanism) -> None:
    _, objective = benign()
    start, _ = mechanism.initialise(objective, 1e-9)
    after = replace(objective, rows=objective.rows.without(np.arange(8)))
    state, _ = mechanism.update(start, after, 1e-9, objective.rows.take(np.arange(8)), None)
    assert not state.weights.any()
    assert (state.bound.value, state.bound.claim) == (0.0, "T0")
    back, _ = mechanism.update(state, objective, 1e-9, None, objective.rows.take(np.arange(8)))
    assert np.linalg.norm(back.weights - start.weights) <= start.bound.value + back.bound.value
