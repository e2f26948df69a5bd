"""The contract of a published mechanism. A new one joins ``MECHANISMS``.

Whatever it claims, its weights must be ones that the library can certify, its state must survive every request, no
secret may show, and what it does not cover must be refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace

import jax
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.bounds import certify_distance
from certified.data.rows import Rows
from certified.losses import SQUARED
from certified.objective import Objective
from certified.removal.published.deltagrad import DeltaGrad
from certified.removal.published.descent_to_delete import DescentToDelete
from certified.removal.published.jackknife import Jackknife
from certified.removal.published.langevin import Langevin
from certified.removal.published.objective_perturbation import ObjectivePerturbation
from certified.removal.published.projected_noisy_sgd import ProjectedNoisySGD
from certified.removal.published.projective_residual import ProjectiveResidual
from certified.removal.published.protocol import Mechanism, MechanismState, Sampler
from certified.removal.published.recollection import Recollection
from certified.removal.published.sekhari import Sekhari
from certified.removal.published.smoothed_perturbation import SmoothedPerturbation
from tests.oracle import Problem, is_upper_bound
from tests.strategies import objective_of, powers_of_ten, problems, without

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A mechanism and what it does not cover: such problems it must refuse by name."""

    mechanism: Mechanism[MechanismState]
    squared_loss: bool = True
    sample_weights: bool = True

    def __str__(self) -> str:
        name = self.mechanism.name
        options = [str(value) for value in vars(self.mechanism).values() if isinstance(value, str) and value != name]
        return "-".join([name.replace(" ", "_"), *options])


MECHANISMS = (
    Case(ObjectivePerturbation(1.0, 1e-4, noise_std=0.5), sample_weights=False),
    Case(ObjectivePerturbation(1.0, 1e-4, noise_std=0.5, residual_bound="theorem1"), False, False),
    Case(SmoothedPerturbation(1.0, 1e-4, noise_std=1e-3, perturbation_std=0.5)),
    Case(Sekhari(0.5, 1e-4, capacity=2), squared_loss=False, sample_weights=False),
    Case(Jackknife(noise_std=0.1)),
    Case(ProjectiveResidual()),
    Case(DescentToDelete(1.0, 1e-4, steps=30), squared_loss=False),
    Case(DescentToDelete(1.0, 1e-4, steps=30, state="published"), squared_loss=False),
    Case(Langevin(1e-5, 1e-4, steps=20, training_steps=50, radius=20.0)),
    Case(ProjectedNoisySGD(1e-5, 1e-4, steps=20, training_steps=50, radius=20.0)),
    Case(Recollection(0.1, epochs=100)),
    Case(DeltaGrad(training_steps=60)),
)

BENIGN = {
    "losses": ["logistic"],
    "scaled": False,
    "strengths": powers_of_ten(-1, 1),
    "intercepts": [False],
    "shapes": ((4, 1), (2, 2)),
}


@pytest.fixture(params=MECHANISMS, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


def every_mechanism(test: Callable[..., None]) -> Callable[..., None]:
    """Parametrise a property over the mechanisms; fixtures would be shared between its examples."""
    return pytest.mark.parametrize("case", MECHANISMS, ids=str)(test)


def seeded(seed: int) -> Sampler:
    """Reproducible noise, for tests only."""
    generator = np.random.default_rng(seed)
    return lambda center, noise_std: center + noise_std * generator.standard_normal(center.shape)


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def benign(outputs: int = 1, loss: str = "logistic", n: int = 8) -> Problem:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 4)) / 3.0
    scores = features @ rng.normal(size=(4, outputs)) + 0.3 * rng.normal(size=(n, outputs))
    return Problem(loss, features, np.where(scores > 0.0, 1.0, -1.0), np.ones(n), 2.0)


def request(
    objective: Objective, positions: npt.NDArray[np.int64], alpha: float | None = None
) -> tuple[Objective, Rows]:
    """What ``remove`` is given: the objective on the rows that remain, and the rows that go."""
    rest = replace(objective, rows=objective.rows.without(positions))
    return replace(rest, alpha=objective.alpha if alpha is None else alpha), objective.rows.take(positions)


def snapshot(value: object) -> list[object]:
    """A copy of every array and number inside."""
    if is_dataclass(value) and not isinstance(value, type):
        return [part for field in fields(value) for part in snapshot(getattr(value, field.name))]
    if isinstance(value, tuple | list):
        return [part for item in value for part in snapshot(item)]
    if isinstance(value, dict):
        return [part for item in value.values() for part in snapshot(item)]
    return [np.array(value)] if isinstance(value, np.ndarray | jax.Array) else [value]


def same(before: list[object], after: list[object]) -> bool:
    """Whether two snapshots agree to the last bit."""
    if len(before) != len(after):
        return False
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in zip(before, after, strict=True)
    )


def is_certified(state: MechanismState, problem: Problem) -> bool:
    """Whether the certified distance of the state's weights bounds the true one, b included."""
    exact = replace(problem, alpha=state.objective.alpha, linear=state.objective.linear)
    bound = certify_distance(state.objective, state.weights).value
    return bool(np.isfinite(bound)) and is_upper_bound(bound, exact, state.weights)


