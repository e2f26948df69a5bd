from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows
from certified.losses import GAMMA, LOGISTIC, POISSON, SQUARED, HuberisedHinge, Loss
from certified.losses.huberised_hinge import HINGE_WIDTHS
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.objective import Objective
from certified.solvers import conjugate_gradient, newton, solve
from tests.oracle import Problem, minimise
from tests.strategies import objective_of, points, powers_of_ten, problems

Array = npt.NDArray[np.float64]
BENIGN = {"scaled": False, "strengths": powers_of_ten(-3, 1), "intercepts": [False]}


def blobs(loss: Loss, n: int = 600, d: int = 6, outputs: int = 1, alpha: float = 1.0, seed: int = 0) -> Objective:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) / np.sqrt(d)
    scores = features @ rng.normal(size=(d, outputs)) + 0.3 * rng.normal(size=(n, outputs))
    targets = np.sign(scores) if loss is LOGISTIC else scores
    return Objective(loss, Rows.from_arrays(features, targets, np.ones(n)), alpha, True)


@given(problems(**BENIGN))
def test_finds_the_minimiser(problem: Problem) -> None:
    """To the floor of float64: the remaining distance is explained by the rounding of one gradient."""
    objective = objective_of(problem)
    solution = solve(objective)
    assert solution.converged
    if problem.is_degenerate:
        return
    floor = certified_gradient(objective, solution.weights).error / problem.alpha
    assert minimise(problem, solution.weights).distance(solution.weights) <= 3.0 * floor + 1e-14


@given(problems())
def test_survives_hostile_problems(problem: Problem) -> None:
    """Finite weights and a residual no larger than at the start, whether or not a minimiser exists."""
    objective = objective_of(problem)
    solution = solve(objective, max_iterations=20)
    _, start, _ = objective.value_and_gradient(np.zeros(problem.shape))
    assert np.all(np.isfinite(solution.weights))
    assert solution.residual <= np.linalg.norm(start)
    assert solution.iterations <= 20


@given(problems(**BENIGN), st.data(), powers_of_ten(-10, 0))
def test_meets_the_tolerance_from_any_start(problem: Problem, data: st.DataObject, tolerance: float) -> None:
    objective = objective_of(problem)
    solution = solve(objective, data.draw(points(problem.shape)), tolerance=tolerance)
    _, gradient, _ = objective.value_and_gradient(solution.weights)
    assert solution.converged == (solution.residual <= tolerance)
    assert solution.residual == np.linalg.norm(gradient)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("outputs", [1, 3])
