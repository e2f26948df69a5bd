"""The oracle that judges the library is itself judged: by closed forms, by T1 and by mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given

from tests.oracle import NoMinimiserError, Problem, gradient_error, is_positive_definite, is_upper_bound, minimise
from tests.strategies import problems

Array = npt.NDArray[np.float64]


@given(problems(intercepts=[False]))
def test_box_agrees_with_strong_convexity(problem: Problem) -> None:
    """Without an intercept ‖w − w*‖ ≤ ‖∇F(w)‖/α, with the gradient in balls at the nearest float64 point."""
    minimiser = minimise(problem)
    if problem.is_degenerate:
        assert not minimiser.nearest.any()
        return
    nearest = minimiser.nearest
    with ctx.workprec(1024):
        residual = gradient_error(problem, nearest, np.zeros(problem.shape))
        assert minimiser.distance(nearest).lower() <= residual / arb(problem.alpha)


@given(problems())
def test_box_is_narrow(problem: Problem) -> None:
    """Far narrower than the rounding of float64, so that distances to float64 points are sharp."""
    try:
        minimiser = minimise(problem, precisions=(256, 512))
    except NoMinimiserError:
        return
    with ctx.workprec(1024):
        width = sum((box[j, 0].rad() for box in minimiser.boxes for j in range(box.nrows())), arb(0))
        size = sum((abs(box[j, 0]).upper() for box in minimiser.boxes for j in range(box.nrows())), arb(0))
    assert width <= arb(2) ** -75 * size + arb(2) ** -245


def test_ridge_in_closed_form() -> None:
    features, targets = np.array([[3.0], [4.0]]), np.array([[1.0], [2.0]])
    minimiser = minimise(Problem("squared", features, targets, np.ones(2), 5.0))
    with ctx.workprec(200):
        assert minimiser.boxes[0][0, 0].overlaps(arb(11) / 30)
    assert float(minimiser.distance(np.zeros((1, 1)))) == pytest.approx(11 / 30)


def test_logistic_by_mpmath() -> None:
    features, targets = np.array([[1.0], [2.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0]])
    with mpmath.workdps(50):
        root = mpmath.findroot(
            lambda w: w / 4 - sum(t * x / (1 + mpmath.exp(t * x * w)) for x, t in ((1, 1), (2, -1), (-1, 1))), -0.5
        )
        digits = mpmath.nstr(root, 48)
    minimiser = minimise(Problem("logistic", features, targets, np.ones(3), 0.25))
    with ctx.workprec(200):
        assert abs(minimiser.boxes[0][0, 0] - arb(digits)) < arb("1e-45")


@pytest.mark.parametrize("problem", [
    Problem("logistic", np.ones((3, 1)), np.ones((3, 1)), np.ones(3), 1.0, fit_intercept=True),
    Problem("logistic", np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]]), np.ones(2), 0.0),
    Problem("squared", np.ones((3, 2)), np.ones((3, 1)), np.ones(3), 0.0),
])  # fmt: skip
def test_no_minimiser(problem: Problem) -> None:
    """One class with a free intercept, separable data without penalty, a singular least-squares problem."""
    with pytest.raises(NoMinimiserError):
        minimise(problem, precisions=(256,))


def test_is_upper_bound() -> None:
    problem = Problem("squared", np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 1.0)
    zero = np.zeros((1, 1))
    assert is_upper_bound(0.5, problem, zero)
    assert not is_upper_bound(np.nextafter(0.5, 0.0), problem, zero)
    assert not is_upper_bound(np.nan, problem, zero)
    assert is_upper_bound(np.inf, problem, zero)


@pytest.mark.parametrize(("shift", "expected"), [(0.9, True), (1.0, False), (1.1, False)])
def test_is_positive_definite(shift: float, expected: bool) -> None:
    """2·11ᵀ − I + … with eigenvalues 1 and 3."""
    assert is_positive_definite(arb_mat([[2, 1], [1, 2]]), shift) == expected