@every_mechanism
@settings(max_examples=12)
@given(problems(**BENIGN), st.data(), st.booleans(), st.integers(0, 5))
def test_the_certified_distance_holds(
    case: Case, problem: Problem, data: st.DataObject, per_sample: bool, seed: int
) -> None:
    """Along a sequence of requests, under total and per-sample scaling of the penalty."""
    problem = replace(problem, linear=None)
    n = len(problem.features)
    sampler, objective = seeded(seed), objective_of(problem)
    try:
        state = case.mechanism.initialise(objective, sampler)
    except ValueError as error:
        assert "capacity" in str(error)
        return
    assert is_certified(state, problem)
    order = data.draw(st.permutations(range(n)))
    sizes = data.draw(st.lists(st.integers(1, 2), max_size=3))
    out = since_training = 0
    for size in sizes:
        chosen = at(*order[out : out + size])
        out += len(chosen)
        alpha = problem.alpha * (n - out) / n if per_sample else None
        objective, removed = request(objective, chosen, alpha)
        try:
            state = case.mechanism.remove(state, objective, removed, sampler)
        except ValueError as error:
            assert "capacity" in str(error)
            return
        assert is_certified(state, without(problem, order[:out]))
        since_training = 0 if state.retrained and state.removed == 0 else since_training + len(chosen)
        assert state.removed == since_training
        assert case.mechanism.release(state, sampler).shape == objective.shape


@pytest.mark.parametrize("outputs", [1, 2])
def test_removal_comes_closer_to_retraining(case: Case, outputs: int) -> None:
    """Than doing nothing does: mechanisms that do not move would pass every other test."""
    problem = benign(outputs, n=24)
    objective = objective_of(problem)
    state = case.mechanism.initialise(objective, seeded(1))
    after, removed = request(objective, at(2, 5))
    moved = case.mechanism.remove(state, after, removed, seeded(2))
    goal = replace(after, linear=moved.objective.linear)
    still, now = (certify_distance(goal, weights).value for weights in (state.weights, moved.weights))
    assert now < 0.9 * still


@pytest.mark.parametrize("outputs", [1, 2])
def test_requests_are_pure_functions_of_state_and_sampler(case: Case, outputs: int) -> None:
    objective = objective_of(benign(outputs))
    after, removed = request(objective, at(1, 6))
    results = []
    for _ in range(2):
        state = case.mechanism.initialise(objective, seeded(3))
        before = snapshot(state)
        moved = case.mechanism.remove(state, after, removed, seeded(4))
        released = case.mechanism.release(moved, seeded(5))
        assert same(before, snapshot(state))
        assert released.shape == objective.shape
        assert released.dtype == moved.weights.dtype == np.float64
        results.append([*snapshot(moved), released])
    assert same(results[0], results[1])


def test_a_release_owns_its_array(case: Case) -> None:
    state = case.mechanism.initialise(objective_of(benign()), seeded(0))
    before = snapshot(state)
    case.mechanism.release(state, seeded(1))[:] = 7.0
    assert same(before, snapshot(state))


def test_states_and_claims_show_no_secret(case: Case) -> None:
    objective = objective_of(benign())
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, at(0))
    state = case.mechanism.remove(state, after, removed, seeded(1))
    texts = [repr(state), str(state), repr(case.mechanism), repr(state.claim)]
    with pytest.raises(ValueError, match="objective must hold the rows that remain") as caught:
        case.mechanism.remove(state, after, removed, seeded(1))
    texts += [str(caught.value), repr(caught.value)]
    arrays = [part for part in snapshot(state) if isinstance(part, np.ndarray) and part.dtype == np.float64]
    secrets = {abs(float(v)) for part in arrays for v in part.ravel()[:200] if v % 1.0}
    assert len(secrets) > 20
    for text in texts:
        assert "array" not in text and "Array(" not in text
        assert not any(f"{secret:.5g}" in text for secret in secrets)


def test_claims_are_honest(case: Case) -> None:
    """A claim without a guarantee says so, and a verdict is one of those that the protocol names."""
    objective = objective_of(benign())
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, at(0))
    for claim in (state.claim, case.mechanism.remove(state, after, removed, seeded(1)).claim):
        assert claim.mechanism == case.mechanism.name
        assert claim.source
        assert claim.verdict.split(":")[0].split(";")[0] in ("proved", "published", "invalid", "none")
        assert (claim.epsilon == np.inf and claim.delta == 1.0) == (claim.verdict == "none")
        assert claim.noise_std >= 0.0
        for bound in (claim.residual, claim.distance):
            assert bound is None or bound >= 0.0


def test_an_empty_request_changes_nothing(case: Case) -> None:
    objective = objective_of(benign())
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, at())
    moved = case.mechanism.remove(state, after, removed, seeded(1))
    assert moved.removed == 0
    bound = certify_distance(moved.objective, moved.weights).value
    assert (
        np.linalg.norm(moved.weights - state.weights) <= bound + certify_distance(state.objective, state.weights).value
    )


