"""Certified sums, distances and removal for the losses beyond the first two, against the independent minimiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.bounds.changed_rows import row_terms
from certified.bounds.curvature import linearise
from certified.bounds.distance import assess, certify_distance
from certified.bounds.exact_gradient import exact_gradient
from certified.bounds.row_sums import certified_data_hessians, certified_gradient, certified_hvp
from certified.removal import TargetNotReachedError, ledger_step, newton
from tests.oracle import Problem, gradient_error, hessians, hvp_error, is_positive_definite, is_upper_bound, minimise
from tests.strategies import HINGES, objective_of, powers_of_ten, problems, problems_and_points, without

Array = npt.NDArray[np.float64]

LOG_LINK = ("poisson", "gamma")
NEW = (*LOG_LINK, *HINGES)
MODERATE = powers_of_ten(-4, 4)


def _is_moderate(problem: Problem, point: Array) -> bool:
    d = problem.features.shape[1]
    predictors = problem.features @ point[:d] + (point[-1] if problem.fit_intercept else 0.0)
    return bool(np.max(np.abs(predictors), initial=0.0) < 150.0)


@given(problems_and_points(losses=NEW))
def test_gradient(case: tuple[Problem, Array]) -> None:
    problem, point = case
    enclosure = certified_gradient(objective_of(problem), point)
    if np.isfinite(enclosure.error):
        assert gradient_error(problem, point, enclosure.value) <= enclosure.error


@given(problems_and_points(losses=NEW, scaled=False))
def test_gradient_in_balls(case: tuple[Problem, Array]) -> None:
    problem, point = case
    enclosure = exact_gradient(objective_of(problem), point)
    if np.isfinite(enclosure.error):
        assert gradient_error(problem, point, enclosure.value, 4096).lower() <= enclosure.error


@given(problems_and_points(losses=LOG_LINK), st.data())
def test_hessian_vector_product_and_hessian(case: tuple[Problem, Array], data: st.DataObject) -> None:
    problem, point = case
    direction = data.draw(st.sampled_from([point, np.ones(problem.shape), 1e-12 * np.ones(problem.shape)]))
    product = certified_hvp(objective_of(problem), point, direction)
    if np.isfinite(product.error):
        assert hvp_error(problem, point, direction, product.value) <= product.error
    enclosures = certified_data_hessians(objective_of(problem), point)
    for exact, enclosure in zip(hessians(replace(problem, alpha=0.0), point), enclosures, strict=True):
        if np.isfinite(enclosure.error):
            p = len(enclosure.value)
            for sign in (1.0, -1.0):
                gap = [[sign * (exact[i, j] - float(enclosure.value[i, j])) for j in range(p)] for i in range(p)]
                assert is_positive_definite(type(exact)(gap), -enclosure.error * (1 + 1e-9) - 1e-290)


@given(problems_and_points(losses=NEW, scaled=False, strengths=MODERATE))
def test_finite_errors_where_values_are_moderate(case: tuple[Problem, Array]) -> None:
    """What the tests above skip is skipped for a reason: some predictor is large."""
    problem, point = case
    objective = objective_of(problem)
    if _is_moderate(problem, point):
        assert np.isfinite(certified_gradient(objective, point).error)
        assert np.isfinite(certified_hvp(objective, point, point).error)


@settings(max_examples=60)
@given(problems_and_points(losses=NEW))
def test_distance_at_any_point(case: tuple[Problem, Array]) -> None:
    problem, point = case
    bound = certify_distance(objective_of(problem), point)
    assert is_upper_bound(bound.value, problem, point)
    if problem.loss in HINGES:
        assert bound.claim in ("T0", "T1") or bound.value == np.inf


@settings(max_examples=60)
@given(problems_and_points(losses=NEW, scaled=False, strengths=MODERATE), st.sampled_from([1e-3, 1e-8, 1e-14]))
def test_distance_near_the_minimiser(case: tuple[Problem, Array], shift: float) -> None:
    """Near the minimiser the bound is finite, unless all counts are zero and the intercept has no finite optimum."""
    problem, point = case
    if problem.loss == "poisson" and problem.fit_intercept and not np.all(problem.targets.sum(axis=0) > 0.0):
        return
    if problem.is_degenerate:
        return
    weights = minimise(problem).nearest + shift * np.sign(point)
    bound = certify_distance(objective_of(problem), weights)
    assert is_upper_bound(bound.value, problem, weights)
    # T1 magnifies a gradient by 1/α where T2 divides it by the Hessian, and that of a narrow hinge is large.
    assert shift > (1e-14 if problem.loss in HINGES else 1e-8) or bound.value < 1e-2


@pytest.mark.parametrize("mechanism", [newton, ledger_step])
@settings(max_examples=15)
@given(data=st.data())
def test_removal_stays_within_its_bound_of_exact_retraining(mechanism: object, data: st.DataObject) -> None:
    problem = data.draw(problems(losses=NEW, scaled=False, strengths=MODERATE))
    out = np.array(sorted(data.draw(st.sets(st.integers(0, len(problem.features) - 1), min_size=1, max_size=3))))
    target = data.draw(st.sampled_from([1e-2, 1e-6] if problem.loss in HINGES else [1e-2, 1e-6, 1e-10]))
    objective = objective_of(problem)
    remaining = replace(objective, rows=objective.rows.without(out))
    try:
        state, _ = mechanism.initialise(objective, target)
        state, _ = mechanism.update(state, remaining, target, removed=objective.rows.take(out))
    except TargetNotReachedError:
        # Only where some minimiser is at infinity.
        assert problem.loss == "poisson" and problem.fit_intercept
        return
    assert state.bound.value <= target
    assert is_upper_bound(state.bound.value, without(problem, out.tolist()), state.weights)


@given(problems_and_points(losses=LOG_LINK, scaled=False))
def test_changed_rows(case: tuple[Problem, Array]) -> None:
    """The ledger's terms enclose the gradient of the rows alone, be it by balls or by the compiled loss."""
    problem, point = replace(case[0], alpha=0.0, linear=None), case[1]
    if not _is_moderate(problem, point):
        return
    for copies in (1, 5):
        rows = {name: np.tile(getattr(problem, name), (copies, 1)) for name in ("features", "targets")}
        repeated = replace(problem, **rows, weights=np.tile(problem.weights, copies))
        terms = row_terms(objective_of(repeated), point, point)
        if not repeated.is_degenerate:
            assert gradient_error(repeated, point, terms.gradient.value) <= terms.gradient.error


