from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.removal.published.deltagrad import DeltaGrad, quasi_newton_product
from certified.solvers import solve
from tests.removal.published.test_noisy_descent import example, quiet, request
from tests.strategies import objective_of

Array = npt.NDArray[np.float64]


def test_removing_nothing_returns_the_path_to_the_last_bit() -> None:
    mechanism = DeltaGrad(training_steps=40)
    state = mechanism.initialise(objective_of(example(outputs=2)), quiet)
    again = mechanism.remove(state, *request(state.objective), quiet)
    for before, after in ((state.path, again.path), (state.gradients, again.gradients), (state.weights, again.weights)):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_every_gradient_computed_is_training_again(loss: str) -> None:
    mechanism = DeltaGrad(training_steps=25, period=1, step_size=0.05)
    state = mechanism.initialise(objective_of(example(loss=loss)))
    moved = mechanism.remove(state, *request(state.objective, 2, 5, alpha=1.5))
    retrained = mechanism.initialise(moved.objective)
    assert np.allclose(moved.path, retrained.path, rtol=1e-12, atol=1e-15)
    assert np.array_equal(moved.weights, retrained.weights)
    assert moved.passes == 25


def test_one_curvature_is_learnt_from_one_pair() -> None:
    """Squared loss with one feature: B is the Hessian, so the approximated run equals training again."""
    problem = example(loss="squared")
    problem = replace(problem, features=problem.features[:, :1])
    mechanism = DeltaGrad(training_steps=60, burn_in=2, period=50, step_size=0.02)
    state = mechanism.initialise(objective_of(problem))
    moved = mechanism.remove(state, *request(state.objective, 1, 4))
    assert moved.passes == 4
    assert np.allclose(moved.path, mechanism.initialise(moved.objective).path, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [15, 40])
def test_it_follows_the_retrained_path_far_more_closely_than_the_old_one(steps: int) -> None:
    mechanism = DeltaGrad(training_steps=steps, burn_in=5, period=5, step_size=0.05)
    state = mechanism.initialise(objective_of(example(n=40, alpha=1.0)))
    for position in (3, 17, 30):
        old = state
        state = mechanism.remove(state, *request(state.objective, position))
        retrained = mechanism.initialise(state.objective)
        moved = np.linalg.norm(retrained.weights - old.weights)
        assert np.linalg.norm(state.weights - retrained.weights) < 0.1 * moved
    assert state.removed == 3 and state.passes < steps


def test_a_long_run_reaches_the_minimiser() -> None:
    mechanism = DeltaGrad(training_steps=200)
    state = mechanism.initialise(objective_of(example(outputs=2)))
    state = mechanism.remove(state, *request(state.objective, 0, 8))
    assert np.allclose(state.weights, solve(state.objective).weights, atol=1e-8)


@given(st.integers(1, 3), st.integers(0, 1000))
def test_the_quasi_newton_matrix(count: int, seed: int) -> None:
    """Symmetric, positive definite, exact on the last pair, and what the BFGS recursion gives."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    hessian = root @ root.T + np.eye(4)
    steps = rng.normal(size=(count, 4))
    pairs = deque((s, hessian @ s) for s in steps)
    matrix = np.array([quasi_newton_product(pairs, basis) for basis in np.eye(4)]).T
    s, y = pairs[-1]
    recursive = float(s @ y) / float(s @ s) * np.eye(4)
    for s, y in pairs:
        bent = recursive @ s
        recursive = recursive - np.outer(bent, bent) / (s @ bent) + np.outer(y, y) / (s @ y)
    assert np.allclose(matrix, recursive, rtol=1e-6, atol=1e-6)
    assert np.allclose(matrix @ pairs[-1][0], pairs[-1][1], rtol=1e-6, atol=1e-6)
    assert np.linalg.eigvalsh(0.5 * (matrix + matrix.T)).min() > 0.0


def test_it_claims_nothing() -> None:
    mechanism = DeltaGrad(training_steps=3)
    state = mechanism.initialise(objective_of(example()))
    assert (state.claim.epsilon, state.claim.delta, state.claim.noise_std, state.claim.verdict) == (
        math.inf,
        1,
        0,
        "none",
    )
    assert np.array_equal(mechanism.release(state), state.weights)


@pytest.mark.parametrize("key", ["training_steps", "burn_in", "period", "history"])
def test_bad_parameters_are_refused_by_name(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key} must be an integer of at least 1"):
        DeltaGrad(**{"training_steps": 5, key: 0})
    with pytest.raises(ValueError, match="step_size must be positive"):
        DeltaGrad(5, step_size=0.0)
