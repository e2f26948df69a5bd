"""Claims T6 and T6a against exact minimisers, gradients and Hessians in balls, after arbitrary changes of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.anchor import Anchor, anchor_at, changed_terms, factorised, largest_shift
from certified.bounds.anchor import exchange as exchange_terms
from certified.bounds.curvature import linearise
from certified.bounds.enclosure import Enclosure
from certified.bounds.formulas import (
    curvature_change,
    curvature_decrease,
    data_amplification,
    intercept_amplification,
)
from certified.bounds.ledger import anchored_distance, defect
from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.objective import Objective
from tests.oracle import Problem, gradient_error, hessians, is_positive_definite, is_upper_bound, minimise
from tests.strategies import objective_of, points, powers_of_ten, problems, without

Array = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Case:
    """A problem, the same after a change of its rows, and an anchor that followed the change."""

    after: Problem
    anchor: Anchor


@st.composite
def cases(draw: st.DrawFn, **options: object) -> Case:
    """Anchor anywhere or near the minimiser, linearise there or elsewhere, then take rows out, put some back in."""
    problem = draw(problems(**options))  # type: ignore[arg-type]
    n = len(problem.features)
    positions = draw(st.lists(st.integers(0, n - 1), unique=True))
    back = draw(st.lists(st.sampled_from(positions), unique=True)) if positions else []
    factor = draw(st.sampled_from([1.0, 1.0, 0.5, 3.0, 1.0 - 1e-3]))
    near = draw(st.booleans())
    point = start_near(problem) if near else draw(points(problem.shape))
    base = point if draw(st.booleans()) else point + 1e-3 * draw(points(problem.shape))
    objective = objective_of(problem)
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, base))
    if draw(st.booleans()):
        anchor = factorised(anchor)
    after = without(problem, positions)
    after = replace(after, alpha=problem.alpha * factor)
    rows = objective.rows
    changed = [(rows.take(np.array(positions, dtype=np.int64)), -1.0)] if positions else []
    if back:
        changed.append((rows.take(np.array(back, dtype=np.int64)), 1.0))
        weights = after.weights.copy()
        weights[back] = problem.weights[back]
        after = replace(after, weights=weights)
    return Case(after, exchange(anchor, problem.alpha, objective_of(after), changed))


def start_near(problem: Problem) -> Array:
    """Float64 weights next to the exact minimiser, or zero where none is proved."""
    try:
        return minimise(problem, precisions=(256,)).nearest
    except ArithmeticError:
        return np.zeros(problem.shape)


def exchange(anchor: Anchor, before: float, objective: Objective, changed: list[tuple[Rows, float]]) -> Anchor:
    return exchange_terms(anchor, before, objective, changed_terms(anchor, objective, changed))


def newton_displacement(anchor: Anchor) -> Array:
    penalty = np.diagflat(anchor.linearisation.penalty)
    matrices = [h.value + penalty for h in anchor.linearisation.data_hessians]
    columns = anchor.gradient.value.T
    matrices = matrices * len(columns) if len(matrices) == 1 else matrices
    steps = [-np.linalg.lstsq(a, g, rcond=None)[0] for a, g in zip(matrices, columns, strict=True)]
    return np.stack(steps, axis=1) if steps else np.zeros_like(anchor.point)


def last_columns(anchor: Anchor) -> Array:
    """Approximate last columns of the inverse Hessians."""
    penalty = np.diagflat(anchor.linearisation.penalty)
    inverses = [np.linalg.pinv(h.value + penalty) for h in anchor.linearisation.data_hessians]
    return np.stack([inverse[:, -1] for inverse in inverses], axis=1)


@given(cases(), st.sampled_from([1.0, 1.0, 1.0, 0.0, 0.9, 1.0 + 1e-9]), st.sampled_from([None, 1.0, 1.0, 0.5, -2.0]))
def test_distance(case: Case, share: float, quality: float | None) -> None:
    """Claim T6 on wild data, whether displacement and lever solve their linear systems or not."""
    anchor = case.anchor
    weights = anchor.point + share * newton_displacement(anchor)
    lever = None if quality is None or not anchor.linearisation.data_hessians else quality * last_columns(anchor)
    bound = anchored_distance(anchor, defect(anchor, weights), lever)
    if case.after.is_degenerate:
        return
    assert is_upper_bound(bound.value, case.after, weights)
    assert bound.claims[:3] == ("T2", "T6", "T6a")


@given(cases(scaled=False, strengths=powers_of_ten(-2, 1)))
def test_distance_on_benign_data(case: Case) -> None:
    """The same where the bound is mostly finite, so that it is put to the test."""
    if case.after.is_degenerate:
        return
    anchor = case.anchor
    weights = anchor.point + newton_displacement(anchor)
    bound = anchored_distance(anchor, defect(anchor, weights))
    assert is_upper_bound(bound.value, case.after, weights)


@given(cases())
def test_enclosures_follow_the_rows(case: Case) -> None:
    """Claim T6a: gradient, Hessians and curvature after the exchange enclose the exact ones of the rows in force."""
    anchor, problem = case.anchor, case.after
    if math.isfinite(anchor.gradient.error):
        assert gradient_error(problem, anchor.point, anchor.gradient.value) <= anchor.gradient.error
    with ctx.workprec(1024):
        exact = hessians(replace(problem, alpha=0.0), anchor.linearisation.weights)
        for enclosure, matrix in zip(anchor.linearisation.data_hessians, exact, strict=False):
            if not math.isfinite(enclosure.error):
                continue
            p = len(enclosure.value)
            for triangle in (np.tril(enclosure.value), np.triu(enclosure.value).T):
                symmetric = triangle + np.tril(triangle, -1).T
                gap = arb_mat(p, p, symmetric.ravel().tolist()) - matrix
                assert is_positive_definite(gap, -enclosure.error)
                assert is_positive_definite(-1 * gap, -enclosure.error)
        for matrix in hessians(problem, anchor.linearisation.weights):
            assert anchor.curvature == 0.0 or is_positive_definite(matrix, anchor.curvature * (1.0 - 1e-12))


@given(cases(), st.sampled_from([1.0, 1.0, 0.0, 0.9]), st.booleans())
def test_figures_at_the_weights(case: Case, share: float, scatter: bool) -> None:
    """Claim T6: gradient and smallest eigenvalue at the weights themselves, as a verifier computes them from rows."""
    anchor, problem = case.anchor, case.after
    weights = anchor.point + share * newton_displacement(anchor) + (1e-3 if scatter else 0.0)
    bound = anchored_distance(anchor, defect(anchor, weights))
    if problem.is_degenerate:
        return
    if math.isfinite(bound.gradient_residual):
        assert gradient_error(problem, weights, np.zeros(problem.shape)).lower() <= bound.gradient_residual
        assert bound.rounding_error <= bound.gradient_residual
    with ctx.workprec(1024):
        for matrix in hessians(problem, weights):
            assert bound.curvature == 0.0 or is_positive_definite(matrix, bound.curvature * (1.0 - 1e-12))
    if not problem.fit_intercept:
        assert bound.curvature >= problem.alpha


@pytest.mark.parametrize("intercept", [False, True])
def test_the_curvature_at_the_weights_falls_with_the_distance(intercept: bool) -> None:
    """Without the factor for the way from W₀ it would be no lower bound: margins grow, and curvature falls."""
    problem = replace(example(), fit_intercept=intercept, alpha=1.0)
    objective, weights = objective_of(problem), minimise(problem).nearest
    point = 0.93 * weights
    anchor = factorised(anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point)))
    bound = anchored_distance(anchor, defect(anchor, point + newton_displacement(anchor)))
    weights = point + newton_displacement(anchor)
    (hessian,) = hessians(problem, weights)
    assert math.isfinite(bound.value)
    assert not is_positive_definite(hessian, anchor.curvature)
    assert is_positive_definite(hessian, bound.curvature)
    assert bound.curvature > 0.0


@given(problems(), st.data())
def test_largest_shift(problem: Problem, drawn: st.DataObject) -> None:
    first, second = (drawn.draw(points(problem.shape)) for _ in range(2))
    bound = largest_shift(objective_of(problem), first, second)
    rows = np.hstack([problem.features, np.ones((len(problem.features), int(problem.fit_intercept)))])
    with ctx.workprec(1024):
        difference = arb_mat(first.tolist()) - arb_mat(second.tolist())
        products = arb_mat(rows.tolist()) * difference
        for i in np.flatnonzero(problem.weights > 0.0):
            for k in range(problem.shape[1]):
                assert abs(products[int(i), k]) <= bound


@given(SEEDS, st.integers(1, 5), powers_of_ten(-6, 6), st.floats(0.0, 1.0))
def test_data_amplification(seed: int, p: int, alpha: float, share: float) -> None:
    """C² − A⁻¹BA⁻¹ ⪰ 0 for A = B + αI: every eigenvalue of B contributes λ/(λ + α)², whatever the smallest."""
    spectrum = 10.0 ** np.random.default_rng(seed).uniform(-8, 8, p)
    with ctx.workprec(300):
        lowest = arb(float(spectrum.min())) + arb(alpha)
        amplification = data_amplification(share * lowest if share * lowest > alpha else arb(alpha), arb(alpha))
        for value in spectrum:
            size = arb(float(value)).sqrt() / (arb(float(value)) + arb(alpha))
            assert size <= amplification * (1 + arb(2) ** -200)
    assert data_amplification(2.0, 1.0) == pytest.approx(0.5)
    assert data_amplification(9.0, 0.0) == pytest.approx(1 / 3)


@given(SEEDS, st.integers(2, 5), powers_of_ten(-4, 4))
def test_intercept_amplification(seed: int, p: int, alpha: float) -> None:
    """C² bounds ‖A⁻¹BA⁻¹‖₂ where the last coordinate is not penalised, given the exact last column of A⁻¹."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(p + 2, p)) * 10.0 ** rng.uniform(-2, 2, p)
    rows[:, -1] = 1.0
    with ctx.workprec(400):
        matrix = arb_mat(rows.T.tolist()) * arb_mat(rows.tolist())
        total = arb_mat(
            p, p, [matrix[i, j] + (arb(alpha) if i == j < p - 1 else 0) for i in range(p) for j in range(p)]
        )
        inverse = total.inv()
        lever = sum((inverse[i, p - 1] * inverse[i, p - 1] for i in range(p)), arb(0)).sqrt()
        bound = intercept_amplification(arb(alpha), lever)
        assert is_positive_definite(-1 * (inverse * matrix * inverse), -bound * bound * (1 + arb(2) ** -100), bits=400)