@pytest.mark.parametrize("per_sample", [False, True])
def test_removing_every_row_leaves_the_constant_model(case: Case, per_sample: bool) -> None:
    problem = benign(n=4)
    objective = objective_of(problem)
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, np.arange(4), 0.0 if per_sample else None)
    gone = case.mechanism.remove(state, after, removed, seeded(1))
    bound = certify_distance(gone.objective, gone.weights)
    assert bound.claim == "T0"
    noise = gone.weights - case.mechanism.remove(state, after, removed, seeded(1)).weights
    assert not noise.any()
    if bound.value > 0.0:  # a state that carries its noise
        assert gone.claim.noise_std > 0.0
    else:
        assert not gone.weights.any()


def test_the_last_row_but_one_may_go_or_is_refused_by_name(case: Case) -> None:
    problem = benign(n=4)
    objective = objective_of(problem)
    state = case.mechanism.initialise(objective, seeded(0))
    before = snapshot(state)
    after, removed = request(objective, at(0, 1, 2))
    try:
        moved = case.mechanism.remove(state, after, removed, seeded(1))
    except ValueError as error:
        assert "must" in str(error)
        assert same(before, snapshot(state))
    else:
        assert is_certified(moved, without(problem, [0, 1, 2]))


BAD_TRAINING = {
    "an unpenalised intercept": (lambda o: replace(o, fit_intercept=True), "fit_intercept"),
    "a linear term": (lambda o: replace(o, linear=np.ones(o.shape)), "linear"),
    "no penalty": (lambda o: replace(o, alpha=0.0), "alpha"),
    "a NaN penalty": (lambda o: replace(o, alpha=np.nan), "alpha"),
    "no rows": (lambda o: replace(o, rows=o.rows.without(np.arange(8))), "row"),
    "NaN among the rows": (lambda o: replace(o, rows=o.rows.place(nan_row(), at(3))), "rows"),
}


def nan_row() -> Rows:
    return Rows.from_arrays(np.full((1, 4), np.nan), np.ones((1, 1)), np.ones(1))


@pytest.mark.parametrize("name", BAD_TRAINING)
def test_training_refuses_by_name(case: Case, name: str) -> None:
    spoil, word = BAD_TRAINING[name]
    with pytest.raises(ValueError, match=word):
        case.mechanism.initialise(spoil(objective_of(benign())), seeded(0))


BAD_REQUESTS = {
    "rows that are still in force": (lambda o, r: (o, r.take(at())), "rows that remain"),
    "too few rows": (lambda o, r: (replace(o, rows=o.rows.without(at(5))), r), "rows that remain"),
    "another number of features": (lambda o, r: (o, other_rows(d=3)), "features"),
    "another number of outputs": (lambda o, r: (o, other_rows(outputs=2)), "outputs"),
    "NaN among the removed": (lambda o, r: (o, nan_row()), "removed"),
    "an unpenalised intercept": (lambda o, r: (replace(o, fit_intercept=True), r), "fit_intercept"),
    "another loss": (lambda o, r: (replace(o, loss=SQUARED), r), "loss"),
    "a linear term": (lambda o, r: (replace(o, linear=np.ones(o.shape)), r), "linear"),
    "a stronger penalty": (lambda o, r: (replace(o, alpha=9.0), r), "alpha"),
    "no penalty": (lambda o, r: (replace(o, alpha=0.0), r), "alpha"),
}


def other_rows(d: int = 4, outputs: int = 1) -> Rows:
    return Rows.from_arrays(np.ones((1, d)), np.ones((1, outputs)), np.ones(1))


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_requests_are_refused_by_name_and_leave_the_state(case: Case, name: str) -> None:
    spoil, word = BAD_REQUESTS[name]
    objective = objective_of(benign())
    state = case.mechanism.initialise(objective, seeded(0))
    before = snapshot(state)
    with pytest.raises(ValueError, match=word):
        case.mechanism.remove(state, *spoil(*request(objective, at(2))), seeded(1))
    assert same(before, snapshot(state))


def test_squared_loss_is_covered_or_refused_by_name(case: Case) -> None:
    problem = benign(2, "squared")
    if not case.squared_loss:
        with pytest.raises(ValueError, match="derivative"):
            case.mechanism.initialise(objective_of(problem), seeded(0))
        return
    objective = objective_of(problem)
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, at(3))
    assert is_certified(case.mechanism.remove(state, after, removed, seeded(1)), without(problem, [3]))


def test_sample_weights_are_covered_or_refused_by_name(case: Case) -> None:
    problem = replace(benign(), weights=np.linspace(0.5, 2.0, 8))
    objective = objective_of(problem)
    if not case.sample_weights:
        with pytest.raises(ValueError, match="weights"):
            case.mechanism.initialise(objective, seeded(0))
        return
    state = case.mechanism.initialise(objective, seeded(0))
    after, removed = request(objective, at(3))
    assert is_certified(case.mechanism.remove(state, after, removed, seeded(1)), without(problem, [3]))


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({str(case) for case in MECHANISMS}) == len(MECHANISMS) >= 6
