from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.audit import epsilon_lower_bound
from certified.bounds.published.neel import neel_noise_std, neel_state_iterations
from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_delta
from certified.removal.published.descent_to_delete import DescentState, DescentToDelete
from certified.removal.published.protocol import Sampler
from tests.oracle import Problem, minimise
from tests.strategies import objective_of, problems, without

Array = npt.NDArray[np.float64]

ROUNDING = 1e-11
"""Float64 descent ends this near to what descent in real arithmetic would reach, for the problems below."""
BENIGN = {
    "losses": ["logistic"],
    "scaled": False,
    "strengths": st.floats(0.5, 10.0),
    "intercepts": [False],
    "shapes": ((4, 1), (2, 2)),
}


def request(objective: Objective, *positions: int, alpha: float | None = None) -> tuple[Objective, Rows]:
    chosen = np.array(positions, dtype=np.int64)
    rest = replace(objective, rows=objective.rows.without(chosen), alpha=objective.alpha if alpha is None else alpha)
    return rest, objective.rows.take(chosen)


def seeded(seed: int) -> Sampler:
    generator = np.random.default_rng(seed)
    return lambda center, noise_std: center + noise_std * generator.standard_normal(center.shape)


def example(n: int = 30, alpha: float = 2.0, outputs: int = 1) -> Problem:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(n, 3)) / 2.0
    targets = np.where(features @ rng.normal(size=(3, outputs)) + 0.3 * rng.normal(size=(n, outputs)) > 0.0, 1.0, -1.0)
    return Problem("logistic", features, targets, np.ones(n), alpha)


def true_distance(problem: Problem, state: DescentState) -> float:
    exact = replace(problem, alpha=state.objective.alpha, linear=None)
    return float(minimise(exact, state.weights).distance(state.weights).upper())


@settings(max_examples=25)
@given(problems(**BENIGN), st.data(), st.integers(1, 30), st.booleans())
def test_the_proved_distance_holds(problem: Problem, data: st.DataObject, steps: int, per_sample: bool) -> None:
    """Claim T7n: after training and after every request, and (ε, δ) with the published noise follow from it."""
    mechanism = DescentToDelete(1.0, 1e-4, steps)
    n = len(problem.features)
    objective = replace(objective_of(problem), linear=None)
    state = mechanism.initialise(objective)
    order = data.draw(st.permutations(range(n)))
    for out in range(0, n, 2):
        if out:
            alpha = problem.alpha * (n - out) / n if per_sample else None
            state = mechanism.remove(state, *request(state.objective, *order[out - 2 : out], alpha=alpha))
        distance = true_distance(without(problem, order[:out]), state)
        assert state.proved.distance is not None
        assert distance <= state.proved.distance + ROUNDING
        if state.claim.noise_std > 0.0 and math.isfinite(state.proved.epsilon):
            assert gaussian_delta(state.proved.epsilon, state.proved.distance, state.claim.noise_std) <= 1e-4


@pytest.mark.parametrize("steps", [4, 8, 12])
def test_every_request_contracts(steps: int) -> None:
    """I steps bring the weights closer to the new minimiser by γ^I or more."""
    problem = example()
    mechanism = DescentToDelete(1.0, 1e-4, steps)
    state = mechanism.initialise(objective_of(problem))
    moved = mechanism.remove(state, *request(state.objective, 4))
    gone = without(problem, [4])
    before = true_distance(gone, replace(state, objective=moved.objective))
    gamma = (state.smoothness - problem.alpha) / (state.smoothness + problem.alpha)
    assert 1e-6 * gamma**steps * before < true_distance(gone, moved) <= gamma**steps * before
    assert moved.passes == steps


@pytest.mark.parametrize("steps", [3, 12, 40])
def test_the_published_noise_suffices_for_single_requests(steps: int) -> None:
    """The publication's reference trains alike, so the exact divergence is of two distances at most."""
    problem = example()
    mechanism = DescentToDelete(0.7, 1e-4, steps)
    state = mechanism.initialise(objective_of(problem))
    for out in range(10):
        state = mechanism.remove(state, *request(state.objective, out))
        assert state.proved.distance is not None
        assert gaussian_delta(0.7, 2.0 * state.proved.distance, state.claim.noise_std) <= 1e-4
        assert state.proved.epsilon < 0.7 == state.claim.epsilon


def test_the_published_noise_is_that_of_a_mean_over_rows() -> None:
    problem = example()
    state = DescentToDelete(1.0, 1e-4, 9).initialise(objective_of(problem))
    n, lipschitz = 30, float(np.linalg.norm(problem.features, axis=1).max())
    expected = neel_noise_std(
        n=n, iterations=9, strong_convexity=2.0 / n, smoothness=state.smoothness / n, lipschitz=lipschitz,
        epsilon=1.0, delta=1e-4,
    )  # fmt: skip
    assert state.claim.noise_std == pytest.approx(expected, rel=1e-6)


