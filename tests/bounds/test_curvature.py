"""Certified lower bounds on λ_min(∇²F(W)), each checked by proving ∇²F(W) − m·I ≻ 0 in balls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.curvature import exchange, linearise, structural_curvature
from certified.bounds.distance import _transported_curvature
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from tests.oracle import Problem, hessians, is_positive_definite
from tests.strategies import objective_of, points, powers_of_ten, problems_and_points, without

Array = npt.NDArray[np.float64]
BITS = 1024


def is_lower_bound(curvature: float, problem: Problem, weights: Array) -> bool:
    """Whether every eigenvalue of every output's Hessian is at least ``curvature``."""
    if curvature == 0.0:
        return True
    with ctx.workprec(BITS):
        # Strictly below, so that a bound with equality is accepted too.
        shift = arb(curvature) * (1 - arb(2) ** -200)
        return curvature > 0.0 and all(is_positive_definite(h, shift, BITS) for h in hessians(problem, weights, BITS))


@given(problems_and_points())
def test_structural_curvature(drawn: tuple[Problem, Array]) -> None:
    """Claims T1 and T2s: α without an intercept, the moment bound with one."""
    problem, weights = drawn
    curvature = structural_curvature(objective_of(problem), weights)
    assert is_lower_bound(curvature, problem, weights)
    if not problem.fit_intercept:
        assert curvature == problem.alpha


@given(st.floats(-3, 3), powers_of_ten(-4, 4), st.floats(-2, 2), st.integers(1, 8))
def test_structural_curvature_is_exact_for_one_direction(x: float, alpha: float, intercept: float, copies: int) -> None:
    """With equal rows the two-dimensional bound is the spectrum itself."""
    problem = Problem("logistic", np.full((copies, 1), x), np.ones((copies, 1)), np.ones(copies), alpha, True)
    weights = np.array([[0.0], [intercept]])
    curvature = structural_curvature(objective_of(problem), weights)
    assert is_lower_bound(curvature, problem, weights)
    assert not is_lower_bound(curvature * (1.0 + 1e-9), problem, weights)


def test_structural_curvature_without_anything_to_go_by() -> None:
    problem = Problem("logistic", np.ones((2, 1)), np.ones((2, 1)), np.zeros(2), 1.0, True)
    assert structural_curvature(objective_of(problem), np.zeros((2, 1))) == 0.0
    unpenalised = replace(problem, weights=np.ones(2), alpha=0.0)
    assert structural_curvature(objective_of(unpenalised), np.zeros((2, 1))) == 0.0
    assert structural_curvature(objective_of(replace(unpenalised, fit_intercept=False)), np.zeros((1, 1))) == 0.0


def test_saturated_rows_certify_next_to_nothing() -> None:
    """All margins are huge: the intercept's curvature is e^{-600}, and the bound knows it."""
    problem = Problem("logistic", np.ones((4, 1)), np.ones((4, 1)), np.ones(4), 1.0, True)
    weights = np.array([[300.0], [300.0]])
    curvature = structural_curvature(objective_of(problem), weights)
    assert 0.0 <= curvature < 1e-250
    assert is_lower_bound(curvature, problem, weights)


