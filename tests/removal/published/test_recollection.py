from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from certified.objective import Objective
from certified.removal.published.recollection import Recollection
from certified.solvers import solve
from certified.solvers.factor import factorise
from tests.removal.published.test_noisy_descent import example, quiet, request
from tests.strategies import objective_of

Array = npt.NDArray[np.float64]


def reweighted(objective: Objective, position: int, factor: float) -> Objective:
    """The same problem with the weight of one row multiplied."""
    problem = example(outputs=objective.shape[1])
    problem.weights[position] *= factor
    return objective_of(problem)


@pytest.mark.parametrize("batches", [1, 3, 5])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_a_vector_is_the_derivative_of_training_in_its_row(batches: int, outputs: int, epochs: int) -> None:
    """Far from convergence too: central differences of the whole training run."""
    objective = objective_of(example(outputs=outputs))
    mechanism = Recollection(0.1, epochs=epochs, batches=batches, step_size=0.05)
    state = mechanism.initialise(objective)
    for position in (0, 4, 11):
        h = 1e-4
        less, more = (
            mechanism.initialise(reweighted(objective, position, 1.0 + sign * h)).weights for sign in (-1.0, 1.0)
        )
        assert np.allclose(state.vectors[position], (less - more) / (2.0 * h), rtol=1e-5, atol=1e-9)


def test_the_penalty_vector_is_the_derivative_of_training_in_alpha() -> None:
    objective = objective_of(example(outputs=2))
    mechanism = Recollection(0.1, epochs=5, batches=2, step_size=0.05)
    state = mechanism.initialise(objective)
    less, more = (mechanism.initialise(replace(objective, alpha=objective.alpha + h)).weights for h in (-1e-4, 1e-4))
    assert np.allclose(state.penalty_vector, (less - more) / 2e-4, rtol=1e-6, atol=1e-9)


def test_converged_full_batches_give_the_infinitesimal_jackknife() -> None:
    """a_i → H⁻¹∇ℓ_i(W*)."""
    objective = objective_of(example())
    state = Recollection(0.1, epochs=400).initialise(objective)
    weights = solve(objective).weights
    assert np.allclose(state.weights, weights, atol=1e-10)
    factor = factorise(objective.data_hessian(objective.curvature(weights)), objective.penalty)
    for position in range(12):
        row = replace(objective, rows=objective.rows.take(np.array([position])), alpha=0.0)
        assert np.allclose(state.vectors[position], factor.solve(row.value_and_gradient(weights)[1]), atol=1e-9)


@pytest.mark.parametrize("batches", [1, 3])
def test_what_is_left_is_of_second_order(batches: int) -> None:
    """Half the weight removed leaves a quarter of the error against training again."""
    objective = objective_of(example())
    mechanism = Recollection(0.1, epochs=60, batches=batches, step_size=0.05)
    state = mechanism.initialise(objective)
    errors = []
    for share in (0.4, 0.2, 0.1):
        retrained = mechanism.initialise(reweighted(objective, 3, 1.0 - share)).weights
        errors.append(float(np.linalg.norm(state.weights + share * state.vectors[3] - retrained)))
    for larger, smaller in pairwise(errors):
        assert 3.5 < larger / smaller < 4.6


def test_deletion_adds_vectors_in_any_order_without_a_pass() -> None:
    objective = objective_of(example(outputs=2))
    mechanism = Recollection(0.1, epochs=30, batches=2)
    start = mechanism.initialise(objective)
    batch = mechanism.remove(start, *request(objective, 2, 7, 9, alpha=1.5))
    sequence = start
    for position, alpha in ((9, 1.9), (2, 1.7), (7, 1.5)):
        sequence = mechanism.remove(sequence, *request(sequence.objective, position, alpha=alpha))
    assert np.allclose(batch.weights, sequence.weights, rtol=1e-12)
    moved = start.vectors[[2, 7, 9]].sum(axis=0) + 0.5 * start.penalty_vector
    assert np.allclose(batch.weights - start.weights, moved, rtol=1e-9)
    assert batch.passes == 0 and batch.removed == sequence.removed == 3


def test_a_release_adds_the_noise_asked_for() -> None:
    mechanism = Recollection(0.25, epochs=2)
    state = mechanism.initialise(objective_of(example()), quiet)
    assert np.array_equal(mechanism.release(state, lambda center, noise_std: center + noise_std), state.weights + 0.25)
    assert (state.claim.epsilon, state.claim.delta, state.claim.verdict) == (math.inf, 1.0, "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_std": 0.0}, "noise_std must be positive"),
        ({"epochs": 0}, "epochs must be an integer"),
        ({"batches": 0}, "batches must be an integer"),
        ({"step_size": math.inf}, "step_size must be finite"),
    ],
)
def test_bad_parameters_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recollection(**{"noise_std": 0.1, "epochs": 3, **options})  # type: ignore[arg-type]


def test_a_step_beyond_the_curvature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"step_size=2\.0 must be at most 1/L"):
        Recollection(0.1, epochs=3, step_size=2.0).initialise(objective_of(example()))
