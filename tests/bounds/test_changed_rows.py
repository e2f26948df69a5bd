"""Claim T6a for the contributions of changed rows, whether evaluated in balls or by the compiled loss."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds import changed_rows
from certified.bounds.changed_rows import row_terms
from tests.oracle import Problem, gradient_error, hessians, is_positive_definite
from tests.strategies import objective_of, points, problems


@given(problems(), st.data(), st.sampled_from([0, changed_rows.FEW]))
def test_contributions_are_enclosed(problem: Problem, drawn: st.DataObject, few: int) -> None:
    """Slopes at one point, curvatures at another, by both evaluations."""
    point, base = (drawn.draw(points(problem.shape)) for _ in range(2))
    plain = replace(problem, alpha=0.0, linear=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changed_rows, "FEW", few)
        terms = row_terms(objective_of(plain), point, base)
    if math.isfinite(terms.gradient.error):
        assert gradient_error(plain, point, terms.gradient.value) <= terms.gradient.error
    p, outputs = problem.shape
    with ctx.workprec(1024):
        for k, matrix in zip(range(outputs), hessians(plain, base), strict=True):
            if not math.isfinite(float(terms.errors[k])):
                continue
            computed = arb_mat(p, p, [0] * (p * p))
            for row, a in zip(terms.features, terms.curvature[:, k], strict=True):
                assert a >= 0.0
                x = arb_mat(p, 1, row.tolist())
                computed += arb(float(a)) * (x * x.transpose())
            for gap in (computed - matrix, matrix - computed):
                assert is_positive_definite(gap, -float(terms.errors[k]) - 1e-140)
            assert is_positive_definite(-1 * computed, -float(terms.sizes[k]) - 1e-140)
        for row in terms.features:
            assert sum((arb(float(x)) ** 2 for x in row), arb(0)) <= arb(terms.largest_norm) ** 2


def test_balls_and_the_compiled_loss_agree() -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(6, 3)), rng.choice([-1.0, 1.0], size=(6, 2))
    problem = Problem("logistic", features, targets, np.array([1.0, 0.0, 2.0, 1.0, 0.5, 1.0]), 0.0, fit_intercept=True)
    point, base = rng.normal(size=(2, 4, 2))
    found = []
    for few in (0, changed_rows.FEW):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(changed_rows, "FEW", few)
            found.append(row_terms(objective_of(problem), point, base))
    compiled, balls = found
    assert balls.slopes == pytest.approx(compiled.slopes, rel=1e-13)
    assert balls.curvature == pytest.approx(compiled.curvature, rel=1e-13)
    assert balls.features.shape == (5, 4)
    assert np.all(balls.errors < 1e-12) and balls.gradient.error < 1e-12
