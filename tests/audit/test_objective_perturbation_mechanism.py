"""The counterexamples are the library's faithful copy of the published mechanism, not only a model of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from certified.audit.certified_gap import Direction, event_delta, refute, separating_intervals
from certified.audit.objective_perturbation import ScalarDeletion
from certified.audit.perturbation_sampling import VectorDeletion, measure
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.removal.published.objective_perturbation import ObjectivePerturbation, PerturbedState
from tests.audit.gap_cases import PAIR, TIGHT

Array = npt.NDArray[np.float64]


def objective_of(problem: VectorDeletion) -> Objective:
    """All rows, the one to delete first, those of zeros last; every row has the label 1."""
    n = problem.counts[0]
    features = np.zeros((n, problem.deleted.shape[0]))
    features[0], features[1 : len(problem.kept) + 1] = problem.deleted, problem.kept
    rows = Rows.from_arrays(features, np.ones((n, 1)), np.ones(n), n)
    return Objective(LOGISTIC, rows, problem.l2_strength * n, False, None)


def removed(
    problem: VectorDeletion, mechanism: ObjectivePerturbation, noise: Array
) -> tuple[PerturbedState, PerturbedState]:
    """Train with a given b and delete the first row."""
    objective = objective_of(problem)
    trained = mechanism.initialise(objective, sampler=lambda centre, std: centre + noise[:, None])
    remaining = replace(
        objective, rows=objective.rows.without(np.array([0])), alpha=problem.l2_strength * problem.counts[1]
    )
    return trained, mechanism.remove(trained, remaining, objective.rows.take(np.array([0])))


def as_vector(problem: ScalarDeletion) -> VectorDeletion:
    kept = np.array(problem.kept)[:, None]
    return VectorDeletion(kept, np.array([problem.deleted]), problem.l2_strength, problem.counts, problem.noise_std)


def spectral_slack(problem: VectorDeletion) -> float:
    """The mechanism keeps ‖X‖₂ of training, where corollary 1 has that of the remaining rows."""
    full = np.vstack([problem.kept, problem.deleted])
    return float(np.linalg.norm(full, 2) / np.linalg.norm(problem.kept, 2))


@pytest.mark.parametrize("problem", [TIGHT, PAIR])
def test_model_is_the_mechanism(problem: ScalarDeletion) -> None:
    generous = ObjectivePerturbation(epsilon=1e12, delta=0.5, noise_std=problem.noise_std)
    t = problem.grid(3.0, 7)[1:-1]
    b = problem.training_noise(t)
    for i in range(len(t)):
        trained, after = removed(as_vector(problem), generous, b[[i]])
        assert not after.retrained
        assert math.isclose(trained.weights.item(), t[i], rel_tol=1e-8, abs_tol=1e-10)
        assert math.isclose(after.weights.item(), (t + problem.newton_step(t))[i], rel_tol=1e-7, abs_tol=1e-9)
        charged = spectral_slack(as_vector(problem)) * problem.corollary_bound(t)[i]
        assert charged * (1 - 1e-7) <= after.residual <= charged * 1.001 + 1e-6


def test_sampled_model_is_the_mechanism() -> None:
    rng = np.random.default_rng(3)
    kept = rng.normal(size=(6, 3))
    kept /= np.maximum(1.0, np.linalg.norm(kept, axis=1))[:, None]
    problem = VectorDeletion(kept, np.array([0.6, 0.0, -0.8]), 0.05, (7, 6), 1.5)
    generous = ObjectivePerturbation(epsilon=1e12, delta=0.5, noise_std=1.5)
    noise = 1.5 * rng.normal(size=(5, 3))
    found = measure(problem, noise)
    for i in range(5):
        _, after = removed(problem, generous, noise[i])
        _, gradient, _ = after.objective.value_and_gradient(after.weights)
        assert math.isclose(np.linalg.norm(gradient), found.residual[i], rel_tol=1e-5)
        charged = spectral_slack(problem) * found.corollary_bound[i]
        assert charged * (1 - 1e-7) <= after.residual <= charged * 1.001 + 1e-6


def test_mechanism_accepts_what_is_false() -> None:
    """Its account is never overdrawn where |b| ≤ 7σ, so that it releases the Newton step, as attacked; δ is 1e-8."""
    problem = ScalarDeletion.per_sample((1.0,), -1.0, 3e-5, 700.0, rows=10**4)
    epsilon = spectral_slack(as_vector(problem)) * refute(problem, 1e-8, "corollary").epsilon * (1 + 1e-6)
    mechanism = ObjectivePerturbation(epsilon=epsilon, delta=1e-8, noise_std=problem.noise_std)
    for t in problem.grid(7.0, 2001)[[1, 700, 980, 1000, 1020, 1300, -2]]:
        noise = problem.training_noise(np.array([t]))
        assert not removed(as_vector(problem), mechanism, noise)[1].retrained
    direction: Direction = "forward"
    intervals = separating_intervals(problem, epsilon, direction)
    assert event_delta(problem, epsilon, intervals, direction) > 1000 * 1e-8
