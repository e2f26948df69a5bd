"""The verifier's proof of a distance at the edge of float64: what is no guide there must not become a proof."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from flint import ctx

from certified.verification.distance import DistanceProof, prove_distance
from certified.verification.objective import PRECISION, ArbObjective

Array = npt.NDArray[np.float64]


def squared(features: Array, targets: Array, alpha: float, weights: Array) -> ArbObjective:
    return ArbObjective("squared", features, targets[:, None], np.ones(len(features)), alpha, False, weights[:, None])


def proved(objective: ArbObjective, distance: float, curvature: float) -> DistanceProof:
    with ctx.workprec(PRECISION):
        return prove_distance(objective, objective.moments(), objective.row_sizes(), distance, curvature)


@pytest.mark.parametrize("claimed", [1e-300, 1e-100])
def test_a_curvature_that_float64_takes_for_true(claimed: float) -> None:
    """The Hessian XᵀX has an exact factor in float64 whose inverse overflows; λ_min is 2⁻²⁰⁸⁰ at most."""
    p, small = 40, 2.0**-26
    features = np.diag(np.full(p, small)) + np.diag(np.ones(p - 1), 1)
    direction = (-small) ** np.arange(p)
    assert np.linalg.norm(direction) >= 1.0 and np.max(np.abs(features @ direction)) == 2.0**-1040
    hessian = features.T @ features
    assert np.array_equal(np.linalg.cholesky(hessian - claimed * np.eye(p)), features.T)
    proof = proved(squared(features, np.ones(p), 0.0, np.zeros(p)), 1e300, claimed)
    assert proof.curvature == 0 and not proof.distance.is_finite()


def test_a_gradient_beyond_float64() -> None:
    """1e320, of which a float64 is no guide; the system is solved in balls, and the distance is confirmed."""
    objective = squared(np.array([[1e60]]), np.array([1e60]), 1.0, np.array([1e200]))
    # The minimiser is t·x/(x² + α), within 1e-15 of 1.
    proof = proved(objective, 1.0001e200, 1.0)
    assert bool(proof.distance <= 1.0001e200) and bool(proof.distance >= 1e200 - 1.1)
    assert proved(objective, 0.9999e200, 1.0).distance >= 1e200 - 1.1


def test_nothing_is_proved_where_there_are_many_minimisers() -> None:
    """Two equal columns without a penalty: the Hessian is singular, in balls too."""
    objective = squared(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([1.0, 5.0]), 0.0, np.array([1.0, 2.0]))
    proof = proved(objective, 1.0, 1e-3)
    assert not proof.distance.is_finite() and proof.curvature == 0