def test_an_intercept_costs_little_with_a_lever() -> None:
    """The lever brings C near its value with every coordinate penalised; one that is no number changes nothing."""
    problem = replace(example(), fit_intercept=True)
    objective, point = objective_of(problem), minimise(replace(example(), fit_intercept=True)).nearest
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    anchor = exchange(anchor, 8.0, objective_of(without(problem, [0])), [(objective.rows.take(np.array([0])), -1.0)])
    measured = defect(anchor, point + newton_displacement(anchor))
    levers = (None, last_columns(anchor), np.full((6, 1), np.nan))
    plain, sharper, useless = (anchored_distance(anchor, measured, lever).value for lever in levers)
    assert sharper < 0.8 * plain < math.inf
    assert useless == plain


def test_without_a_penalty_only_a_factorisation_proves_curvature() -> None:
    """The intercept's moments allow a singular Hessian then: that of one row repeated."""
    problem = replace(example(), fit_intercept=True, alpha=0.0)
    objective, point = objective_of(problem), minimise(problem).nearest + 1e-4
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    weights = point + newton_displacement(anchor)
    assert (anchor.curvature, anchor.curvature_claim) == (0.0, "T2s")
    assert anchored_distance(anchor, defect(anchor, weights)).value == math.inf
    sharper = factorised(anchor)
    bound = anchored_distance(sharper, defect(sharper, weights)).value
    assert sharper.curvature > 0.0 and minimise(problem).distance(weights) <= bound < 1e-6


