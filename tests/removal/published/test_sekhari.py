from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.removal.published.sekhari import Sekhari
from tests.oracle import Problem, minimise
from tests.removal.published.problems import data, rest, seeded

MECHANISM = Sekhari(epsilon=0.5, delta=1e-4, capacity=5)


@pytest.mark.parametrize("gone", [[7], [3, 11, 40]])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("per_sample", [True, False])
def test_removal_is_the_published_newton_step(gone: list[int], outputs: int, per_sample: bool) -> None:
    problem = data(outputs=outputs)
    start = MECHANISM.initialise(problem.objective())
    after, removed = problem.request(problem.objective(), gone, per_sample)
    state = MECHANISM.remove(start, after, removed)
    kept = rest(60, gone)
    share = problem.strength * len(gone) * start.weights if per_sample else 0.0
    missing = problem.gradient(start.weights, gone) + share
    for k in range(outputs):
        hessian = problem.hessian(start.weights, kept, k) + after.alpha * np.eye(4)
        expected = start.weights[:, k] + np.linalg.solve(hessian, missing[:, k])
        assert np.allclose(state.weights[:, k], expected, rtol=1e-10, atol=1e-12)


def test_a_sequence_is_the_batch_of_all_its_rows() -> None:
    problem = data()
    objective = problem.objective()
    state = start = MECHANISM.initialise(objective)
    for gone in ([4], [9, 30], [31]):
        objective, removed = problem.request(objective, gone)
        state = MECHANISM.remove(state, objective, removed)
    batch = MECHANISM.remove(start, *problem.request(problem.objective(), [4, 9, 30, 31]))
    assert np.allclose(state.weights, batch.weights, rtol=0.0, atol=1e-13)
    assert (state.removed, state.claim) == (batch.removed, batch.claim)


def test_noise_and_distance_are_the_published_formulas() -> None:
    problem = data()
    state = MECHANISM.initialise(problem.objective())
    longest = float(np.max(np.linalg.norm(problem.X, axis=1)))
    constant = 2.0 * 0.25 * longest**3 * (2.0 * longest) ** 2 / (problem.strength**3 * 60.0**2)
    expected = constant * 25.0 * math.sqrt(2.0 * math.log(1.25 / 1e-4)) / 0.5
    assert state.claim.noise_std == pytest.approx(expected, rel=1e-9)
    assert state.claim.distance == 0.0
    objective = problem.objective()
    for count, gone in enumerate(([4], [9], [30]), start=1):
        objective, removed = problem.request(objective, gone)
        state = MECHANISM.remove(state, objective, removed)
        assert state.claim.distance == pytest.approx(constant * count**2, rel=1e-9)
        assert state.claim.noise_std == pytest.approx(expected, rel=1e-9)
        assert state.claim.verdict == "published"


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.floats(-1.5, 0.5))
def test_the_claimed_distance_holds(seed: int, outputs: int, log_strength: float) -> None:
    """Under its hypotheses, per-sample scaling among them, up to the residual of training (claim T7b)."""
    problem = data(n=20, outputs=outputs, strength=10.0**log_strength, seed=seed)
    state = MECHANISM.initialise(problem.objective())
    gone = [0, 3, 8]
    after, removed = problem.request(problem.objective(), gone)
    state = MECHANISM.remove(state, after, removed)
    kept = rest(20, gone)
    exact = Problem("logistic", problem.X[kept], problem.Y[kept], np.ones(len(kept)), after.alpha)
    assert state.claim.distance is not None
    assert minimise(exact).distance(state.weights) <= state.claim.distance + 1e-12


def test_beyond_the_capacity_the_model_is_trained_again() -> None:
    problem = data()
    objective, removed = problem.request(problem.objective(), [0, 1, 2])
    state = MECHANISM.remove(MECHANISM.initialise(problem.objective()), objective, removed)
    assert (state.removed, state.retrained) == (3, False)
    objective, removed = problem.request(objective, [3, 4, 5])
    state = MECHANISM.remove(state, objective, removed)
    fresh = MECHANISM.initialise(objective)
    assert (state.removed, state.retrained) == (0, True)
    assert np.array_equal(state.weights, fresh.weights)
    assert state.claim == fresh.claim


def test_the_release_adds_the_claimed_noise() -> None:
    state = MECHANISM.initialise(data().objective())
    noise = (MECHANISM.release(state, seeded(3)) - state.weights) / state.claim.noise_std
    assert np.allclose(noise, np.random.default_rng(3).standard_normal((4, 1)))


def test_a_capacity_of_all_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=60 must be below the number of rows"):
        Sekhari(0.5, 1e-4, capacity=60).initialise(data().objective())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((1.0, 1e-4, 5), "epsilon must be below 1"),
        ((0.0, 1e-4, 5), "epsilon"),
        ((0.5, 0.0, 5), "delta"),
        ((0.5, 1.5, 5), "delta"),
        ((0.5, 1e-4, 0), "capacity"),
        ((0.5, 1e-4, 2.5), "capacity"),
        ((0.5, 1e-4, True), "capacity"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments: tuple[float, float, int], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Sekhari(*arguments)
