"""The audit in several dimensions: equal to the exact model along one, silent on null data, loud on violations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from certified.audit.objective_perturbation import PublishedClaim, ScalarDeletion, divergences, supremum
from certified.audit.perturbation_sampling import (
    PerturbationSample,
    VectorDeletion,
    delta_lower_bound,
    measure,
    sample,
)
from certified.privacy.gaussian import hockey_stick
from tests.audit.gap_cases import RARE, TIGHT, WIDE


def as_vector(problem: ScalarDeletion, dimension: int = 1) -> VectorDeletion:
    """The problem along a diagonal direction of a larger space, in which nothing else happens."""
    along = np.full(dimension, dimension**-0.5)
    kept = np.array(problem.kept)[:, None] * along
    return VectorDeletion(kept, problem.deleted * along, problem.l2_strength, problem.counts, problem.noise_std)


@pytest.mark.parametrize("problem", [TIGHT, WIDE, RARE])
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_agrees_with_one_dimension(problem: ScalarDeletion, dimension: int) -> None:
    """Along the direction of the rows everything is the problem with one weight, log-determinant included."""
    t = problem.grid(4.0, 101)
    noise = problem.training_noise(t)
    found = measure(as_vector(problem, dimension), noise[:, None] * np.full(dimension, dimension**-0.5))
    beta = problem.effective_noise(t)
    loss = 0.5 * (beta**2 - noise**2) / problem.noise_std**2 - np.log(np.abs(problem.slope(t)))
    # Across, the objective is quadratic: the Newton step is exact, u = 0 and the determinant has the factor 1.
    assert np.allclose(found.log_ratio, loss, rtol=1e-6, atol=1e-8)
    assert np.allclose(found.residual, np.abs(problem.residual(t)), rtol=1e-6, atol=1e-9)
    assert np.allclose(found.corollary_bound, problem.corollary_bound(t), rtol=1e-6)


def test_log_determinant_by_differences() -> None:
    """dβ/db numerically, in three dimensions, with general rows."""
    rng = np.random.default_rng(0)
    problem = VectorDeletion(rng.normal(size=(4, 3)), rng.normal(size=3), 0.05, (5, 4), 2.0)
    b, h = rng.normal(size=3), 1e-4

    def loss_without_density(noise: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return measure(problem, noise).log_ratio

    def effective(noise: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """β from the definition: minimise by many small steps, step by Newton, read off the gradient."""
        full = np.vstack([problem.kept, problem.deleted])
        t = np.zeros(3)

        def gradient(rows: np.ndarray, alpha: float, w: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return alpha * w - rows.T @ (1.0 / (1.0 + np.exp(rows @ w)))

        def hessian(rows: np.ndarray, alpha: float, w: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            p = 1.0 / (1.0 + np.exp(rows @ w))
            return alpha * np.eye(3) + rows.T @ (rows * (p * (1.0 - p))[:, None])

        for _ in range(20_000):
            t = t - 0.1 * (gradient(full, 0.25, t) + noise)
        delta = gradient(full, 0.25, t) - gradient(problem.kept, 0.2, t)
        return -gradient(problem.kept, 0.2, t + np.linalg.solve(hessian(problem.kept, 0.2, t), delta))

    jacobian = np.column_stack([(effective(b + h * e) - effective(b - h * e)) / (2 * h) for e in np.eye(3)])
    expected = (effective(b) @ effective(b) - b @ b) / (2 * 2.0**2) - math.log(abs(np.linalg.det(jacobian)))
    assert math.isclose(loss_without_density(b[None])[0], expected, rel_tol=1e-5)


@pytest.mark.parametrize("problem", [TIGHT, WIDE])
def test_convicts_the_counterexamples(problem: ScalarDeletion) -> None:
    rng = np.random.default_rng(1)
    claim = PublishedClaim.of(supremum(problem), problem.noise_std, 1e-4)
    found = delta_lower_bound(sample(as_vector(problem, 3), 5000, rng).log_ratio, claim.epsilon, rng)
    assert 100 * claim.delta < found
    true = divergences(problem, claim.epsilon).forward
    assert 0.7 * true < found < true


def test_null_data_are_not_convicted() -> None:
    """A Gaussian moved by a constant: the bound may exceed the true δ once in a thousand runs; twelve in 2000: 1e-5."""
    rng = np.random.default_rng()
    mu, epsilon = 0.8, 0.3
    true = hockey_stick(epsilon, mu)
    found = [delta_lower_bound(mu * rng.normal(size=500) + mu**2 / 2, epsilon, rng) for _ in range(2000)]
    assert sum(bound > true for bound in found) < 12
    assert np.median(found) > 0.4 * true


def test_no_row_no_difference() -> None:
    """Deleting a row of zeros under total scaling changes nothing at all."""
    rng = np.random.default_rng(2)
    problem = VectorDeletion(rng.normal(size=(5, 4)), np.zeros(4), 0.1, (1, 1), 3.0)
    found = sample(problem, 2000, rng)
    assert np.max(np.abs(found.log_ratio)) < 1e-8 and np.max(found.residual) < 1e-9
    assert delta_lower_bound(found.log_ratio, 1e-6, rng) == 0.0


@pytest.mark.parametrize("draws", [100, 5000])
def test_unseen_draws_are_bounded(draws: int) -> None:
    """Were worse draws likelier than that, all of these would have missed them with probability below 0.1 %."""
    zeros = np.zeros(draws)
    assert math.isclose((1.0 - PerturbationSample(zeros, zeros, zeros).unseen) ** draws, 1e-3, rel_tol=1e-9)