@given(st.floats(0.0, 4.0), st.floats(1e-6, 6.0))
def test_mean_curvatures(drift: float, reach: float) -> None:
    """Both are integrals over the step, and the decrease never exceeds the change."""
    with ctx.workprec(120):
        grown = arb(0)
        shrunk = arb(0)
        steps = 64
        for j in range(steps):
            end = arb(reach) * (j + 1) / steps
            grown += (arb(drift) + end).exp() / steps
            shrunk += (-(arb(drift) + end)).exp() / steps
        assert curvature_change(arb(drift), arb(reach)) + 1 <= grown
        assert curvature_decrease(arb(drift), arb(reach)) >= shrunk
        assert 1 - curvature_decrease(arb(drift), arb(reach)) <= curvature_change(arb(drift), arb(reach))


def example(n: int = 200, d: int = 5, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) / np.sqrt(d)
    targets = np.where(features @ rng.normal(size=(d, 1)) + 0.3 * rng.normal(size=(n, 1)) > 0, 1.0, -1.0)
    return Problem("logistic", features, targets, np.ones(n), 8.0)


@pytest.mark.parametrize("count", [1, 5, 10])
def test_the_bound_is_within_two_orders_of_the_truth(count: int) -> None:
    problem = example()
    objective = objective_of(problem)
    point = minimise(problem).nearest
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    after = without(problem, range(count))
    anchor = exchange(anchor, problem.alpha, objective_of(after), [(objective.rows.take(np.arange(count)), -1.0)])
    weights = point + newton_displacement(anchor)
    bound = anchored_distance(anchor, defect(anchor, weights)).value
    assert minimise(after).distance(weights) <= bound <= 100.0 * float(minimise(after).distance(weights).mid())


