"""A regularised model by DP-SGD: its goal is met by the bound itself, and it comes near the minimiser."""

from __future__ import annotations

import numpy as np
import pytest

from certified.data.rows import Rows
from certified.dp import RowLimits, private_sgd
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy.noise import idealized_gaussian
from certified.solvers import solve

rng = np.random.default_rng(0)
X = rng.normal(size=(400, 3))
X /= np.linalg.norm(X, axis=1, keepdims=True)
T = np.sign(X @ np.array([[2.0], [-1.0], [0.5]]))


def objective(weights: np.ndarray | None = None) -> Objective:
    return Objective(LOGISTIC, Rows.from_arrays(X, T, np.ones(400) if weights is None else weights), 4.0)


def test_meets_its_goal_near_the_minimiser() -> None:
    release = private_sgd(objective(), RowLimits(1.0), 8.0, 1e-5, group_size=2)
    guarantee = release.guarantee
    assert guarantee.delta(8.0) <= 1e-5 and guarantee.group_size == 2
    assert guarantee.noise == "rounded_gaussian" and {"T13", "T20"} <= set(guarantee.claims)
    assert any("number of rows was public" in assumption for assumption in guarantee.assumptions)
    best = solve(objective(), np.zeros((3, 1))).weights
    assert np.linalg.norm(release.weights - best) < 0.5 * np.linalg.norm(best)


@pytest.mark.slow
def test_seeded_noise_repeats() -> None:
    def run(seed: int) -> np.ndarray:
        draws = iter(range(seed, seed + 9))
        return private_sgd(
            objective(),
            RowLimits(1.0),
            2.0,
            1e-5,
            sampler=lambda center, std: idealized_gaussian(center, std, next(draws)),
            noise="idealized_gaussian",
        ).weights

    assert np.array_equal(run(3), run(3))


def test_rows_that_the_constants_do_not_cover_are_refused() -> None:
    with pytest.raises(ValueError, match="weights other than 1"):
        private_sgd(objective(np.full(400, 0.5)), RowLimits(1.0), 2.0, 1e-5)
    with pytest.raises(ValueError, match="norm"):
        private_sgd(objective(), RowLimits(0.5), 2.0, 1e-5)
