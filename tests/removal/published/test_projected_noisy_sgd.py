from __future__ import annotations

import math

import numpy as np
import pytest

from certified.removal.published.noisy_descent import NoisyState
from certified.removal.published.projected_noisy_sgd import ProjectedNoisySGD
from tests.removal.published.test_noisy_descent import example, quiet, request
from tests.strategies import objective_of


def state_after(mechanism: ProjectedNoisySGD, *requests: tuple[int, ...]) -> NoisyState:
    state = mechanism.initialise(objective_of(example()), quiet)
    for positions in requests:
        state = mechanism.remove(state, *request(state.objective, *positions), quiet)
    return state


@pytest.mark.parametrize("batches", [1, 2, 4])
@pytest.mark.parametrize("requests", [((0,),), ((0, 1),), ((0,), (1, 2), (3,))])
@pytest.mark.parametrize("order", [1.5, 40.0])
def test_the_published_divergence(batches: int, requests: tuple[tuple[int, ...], ...], order: float) -> None:
    """In the publication's own convention, a mean over batches of b = n/J rows, written down anew."""
    mechanism = ProjectedNoisySGD(noise_std=0.05, delta=1e-3, steps=2, training_steps=6, batches=batches)
    state = state_after(mechanism, *requests)
    n = state.n
    size, step, strong = n / batches, state.step * n, state.objective.alpha / n
    c, variance = 1.0 - step * strong, mechanism.noise_std**2 / (2.0 * step)
    distance = 0.0
    for count in state.requests:
        one = 2.0 * step * state.lipschitz * count / (size * (1.0 - c**batches))
        distance = distance * c ** (mechanism.steps * batches) + one
    expected = (
        order * distance**2 / (2.0 * step * variance) * (c**2 - 1.0) / (1.0 - c ** (-2.0 * mechanism.steps * batches))
    )
    assert mechanism.divergence(state, order) == pytest.approx(expected, rel=1e-9)


def test_a_row_moves_only_the_steps_of_its_batch() -> None:
    mechanism = ProjectedNoisySGD(noise_std=0.05, delta=1e-3, steps=2, training_steps=3, batches=4)
    state = state_after(mechanism, (6,))
    moved = np.flatnonzero(state.shifts)
    assert moved.tolist() == [2, 6, 10]
    assert np.allclose(state.shifts[moved], 4.0 * state.step * np.linalg.norm(example().features[6]))


def test_the_order_of_batches_matters_to_what_is_proved() -> None:
    """The last batch of a pass leaves the noise fewer steps to absorb its rows."""
    mechanism = ProjectedNoisySGD(noise_std=0.05, delta=1e-3, steps=1, training_steps=4, batches=3)
    problem = example()
    problem.features[3:6] = problem.features[0]
    problem.targets[3:6] = problem.targets[0]
    objective = objective_of(problem)
    start = mechanism.initialise(objective, quiet)
    epsilons = [mechanism.remove(start, *request(objective, row), quiet).proved.epsilon for row in (3, 4, 5)]
    assert 0.0 < epsilons[0] < epsilons[1] < epsilons[2] < math.inf


@pytest.mark.parametrize("batches", [0, 1.5, True])
def test_bad_batches_are_refused_by_name(batches: int) -> None:
    with pytest.raises(ValueError, match="batches must be an integer of at least 1"):
        ProjectedNoisySGD(noise_std=0.05, delta=1e-3, steps=2, training_steps=6, batches=batches)


def test_more_batches_than_rows_are_allowed() -> None:
    mechanism = ProjectedNoisySGD(noise_std=0.05, delta=1e-3, steps=1, training_steps=1, batches=20)
    state = state_after(mechanism, (0,))
    assert np.isfinite(state.weights).all() and state.proved.epsilon < math.inf
