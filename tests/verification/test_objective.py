"""The verifier's objective encloses what exact arithmetic and the independent oracle say."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.verification import objective as arb_objective
from certified.verification.objective import PRECISION, ArbObjective
from tests.oracle import Problem, hessians
from tests.strategies import HINGES, problems_and_points

LOSSES = ("logistic", "squared", "poisson", "gamma", *HINGES)

Array = npt.NDArray[np.float64]


def _in_balls(problem: Problem, weights: Array) -> ArbObjective:
    used = problem.weights > 0.0
    rows = (problem.features[used], problem.targets[used], problem.weights[used])
    return ArbObjective(problem.loss, *rows, problem.alpha, problem.fit_intercept, weights)


def _gradients(problem: Problem, weights: Array) -> list[arb_mat]:
    with ctx.workprec(1024):
        return [
            column.derivatives(arb_mat(weights[:, k : k + 1].tolist()))[0] for k, column in enumerate(problem.columns())
        ]


@settings(max_examples=60)
@given(problems_and_points(losses=LOSSES))
def test_sums_enclose_the_truth(case: tuple[Problem, Array]) -> None:
    problem, weights = replace(case[0], linear=None), case[1]
    objective = _in_balls(problem, weights)
    p, outputs = objective.shape
    with ctx.workprec(PRECISION):
        moments = objective.moments()
        product = objective.hessian_product(arb_mat(weights.tolist()))
        blocks = [objective.hessian(k) for k in range(outputs)]
    exact = hessians(problem, weights)
    with ctx.workprec(1024):
        for k, gradient in enumerate(_gradients(problem, weights)):
            column = exact[k] * arb_mat(weights[:, k : k + 1].tolist())
            for i in range(p):
                assert moments.gradient[k, i].overlaps(gradient[i, 0])
                assert product[k, i].overlaps(column[i, 0])
                for j in range(p):
                    assert blocks[k][i, j].overlaps(exact[k][i, j])
            if objective.has_free_intercept:
                assert moments.totals[k].overlaps(exact[k][p - 1, p - 1])
                first = sum((exact[k][j, p - 1] ** 2 for j in range(p - 1)), arb(0))
                assert (moments.first[k] ** 2).overlaps(first)


@settings(max_examples=10)
@given(problems_and_points(scaled=False))
def test_sums_are_narrow(case: tuple[Problem, Array]) -> None:
    objective = _in_balls(*case)
    with ctx.workprec(PRECISION):
        scale = float(sum(abs(v) for v in objective.sample_weights)) * 1e3 + objective.alpha
        scale *= 1.0 + float(np.abs(objective.weights).max(initial=0.0))
        assert all(float(v.rad()) <= 1e-25 * scale for v in objective.moments().gradient.entries())


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    seen: list[tuple[int, int]] = []
    objective = ArbObjective(
        "logistic",
        rng.normal(size=(10, 3)),
        np.where(rng.normal(size=(10, 2)) > 0.0, 1.0, -1.0),
        rng.uniform(0.5, 2.0, 10),
        0.5,
        True,
        rng.normal(size=(4, 2)),
        lambda done, rows: seen.append((done, rows)),
    )
    whole, hessian = objective.moments(), objective.hessian(1)
    monkeypatch.setattr(arb_objective, "BLOCK_ENTRIES", 16)
    parts, other = objective.moments(), objective.hessian(1)
    assert whole.gradient.overlaps(parts.gradient) and hessian.overlaps(other)
    assert all(a.overlaps(b) for a, b in zip(whole.totals + whole.first, parts.totals + parts.first, strict=True))
    assert seen == [(10, 10)] * 2 + [(4, 10), (8, 10), (10, 10)] * 2


@given(st.lists(st.floats(-1e60, 1e60), min_size=1, max_size=12), st.booleans())
def test_norms_enclose_the_truth(values: list[float], fit_intercept: bool) -> None:
    row = np.array([values])
    objective = ArbObjective(
        "squared", row, np.zeros((1, 1)), np.ones(1), 1.0, fit_intercept, np.zeros((len(values) + fit_intercept, 1))
    )
    exact = sum((Fraction(v) ** 2 for v in values), Fraction(int(fit_intercept)))
    with ctx.workprec(PRECISION):
        enclosed = objective.row_sizes().largest
        with ctx.workprec(5000):
            truth = arb(exact.numerator) / arb(exact.denominator)
            assert enclosed.lower() <= truth <= enclosed.upper()
            assert enclosed.upper() <= truth * (1 + 1e-15) + 1e-300


def test_large_margins_stay_finite() -> None:
    for margin in (1e4, -1e4, 1e8, -1e8):
        objective = ArbObjective(
            "logistic", np.array([[1.0]]), np.ones((1, 1)), np.ones(1), 0.0, False, np.array([[margin]])
        )
        with ctx.workprec(PRECISION):
            slope = objective.moments().gradient[0, 0]
        assert abs(float(slope) - (0.0 if margin > 0 else -1.0)) < 1e-30
