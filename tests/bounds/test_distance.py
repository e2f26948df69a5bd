"""The distance certificate against the exact minimiser: at any point of any problem it is an upper bound."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds import certify_distance, linearise
from certified.bounds.curvature import exchange
from certified.bounds.distance import DistanceBound, _witness_value, assess, max_extended_norm, sharpen
from certified.bounds.enclosure import Enclosure
from certified.bounds.exact_gradient import exact_gradient
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from certified.solvers import solve
from tests.oracle import NoMinimiserError, Problem, is_upper_bound, minimise
from tests.strategies import (
    objective_of,
    points,
    powers_of_ten,
    problems,
    problems_and_points,
    streamed_objectives,
    without,
)

Array = npt.NDArray[np.float64]
BENIGN = {"scaled": False, "strengths": powers_of_ten(-2, 2)}


def all_bounds(problem: Problem, weights: Array) -> list[DistanceBound]:
    """Every way to certify the same point: quick, full, and with the ball gradient."""
    objective = objective_of(problem)
    quick, gradient = assess(objective, weights)
    found = [quick, certify_distance(objective, weights)]
    if quick.claim != "T0":
        linearisation = linearise(objective, weights)
        found.append(sharpen(objective, weights, quick, gradient, linearisation))
    return found


@given(problems_and_points())
def test_bound_holds(drawn: tuple[Problem, Array]) -> None:
    """At an arbitrary point of an arbitrary problem."""
    problem, weights = drawn
    for bound in all_bounds(problem, weights):
        assert is_upper_bound(bound.value, problem, weights)


@given(problems(), st.data())
def test_bound_holds_near_the_minimiser(problem: Problem, data: st.DataObject) -> None:
    """At the floor of float64 and at small displacements from it, where the bound has no slack to hide in."""
    solution = solve(objective_of(problem), max_iterations=30).weights
    displacement = data.draw(points(problem.shape)) * 10.0 ** data.draw(st.integers(-20, 0))
    for weights in (solution, solution + displacement):
        for bound in all_bounds(problem, weights):
            assert is_upper_bound(bound.value, problem, weights)


@given(problems(), st.integers(1, 4))
def test_bound_holds_after_an_early_stop(problem: Problem, iterations: int) -> None:
    weights = solve(objective_of(problem), max_iterations=iterations).weights
    for bound in all_bounds(problem, weights):
        assert is_upper_bound(bound.value, problem, weights)


@given(problems(strengths=st.just(0.0)), st.data())
def test_bound_holds_without_penalty(problem: Problem, data: st.DataObject) -> None:
    """α = 0: only the data can prove that there is a minimiser at all."""
    solution = solve(objective_of(problem), max_iterations=30).weights
    for weights in (solution, data.draw(points(problem.shape))):
        for bound in all_bounds(problem, weights):
            assert is_upper_bound(bound.value, problem, weights)


@given(problems_and_points(), st.data())
def test_bound_holds_with_the_linearisation_of_another_point(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    objective = objective_of(problem)
    elsewhere = weights + data.draw(points(problem.shape)) * data.draw(st.sampled_from([1e-9, 1e-2, 1.0]))
    bound = certify_distance(objective, weights, linearise(objective, elsewhere))
    assert is_upper_bound(bound.value, problem, weights)


@given(problems_and_points(), st.data())
def test_bound_holds_with_an_exchanged_linearisation(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    objective = objective_of(problem)
    positions = data.draw(st.lists(st.integers(0, len(problem.features) - 1), unique=True))
    index = np.array(positions, dtype=np.int64)
    removed = replace(objective, rows=objective.rows.take(index), alpha=0.0, linear=None)
    rest = replace(objective, rows=objective.rows.without(index))
    bound = certify_distance(rest, weights, exchange(linearise(objective, weights), removed, None, rest.penalty))
    assert is_upper_bound(bound.value, without(problem, positions), weights)


@given(problems(**BENIGN))
def test_bound_holds_with_the_ball_gradient(problem: Problem) -> None:
    objective = objective_of(problem)
    weights = solve(objective, max_iterations=20).weights
    if problem.is_degenerate:
        return
    gradient = exact_gradient(objective, weights)
    quick, _ = assess(objective, weights, gradient)
    full = sharpen(objective, weights, quick, gradient, linearise(objective, weights))
    for bound in (quick, full):
        assert is_upper_bound(bound.value, problem, weights)


@pytest.mark.slow
@given(problems_and_points(shapes=[(1, 1), (4, 1), (2, 2), (7, 1)]))
def test_bound_holds_thoroughly(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    solution = solve(objective_of(problem), max_iterations=50).weights
    for point in (weights, solution, solution + 1e-6 * weights, np.zeros(problem.shape)):
        for bound in all_bounds(problem, point):
            assert is_upper_bound(bound.value, problem, point)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("outputs", [0, 1])
def test_degenerate_problem(fit_intercept: bool, outputs: int) -> None:
    """Claim T0: without outputs, or without rows in force, the reference is W* = 0, so the distance is ‖W‖."""
    weights = np.ones(3) if outputs == 0 else np.zeros(3)
    problem = Problem("logistic", np.ones((3, 2)), np.ones((3, outputs)), weights, 1.0, fit_intercept)
    objective = objective_of(problem)
    at_zero = certify_distance(objective, np.zeros(problem.shape))
    assert (at_zero.value, at_zero.claim, at_zero.gradient_residual) == (0.0, "T0", 0.0)
    away = certify_distance(objective, np.full(problem.shape, 2.0))
    assert away.claim == "T0"
    assert away.value >= math.sqrt(4.0 * problem.shape[0] * outputs) >= away.value * (1.0 - 1e-14)


@pytest.mark.parametrize("problem", [
    Problem("logistic", np.ones((3, 1)), np.ones((3, 1)), np.ones(3), 1.0, fit_intercept=True),
    Problem("logistic", np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]]), np.ones(2), 0.0),
    Problem("squared", np.ones((3, 2)), np.ones((3, 1)), np.ones(3), 0.0),
    Problem("squared", np.ones((3, 1)), np.ones((3, 1)), np.ones(3), 0.0, fit_intercept=True),
    Problem("logistic", np.ones((2, 1)), np.array([[1.0], [-1.0]]), np.ones(2), 1.0, True, np.array([[0.0], [5.0]])),
])  # fmt: skip
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 700.0])
def test_nothing_is_certified_where_no_minimiser_exists(problem: Problem, size: float) -> None:
    """One class with a free intercept, separable or singular data without penalty, a slope that is too steep."""
    with pytest.raises(NoMinimiserError):
        minimise(problem, precisions=(256,))
    for weights in (np.full(problem.shape, size), -np.full(problem.shape, size)):
        for bound in all_bounds(problem, weights):
            assert bound.value == math.inf


@given(problems(**BENIGN), st.data())
def test_is_tight_where_the_distance_is_small(problem: Problem, data: st.DataObject) -> None:
    """Within a Newton step of the minimiser the full certificate is at most a tenth above the truth, plus rounding."""
    objective = objective_of(problem)
    solution = solve(objective, max_iterations=100).weights
    if problem.is_degenerate or not np.isfinite(certify_distance(objective, solution).value):
        return
    weights = solution + 1e-4 * data.draw(points(problem.shape)) / 10.0**6
    bound = certify_distance(objective, weights)
    truth = float(minimise(problem, weights).distance(weights))
    kappa = (problem.loss == "logistic") * max_extended_norm(objective)
    if kappa * bound.gradient_residual / bound.curvature < 0.05:
        assert bound.value <= 1.1 * truth + 10.0 * bound.rounding_error / bound.curvature


@pytest.mark.parametrize("exponent", [-30, -100, -150])
def test_tiny_features_cost_no_tightness(exponent: int) -> None:
    """With κ → 0 the first form of T2 must still be r/m; 192 bits do not resolve 1 − q then."""
    problem = Problem("logistic", np.full((2, 1), 10.0**exponent), np.ones((2, 1)), np.ones(2), 1.0)
    weights = np.full((1, 1), 1e-3)
    assert certify_distance(objective_of(problem), weights).value <= 1.001e-3


def test_squared_loss_is_certified_exactly() -> None:
    problem = Problem("squared", np.array([[3.0], [4.0]]), np.array([[1.0], [2.0]]), np.ones(2), 5.0, False)
    weights = np.array([[2.0]])
    bound = certify_distance(objective_of(problem), weights)
    assert bound.value == pytest.approx(2.0 - 11 / 30, rel=1e-12)
    assert is_upper_bound(bound.value, problem, weights)


def test_reports_what_it_rests_on() -> None:
    problem = Problem("logistic", np.array([[1.0], [-2.0], [0.5]]), np.array([[1.0], [-1.0], [-1.0]]), np.ones(3), 0.5)
    weights = np.array([[0.1]])
    quick, gradient = assess(objective_of(problem), weights)
    assert quick.curvature == 0.5
    assert quick.gradient_residual == gradient.norm
    assert quick.rounding_error == gradient.error
    assert quick.claim in {"T1", "T2"}
    full = certify_distance(objective_of(problem), weights)
    assert full.value <= quick.value
    assert full.curvature >= quick.curvature
    assert full.passes > quick.passes


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_largest_norm_counts_rows_in_force_only(fit_intercept: bool) -> None:
    features = np.array([[3.0, 4.0], [300.0, 400.0]])
    problem = Problem("logistic", features, np.ones((2, 1)), np.array([1.0, 0.0]), 1.0, fit_intercept)
    assert max_extended_norm(objective_of(problem)) == pytest.approx(math.sqrt(25.0 + fit_intercept), rel=1e-14)
    assert max_extended_norm(objective_of(problem)) >= math.sqrt(25.0 + fit_intercept)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e61])
def test_inadmissible_weights_are_refused(value: float) -> None:
    objective = objective_of(Problem("logistic", np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 1.0))
    with pytest.raises(ValueError, match="weights must be finite"):
        certify_distance(objective, np.array([[value]]))


def test_an_enormous_newton_step_is_no_error() -> None:
    """A saturated row leaves the Hessian all but singular, so the witness exceeds what a pass accepts."""
    problem = Problem("logistic", np.array([[1e12]]), -np.ones((1, 1)), np.ones(1), 1.0, True)
    assert certify_distance(objective_of(problem), np.array([[2e-10], [0.0]])).value == math.inf


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_padding_and_order_do_not_matter(loss: Loss) -> None:
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(20, 2)), rng.choice([-1.0, 1.0], size=(20, 1))
    weights = rng.normal(size=(2, 1))
    order = rng.permutation(20)
    values = []
    for chosen, slots in ((np.arange(20), 0), (order, 0), (order, 600)):
        rows = Rows.from_arrays(features[chosen], targets[chosen], np.ones(20), slots)
        values.append(certify_distance(Objective(loss, rows, 1.0), weights).value)
    assert values == pytest.approx([values[0]] * 3, rel=1e-9)


def test_the_configuration_is_left_alone_and_the_weights_too() -> None:
    problem = Problem("logistic", np.ones((2, 1)), np.array([[1.0], [-1.0]]), np.ones(2), 1.0, True)
    weights = np.array([[0.25], [-0.5]])
    bound = certify_distance(objective_of(problem), weights)
    assert not jax.config.jax_enable_x64
    assert isinstance(bound.value, float)
    assert weights.tolist() == [[0.25], [-0.5]]


@pytest.mark.parametrize("defect", [np.inf, np.nan])
def test_a_witness_whose_defect_overflows_bounds_nothing(defect: float) -> None:
    rows = Rows.from_arrays(np.ones((2, 1)), np.ones((2, 1)), np.ones(2))
    witness = np.ones((1, 1))
    value = _witness_value(Objective(LOGISTIC, rows, 1.0), Enclosure(witness, 0.0), witness, defect, 0.0, 1.0)
    assert value == np.inf


@given(problems_and_points(), st.data())
def test_bound_holds_for_streamed_rows(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    objective = data.draw(streamed_objectives(problem))
    assert max_extended_norm(objective) == max_extended_norm(objective_of(problem))
    assert is_upper_bound(certify_distance(objective, weights).value, problem, weights)
