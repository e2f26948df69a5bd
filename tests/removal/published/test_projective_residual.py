from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.removal.published.projective_residual import ProjectiveResidual
from tests.removal.published.problems import Data, data, rest, seeded

Array = npt.NDArray[np.float64]
MECHANISM = ProjectiveResidual()


def ridge(problem: Data, kept: npt.NDArray[np.int64], alpha: float) -> Array:
    X = problem.X[kept]
    return np.linalg.solve(X.T @ X + alpha * np.eye(X.shape[1]), X.T @ problem.Y[kept])


def projector(X: Array) -> Array:
    """Onto the span of the rows of X."""
    q, r = np.linalg.qr(X.T)
    assert np.min(np.abs(np.diag(r))) > 1e-6
    return q @ q.T


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1, 3]), st.booleans())
def test_squared_loss_projects_the_way_to_the_retrained_model(
    seed: int, count: int, outputs: int, per_sample: bool
) -> None:
    """Their theorem 1: θ + proj_span(removed)(θ_retrained − θ), also with a penalty that follows the rows."""
    problem = data(n=30, d=6, outputs=outputs, loss="squared", seed=seed)
    gone = list(range(count))
    start = MECHANISM.initialise(problem.objective())
    after, removed = problem.request(problem.objective(), gone, per_sample)
    state = MECHANISM.remove(start, after, removed)
    way = ridge(problem, rest(30, gone), after.alpha) - start.weights
    expected = start.weights + projector(problem.X[gone]) @ way
    assert np.allclose(state.weights, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("gone", [[4], [2, 7, 9]])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("per_sample", [True, False])
def test_logistic_loss_projects_the_newton_step(gone: list[int], outputs: int, per_sample: bool) -> None:
    """Their theorem 5."""
    problem = data(n=30, d=6, outputs=outputs)
    start = MECHANISM.initialise(problem.objective())
    after, removed = problem.request(problem.objective(), gone, per_sample)
    state = MECHANISM.remove(start, after, removed)
    kept = rest(30, gone)
    missing = -(problem.gradient(start.weights, kept) + after.alpha * start.weights)
    for k in range(outputs):
        hessian = problem.hessian(start.weights, kept, k) + after.alpha * np.eye(6)
        step = projector(problem.X[gone]) @ np.linalg.solve(hessian, missing[:, k])
        assert np.allclose(state.weights[:, k], start.weights[:, k] + step, rtol=1e-8, atol=1e-11)


def test_the_printed_equation_seven_is_wrong_and_equation_six_is_right() -> None:
    """Leave-out residuals by both, against retraining: what the library follows is (6), as the published code does."""
    problem, gone = data(n=30, d=6, loss="squared"), [0, 1, 2]
    alpha = 3.0
    hat = problem.X @ np.linalg.solve(problem.X.T @ problem.X + alpha * np.eye(6), problem.X.T)
    residual = (problem.Y - hat @ problem.Y)[gone, 0]
    truth = (problem.Y - problem.X @ ridge(problem, rest(30, gone), alpha))[gone, 0]
    block = hat[np.ix_(gone, gone)]
    off, scale = block - np.diag(np.diag(block)), 1.0 - np.diag(block)
    sixth = np.linalg.solve(np.eye(3) - off / scale[:, None], residual / scale)
    seventh = np.linalg.solve(np.eye(3) - off / scale[None, :], residual / scale)
    assert np.allclose(sixth, truth, atol=1e-12)
    assert np.linalg.norm(seventh - truth) > 1e-4


def test_duplicates_among_the_removed_rows() -> None:
    """Three copies of one row span one direction, in which the update is exact."""
    problem = data(n=30, d=6, loss="squared")
    X, Y = problem.X.copy(), problem.Y.copy()
    X[1], X[2], Y[1], Y[2] = X[0], X[0], Y[0], -Y[0]
    problem = replace(problem, X=X, Y=Y)
    start = MECHANISM.initialise(problem.objective())
    after, removed = problem.request(problem.objective(), [0, 1, 2])
    state = MECHANISM.remove(start, after, removed)
    retrained = ridge(problem, rest(30, [0, 1, 2]), after.alpha)
    assert X[0] @ (state.weights - retrained) == pytest.approx(0.0, abs=1e-12)
    move = (state.weights - start.weights)[:, 0]
    assert np.allclose(move, X[0] * (X[0] @ move) / (X[0] @ X[0]), atol=1e-12)


def test_an_injected_feature_is_removed_exactly() -> None:
    """Their feature injection test: a feature that only removed rows have gets the weight that retraining gives, 0."""
    problem = data(n=30, d=6, loss="squared")
    X = np.column_stack([problem.X[:, :5], np.zeros(30)])
    X[:6, 5] = 0.5
    problem = replace(problem, X=X, Y=np.where(np.arange(30)[:, None] < 6, 1.0, problem.Y))
    start = MECHANISM.initialise(problem.objective())
    state = MECHANISM.remove(start, *problem.request(problem.objective(), list(range(6))))
    assert abs(start.weights[5, 0]) > 0.05
    assert abs(state.weights[5, 0]) < 1e-12


def test_rows_of_any_weight_count_with_their_weight() -> None:
    """A row of weight 2 goes as two copies of it do."""
    problem = data(n=12, d=6, loss="squared")
    twice = replace(problem, X=np.vstack([problem.X, problem.X[:1]]), Y=np.vstack([problem.Y, problem.Y[:1]]))
    objective = problem.objective()
    weights = np.asarray(objective.rows.weights).copy()
    weights.reshape(-1)[0] = 2.0
    heavy = replace(objective, rows=replace(objective.rows, weights=weights))
    moved = []
    for one, gone in ((heavy, [0]), (replace(twice.objective(), alpha=heavy.alpha), [0, 12])):
        moved.append(MECHANISM.remove(MECHANISM.initialise(one), *problem.request(one, gone, per_sample=False)).weights)
    assert np.allclose(moved[0], moved[1], atol=1e-12)


def test_nothing_is_claimed_and_no_noise_added() -> None:
    state = MECHANISM.initialise(data().objective())
    claim = state.claim
    assert (claim.epsilon, claim.delta, claim.noise_std, claim.verdict) == (math.inf, 1.0, 0.0, "none")
    assert claim.residual is None and claim.distance is None
    assert np.array_equal(MECHANISM.release(state, seeded(0)), state.weights)