def test_conjugate_gradients_agree_with_exact_steps(loss: Loss, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = blobs(loss, outputs=outputs)
    direct = solve(objective)
    monkeypatch.setattr(newton, "EXACT_HESSIAN_WORK", 0.0)
    monkeypatch.setattr(conjugate_gradient, "SAMPLE_FACTOR", 1)
    sampled = solve(objective)
    assert direct.converged
    assert sampled.converged
    assert np.allclose(direct.weights, sampled.weights, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_converges_within_few_iterations(loss: Loss) -> None:
    solution = solve(blobs(loss), tolerance=1e-9)
    assert solution.converged
    assert solution.iterations <= (12 if loss is LOGISTIC else 2)
    assert solution.passes >= solution.iterations


def test_a_start_at_the_minimiser_costs_one_pass() -> None:
    objective = blobs(LOGISTIC)
    optimum = solve(objective).weights
    again = solve(objective, optimum, tolerance=1e-8)
    assert (again.iterations, again.passes, again.converged) == (0, 1, True)


def test_leaves_the_start_alone() -> None:
    start = np.full((7, 1), 0.5)
    solve(blobs(LOGISTIC), start)
    assert np.array_equal(start, np.full((7, 1), 0.5))


def test_says_when_it_has_not_converged() -> None:
    solution = solve(blobs(LOGISTIC), tolerance=1e-9, max_iterations=1)
    assert not solution.converged
    assert solution.iterations == 1
    assert solution.residual > 1e-9


@pytest.mark.parametrize("linear", [None, np.array([[0.0], [5.0]])], ids=["one class", "steep linear term"])
def test_stops_where_there_is_no_minimiser(linear: Array | None) -> None:
    """The slope falls forever; the solver stops at admissible weights and claims no root of the gradient."""
    targets = np.ones((4, 1)) if linear is None else np.array([[1.0], [-1.0], [1.0], [-1.0]])
    rows = Rows.from_arrays(np.ones((4, 1)), targets, np.ones(4))
    solution = solve(Objective(LOGISTIC, rows, 1.0, True, linear), max_iterations=60)
    assert solution.residual > 0.0
    assert np.all(np.abs(solution.weights) <= MAGNITUDE_LIMIT)


def test_no_outputs_needs_no_work() -> None:
    rows = Rows.from_arrays(np.ones((4, 2)), np.ones((4, 0)), np.ones(4))
    solution = solve(Objective(LOGISTIC, rows, 1.0))
    assert (solution.weights.shape, solution.converged) == ((2, 0), True)


def test_is_deterministic() -> None:
    objective = blobs(LOGISTIC)
    first, second = solve(objective), solve(replace(objective))
    assert np.array_equal(first.weights, second.weights)


def test_repr_hides_the_weights() -> None:
    solution = solve(blobs(LOGISTIC), max_iterations=2)
    assert repr(float(solution.weights[0, 0]))[:6] not in repr(solution)
    assert repr(solution).startswith("Solution(residual=")


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("exact", [False, True])
def test_streamed_rows(loss: Loss, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preconditioned by the Hessian or by that of a sample of blocks, it finds the same minimiser."""
    if not exact:
        monkeypatch.setattr(newton, "EXACT_WHEN_STREAMED", 0)
    monkeypatch.setattr(newton, "EXACT_HESSIAN_WORK", 0)
    held = blobs(loss, n=1300, outputs=2)
    features, targets = (np.asarray(a).reshape(-1, a.shape[2])[:1300] for a in (held.rows.features, held.rows.targets))
    source = ArraySource(np.concatenate([features, 9.0 * features[:30]]), np.concatenate([targets, targets[:30]]))
    rows = StreamedRows.open(source, 300).without(np.arange(1300, 1330))
    solution, expected = solve(replace(held, rows=rows)), solve(held)
    assert solution.converged
    np.testing.assert_allclose(solution.weights, expected.weights, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("count", [1e-9, 1.0, 1e9, 1e15])
@pytest.mark.parametrize("start", [0.0, 400.0])
def test_an_overflow_on_the_way_is_walked_around(count: float, start: float) -> None:
    """Without a penalty to speak of, the first Newton step from zero may lead to where e^±z overflows."""
    for loss, sign in ((POISSON, 1.0), (GAMMA, -1.0)):
        rows = Rows.from_arrays(np.ones((2, 1)), np.array([[count], [2.0 * count]]), np.ones(2))
        solution = solve(Objective(loss, rows, 1e-30), np.full((1, 1), sign * start))
        assert solution.converged
        assert solution.weights[0, 0] == pytest.approx(np.log(1.5 * count), abs=1e-6)


@pytest.mark.parametrize(
    "width",
    [w if w in HINGE_WIDTHS[::5] else pytest.param(w, marks=pytest.mark.slow) for w in HINGE_WIDTHS],
)
@pytest.mark.parametrize("exact", [True, False])
def test_newton_is_semismooth(width: float, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """φ'' jumps, and still the floor is reached, be the preconditioner the Hessian or a sample of it."""
    if not exact:
        monkeypatch.setattr(newton, "EXACT_HESSIAN_WORK", 0.0)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 6))
    y = np.where(X @ rng.normal(size=6) + rng.normal(size=400) > 0.0, 1.0, -1.0)
    objective = Objective(HuberisedHinge(width), Rows.from_arrays(X, y[:, None], np.ones(400)), 1.0, True)
    solution = solve(objective)
    assert solution.converged
    assert solution.residual < 1e-9