def test_one_by_one_is_as_tight_as_a_batch() -> None:
    """The remainder belongs to the point: a sequence of changes leads to the same bound but for rounding."""
    problem = example()
    objective, point = objective_of(problem), minimise(example()).nearest
    start = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    after = objective_of(without(problem, range(20)))
    batch = exchange(start, problem.alpha, after, [(objective.rows.take(np.arange(20)), -1.0)])
    single = start
    for i in range(20):
        single = exchange(single, problem.alpha, after, [(objective.rows.take(np.array([i])), -1.0)])
    bounds = [anchored_distance(a, defect(a, point + newton_displacement(batch))).value for a in (batch, single)]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6)


def test_the_drift_of_the_anchor_is_paid_for() -> None:
    """With the Hessian of another point a step misses by first order, which the bound covers only through the drift."""
    problem = example()
    objective, shift = objective_of(problem), np.full((5, 1), 1e-3)
    point = minimise(problem).nearest + shift
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point + 0.5))
    weights = point + newton_displacement(anchor)
    measured, truth = defect(anchor, weights), minimise(problem).distance(weights)
    assert anchored_distance(replace(anchor, drift=0.0), measured).value < truth
    assert truth <= anchored_distance(anchor, measured).value


def test_a_way_that_working_precision_takes_for_none_is_paid_for() -> None:
    """κλ_N·e^δ/√m is 5e-30, and 1 less that is 1 in 96 bits; still C·β(δ, κ‖V‖)·‖V‖_B is part of the bound."""
    drift, alpha, away = 20.0, 1e36, 1e-38
    problem = Problem("logistic", np.ones((1, 1)), np.ones((1, 1)), np.ones(1), alpha)
    objective, point = objective_of(problem), minimise(problem).nearest + away
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    measured = defect(anchor, point + newton_displacement(anchor))
    with_drift = anchored_distance(replace(anchor, drift=drift), measured).value
    remainder = 0.5 / math.sqrt(alpha) * math.expm1(drift) * 0.5 * away
    assert anchored_distance(anchor, measured).value < 0.01 * remainder < remainder <= with_drift < math.inf


def test_no_weights_are_no_distance_away() -> None:
    problem, none = Problem("logistic", np.ones((3, 2)), np.ones((3, 0)), np.ones(3), 1.0), np.zeros((2, 0))
    objective = objective_of(problem)
    anchor = anchor_at(objective, none, Enclosure(none, 0.0, "T12"), linearise(objective, none))
    assert anchored_distance(anchor, defect(anchor, none)).value == 0.0


def test_rows_too_small_to_be_seen_are_charged() -> None:
    """A thousand rows that the Hessian rounds away one by one are inside its error, and so inside the bound."""
    count, small = 1000, 1e-8
    problem = Problem("squared", np.array([[1.0]]), np.ones((1, 1)), np.ones(1), 1.0)
    objective, point = objective_of(problem), np.array([[0.5]])
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    tiny = Rows.from_arrays(np.array([[small]]), np.zeros((1, 1)), np.ones(1))
    for _ in range(count):
        anchor = exchange(anchor, 1.0, objective, [(tiny, 1.0)])
        anchor = replace(anchor, linearisation=anchor.linearisation.settled())
    hessian = anchor.linearisation.data_hessians[0]
    with ctx.workprec(200):
        exact = 1 + count * arb(small) * arb(small)
        assert abs(exact - arb(float(hessian.value[0, 0]))) > 5e-14
        assert abs(exact - arb(float(hessian.value[0, 0]))) <= hessian.error


def test_squared_loss_leaves_no_remainder() -> None:
    problem = replace(example(), loss="squared")
    objective, point = objective_of(problem), np.zeros((5, 1))
    anchor = anchor_at(objective, point, certified_gradient(objective, point), linearise(objective, point))
    anchor = exchange(
        anchor, problem.alpha, objective_of(without(problem, [0])), [(objective.rows.take(np.array([0])), -1.0)]
    )
    assert anchored_distance(anchor, defect(anchor, anchor.point + newton_displacement(anchor))).value < 1e-10


def test_too_far_from_the_anchor_nothing_is_claimed() -> None:
    objective, far = objective_of(example()), np.full((5, 1), 1e3)
    anchor = anchor_at(objective, far, certified_gradient(objective, far), linearise(objective, far))
    assert anchored_distance(anchor, defect(anchor, anchor.point + newton_displacement(anchor))).value == math.inf


def test_secrets_stay_out_of_the_representation() -> None:
    objective, zero = objective_of(example()), np.zeros((5, 1))
    anchor = anchor_at(objective, zero, certified_gradient(objective, zero), linearise(objective, zero))
    assert "array" not in repr(anchor) and "array" not in repr(defect(anchor, np.ones((5, 1))))
