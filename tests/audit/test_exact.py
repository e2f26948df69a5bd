"""The exact-instance audit against a multi-precision minimiser and curve."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

from certified.audit import audit_instance
from certified.bounds.distance import certify_distance
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED
from certified.numerics.balls import lower, upper
from certified.objective import Objective
from tests.oracle import Problem, minimise

Array = npt.NDArray[np.float64]
rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3))
SIGNS = np.where(rng.random((20, 1)) < 0.5, -1.0, 1.0)


def hockey_stick(epsilon: float, mu: float) -> mpmath.mpf:
    with mpmath.workdps(50):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-6, 0.3])
def test_the_distance_is_enclosed(loss: object, fit_intercept: bool, off: float) -> None:
    objective = Objective(loss, Rows.from_arrays(X, SIGNS, np.ones(20)), 0.7, fit_intercept)
    problem = Problem(loss.name, X, SIGNS, np.ones(20), 0.7, fit_intercept)
    truth = minimise(problem)
    weights = truth.nearest + off * np.ones(objective.shape)
    found = audit_instance(objective, weights, noise_std=0.25, releases=3)
    exact = truth.distance(weights)
    assert found.distance[0] <= lower(exact) and upper(exact) <= found.distance[1]
    assert found.distance[1] - found.distance[0] < 1e-10
    assert found.mu[0] <= lower(exact) * math.sqrt(3) / 0.25 * (1 + 1e-15)
    assert found.mu[1] >= upper(exact) * math.sqrt(3) / 0.25 * (1 - 1e-15)
    assert found.distance[0] <= certify_distance(objective, weights).value


def test_the_curve_is_enclosed() -> None:
    objective = Objective(SQUARED, Rows.from_arrays(np.eye(2), np.array([[2.0], [4.0]]), np.ones(2)), 1.0)
    found = audit_instance(objective, np.array([[1.0], [2.5]]), noise_std=0.5)
    low, high = found.delta(1.0)
    assert low <= hockey_stick(1.0, found.mu[0]) and hockey_stick(1.0, found.mu[1]) <= high
    assert found.delta(1.0)[1] == pytest.approx(float(hockey_stick(1.0, 1.0)))
    least, most = found.epsilon(1e-3)
    assert hockey_stick(least, found.mu[0]) >= 1e-3 >= hockey_stick(most, found.mu[1])
    assert found.tightness(2.0) == pytest.approx(0.5) and found.tightness(2.0) <= 0.5
    assert found.tightness(0.999) > 1.0


def test_without_rows_retraining_is_zero() -> None:
    objective = Objective(LOGISTIC, Rows.from_arrays(X[:1], SIGNS[:1], np.zeros(1)), 1.0)
    found = audit_instance(objective, np.full((3, 1), 2.0), noise_std=1.0)
    assert found.distance[0] <= math.sqrt(12.0) <= found.distance[1] and found.mu[1] < 3.4642


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.zeros((2, 1))}, "weights must be finite and have shape"),
        ({"weights": np.full((3, 1), math.nan)}, "weights must be finite"),
        ({"noise_std": 0.0}, "noise_std must be positive"),
        ({"releases": 0}, "releases must be a whole number"),
    ],
)
def test_bad_input(changes: dict[str, object], message: str) -> None:
    objective = Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.ones(20)), 1.0)
    arguments = {"weights": np.zeros((3, 1)), "noise_std": 1.0, "releases": 1} | changes
    with pytest.raises(ValueError, match=message):
        audit_instance(objective, **arguments)


def test_no_claim_of_nothing() -> None:
    objective = Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.ones(20)), 1.0)
    with pytest.raises(ValueError, match="mu must be positive"):
        audit_instance(objective, np.zeros((3, 1)), 1.0).tightness(0.0)
