"""A deleted row read off two exactly trained models, and how noise hides it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from certified.audit import Reconstruction, reconstruct_row
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SOFTMAX, SQUARED
from certified.objective import Objective
from certified.solvers import solve

Array = npt.NDArray[np.float64]
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 6))
SIGNS = np.where(X[:, :1] + rng.normal(size=(40, 1)) > 0, 1.0, -1.0)
REAL = rng.normal(size=(40, 2))
CLASSES = np.eye(3)[rng.integers(0, 3, 40)]


def models(objective: Objective, deleted: int) -> tuple[Array, Array, Objective]:
    rest = replace(objective, rows=objective.rows.without(np.array([deleted])))
    return solve(objective).weights, solve(rest).weights, rest


@pytest.mark.parametrize(("loss", "targets"), [(SQUARED, REAL), (LOGISTIC, SIGNS), (SOFTMAX, CLASSES)])
@pytest.mark.parametrize("deleted", [0, 7])
def test_the_row_is_recovered_after_exact_retraining(loss: object, targets: Array, deleted: int) -> None:
    objective = Objective(loss, Rows.from_arrays(X, targets, np.ones(40)), 0.5)
    guess = reconstruct_row(*models(objective, deleted))
    assert guess.similarity(X[deleted]) > 1 - 1e-8
    assert guess.row is None


@pytest.mark.parametrize(("loss", "targets"), [(SQUARED, REAL), (LOGISTIC, SIGNS)])
def test_with_an_intercept_its_length_is_known_too(loss: object, targets: Array) -> None:
    objective = Objective(loss, Rows.from_arrays(X, targets, np.ones(40)), 0.5, fit_intercept=True)
    before, after, rest = models(objective, 3)
    guess = reconstruct_row(before, after, rest)
    assert guess.row is not None
    np.testing.assert_allclose(guess.row, X[3], rtol=1e-6, atol=1e-7)
    z = np.append(X[3], 1.0) @ before
    slope = z - targets[3] if loss is SQUARED else -targets[3] / (1.0 + np.exp(targets[3] * z))
    np.testing.assert_allclose(guess.coupling, -slope, rtol=1e-5)


def test_per_sample_strength() -> None:
    objective = Objective(SQUARED, Rows.from_arrays(X, REAL, np.ones(40)), 40.0)
    rest = replace(objective, rows=objective.rows.without(np.array([5])), alpha=39.0)
    before, after = solve(objective).weights, solve(rest).weights
    assert reconstruct_row(before, after, rest).similarity(X[5]) < 0.999
    assert reconstruct_row(before, after, rest, alpha_before=40.0).similarity(X[5]) > 1 - 1e-8


def test_similar_rows_are_enough() -> None:
    """Bertran et al.: the attacker has other rows of the same distribution."""
    draw = np.random.default_rng(1)
    public = draw.normal(size=(4000, 6))
    own = draw.normal(size=(4000, 6))
    noise = draw.normal(size=(4000, 1))
    objective = Objective(SQUARED, Rows.from_arrays(own, own[:, :1] + noise, np.ones(4000)), 1.0)
    guess_by = Objective(SQUARED, Rows.from_arrays(public, public[:, :1], np.ones(4000)), 1.0)
    similar = []
    for deleted in range(3):
        before, after, _ = models(objective, deleted)
        similar.append(reconstruct_row(before, after, guess_by).similarity(own[deleted]))
    assert min(similar) > 0.99


def test_noise_hides_the_row_gradually() -> None:
    objective = Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.ones(40)), 0.5)
    before, after, rest = models(objective, 2)
    draw = np.random.default_rng(3)
    means = []
    for noise_std in (0.0, 1e-4, 0.01, 10.0):
        pairs = [[w + noise_std * draw.normal(size=w.shape) for w in (before, after)] for _ in range(40)]
        means.append(np.mean([reconstruct_row(*pair, rest).similarity(X[2]) for pair in pairs]))
    assert means[0] > 1 - 1e-8 and means[1] > 0.99
    assert means[0] > means[1] > means[2] > means[3]
    # A direction at random: the mean of |cos| in six dimensions is 0.34.
    assert means[3] < 0.6


def test_it_does_not_show_itself() -> None:
    assert "0.6" not in repr(Reconstruction(np.array([0.6, 0.8]), None, np.ones(1)))


def test_bad_input() -> None:
    objective = Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.ones(40)), 0.5)
    with pytest.raises(ValueError, match="before must be finite and have shape"):
        reconstruct_row(np.zeros((5, 1)), np.zeros((6, 1)), objective)
    with pytest.raises(ValueError, match="after must be finite"):
        reconstruct_row(np.zeros((6, 1)), np.full((6, 1), np.nan), objective)
    with pytest.raises(ValueError, match="must differ"):
        reconstruct_row(np.ones((6, 1)), np.ones((6, 1)), objective)
    with pytest.raises(ValueError, match="row must be a finite vector of 6"):
        reconstruct_row(np.zeros((6, 1)), np.ones((6, 1)), objective).similarity([1.0])
