"""Shadow models against the library's solver, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from certified.audit import random_halves, train_shadows
from certified.data.rows import Rows
from certified.losses import LOGISTIC, POISSON, SOFTMAX, SQUARED, HuberisedHinge
from certified.objective import Objective
from certified.solvers import solve

rng = np.random.default_rng(0)
X = 4.0 * rng.normal(size=(60, 5))
SIGNS = np.where(X[:, 0] + rng.normal(size=60) > 0, 1.0, -1.0)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED, POISSON, HuberisedHinge(0.5)])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_every_model_is_the_minimiser(loss: object, strength: float) -> None:
    x, t = (X / 8.0, np.abs(SIGNS)) if loss is POISSON else (X, SIGNS)
    included = random_halves(6, 60, rng)
    found = train_shadows(x, t, included, strength, loss)
    for flags, weights in zip(included, found.weights, strict=True):
        rows = Rows.from_arrays(x[flags], t[flags, None], np.ones(flags.sum()))
        exact = solve(Objective(loss, rows, strength)).weights[:, 0]
        np.testing.assert_allclose(weights, exact, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.scores, t * (found.weights @ x.T))


def test_every_row_is_in_half_of_the_models_and_rows_are_independent() -> None:
    flags = random_halves(100, 200, np.random.default_rng(1))
    assert np.all(flags.sum(axis=0) == 50)
    assert np.abs(np.corrcoef(flags.T) - np.eye(200)).max() < 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.ones(3)}, "must agree"),
        ({"included": np.ones((2, 60))}, "included boolean"),
        ({"features": np.full((60, 5), np.nan)}, "must be finite"),
        ({"strength": 0.0}, "strength must be positive"),
        ({"loss": SOFTMAX}, "couples its outputs"),
    ],
)
def test_bad_input(changes: dict[str, object], message: str) -> None:
    flags = np.ones((2, 60), dtype=bool)
    arguments = {"features": X, "targets": SIGNS, "included": flags, "strength": 1.0, "loss": LOGISTIC} | changes
    with pytest.raises(ValueError, match=message):
        train_shadows(**arguments)


def test_an_odd_number_of_models() -> None:
    with pytest.raises(ValueError, match="even number"):
        random_halves(3, 5, rng)