def test_a_row_of_weight_zero_takes_no_part_even_where_its_loss_overflows() -> None:
    features, targets = np.array([[1.0], [-0.5], [400.0]]), np.array([[1.0], [2.0], [1.0]])
    problem = Problem("poisson", features, targets, np.array([1.0, 1.0, 0.0]), 1.0)
    objective, point = objective_of(problem), np.ones((1, 1))
    value, gradient, _ = objective.value_and_gradient(point)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert np.isfinite(certify_distance(objective, point).value)


def test_an_overflow_of_a_row_in_force_leaves_no_bound() -> None:
    problem = Problem("poisson", np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]]), np.ones(2), 1.0)
    for weight in (91.0, 400.0, 1e6):
        bound, gradient = assess(objective_of(problem), np.full((1, 1), weight))
        assert bound.value == gradient.error == np.inf
        assert certify_distance(objective_of(problem), np.full((1, 1), weight)).value == np.inf


@pytest.mark.parametrize("loss", LOG_LINK)
def test_cancellation_is_charged(loss: str) -> None:
    """Where e^±z meets t the computed derivative is nothing but rounding, and the certified error must cover that."""
    for z in [*np.geomspace(1e-9, 1e-2, 60).tolist(), 1.0, 14.0]:
        problem = Problem(loss, np.ones((1, 1)), np.full((1, 1), np.exp(z)), np.ones(1), 0.0)
        enclosure = certified_gradient(objective_of(problem), np.full((1, 1), z))
        error = gradient_error(problem, np.full((1, 1), z), enclosure.value)
        assert error <= enclosure.error <= 1e-13 * np.exp(z)


def test_a_narrow_bend_magnifies_the_error_of_the_predictor() -> None:
    rng, width = np.random.default_rng(0), 2.0**-10
    for _ in range(50):
        features, direction = rng.normal(size=(1, 4)), rng.normal(size=(4, 1))
        point = direction * (1.0 - width / 2.0) / (features @ direction)
        problem = Problem(f"huberised_hinge/{width}", features, np.ones((1, 1)), np.ones(1), 1e-3)
        enclosure = certified_gradient(objective_of(problem), point)
        assert gradient_error(problem, point, enclosure.value) <= enclosure.error < 1e-9


def test_without_self_concordance_an_intercept_is_penalised() -> None:
    problem = Problem("huberised_hinge/0.5", np.eye(2), np.array([[1.0], [-1.0]]), np.ones(2), 0.5, True)
    objective = objective_of(problem)
    assert not objective.has_free_intercept
    assert objective.penalty[-1] == 0.5
    assert certify_distance(replace(objective, alpha=0.0), np.zeros((3, 1))).value == np.inf
    assert linearise(objective, np.zeros((3, 1))).curvature >= 0.0
