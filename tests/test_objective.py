from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified import objective as module
from certified.bounds.row_sums import certified_gradient, certified_hvp
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from tests.oracle import Problem, gradient_error, hessians
from tests.strategies import (
    objective_of,
    points,
    powers_of_ten,
    problems,
    problems_and_points,
    streamed_objectives,
)

Array = npt.NDArray[np.float64]
BENIGN = {"scaled": False, "strengths": powers_of_ten(-3, 1)}


def dense_hessian(problem: Problem, weights: Array) -> Array:
    """The exact Hessian (K, p, p), each entry to nearest."""
    exact = hessians(problem, weights, 256)
    p = problem.shape[0]
    return np.array([[[float(h[i, j].mid()) for j in range(p)] for i in range(p)] for h in exact])


@given(problems_and_points())
def test_gradient_lies_in_its_enclosure(drawn: tuple[Problem, Array]) -> None:
    """The plain gradient, compiled apart from the certified one, obeys the same error bound."""
    problem, weights = drawn
    objective = objective_of(problem)
    _, gradient, _ = objective.value_and_gradient(weights)
    assert gradient_error(problem, weights, gradient) <= certified_gradient(objective, weights).error


@given(problems_and_points(**BENIGN))
def test_value(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    value, _, _ = objective_of(problem).value_and_gradient(weights)
    d = problem.features.shape[1]
    z = problem.features @ weights[:d] + (weights[d] if problem.fit_intercept else 0.0)
    loss = np.logaddexp(0.0, -problem.targets * z) if problem.loss == "logistic" else 0.5 * (z - problem.targets) ** 2
    penalty = 0.5 * problem.alpha * np.sum(weights[:d] ** 2)
    linear = 0.0 if problem.linear is None else np.sum(problem.linear * weights)
    expected = [np.sum(problem.weights[:, None] * loss), penalty, linear]
    assert abs(value - sum(expected)) <= 1e-13 * sum(abs(part) for part in expected) + 1e-300


@given(problems_and_points(**BENIGN), st.data())
def test_hessian_and_products(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    objective = objective_of(problem)
    direction = data.draw(points(problem.shape))
    _, _, curvature = objective.value_and_gradient(weights)
    exact = dense_hessian(problem, weights)
    computed = objective.data_hessian(curvature) + np.diagflat(objective.penalty)
    assert computed.shape == ((1 if problem.loss == "squared" else problem.shape[1]), *exact.shape[1:])
    assert np.allclose(np.broadcast_to(computed, exact.shape), exact, rtol=1e-10, atol=1e-12)
    assert np.array_equal(computed, np.swapaxes(computed, 1, 2))
    product = np.einsum("kij,jk->ik", exact, direction)
    error = certified_hvp(objective, weights, direction).error
    assert np.linalg.norm(objective.hvp(curvature, direction) - product) <= error + 1e-12 * np.linalg.norm(product)
    assert np.array_equal(np.asarray(objective.curvature(weights)), np.asarray(curvature))


@given(problems_and_points(**BENIGN))
def test_sample_weight_two_is_the_row_twice(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    n = len(problem.features) // 2
    if n == 0:
        return
    once = replace(problem, features=problem.features[:n], targets=problem.targets[:n], weights=np.full(n, 2.0))
    index = np.repeat(np.arange(n), 2)
    twice = replace(problem, features=problem.features[index], targets=problem.targets[index], weights=np.ones(2 * n))
    (a, ga, _), (b, gb, _) = (objective_of(p).value_and_gradient(weights) for p in (once, twice))
    assert a == pytest.approx(b, rel=1e-13)
    assert np.allclose(ga, gb, rtol=1e-13, atol=1e-13 * (np.abs(ga).max() + 1.0))


@given(problems_and_points(**BENIGN))
def test_rows_of_weight_zero_take_no_part(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    objective = objective_of(problem)
    n = len(problem.features)
    zeroed = replace(objective, rows=objective.rows.without(np.arange(n // 2)))
    arrays = {name: getattr(problem, name)[n // 2 :] for name in ("features", "targets", "weights")}
    rest = replace(problem, **arrays)
    (a, ga, _), (b, gb, _) = (o.value_and_gradient(weights) for o in (zeroed, objective_of(rest)))
    assert a == pytest.approx(b, rel=1e-13)
    assert np.allclose(ga, gb, rtol=1e-13, atol=1e-13 * (np.abs(ga).max() + 1.0))


@given(problems(shapes=[(2, 2)], **BENIGN), st.data())
def test_outputs_are_separate_problems(problem: Problem, data: st.DataObject) -> None:
    """Claim C-outputs."""
    weights = data.draw(points(problem.shape))
    _, joint, _ = objective_of(problem).value_and_gradient(weights)
    for k in range(2):
        linear = None if problem.linear is None else problem.linear[:, [k]]
        single = replace(problem, targets=problem.targets[:, [k]], linear=linear)
        assert gradient_error(single, weights[:, [k]], joint[:, [k]]) <= 1e-12 * (np.abs(joint).max() + 100.0)


def test_the_intercept_is_not_penalised() -> None:
    rows = Rows.from_arrays(np.ones((2, 2)), np.ones((2, 1)), np.ones(2))
    assert Objective(LOGISTIC, rows, 3.0, True).penalty.tolist() == [[3.0], [3.0], [0.0]]
    assert Objective(LOGISTIC, rows, 3.0).penalty.tolist() == [[3.0], [3.0]]


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("n", "d", "outputs"), [(0, 2, 1), (3, 0, 1), (3, 2, 0)])
def test_shapes_without_rows_features_or_outputs(loss: Loss, fit_intercept: bool, n: int, d: int, outputs: int) -> None:
    rows = Rows.from_arrays(np.zeros((n, d)), np.ones((n, outputs)), np.ones(n))
    objective = Objective(loss, rows, 1.0, fit_intercept)
    assert objective.shape == (d + fit_intercept, outputs)
    assert objective.is_degenerate == (n == 0 or outputs == 0 or d + fit_intercept == 0)
    weights = np.ones(objective.shape)
    _, gradient, curvature = objective.value_and_gradient(weights)
    assert gradient.shape == objective.shape
    assert np.all(np.isfinite(gradient))
    assert objective.hvp(curvature, weights).shape == objective.shape
    assert objective.data_hessian(curvature).shape[1:] == (d + fit_intercept,) * 2


def test_all_weights_zero_is_degenerate() -> None:
    rows = Rows.from_arrays(np.ones((2, 2)), np.ones((2, 1)), np.ones(2))
    objective = Objective(LOGISTIC, rows, 1.0)
    assert not objective.is_degenerate
    assert replace(objective, rows=rows.without(np.array([0, 1]))).is_degenerate


def test_results_are_float64_and_arguments_untouched() -> None:
    rows = Rows.from_arrays(np.ones((2, 2)), np.ones((2, 1)), np.ones(2))
    weights = np.array([[0.1], [0.2]])
    _, gradient, curvature = Objective(LOGISTIC, rows, 1.0).value_and_gradient(weights)
    assert (gradient.dtype, curvature.dtype) == (np.float64, np.float64)
    assert weights.tolist() == [[0.1], [0.2]]


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_hessians_in_tiles(fit_intercept: bool) -> None:
    """From 256 weights on; the tiles need not be of one size, and the result is exactly symmetric."""
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(300, 259)), np.where(rng.normal(size=300) > 0.0, 1.0, -1.0)
    objective = Objective(LOGISTIC, Rows.from_arrays(X, y[:, None], np.ones(300)), 1.0, fit_intercept)
    curvature = objective.curvature(0.1 * rng.normal(size=objective.shape))
    extended = np.hstack([X, np.ones((300, 1))]) if fit_intercept else X
    expected = (extended.T * np.asarray(curvature).reshape(-1)[:300]) @ extended
    (hessian,) = objective.data_hessian(curvature)
    np.testing.assert_allclose(hessian, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(hessian, hessian.T)


def test_many_blocks_agree_with_one_sum() -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(700, 3)), rng.choice([-1.0, 1.0], size=(700, 1))
    problem = Problem("logistic", features, targets, rng.uniform(0, 2, 700), 0.5, True)
    objective = Objective(LOGISTIC, Rows.from_arrays(features, targets, problem.weights), 0.5, True)
    weights = rng.normal(size=(4, 1))
    _, gradient, curvature = objective.value_and_gradient(weights)
    assert gradient_error(problem, weights, gradient, 256) <= 1e-12
    hessian = objective.data_hessian(curvature) + np.diagflat(objective.penalty)
    assert np.allclose(hessian, dense_hessian(problem, weights), rtol=1e-13)


@pytest.mark.parametrize("held", [1, 30, 45, 10**6])
@pytest.mark.parametrize("intercept", [False, True])
def test_sums_of_blocks_held_a_few_at_a_time(held: int, intercept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven blocks one, two, three or all at once: small integers add up without rounding, in any order."""
    monkeypatch.setattr(module, "SUMS_HELD", held)
    rng = np.random.default_rng(0)
    features, coefficients = (rng.integers(-9, 9, (7, 8, k)).astype(np.float64) for k in (5, 3))
    exact = np.einsum("bid,bik->dk", features, coefficients)
    with jax.enable_x64(True):
        total = module.row_sum(jnp.asarray(features), jnp.asarray(coefficients), intercept)
    np.testing.assert_array_equal(total[:5], exact)
    np.testing.assert_array_equal(total[5:], coefficients.sum(axis=(0, 1))[None][:intercept])


@given(problems_and_points(**BENIGN), st.data())
def test_streamed_rows_give_the_same_sums(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    """Value, gradient, products and Hessians, whatever the chunks; some rows have left, some were added."""
    problem, weights = drawn
    held, streamed = objective_of(problem), data.draw(streamed_objectives(problem))
    direction = data.draw(points(problem.shape))
    assert streamed.shape == held.shape
    assert streamed.is_degenerate == held.is_degenerate
    (a, ga, ca), (b, gb, cb) = (o.value_and_gradient(weights) for o in (held, streamed))
    assert a == pytest.approx(b, rel=1e-12)
    size = np.sum(problem.weights * (np.linalg.norm(problem.features, axis=1) + 1.0)) * (1.0 + np.abs(weights).max())
    np.testing.assert_allclose(ga, gb, rtol=1e-12, atol=1e-12 * (size + np.abs(ga).max(initial=0.0)))
    np.testing.assert_array_equal(np.asarray(streamed.curvature(weights)), np.asarray(cb))
    assert float(np.sum(np.asarray(ca))) == pytest.approx(float(np.sum(np.asarray(cb))), rel=1e-12)
    products = held.hvp(ca, direction), streamed.hvp(cb, direction)
    np.testing.assert_allclose(*products, rtol=1e-12, atol=1e-11 * (size + 1.0) * (1.0 + np.abs(direction).max()))
    matrices = held.data_hessian(ca), streamed.data_hessian(cb)
    np.testing.assert_allclose(*matrices, rtol=1e-12, atol=1e-11 * (size + 1.0))
