"""What requests contribute, and the constants of the published bounds; what is refused: ``test_conformance``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from certified.losses import GAMMA, HUBERISED_HINGE, POISSON, Loss
from certified.removal.published import DeltaGrad, DescentToDelete, Jackknife, Langevin, ObjectivePerturbation, Sekhari
from certified.removal.published.jackknife import _bounds
from certified.removal.published.request import (
    check_request,
    check_unit_weights,
    gradient_bound,
    mean_constants,
    removed_gradient,
    row_count,
    third_derivative,
)
from tests.removal.published.problems import data


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("per_sample", [True, False])
def test_removed_gradient_is_what_the_gradient_loses(outputs: int, per_sample: bool) -> None:
    """With and without a linear term, which stays."""
    problem = data(outputs=outputs)
    objective = problem.objective()
    after, removed = problem.request(objective, [2, 9], per_sample)
    W = np.random.default_rng(1).normal(size=objective.shape)
    expected = objective.value_and_gradient(W)[1] - after.value_and_gradient(W)[1]
    for linear in (None, np.full(objective.shape, 3.0)):
        lost = removed_gradient(replace(objective, linear=linear), replace(after, linear=linear), removed, W)
        assert np.allclose(lost, expected, rtol=1e-12, atol=1e-12)


def test_constants_are_upper_bounds_and_not_loose() -> None:
    problem = data(outputs=2)
    objective = problem.objective()
    longest = float(np.max(np.linalg.norm(problem.X, axis=1)))
    z = np.linspace(-8.0, 8.0, 4001)
    s = 1.0 / (1.0 + np.exp(-z))
    assert np.max(np.abs(s * (1.0 - s) * (1.0 - 2.0 * s))) <= third_derivative(objective) <= 0.2500001
    assert longest * math.sqrt(2.0) <= gradient_bound(objective) <= longest * math.sqrt(2.0) * (1.0 + 1e-12)
    constants = mean_constants(objective)
    assert constants["n"] == 60.0
    assert 0.1 * (1.0 - 1e-12) <= constants["strong_convexity"] <= 0.1
    assert constants["lipschitz"] == 2.0 * gradient_bound(objective)
    assert constants["hessian_lipschitz"] == pytest.approx(0.25 * longest**3)
    assert third_derivative(data(loss="squared").objective()) == 0.0


def test_an_unbounded_derivative_is_refused() -> None:
    for constant in (gradient_bound, mean_constants):
        with pytest.raises(ValueError, match=r"loss='squared' has no bounded derivative.*logistic"):
            constant(data(loss="squared").objective())


@pytest.mark.parametrize("loss", [POISSON, GAMMA, HUBERISED_HINGE], ids=lambda loss: loss.name)
def test_losses_without_the_constants_of_a_publication_are_refused(loss: Loss) -> None:
    """No mechanism may turn an infinite constant into a finite bound, or into weights beside a claim."""
    objective = replace(data(), Y=np.abs(data().Y)).objective()
    objective = replace(objective, loss=loss)
    with pytest.raises(ValueError, match=r"no bounded third derivative.*logistic"):
        third_derivative(objective)
    for constant in (
        mean_constants,
        Sekhari(0.5, 1e-6, 1).initialise,
        ObjectivePerturbation(0.5, 1e-6, 1.0).initialise,
    ):
        with pytest.raises(ValueError, match=r"no bounded (third )?derivative"):
            constant(objective)
    assert Jackknife(0.1)._claim(_bounds(objective), 1).distance is None
    if loss is not HUBERISED_HINGE:
        for mechanism in (DeltaGrad(5), DescentToDelete(1.0, 1e-6, 3), Langevin(0.1, 1e-6, 3, 3, radius=2.0)):
            with pytest.raises(ValueError, match=r"no bounded (curvature|derivative)"):
                mechanism.initialise(objective)


def test_rows_are_counted_by_their_weight() -> None:
    rows = data().objective().rows
    assert row_count(rows) == 60
    assert row_count(rows.without(np.arange(5))) == 55
    check_unit_weights(rows.without(np.arange(5)))
    halved = replace(rows, weights=np.asarray(rows.weights) / 2.0)
    with pytest.raises(ValueError, match="sample weights must be 1"):
        check_unit_weights(halved)


def test_alpha_may_only_follow_the_rows() -> None:
    problem = data()
    objective = problem.objective()
    after, removed = problem.request(objective, [1])
    check_request(objective, after, removed)
    with pytest.raises(ValueError, match="alpha must not grow"):
        check_request(objective, replace(after, alpha=objective.alpha * 2.0), removed)
    nothing = objective.rows.take(np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="alpha must not change where no row is removed"):
        check_request(objective, replace(objective, alpha=1.0), nothing)
