"""A regularised model by DP-SGD: its goal is met by the bound itself, and it comes near the minimiser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from certified.data.rows import Rows
from certified.dp import DPRelease, RowLimits, private_sgd
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


def seeded(seed: int) -> Callable[[np.ndarray, float], np.ndarray]:
    draws = iter(range(seed, seed + 9))
    return lambda center, std: idealized_gaussian(center, std, next(draws))


def without_content(count: int, public_rows: int | None) -> DPRelease:
    """A training on rows that contribute nothing: what comes out is all that it does besides."""
    rows = Rows.from_arrays(np.zeros((count, 3)), np.ones((count, 1)), np.ones(count))
    nothing = Objective(LOGISTIC, rows, 4.0)
    return private_sgd(nothing, RowLimits(1.0), 8.0, 1e-5, group_size=2, public_rows=public_rows, sampler=seeded(3))


def test_the_number_of_rows_enters_nowhere_but_by_what_they_contribute() -> None:
    """By the same bytes, rows of zeros give the same bits, however many there are below the public limit."""
    few, full = without_content(40, public_rows=300), without_content(300, public_rows=None)
    assert np.array_equal(few.weights, full.weights) and np.all(few.weights != 0.0)
    assert few.guarantee.curve == full.guarantee.curve
    public = [any("number of rows was public" in text for text in one.guarantee.assumptions) for one in (few, full)]
    assert public == [False, True]


@pytest.mark.slow
def test_without_a_public_limit_the_number_of_rows_matters() -> None:
    assert not np.array_equal(without_content(40, None).weights, without_content(300, None).weights)
    assert not np.array_equal(without_content(40, 300).weights, without_content(40, 301).weights)


@pytest.mark.slow
def test_a_generous_limit_has_the_same_minimiser() -> None:
    release = private_sgd(objective(), RowLimits(1.0), 60.0, 1e-9, public_rows=1_000)
    best = solve(objective(), np.zeros((3, 1))).weights
    assert np.linalg.norm(release.weights - best) < 0.25 * np.linalg.norm(best)


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "delta"), [(60.0, 1e-9), (1.0, 1e-15), (200.0, 1e-6)])
def test_slots_are_enough_for_every_goal(epsilon: float, delta: float) -> None:
    """Truncation costs e^ε times its probability: the slots follow from ε and δ."""
    release = private_sgd(objective(), RowLimits(1.0), epsilon, delta, sampler=seeded(1), noise="idealized_gaussian")
    assert release.guarantee.delta(epsilon) <= delta


def test_public_rows_are_checked() -> None:
    for bad, error, message in (
        (399, ValueError, "more rows than public_rows=399"),
        (0, ValueError, "public_rows must be a positive number"),
        (True, TypeError, "public_rows must be an integer, got bool"),
        (400.0, TypeError, "public_rows must be an integer"),
    ):
        with pytest.raises(error, match=message):
            private_sgd(objective(), RowLimits(1.0), 8.0, 1e-5, group_size=2, public_rows=bad)  # type: ignore[arg-type]


@pytest.mark.slow
def test_seeded_noise_repeats() -> None:
    def run() -> np.ndarray:
        return private_sgd(
            objective(), RowLimits(1.0), 2.0, 1e-5, sampler=seeded(3), noise="idealized_gaussian"
        ).weights

    assert np.array_equal(run(), run())


def test_rows_that_the_constants_do_not_cover_are_refused() -> None:
    with pytest.raises(ValueError, match="weights other than 1"):
        private_sgd(objective(np.full(400, 0.5)), RowLimits(1.0), 2.0, 1e-5)
    with pytest.raises(ValueError, match="norm"):
        private_sgd(objective(), RowLimits(0.5), 2.0, 1e-5)
