from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.removal.published.descent import descend, fixed_batches, gradient_limits, smoothness, weight_taken
from tests.oracle import Problem
from tests.strategies import objective_of, problems

Array = npt.NDArray[np.float64]

PLAIN = {"scaled": False, "strengths": st.floats(0.1, 10.0), "intercepts": [False], "shapes": ((2, 2),)}


@settings(max_examples=50)
@given(problems(**PLAIN))
def test_smoothness_bounds_every_hessian(problem: Problem) -> None:
    """Claim T7n: L ≥ λ_max(∇²F(W)), and not far above where φ'' attains its supremum."""
    objective = objective_of(replace(problem, linear=None))
    bound = smoothness(objective)
    for seed in range(2):
        weights = seed * np.random.default_rng(seed).normal(size=objective.shape)
        largest = max(
            float(np.linalg.eigvalsh(part)[-1]) for part in objective.data_hessian(objective.curvature(weights))
        )
        assert largest + problem.alpha <= bound * (1.0 + 1e-12)
        if seed == 0:
            assert bound <= (largest + problem.alpha) * 1.001 + 1e-9


@settings(max_examples=25)
@given(problems(**PLAIN), st.floats(0.0, 5.0), st.integers(0, 20))
def test_gradient_limits(problem: Problem, radius: float, seed: int) -> None:
    """Claim T7n, item 4: no gradient of a row is larger anywhere on the ball."""
    problem = replace(problem, linear=None, weights=np.linspace(0.5, 2.0, len(problem.features)))
    objective = objective_of(problem)
    limits = gradient_limits(objective.loss, objective.rows, radius)
    direction = np.random.default_rng(seed).normal(size=objective.shape)
    weights = radius * direction / np.linalg.norm(direction)
    for index in range(len(problem.features)):
        row = replace(objective, rows=objective.rows.take(np.array([index])), alpha=0.0)
        assert np.linalg.norm(row.value_and_gradient(weights)[1]) <= limits[index] * (1.0 + 1e-12) + 1e-300
    assert not limits[len(problem.features) :].any()


def test_gradient_limits_of_the_whole_space() -> None:
    features, targets = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, -1.0], [1.0, 1.0]])
    objective = objective_of(Problem("logistic", features, targets, np.array([2.0, 1.0]), 1.0))
    limits = gradient_limits(objective.loss, objective.rows, math.inf)
    assert limits[0] == pytest.approx(2.0 * 5.0 * math.sqrt(2.0))
    assert limits[1] < 1e-100 and not limits[2:].any()
    squared = objective_of(Problem("squared", features, targets, np.ones(2), 1.0))
    with pytest.raises(ValueError, match="no bounded derivative on all of space; pass a finite radius"):
        gradient_limits(squared.loss, squared.rows, math.inf)


def test_weight_taken() -> None:
    problem = Problem("logistic", np.ones((4, 1)), np.ones((4, 1)), np.array([1.0, 2.0, 4.0, 0.0]), 1.0)
    before = objective_of(problem).rows
    after = objective_of(replace(problem, weights=np.array([1.0, 0.0, 3.0, 0.0]))).rows
    assert weight_taken(before, after)[:4].tolist() == [0.0, 1.0, 0.25, 0.0]
    with pytest.raises(ValueError, match="objective must keep the slots"):
        weight_taken(before, before.take(np.arange(2)).enlarged(20))
    with pytest.raises(ValueError, match="objective must give no row more weight than before"):
        weight_taken(after, before)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_mean_over_fixed_batches_is_the_objective(count: int) -> None:
    rng = np.random.default_rng(0)
    problem = Problem(
        "logistic", rng.normal(size=(7, 3)), np.sign(rng.normal(size=(7, 2))), np.linspace(1.0, 2.0, 7), 1.5
    )
    objective, weights = objective_of(problem), rng.normal(size=(3, 2))
    parts = [batch.value_and_gradient(weights) for batch in fixed_batches(objective, count)]
    value, gradient, _ = objective.value_and_gradient(weights)
    assert np.mean([part[0] for part in parts]) == pytest.approx(value)
    assert np.allclose(np.mean([part[1] for part in parts], axis=0), gradient)


@settings(max_examples=25)
@given(problems(**{**PLAIN, "intercepts": [False, True]}), st.integers(0, 4))
def test_descend_is_gradient_descent(problem: Problem, steps: int) -> None:
    objective = objective_of(problem)
    start = np.random.default_rng(0).normal(size=objective.shape)
    weights = start
    for _ in range(steps):
        weights = weights - 0.01 * objective.value_and_gradient(weights)[1]
    assert np.allclose(descend(objective, start, steps, 0.01), weights, rtol=1e-9, atol=1e-9)
