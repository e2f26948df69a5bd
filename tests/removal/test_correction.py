from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from certified.bounds.anchor import Anchor, anchor_at, changed_terms, exchange
from certified.bounds.curvature import linearise
from certified.bounds.ledger import defect
from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from certified.removal.correction import residual_after, solve
from certified.removal.inverses import inverses_of

rng = np.random.default_rng(0)
FEATURES, TARGETS = rng.normal(size=(60, 4)), rng.choice([-1.0, 1.0], size=(60, 2))


def anchored(loss: Loss = LOGISTIC, intercept: bool = False) -> tuple[Objective, Anchor]:
    objective = Objective(loss, Rows.from_arrays(FEATURES, TARGETS, np.ones(60)), 2.0, intercept)
    point = 0.1 * rng.normal(size=objective.shape)
    return objective, anchor_at(
        objective, point, certified_gradient(objective, point), linearise(objective, 0.9 * point)
    )


@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_residual_after_a_change_needs_no_product(loss: Loss, intercept: bool) -> None:
    """Rows out, rows in and another strength, against the residual measured with the new Hessian."""
    objective, before = anchored(loss, intercept)
    weights = before.point + 0.1 * rng.normal(size=before.point.shape)
    positions = np.array([3, 17, 40])
    after = replace(objective, rows=objective.rows.without(positions), alpha=1.5)
    changed = [(objective.rows.take(positions), -1.0), (objective.rows.take(np.array([3])), 1.0)]
    terms = changed_terms(before, after, changed)
    now = exchange(before, 2.0, after, terms)
    found = residual_after(now, weights, defect(before, weights).residual, terms, 1.5 - 2.0)
    assert found == pytest.approx(defect(now, weights).residual, rel=1e-12, abs=1e-12)


def test_corrections_reach_the_goal_and_measure_it() -> None:
    _, anchor = anchored()
    inverses = inverses_of(anchor.linearisation)
    found = solve(anchor, inverses, anchor.point, anchor.gradient.value, 1e-9)
    assert found.reached and np.linalg.norm(found.measured.residual) <= 1e-9
    assert np.array_equal(found.measured.residual, defect(anchor, found.measured.weights).residual)


def test_a_wrong_estimate_of_the_residual_costs_steps_and_nothing_else() -> None:
    _, anchor = anchored()
    inverses = inverses_of(anchor.linearisation)
    wrong = anchor.gradient.value + 5.0
    found = solve(anchor, inverses, anchor.point, wrong, 1e-9)
    assert found.reached and np.linalg.norm(found.measured.residual) <= 1e-9


@pytest.mark.parametrize("factor", [-1.0, 1e70, np.nan])
def test_a_useless_inverse_is_noticed(factor: float) -> None:
    _, anchor = anchored()
    inverses = tuple(factor * inverse for inverse in inverses_of(anchor.linearisation))
    found = solve(anchor, inverses, anchor.point, anchor.gradient.value, 1e-9)
    assert not found.reached
    assert np.all(np.isfinite(found.measured.weights))


def test_the_stride_follows_the_hessian() -> None:
    """With an inverse that is too small by a tenth the next stride makes up for it."""
    _, anchor = anchored()
    inverses = tuple(0.9 * inverse for inverse in inverses_of(anchor.linearisation))
    found = solve(anchor, inverses, anchor.point, anchor.gradient.value, 1e-3)
    assert found.stride == pytest.approx(1.0 / 0.9, rel=1e-2)
    sooner = solve(anchor, inverses, anchor.point, anchor.gradient.value, 1e-3, found.stride)
    assert np.linalg.norm(sooner.measured.residual) < 1e-2 * np.linalg.norm(anchor.gradient.value)
