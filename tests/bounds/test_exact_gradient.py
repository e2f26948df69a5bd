"""The ball-arithmetic gradient against exact rationals and against the float64 enclosure."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.exact_gradient import exact_gradient
from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.losses import GAMMA, LOGISTIC, POISSON, SQUARED, Loss
from certified.objective import Objective
from tests.oracle import Problem, gradient_error
from tests.strategies import objective_of, problems_and_points, streamed_objectives


def problem(loss: Loss, seed: int, scale: float, fit_intercept: bool) -> tuple[Objective, np.ndarray]:
    generator = np.random.default_rng(seed)
    n, d, outputs = 12, 3, 2
    targets = np.where(generator.random((n, outputs)) < 0.5, -1.0, 1.0)
    features = generator.standard_normal((n, d)) * scale
    weights = generator.integers(0, 3, n).astype(float)
    linear = generator.standard_normal((d + fit_intercept, outputs))
    objective = Objective(loss, Rows.from_arrays(features, targets, weights), 0.3, fit_intercept, linear)
    return objective, generator.standard_normal(objective.shape) / scale


def reference(objective: Objective, weights: np.ndarray) -> list[list[mpmath.mpf]]:
    """∇F(W) entry by entry at 400 bits, from the definition."""
    rows = objective.rows
    d, outputs = rows.n_features, rows.n_outputs
    x = np.asarray(rows.features).reshape(-1, d)
    t = np.asarray(rows.targets).reshape(-1, outputs)
    c = np.asarray(rows.weights).reshape(-1)
    if objective.fit_intercept:
        x = np.hstack([x, np.ones((len(x), 1))])
    gradient = []
    for j in range(x.shape[1]):
        row = []
        for k in range(outputs):
            total = mpmath.mpf(float(objective.penalty[j, 0])) * mpmath.mpf(float(weights[j, k]))
            total += mpmath.mpf(float(objective.linear[j, k])) if objective.linear is not None else 0
            for i in range(len(x)):
                z = sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x[i], weights[:, k], strict=True)))
                z = mpmath.mpf(z.numerator) / mpmath.mpf(z.denominator)
                target = mpmath.mpf(float(t[i, k]))
                slope = z - target if objective.loss is SQUARED else -target / (1 + mpmath.exp(target * z))
                total += mpmath.mpf(float(c[i])) * slope * mpmath.mpf(float(x[i, j]))
            row.append(total)
        gradient.append(row)
    return gradient


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_encloses(loss: Loss, fit_intercept: bool, scale: float) -> None:
    """The error bound holds, is a rounding of the result alone, and agrees with the float64 enclosure."""
    objective, weights = problem(loss, 7, scale, fit_intercept)
    with mpmath.workprec(400):
        truth = reference(objective, weights)
        exact, quick = exact_gradient(objective, weights), certified_gradient(objective, weights)
        for enclosure in (exact, quick):
            squared = sum(
                (mpmath.mpf(float(enclosure.value[j, k])) - truth[j][k]) ** 2 for j, k in np.ndindex(*weights.shape)
            )
            assert mpmath.sqrt(squared) <= enclosure.error
    assert exact.error <= 2.0**-52 * np.linalg.norm(exact.value)
    assert exact.error < quick.error


def test_a_hidden_cancellation_is_resolved() -> None:
    """Rows that cancel to the last bit: the float64 residual is all rounding, the ball gradient is not."""
    features = np.array([[1e8], [-1e8], [3.0]])
    objective = Objective(SQUARED, Rows.from_arrays(features, np.zeros((3, 1)), np.ones(3)), 1e-3)
    weights = np.array([[1e-9]])
    expected = 2e16 * 1e-9 + 9e-9 + 1e-12
    assert exact_gradient(objective, weights).value[0, 0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("loss", "weight"), [(POISSON, 1e4), (GAMMA, -1e4)])
def test_a_gradient_beyond_float64_is_not_enclosed(loss: Loss, weight: float) -> None:
    """About ±e^10000; its error is infinite, not NaN."""
    objective = Objective(loss, Rows.from_arrays(np.ones((1, 1)), np.ones((1, 1)), np.ones(1)), 1.0)
    found = exact_gradient(objective, np.array([[weight]]))
    assert found.error == np.inf and np.all(np.isfinite(found.value))


@given(problems_and_points(), st.data())
def test_streamed_rows(drawn: tuple[Problem, np.ndarray], data: st.DataObject) -> None:
    """Chunk by chunk it encloses the same gradient."""
    problem_, weights = drawn
    found = exact_gradient(data.draw(streamed_objectives(problem_)), weights)
    assert gradient_error(problem_, weights, found.value, 2048) <= found.error
    expected = exact_gradient(objective_of(problem_), weights)
    assert np.all(np.abs(found.value - expected.value) <= 1e-300 + 1e-15 * np.abs(expected.value))
