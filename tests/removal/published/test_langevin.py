from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from certified.removal.published.langevin import Langevin
from certified.removal.published.noisy_descent import NoisyState
from tests.removal.published.test_noisy_descent import example, quiet, request
from tests.strategies import objective_of

Array = npt.NDArray[np.float64]
MECHANISM = Langevin(noise_std=0.05, delta=1e-3, steps=7, training_steps=10)


def state_after(*requests: tuple[int, ...]) -> NoisyState:
    state = MECHANISM.initialise(objective_of(example()), quiet)
    for positions in requests:
        state = MECHANISM.remove(state, *request(state.objective, *positions), quiet)
    return state


def published_recursion(state: NoisyState, order: float, requests: tuple[int, ...]) -> float:
    """The publication's sequence of requests in its own convention, a mean over n rows, written down anew."""
    n, step, strong = state.n, state.step * state.n, state.objective.alpha / state.n
    variance = MECHANISM.noise_std**2 / (2.0 * step)

    def first(alpha: float, count: int) -> float:
        return 4.0 * alpha * count**2 * state.lipschitz**2 / (strong * variance * n**2)

    decay = math.exp(-MECHANISM.steps * strong * step / order)
    *earlier, last = requests
    if not earlier:
        return decay * first(order, last)
    inner = first(2.0 * order, last) + published_recursion(state, 2.0 * order, tuple(earlier))
    return decay * (order - 0.5) / (order - 1.0) * inner


@pytest.mark.parametrize("requests", [((0,),), ((0, 1),), ((0,), (1, 2)), ((0,), (1, 2), (3,), (4, 5, 6))])
@pytest.mark.parametrize("order", [1.5, 4.0, 60.0])
def test_the_published_divergence_of_a_sequence(requests: tuple[tuple[int, ...], ...], order: float) -> None:
    state = state_after(*requests)
    expected = published_recursion(state, order, state.requests)
    assert MECHANISM.divergence(state, order) == pytest.approx(expected, rel=1e-9)


def test_the_published_epsilon_is_the_best_over_orders() -> None:
    state = state_after((0,), (3,))
    tried = [
        MECHANISM.divergence(state, order) + math.log(1.0 / MECHANISM.delta) / (order - 1.0)
        for order in np.geomspace(1.01, 1e5, 400)
    ]
    assert state.claim.epsilon == pytest.approx(min(tried), rel=0.02)


def test_the_proved_divergence_is_half_the_published_one_or_less() -> None:
    """Before unlearning and for long training: claim T7m, against the publications."""
    state = state_after((0,))
    longest = MECHANISM.divergence(replace(state, requests=(1,)), 2.0) * math.exp(
        MECHANISM.steps * state.objective.alpha * state.step / 2.0
    )
    shift = state.step * state.lipschitz * 2.0  # rows are replaced
    c = state.contraction
    squared = shift**2 * (1.0 + c) / ((1.0 - c) * MECHANISM.noise_std**2)
    assert 2.0 * squared / 2.0 <= 0.5 * longest * (1.0 + 1e-9)


def test_too_long_a_sequence_claims_nothing() -> None:
    state = replace(state_after((0,)), requests=(1,) * 80)
    assert MECHANISM.divergence(state, 2.0) == math.inf
    moved = MECHANISM.remove(state, *request(state.objective, 1), quiet)
    assert moved.claim.epsilon == math.inf
    assert 0.0 < moved.proved.epsilon < math.inf
