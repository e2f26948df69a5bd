from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.privacy.gaussian import gaussian_delta
from certified.removal import TargetNotReachedError
from certified.removal.newton import initialise
from certified.removal.published.smoothed_perturbation import SmoothedPerturbation
from tests.oracle import Problem, minimise
from tests.removal.published.problems import data, rest, seeded

MECHANISM = SmoothedPerturbation(1.0, 1e-4, noise_std=1e-4, perturbation_std=2.0)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.floats(-2.0, 0.5), st.floats(-6.0, 0.0), st.booleans())
def test_the_guarantee_follows_from_the_true_distance(
    seed: int, outputs: int, log_strength: float, log_noise: float, per_sample: bool
) -> None:
    """Claim T9, given b: the exact δ at the exact distance of the two centres is at most what is claimed."""
    problem = data(n=20, outputs=outputs, strength=10.0**log_strength, seed=seed)
    mechanism = replace(MECHANISM, noise_std=10.0**log_noise)
    objective = problem.objective()
    state = mechanism.initialise(objective, seeded(seed))
    gone: list[int] = []
    for chosen in ([0], [5, 7]):
        objective, removed = problem.request(objective, chosen, per_sample)
        state, gone = mechanism.remove(state, objective, removed), gone + chosen
        kept = rest(20, gone)
        exact = Problem(
            "logistic", problem.X[kept], problem.Y[kept], np.ones(len(kept)), objective.alpha,
            linear=state.objective.linear,
        )  # fmt: skip
        distance = float(minimise(exact).distance(state.weights).upper())
        assert state.claim.distance is not None
        assert distance <= state.claim.distance <= mechanism.target
        assert gaussian_delta(mechanism.epsilon, distance, mechanism.noise_std) <= mechanism.delta


def test_the_perturbation_is_drawn_once_and_the_noise_afresh() -> None:
    problem = data()
    sampler = seeded(4)
    start = MECHANISM.initialise(problem.objective(), sampler)
    assert np.array_equal(start.objective.linear, 2.0 * np.random.default_rng(4).standard_normal((4, 1)))
    state = MECHANISM.remove(start, *problem.request(problem.objective(), [3]), sampler)
    assert np.array_equal(state.objective.linear, start.objective.linear)
    first, second = (MECHANISM.release(state, sampler) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.linalg.norm(first - state.weights) < 10.0 * MECHANISM.noise_std


def test_without_perturbation_it_is_the_default_mechanism() -> None:
    problem = data()
    plain = replace(MECHANISM, perturbation_std=0.0)
    state = plain.initialise(problem.objective(), seeded(0))
    assert not np.any(state.objective.linear)
    default, _ = initialise(problem.objective(), plain.target)
    assert np.linalg.norm(state.weights - default.weights) <= default.bound.value + state.claim.distance


def test_half_of_the_rows_leave_without_training_again() -> None:
    problem = data()
    objective = problem.objective()
    state = MECHANISM.initialise(objective, seeded(0))
    for position in range(30):
        objective, removed = problem.request(objective, [position])
        state = MECHANISM.remove(state, objective, removed)
        assert state.claim.distance <= MECHANISM.target
    assert (state.removed, state.claim.verdict) == (30, "proved")


def test_the_claim_names_what_it_rests_on() -> None:
    claim = MECHANISM.initialise(data().objective(), seeded(0)).claim
    assert (claim.epsilon, claim.delta, claim.noise_std) == (1.0, 1e-4, 1e-4)
    assert any("earlier releases" in assumption for assumption in claim.assumptions)
    assert claim.residual is not None and claim.residual > 0.0


def test_an_unreachable_guarantee_is_refused() -> None:
    with pytest.raises(TargetNotReachedError, match="noise_std"):
        replace(MECHANISM, noise_std=1e-60).initialise(data().objective(), seeded(0))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"noise_std": 0.0}, "noise_std"),
        ({"noise_std": math.nan}, "noise_std"),
        ({"noise_std": math.inf}, "noise_std"),
        ({"perturbation_std": -1.0}, "perturbation_std"),
        ({"perturbation_std": math.nan}, "perturbation_std"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 2.0}, "delta"),
    ],
)
def test_bad_parameters_are_refused_by_name(change: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        replace(MECHANISM, **change)
