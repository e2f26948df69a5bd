"""The measure of one step dominates it: against thresholds in 30 digits, against other contributions, and closely."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.accounting.losses import LossMeasure, step_losses
from certified.accounting.mechanisms import ApproximateRelease, Difference, SubsampledGaussian
from certified.privacy.composition import compose_optimal_delta
from tests.accounting.oracle import grid_delta, single_step_delta

STEPS = [
    (1.0, 0.0171, Difference(1, 0)),
    (1.0, 0.0171, Difference(0, 1)),
    (0.3, 0.5, Difference(2, 0)),
    (7.0, 1e-4, Difference(1, 1)),
    (2.0, 1.0, Difference(1, 0)),
    pytest.param(900.0, 0.9, Difference(5, 2), marks=pytest.mark.slow),
    pytest.param(0.3, 0.5, Difference(0, 3), marks=pytest.mark.slow),
]


def measured_delta(measure: LossMeasure, epsilon: float) -> mpmath.mpf:
    with mpmath.workdps(40):
        terms = [
            mpmath.mpf(float(mass)) * -mpmath.expm1(mpmath.mpf(epsilon) - mpmath.mpf(float(loss)))
            for loss, mass in zip(measure.losses, measure.masses, strict=True)
            if loss > epsilon
        ]
        return mpmath.fsum(terms) + mpmath.mpf(measure.infinite)


@pytest.mark.parametrize(("noise", "rate", "difference"), STEPS)
def test_a_step_is_dominated_closely(noise: float, rate: float, difference: Difference) -> None:
    step = SubsampledGaussian(noise, rate, 1)
    coarse = step_losses(step, difference, reach=12.0)
    fine = step_losses(step, difference, 12.0, np.full(len(coarse.losses) - 1, 6))
    span = coarse.losses[-1] - coarse.losses[0]
    for share in (0.4, 0.75):
        epsilon = float(coarse.losses[0] + share * span)
        truth = single_step_delta(noise, rate, difference, epsilon)
        loose, tight = measured_delta(coarse, epsilon), measured_delta(fine, epsilon)
        assert truth <= tight * (1 + mpmath.mpf(10) ** -25), (epsilon, truth, tight)
        assert tight <= loose * (1 + mpmath.mpf(10) ** -13)
        assert tight <= truth * 1.01 + 1e-17, (epsilon, truth, tight)
        assert loose - truth >= 3 * (tight - truth) or loose - truth < 1e-15


@given(
    st.floats(0.4, 4.0),
    st.floats(0.0, 1.0),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
    st.floats(-2.0, 2.0),
)
@settings(max_examples=15, deadline=None)
def test_no_contributions_exceed_the_mixtures(
    noise: float, rate: float, removed: int, added: int, seed: int, log_gamma: float
) -> None:
    """Rows contribute any vectors of norm at most 1 in the plane; the line is the worst case (claim T10)."""
    rng = np.random.default_rng(seed)

    def vectors(count: int) -> np.ndarray:
        found = rng.normal(size=(count, 2))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), rng.uniform(0.0, 3.0, (count, 1)))

    found = grid_delta(noise, rate, vectors(removed), vectors(added), math.exp(log_gamma))
    if removed + added == 0 or rate == 0.0:
        return
    worst = single_step_delta(noise, rate, Difference(removed, added), log_gamma)
    assert found <= worst + 5e-4


@pytest.mark.parametrize(("epsilon", "delta", "rows"), [(0.5, 0.0, 1), (1.0, 0.25, 1), (0.2, 1e-6, 3), (3.0, 1.0, 1)])
def test_a_release_is_its_randomised_response(epsilon: float, delta: float, rows: int) -> None:
    measure = step_losses(ApproximateRelease(epsilon, delta), Difference(rows, 0), reach=10.0)
    assert measure.masses.sum() + measure.infinite == pytest.approx(1.0, rel=1e-15)
    if rows == 1:
        for at in (0.0, 0.5 * epsilon, epsilon, 2.0 * epsilon):
            assert measured_delta(measure, at) == pytest.approx(compose_optimal_delta(at, epsilon, delta, 1), rel=1e-14)


def test_huge_groups_and_little_noise_stay_affordable() -> None:
    measure = step_losses(SubsampledGaussian(0.01, 0.5, 1), Difference(20, 0), reach=10.0)
    assert len(measure.losses) <= 5000 and np.isfinite(measure.losses).all()
    assert measure.masses.sum() == pytest.approx(1.0, rel=1e-12)