@given(problems_and_points())
def test_linearisation(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    assert is_lower_bound(linearise(objective_of(problem), weights).curvature, problem, weights)


@pytest.mark.parametrize("p", range(1, 13))
def test_linearisation_on_polynomial_features(p: int) -> None:
    """A Gram matrix of Vandermonde type: condition numbers from 1 to far beyond float64."""
    x = np.linspace(0.1, 1.0, 16)[:, None] ** np.arange(p)
    problem = Problem("squared", x, np.ones((16, 1)), np.ones(16), 0.0)
    objective = Objective(SQUARED, Rows.from_arrays(x, problem.targets, problem.weights), 0.0)
    weights = np.zeros((p, 1))
    curvature = linearise(objective, weights).curvature
    assert is_lower_bound(curvature, problem, weights)
    assert p > 6 or curvature > 0.5 * np.linalg.eigvalsh(x.T @ x)[0]


@given(problems_and_points(scaled=False, strengths=powers_of_ten(-2, 2)))
def test_linearisation_is_tight_on_benign_problems(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    if problem.is_degenerate or np.abs(weights).max() > 3.0:
        return
    curvature = linearise(objective_of(problem), weights).curvature
    exact = [np.array([[float(x) for x in row] for row in h.tolist()]) for h in hessians(problem, weights, 256)]
    smallest = min(float(np.linalg.eigvalsh(h)[0]) for h in exact)
    largest = max(float(np.linalg.eigvalsh(h)[-1]) for h in exact)
    assert curvature >= 0.45 * smallest - 1e-12 * largest


@given(problems_and_points(), st.data())
def test_transported_curvature(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    """Claim T2, transport: a curvature certified at W₀ bounds the one at any other W, discounted for the drift."""
    problem, start = drawn
    objective = objective_of(problem)
    linearisation = linearise(objective, start)
    drift = data.draw(points(problem.shape)) * data.draw(st.sampled_from([1e-9, 1e-3, 1.0]))
    moved = start + drift
    curvature = _transported_curvature(objective, moved, linearisation)
    assert is_lower_bound(curvature, problem, moved)
    assert curvature <= linearisation.curvature
    if problem.loss == "squared":
        assert curvature >= linearisation.curvature * (1.0 - 1e-15)


@given(problems_and_points(), st.data())
def test_exchange(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    """A down-date certifies the Hessian of the rows that remain, and an up-date that of all rows again."""
    problem, weights = drawn
    objective = objective_of(problem)
    positions = data.draw(st.lists(st.integers(0, len(problem.features) - 1), unique=True))
    part = replace(objective, rows=objective.rows.take(np.array(positions, dtype=np.int64)), alpha=0.0, linear=None)
    full = linearise(objective, weights)
    rest = exchange(full, part, None, objective.penalty)
    again = exchange(rest, None, part, objective.penalty)
    assert is_lower_bound(rest.curvature, without(problem, positions), weights)
    assert is_lower_bound(again.curvature, problem, weights)
    for before, after in zip(full.data_hessians, again.data_hessians, strict=True):
        assert np.linalg.norm(after.value - before.value, 2) <= before.error + after.error
        assert after.error >= before.error


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_errors_add_up_over_many_exchanges(loss: Loss) -> None:
    """A huge row goes in and out a hundred times: what it leaves behind in rounding stays inside the enclosure."""
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(8, 2)), rng.choice([-1.0, 1.0], size=(8, 1))
    problem = Problem(loss.name, features, targets, np.ones(8), 1e-3)
    objective = objective_of(problem)
    weights = np.array([[0.1], [-0.3]])
    guest = Rows.from_arrays(np.array([[1e6, 3e5]]), np.ones((1, 1)), np.full(1, 7.0))
    visit = replace(objective, rows=guest, alpha=0.0)
    state = linearise(objective, weights)
    exact = hessians(replace(problem, alpha=0.0), weights, 256)
    for _ in range(100):
        state = exchange(exchange(state, None, visit, objective.penalty), visit, None, objective.penalty)
    (enclosure,) = state.data_hessians
    truth = np.array([[float(exact[0][i, j]) for j in range(2)] for i in range(2)])
    assert 0.0 < np.linalg.norm(enclosure.value - truth, 2) <= enclosure.error
    assert is_lower_bound(state.curvature, problem, weights)


def test_exchange_of_everything_leaves_the_penalty() -> None:
    problem = Problem("logistic", np.ones((3, 2)), np.ones((3, 1)), np.ones(3), 0.5)
    objective = objective_of(problem)
    state = linearise(objective, np.zeros((2, 1)))
    part = replace(objective, rows=objective.rows.take(np.arange(3)), alpha=0.0)
    left = exchange(state, part, None, objective.penalty)
    assert 0.4 < left.curvature <= 0.5


def test_exchange_leaves_its_argument_alone() -> None:
    objective = objective_of(Problem("logistic", np.ones((3, 2)), np.ones((3, 1)), np.ones(3), 0.5))
    state = linearise(objective, np.zeros((2, 1)))
    before = state.data_hessians[0].value.copy()
    exchange(state, replace(objective, alpha=0.0), None, np.zeros((2, 1)))
    assert np.array_equal(state.data_hessians[0].value, before)


def test_repr_hides_the_hessian() -> None:
    objective = objective_of(Problem("logistic", np.full((1, 1), 3.0), np.ones((1, 1)), np.ones(1), 0.5))
    assert "2.25" not in repr(linearise(objective, np.zeros((1, 1))))