def test_a_batch_and_a_sequence_end_at_the_same_minimiser() -> None:
    problem = example()
    mechanism = DescentToDelete(1.0, 1e-4, 30)
    start = mechanism.initialise(objective_of(problem))
    batch = mechanism.remove(start, *request(start.objective, 1, 2, 3))
    sequence = start
    for position in (3, 1, 2):
        sequence = mechanism.remove(sequence, *request(sequence.objective, position))
    assert batch.removed == sequence.removed == 3
    assert np.linalg.norm(batch.weights - sequence.weights) <= batch.distance + sequence.distance
    assert start.iterations < batch.passes < sequence.updates * start.iterations


def test_a_published_state_carries_its_noise() -> None:
    problem = example(outputs=2)
    mechanism = DescentToDelete(1.0, 1e-4, 1, state="published")
    drawn: list[float] = []

    def sampler(center: Array, noise_std: float) -> Array:
        drawn.append(noise_std)
        return center + noise_std

    state = mechanism.initialise(objective_of(problem), sampler)
    fewest = neel_state_iterations(
        dimension=6, strong_convexity=2.0, smoothness=state.smoothness, epsilon=1.0, delta=1e-4
    )
    assert state.iterations == math.ceil(fewest) > 1
    moved = mechanism.remove(state, *request(state.objective, 0), sampler)
    assert moved.passes > state.iterations
    assert drawn == [moved.claim.noise_std] * 2
    assert np.array_equal(mechanism.release(moved, sampler), moved.weights) and len(drawn) == 2
    minimiser = minimise(without(problem, [0])).nearest
    assert np.linalg.norm(moved.weights - moved.claim.noise_std - minimiser) <= moved.distance + ROUNDING
    assert moved.proved.distance is None
    assert any("requests do not depend on the noise" in assumption for assumption in moved.proved.assumptions)


def test_a_published_state_accounts_for_the_noise_it_starts_from() -> None:
    """A worse draw than the bound on the noise allows is rarer than δ/2; one within it stays within the distance."""
    problem = example()
    mechanism = DescentToDelete(1.0, 1e-2, 1, state="published")
    gone = minimise(without(problem, [0])).nearest
    for seed in range(20):
        state = mechanism.initialise(objective_of(problem), seeded(seed))
        quiet = mechanism.remove(state, *request(state.objective, 0), lambda center, _: center)
        assert np.linalg.norm(quiet.weights - gone) <= quiet.distance + ROUNDING


@pytest.mark.parametrize("kind", ["secret", "published"])
def test_no_attack_beats_what_is_proved(kind: str) -> None:
    """Releases after a deletion against exact retraining with the same noise, along the line that separates best."""
    problem = example(n=8, alpha=1.0)
    mechanism = DescentToDelete(1.0, 1e-3, 2, state=kind, training_steps=3)  # type: ignore[arg-type]
    sampler, runs = seeded(3), 500
    after = minimise(without(problem, [0])).nearest
    objective = objective_of(problem)
    rest = request(objective, 0)
    start = mechanism.initialise(objective, lambda center, _: center)
    noise_std, released = start.claim.noise_std, []
    for _ in range(runs):
        before = start if kind == "secret" else replace(start, weights=sampler(start.weights, noise_std))
        state = mechanism.remove(before, *rest, sampler)
        released.append(mechanism.release(state, sampler))
    ours = np.array(released)
    theirs = np.array([sampler(after, noise_std) for _ in range(runs)])
    along = (ours.mean(axis=0) - after) / np.linalg.norm(ours.mean(axis=0) - after)
    far = ours + 6.0 * noise_std * along
    scores, reference, forged = (np.tensordot(sample, along, axes=2) for sample in (ours, theirs, far))
    assert epsilon_lower_bound(scores, reference, 1e-3) <= state.proved.epsilon
    assert epsilon_lower_bound(forged, reference, 1e-3) > state.proved.epsilon


def test_rows_of_zeros_need_almost_no_noise() -> None:
    """Their norms are bounded by what float64 can tell from zero."""
    problem = Problem("logistic", np.zeros((3, 2)), np.ones((3, 1)), np.ones(3), 1.0)
    mechanism = DescentToDelete(1.0, 1e-4, 5)
    state = mechanism.initialise(objective_of(problem))
    state = mechanism.remove(state, *request(state.objective, 0))
    assert np.abs(mechanism.release(state)).max() < 1e-100
    assert 0.0 < state.proved.epsilon < 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1e-4, 5), "epsilon must be positive"),
        ((1.0, 1.0, 5), "delta must be strictly between"),
        ((1.0, 1e-4, 0), "steps must be an integer of at least 1"),
        ((1.0, 1e-4, 2.5), "steps must be an integer"),
        ((1.0, 1e-4, 5, "open"), "state must be"),
        ((1.0, 1e-4, 5, "secret", 0), "training_steps must be an integer"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DescentToDelete(*arguments)  # type: ignore[arg-type]
