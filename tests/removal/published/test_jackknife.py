from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.removal.published.jackknife import Jackknife
from certified.removal.published.sekhari import Sekhari
from tests.oracle import Problem, minimise
from tests.removal.published.problems import Data, data, rest, seeded

MECHANISM = Jackknife(noise_std=0.25)


def exact(problem: Data, gone: list[int]) -> Problem:
    kept = rest(len(problem.X), gone)
    return Problem(
        problem.loss, problem.X[kept], problem.Y[kept], np.ones(len(kept)), problem.strength * float(len(kept))
    )


@pytest.mark.parametrize("gone", [[7], [3, 11, 40]])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_removal_uses_the_hessian_of_all_rows(gone: list[int], outputs: int, loss: str) -> None:
    problem = data(outputs=outputs, loss=loss)
    objective = problem.objective()
    start = MECHANISM.initialise(objective)
    state = MECHANISM.remove(start, *problem.request(objective, gone))
    missing = problem.gradient(start.weights, gone) + problem.strength * len(gone) * start.weights
    for k in range(outputs):
        hessian = problem.hessian(start.weights, np.arange(60), k) + objective.alpha * np.eye(4)
        expected = start.weights[:, k] + np.linalg.solve(hessian, missing[:, k])
        assert np.allclose(state.weights[:, k], expected, rtol=1e-10, atol=1e-12)
    assert state.passes == 0


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


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.floats(-1.5, 0.5))
def test_the_stated_distance_holds(seed: int, outputs: int, log_strength: float) -> None:
    """Claim T7b, under per-sample scaling, up to the residual of training."""
    problem = data(n=20, outputs=outputs, strength=10.0**log_strength, seed=seed)
    gone = [0, 3, 8]
    state = MECHANISM.remove(MECHANISM.initialise(problem.objective()), *problem.request(problem.objective(), gone))
    assert state.claim.distance is not None
    assert minimise(exact(problem, gone)).distance(state.weights) <= state.claim.distance + 1e-12


def test_the_old_hessian_costs_accuracy() -> None:
    """For squared loss the Newton step is exact, the jackknife is not."""
    problem = data(loss="squared")
    state = MECHANISM.remove(MECHANISM.initialise(problem.objective()), *problem.request(problem.objective(), [0, 1]))
    assert minimise(exact(problem, [0, 1])).distance(state.weights) > 1e-4
    problem, gone = data(), [0, 1, 2, 3]
    truth = minimise(exact(problem, gone))
    distances = []
    for mechanism in (MECHANISM, Sekhari(0.5, 1e-4, capacity=5)):
        start = mechanism.initialise(problem.objective())
        moved = mechanism.remove(start, *problem.request(problem.objective(), gone))  # type: ignore[arg-type]
        distances.append(float(truth.distance(moved.weights).mid()))
    assert distances[1] < 0.2 * distances[0]


def test_no_guarantee_is_claimed() -> None:
    claim = MECHANISM.initialise(data().objective()).claim
    assert (claim.epsilon, claim.delta, claim.verdict, claim.distance) == (math.inf, 1.0, "none", 0.0)
    problem = data(loss="squared")
    moved = MECHANISM.remove(MECHANISM.initialise(problem.objective()), *problem.request(problem.objective(), [0]))
    assert moved.claim.distance is None


def test_the_release_adds_the_noise_that_was_fixed() -> None:
    state = MECHANISM.initialise(data().objective())
    noise = (MECHANISM.release(state, seeded(3)) - state.weights) / 0.25
    assert np.allclose(noise, np.random.default_rng(3).standard_normal((4, 1)))


@pytest.mark.parametrize("noise_std", [0.0, -1.0, math.inf, math.nan])
def test_bad_parameters_are_refused_by_name(noise_std: float) -> None:
    with pytest.raises(ValueError, match="noise_std"):
        Jackknife(noise_std)
