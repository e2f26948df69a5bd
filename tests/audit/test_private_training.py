"""Attacks on differentially private training, on the worst data the theorems know: no lower bound above a claim.

And each attack convicts the same training with less noise than its guarantee is for, so that silence means something.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import optax
import pytest

from certified.audit import OneRunAudit, audit_one_run, epsilon_lower_bound, mu_lower_bound
from certified.data.rows import Rows
from certified.dp import DPRelease, RowLimits, objective_perturbation, output_perturbation
from certified.dp.linear import LinearGradient
from certified.dp.minimiser import Sampler
from certified.dp.sgd import SGDPlan, dp_sgd
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_mu
from certified.privacy.noise import release_gaussian

Array = npt.NDArray[np.float64]
EPSILON, DELTA = 1.0, 1e-2


def worlds() -> tuple[Objective, Objective]:
    """One feature: many short rows hold the weight near −6, where the slope of the row that one world lacks is 1."""
    kept = np.full((300, 1), -0.04)
    with_row = np.vstack([kept, [[1.0]]])
    return tuple(
        Objective(LOGISTIC, Rows.from_arrays(x, np.ones((len(x), 1)), np.ones(len(x))), 1.0) for x in (with_row, kept)
    )


def seeded(rng: np.random.Generator, share: float = 1.0) -> Sampler:
    """Noise with ``share`` of the standard deviation that was asked for."""
    return lambda center, noise_std: center + share * noise_std * rng.standard_normal(center.shape)


@pytest.mark.parametrize(("share", "convicted"), [(1.0, False), (0.2, True)])
def test_output_perturbation(share: float, convicted: bool) -> None:
    """The mechanism's own centres and σ; the noise of all runs in one call of the exact sampler."""
    scores, claims = [], []
    for objective in worlds():
        drawn: list[float] = []

        def runs(center: Array, noise_std: float, drawn: list[float] = drawn) -> Array:
            drawn.append(noise_std)
            return release_gaussian(np.full((20_000, 1), center.item()), share * noise_std)

        release = output_perturbation(objective, RowLimits(1.0), EPSILON, DELTA, sampler=runs)
        scores.append(release.weights.ravel())
        claims.append(drawn[0])
    assert claims[0] == claims[1]
    assert mu_lower_bound(*scores) > 0.5 * gaussian_mu(EPSILON, DELTA)
    assert (epsilon_lower_bound(*scores, DELTA) > EPSILON) is convicted


def perturbed(share: float, runs: int) -> tuple[Array, Array]:
    rng = np.random.default_rng()
    problems = worlds()
    return tuple(
        np.array([_objective_run(problem, seeded(rng, share)).weights.item() for _ in range(runs)])
        for problem in problems
    )


def _objective_run(problem: Objective, sampler: Sampler) -> DPRelease:
    return objective_perturbation(problem, RowLimits(1.0), EPSILON, DELTA, sampler=sampler)


@pytest.mark.parametrize(("share", "convicted"), [(1.0, False), (0.01, True)])
def test_objective_perturbation(share: float, convicted: bool) -> None:
    assert (epsilon_lower_bound(*perturbed(share, 48), DELTA, confidence=0.99) > EPSILON) is convicted


@pytest.mark.slow
def test_objective_perturbation_over_many_runs() -> None:
    found = epsilon_lower_bound(*perturbed(1.0, 3000), DELTA)
    assert 0.1 < found <= EPSILON


CANARIES = 400
GRADIENT, DESCENT = LinearGradient(LOGISTIC), optax.sgd(0.01)
PLAN = SGDPlan(clip_norm=1.0, noise_multiplier=4.0, expected_batch=100.0, public_rows=CANARIES, steps=20)


def one_run(plan: SGDPlan, guesses: int, seed: int) -> OneRunAudit:
    """Canaries along axes of their own, half of them trained on; a canary's weight tells whether it was."""
    included = np.random.default_rng(seed).random(CANARIES) < 0.5
    data = 10.0 * np.eye(CANARIES)[included], np.ones((int(included.sum()), 1))
    trained = dp_sgd(GRADIENT, np.zeros((CANARIES, 1)), data, plan, optimizer=DESCENT, delta=1e-5)
    return audit_one_run(np.asarray(trained.params)[:, 0], included, guesses=guesses, delta=1e-5)


def test_dp_sgd_in_one_run() -> None:
    claimed = PLAN.curve().epsilon(1e-5, 1)
    assert one_run(PLAN, 100, seed=1).epsilon <= claimed
    loud = one_run(replace(PLAN, noise_multiplier=0.5), 100, seed=2)
    assert claimed < loud.epsilon


def test_dp_sgd_in_many_runs() -> None:
    """Full batches make every step a Gaussian mechanism: μ = √T/z, and the sum of all released gradients attains it."""
    plan = SGDPlan(clip_norm=1.0, noise_multiplier=4.0, expected_batch=1.0, public_rows=1, steps=4)
    scores = []
    for rows in (np.ones((1, 1)), np.zeros((0, 1))):
        trained = [
            dp_sgd(
                GRADIENT, np.zeros((1, 1)), (3.0 * rows, np.ones((len(rows), 1))), plan,
                optimizer=DESCENT, delta=1e-2,
            ).params.item()
            for _ in range(60)
        ]  # fmt: skip
        scores.append(np.array(trained))
    claimed = plan.curve().epsilon(1e-2, 1)
    assert epsilon_lower_bound(*scores, 1e-2, confidence=0.99) <= claimed
    assert mu_lower_bound(*scores, confidence=0.99) <= 2.0 / 4.0
