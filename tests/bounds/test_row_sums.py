"""Certified passes against Arb on data made to cancel, saturate, underflow and overflow."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.distance import assess
from certified.bounds.enclosure import Enclosure, norm_bound
from certified.bounds.row_sums import (
    certified_curvature_sums,
    certified_data_hessians,
    certified_gradient,
    certified_hvp,
    largest_predictor,
)
from certified.data.rows import Rows
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.numerics.rounding import MAGNITUDE_LIMIT, SMALLEST_WEIGHT, UNIT_ROUNDOFF
from certified.objective import Objective
from tests.oracle import Problem, gradient_error, hessians, hvp_error, is_positive_definite
from tests.strategies import LOSSES, objective_of, points, problems, problems_and_points, streamed_objectives

Array = npt.NDArray[np.float64]

# Sizes that meet underflow, the exponential's cut-off and the magnitude limit.
SIZES = st.sampled_from([1.0, 1e-310, 1e-300, 1e-200, 1e-154, 1e-60, 1e-8, 1e3, 708.0, 1e30, 1e60])


@st.composite
def extreme_problems_and_points(draw: st.DrawFn) -> tuple[Problem, Array]:
    """Every number may sit at any end of the admissible range."""
    drawn = draw(problems(scaled=False))
    entry = SIZES.flatmap(lambda size: st.sampled_from([size, -size, 0.7 * size, 0.0]))

    def spread(shape: tuple[int, ...]) -> Array:
        return np.array([draw(entry) for _ in range(int(np.prod(shape)))]).reshape(shape)

    problem = replace(
        drawn,
        features=spread(drawn.features.shape),
        weights=np.abs(spread(drawn.weights.shape)),
        targets=drawn.targets if drawn.loss == "logistic" else spread(drawn.targets.shape),
        alpha=draw(SIZES),
        linear=None if drawn.linear is None else spread(drawn.linear.shape),
    )
    return problem, spread(problem.shape)


def spectral_error_holds(exact: arb_mat, computed: Enclosure) -> bool:
    """Whether ±(exact − computed) ⪯ error·I, proved in balls."""
    if computed.error == np.inf:
        return True
    with ctx.workprec(2048):
        p = exact.nrows()
        value = arb_mat(p, p, computed.value.ravel().tolist())
        limit = arb(computed.error) * (1 + arb(2) ** -200)
        identity = arb_mat(p, p, [limit if i == j else 0 for i in range(p) for j in range(p)])
        return all(is_positive_definite(identity + s * (exact - value), bits=2048) for s in (1, -1))


@given(problems_and_points())
def test_gradient(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    enclosure = certified_gradient(objective_of(problem), weights)
    assert gradient_error(problem, weights, enclosure.value) <= enclosure.error
    with ctx.workprec(1024):
        exact = gradient_error(problem, weights, np.zeros(problem.shape))
    assert exact.lower() <= enclosure.norm


@given(extreme_problems_and_points())
def test_gradient_at_the_ends_of_the_range(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    enclosure = certified_gradient(objective_of(problem), weights)
    assert enclosure.error == np.inf or gradient_error(problem, weights, enclosure.value, 2048) <= enclosure.error
    assert not np.isnan(enclosure.error)


@given(problems_and_points(), st.data())
def test_hvp(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    direction = data.draw(points(problem.shape))
    enclosure = certified_hvp(objective_of(problem), weights, direction)
    assert hvp_error(problem, weights, direction, enclosure.value) <= enclosure.error


@given(extreme_problems_and_points(), st.data())
def test_hvp_at_the_ends_of_the_range(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, weights = drawn
    direction = data.draw(points(problem.shape)) * data.draw(st.sampled_from([1.0, 1e-300, 1e50]))
    enclosure = certified_hvp(objective_of(problem), weights, direction)
    error = hvp_error(problem, weights, direction, enclosure.value, 2048)
    assert enclosure.error == np.inf or error <= enclosure.error
    assert not np.isnan(enclosure.error)


@given(problems_and_points() | extreme_problems_and_points())
def test_hessian(drawn: tuple[Problem, Array]) -> None:
    problem, weights = drawn
    enclosures = certified_data_hessians(objective_of(problem), weights)
    exact = hessians(replace(problem, alpha=0.0), weights, 2048)
    assert len(enclosures) == (1 if problem.loss == "squared" else len(exact))
    for matrix, enclosure in zip(exact, enclosures, strict=False):
        assert spectral_error_holds(matrix, enclosure)
        assert not np.isnan(enclosure.error)


@given(problems_and_points(intercepts=[True]) | extreme_problems_and_points())
def test_curvature_sums(drawn: tuple[Problem, Array]) -> None:
    """A = Σ a_i is the corner of the Hessian that belongs to the intercept, Σ a_i x_i the column above it."""
    problem, weights = drawn
    if not problem.fit_intercept:
        return
    sums = certified_curvature_sums(objective_of(problem), weights)
    with ctx.workprec(2048):
        for k, matrix in enumerate(hessians(replace(problem, alpha=0.0), weights, 2048)):
            d = matrix.nrows() - 1
            assert 0.0 <= sums.total_lower[k] <= matrix[d, d].upper()
            square = sum((matrix[j, d] * matrix[j, d] for j in range(d)), arb(0))
            assert square.lower() <= arb(float(sums.first_moment[k])) * arb(float(sums.first_moment[k]))


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("exponent", [0, 8, 15, 30])
def test_cancellation_is_charged(loss: str, exponent: int) -> None:
    """Two huge rows cancel exactly and leave a small one: the error counts the huge ones."""
    big = 10.0**exponent
    features = np.array([[big], [-big], [1.0]])
    targets = np.ones((3, 1)) if loss == "logistic" else np.full((3, 1), 0.3)
    problem = Problem(loss, features, targets, np.ones(3), 1e-6)
    for weights in (np.zeros((1, 1)), np.full((1, 1), 1e-9)):
        enclosure = certified_gradient(objective_of(problem), weights)
        assert gradient_error(problem, weights, enclosure.value) <= enclosure.error
        assert enclosure.error >= 0.1 * UNIT_ROUNDOFF * big


@given(problems_and_points(scaled=False))
def test_error_is_of_the_size_of_rounding(drawn: tuple[Problem, Array]) -> None:
    """Never more than a few hundred roundings of the terms that are added up."""
    problem, weights = drawn
    enclosure = certified_gradient(objective_of(problem), weights)
    norms = np.sqrt(np.sum(problem.features**2, axis=1) + problem.fit_intercept)
    scale = np.linalg.norm(weights)
    slopes = norms * scale + np.abs(problem.targets).sum(axis=1) + 1.0
    size = np.sum(problem.weights * norms * slopes) + problem.alpha * scale
    size += 0.0 if problem.linear is None else np.linalg.norm(problem.linear)
    assert enclosure.error <= 400 * UNIT_ROUNDOFF * size + 1e-100


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_many_blocks(loss: Loss, fit_intercept: bool) -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(700, 3)) * 10.0 ** rng.integers(-3, 4, size=(700, 1))
    targets = rng.choice([-1.0, 1.0], size=(700, 2))
    problem = Problem(loss.name, features, targets, rng.uniform(0, 2, 700), 0.5, fit_intercept)
    objective = Objective(loss, Rows.from_arrays(features, targets, problem.weights), 0.5, fit_intercept)
    weights, direction = rng.normal(size=(2, *problem.shape))
    gradient, product = certified_gradient(objective, weights), certified_hvp(objective, weights, direction)
    assert gradient_error(problem, weights, gradient.value, 256) <= gradient.error
    assert hvp_error(problem, weights, direction, product.value, 256) <= product.error
    exact = hessians(replace(problem, alpha=0.0), weights, 256)
    for matrix, enclosure in zip(exact, certified_data_hessians(objective, weights), strict=False):
        assert spectral_error_holds(matrix, enclosure)


@pytest.mark.parametrize("field", ["features", "targets", "weights"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inadmissible_rows_leave_no_finite_bound(field: str, value: float) -> None:
    """Validation comes earlier; if it were to fail, the bound would be infinite and not wrong."""
    arrays = {"features": np.ones((3, 2)), "targets": np.ones((3, 1)), "weights": np.ones(3)}
    arrays[field].flat[0] = value
    with np.errstate(all="ignore"):
        objective = Objective(SQUARED, Rows.from_arrays(**arrays), 1.0)
        enclosure = certified_gradient(objective, np.ones((2, 1)))
        assert not np.isfinite(enclosure.norm)
        assert assess(objective, np.ones((2, 1)))[0].value == np.inf


@given(problems_and_points() | extreme_problems_and_points(), st.data())
def test_streamed_rows(drawn: tuple[Problem, Array], data: st.DataObject) -> None:
    """Every sum encloses the exact one when the rows come in chunks, some have left and some were added."""
    problem, weights = drawn
    if np.any((problem.weights > 0.0) & (problem.weights < SMALLEST_WEIGHT)):
        return  # refused when the rows are opened
    objective, direction = data.draw(streamed_objectives(problem)), data.draw(points(problem.shape))
    gradient, product = certified_gradient(objective, weights), certified_hvp(objective, weights, direction)
    matrices = certified_data_hessians(objective, weights)
    if gradient.error < np.inf:
        assert gradient_error(problem, weights, gradient.value, 2048) <= gradient.error
    if product.error < np.inf:
        assert hvp_error(problem, weights, direction, product.value, 2048) <= product.error
    exact = hessians(replace(problem, alpha=0.0), weights, 2048)
    assert all(spectral_error_holds(m, e) for m, e in zip(exact, matrices, strict=False))
    if problem.fit_intercept:
        sums = certified_curvature_sums(objective, weights)
        for k, matrix in enumerate(exact):
            assert 0.0 <= sums.total_lower[k] <= matrix[matrix.nrows() - 1, matrix.nrows() - 1].upper()


@given(problems(), st.data())
def test_largest_predictor(problem: Problem, data: st.DataObject) -> None:
    """Rows that left do not count, wherever they were; the largest of all chunks does."""
    direction = data.draw(points(problem.shape))
    rows = np.hstack([problem.features, np.ones((len(problem.features), int(problem.fit_intercept)))])
    rows = rows[problem.weights > 0.0]
    bounds = [largest_predictor(o, direction) for o in (objective_of(problem), data.draw(streamed_objectives(problem)))]
    with ctx.workprec(1024):
        products = arb_mat(rows.tolist()) * arb_mat(direction.tolist()) if len(rows) else arb_mat(0, 0)
        largest = max((abs(entry) for entry in products.entries()), default=arb(0))
        assert all(largest <= bound for bound in bounds)
    size = np.max(np.linalg.norm(rows, axis=1), initial=0.0) * np.linalg.norm(direction)
    assert max(bounds) <= float(largest.upper()) + 1e-13 * size + 1e-100


@pytest.mark.parametrize("chunk_rows", [1, 7, 300, 700, 5000])
def test_many_chunks(chunk_rows: int) -> None:
    """The error counts the chunks, and shorter paths make it smaller than that of one long sum."""
    rng = np.random.default_rng(6)
    n = 5000
    features = rng.normal(size=(n, 2)) * 10.0 ** rng.integers(-3, 4, size=(n, 1))
    targets = rng.choice([-1.0, 1.0], size=(n, 1))
    problem = Problem("logistic", features, targets, rng.uniform(0, 2, n), 0.5)
    held = Objective(LOGISTIC, Rows.from_arrays(features, targets, problem.weights), 0.5)
    rows = StreamedRows.open(ArraySource(features, targets, problem.weights), chunk_rows)
    weights = rng.normal(size=(2, 1))
    gradient = certified_gradient(replace(held, rows=rows), weights)
    assert gradient_error(problem, weights, gradient.value, 256) <= gradient.error
    assert gradient.error <= 20.0 * certified_gradient(held, weights).error


@pytest.mark.parametrize("value", [np.nan, np.inf, 2 * MAGNITUDE_LIMIT])
def test_inadmissible_weights_are_refused(value: float) -> None:
    objective = objective_of(Problem("logistic", np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 1.0))
    bad = np.array([[value]])
    for call in (certified_gradient, certified_data_hessians, certified_curvature_sums):
        with pytest.raises(ValueError, match="weights must be finite"):
            call(objective, bad)
    with pytest.raises(ValueError, match="must be finite"):
        certified_hvp(objective, np.zeros((1, 1)), bad)


def test_padding_changes_nothing_but_the_depth() -> None:
    features, targets = np.arange(6.0).reshape(3, 2), np.ones((3, 1))
    small, large = (Rows.from_arrays(features, targets, np.ones(3), slots) for slots in (8, 600))
    weights = np.array([[0.1], [-0.2]])
    a, b = (certified_gradient(Objective(LOGISTIC, rows, 1.0, False), weights) for rows in (small, large))
    assert np.allclose(a.value, b.value, rtol=1e-15)
    assert a.error < b.error < 300 * a.error


@given(st.lists(st.floats(-1e150, 1e150), max_size=8))
def test_norm_bound(entries: list[float]) -> None:
    bound = norm_bound(np.array(entries))
    with ctx.workprec(2400):
        square = sum((arb(x) * arb(x) for x in entries), arb(0))
        assert square <= arb(bound) * arb(bound)
        assert arb(bound) * arb(bound) <= square * (1 + arb(2) ** -40) + arb(1e-290)


def test_the_configuration_is_left_alone() -> None:
    objective = objective_of(Problem("logistic", np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 1.0))
    assert not jax.config.jax_enable_x64
    enclosure = certified_gradient(objective, np.zeros((1, 1)))
    assert enclosure.value.dtype == np.float64
    assert not jax.config.jax_enable_x64


def test_repr_hides_the_gradient() -> None:
    assert "0.125" not in repr(Enclosure(np.array([[0.125]]), 0.0))
