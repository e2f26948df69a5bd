"""Compositions against exact convolutions, optimal composition and the closed form of Gaussians."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.accounting.accountant import Target, _composition, _smallest_epsilon
from certified.accounting.composition import compose
from certified.accounting.losses import LossMeasure
from certified.accounting.mechanisms import ApproximateRelease, Difference, SubsampledGaussian
from certified.accounting.tilting import Grid, Part, grid_for_epsilon
from certified.privacy import compose_optimal_delta, gaussian_delta, gaussian_epsilon


def convolved_delta(parts: list[Part], epsilon: float) -> mpmath.mpf:
    """All sums of atoms, one by one, in 40 digits; infinite losses are added to δ as in the bound."""
    with mpmath.workdps(40):
        total, infinite = [(mpmath.mpf(0), mpmath.mpf(1))], mpmath.mpf(0)
        for measure, steps in parts:
            infinite += steps * mpmath.mpf(measure.infinite)
            atoms = [
                (mpmath.mpf(float(a)), mpmath.mpf(float(m)))
                for a, m in zip(measure.losses, measure.masses, strict=True)
            ]
            for _ in range(steps):
                total = [(x + a, w * m) for (x, w), (a, m) in itertools.product(total, atoms)]
        finite = mpmath.fsum(-w * mpmath.expm1(mpmath.mpf(epsilon) - x) for x, w in total if x > epsilon)
        return finite + infinite


@st.composite
def measures(draw: st.DrawFn) -> LossMeasure:
    losses = sorted(draw(st.lists(st.floats(-2.0, 3.0), min_size=2, max_size=4, unique=True)))
    masses = draw(st.lists(st.floats(1e-9, 1.0), min_size=len(losses), max_size=len(losses)))
    infinite = draw(st.sampled_from([0.0, 1e-12, 0.01]))
    scale = (1.0 - infinite) / sum(masses)
    return LossMeasure(np.array(losses), np.array(masses) * scale, infinite)


parts_of = st.lists(st.tuples(measures(), st.integers(1, 3)), min_size=1, max_size=2)


def check_never_below(parts: list[Part], asked: float, computed_for: float) -> None:
    """Also where the grid was chosen for another ε, and where ε is outside the window."""
    truth = convolved_delta(parts, asked)
    bound = compose(parts, grid_for_epsilon(parts, computed_for, 1e-3)).delta(asked)
    assert min(truth, mpmath.mpf(1)) <= bound


@given(parts_of, st.floats(0.0, 9.0), st.floats(0.0, 9.0))
@settings(max_examples=8, deadline=None)
def test_never_below_the_exact_convolution(parts: list[Part], asked: float, computed_for: float) -> None:
    check_never_below(parts, asked, computed_for)


@pytest.mark.slow
@given(parts_of, st.floats(0.0, 9.0), st.floats(0.0, 9.0))
@settings(max_examples=150, deadline=None)
def test_never_below_the_exact_convolution_many_times(parts: list[Part], asked: float, computed_for: float) -> None:
    check_never_below(parts, asked, computed_for)


@given(parts_of, st.floats(0.0, 3.0))
@settings(max_examples=8, deadline=None)
def test_close_to_the_exact_convolution(parts: list[Part], epsilon: float) -> None:
    """Of few atoms δ(ε) has kinks, at which a grid costs in proportion to its step, not to the square of it."""
    truth = convolved_delta(parts, epsilon)
    bound = compose(parts, grid_for_epsilon(parts, epsilon, 1e-4)).delta(epsilon)
    assert min(truth, mpmath.mpf(1)) <= bound <= truth * 1.02 + 1e-3


@pytest.mark.parametrize(("each", "releases"), [(0.1, 100), (1.0, 7), (0.01, 2000)])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_randomised_response_composes_optimally(each: float, releases: int, share: float) -> None:
    epsilon = share * each * math.sqrt(releases) * 5.0
    found = _composition((ApproximateRelease(each, 1e-9, releases),), Difference(1, 0), Target(epsilon, None))
    truth = compose_optimal_delta(epsilon, each, 1e-9, releases)
    assert truth <= found.delta(epsilon) * (1 + 1e-15)
    assert found.delta(epsilon) <= truth * 1.01


@pytest.mark.parametrize(
    ("steps", "delta"),
    [
        *itertools.product([1, 30, 10**4], [1e-5, 1e-14, 1e-100]),
        (10**5, 1e-14),
        *(pytest.param(10**5, delta, marks=pytest.mark.slow) for delta in (1e-5, 1e-10, 1e-12, 1e-100)),
        *(pytest.param(10**6, delta, marks=pytest.mark.slow) for delta in (1e-5, 1e-14)),
    ],
)
def test_gaussians_compose_in_closed_form(steps: int, delta: float) -> None:
    """Down to δ = 10⁻¹⁴ and below, where transforms without tilt lose every digit."""
    noise = math.sqrt(steps) * 0.8
    phases = (SubsampledGaussian(noise, 1.0, steps),)
    found = _composition(phases, Difference(1, 0), Target(0.0, delta))
    mu = math.sqrt(steps) / noise
    epsilon, truth = _smallest_epsilon(found, delta), gaussian_epsilon(delta, mu, 1.0)
    assert truth * (1 - 1e-15) <= epsilon <= truth * (1 + 1e-4)
    for at in (0.0, 0.5 * truth, truth, 1.2 * truth):
        exact = gaussian_delta(at, mu, 1.0)
        assert found.delta(at) >= exact * (1 - 1e-14)
    assert found.delta(truth) <= delta * (1.002 if steps <= 10**5 else 1.02)


@pytest.mark.slow
def test_too_many_steps_for_the_transform_leave_the_exponential_bound() -> None:
    phases = (SubsampledGaussian(1e9, 1.0, 10**12),)
    found = _composition(phases, Difference(1, 0), Target(0.0, 1e-6))
    truth = gaussian_epsilon(1e-6, 1e-3, 1.0)
    assert found.error == math.inf
    assert truth <= _smallest_epsilon(found, 1e-6) < 10.0 * truth


@pytest.mark.parametrize("step", [1.0, 4.0, 64.0])
def test_never_below_one_atom_on_a_coarse_grid(step: float) -> None:
    """Steps so long that the polynomials for shares no longer bound them."""
    measure = LossMeasure(np.array([100.3]), np.array([1.0]), 0.0)
    grid = Grid(1e-3, step, 256, int(150.0 / step) + 2, 1.0, 1e-3)
    for epsilon in (90.0, 99.0, 100.0):
        assert compose([(measure, 1)], grid).delta(epsilon) >= -math.expm1(epsilon - 100.3)


def test_losses_too_many_steps_away_promise_nothing() -> None:
    measure = LossMeasure(np.array([-1.0, 6000.0]), np.array([0.5, 0.5]), 0.0)
    assert compose([(measure, 1)], Grid(1e-3, 2.0**-58, 256, 1, 1.0, 1.0)).delta(1.0) == 1.0


def test_an_overflow_of_the_tilted_mass_leaves_the_exponential_bound() -> None:
    measure = LossMeasure(np.array([0.0, 0.5]), np.array([1.0, 1.0]), 0.0)
    found = compose([(measure, 10**6)], Grid(1e-6, 0.25, 256, 128, 1.0, 1.0))
    assert found.delta(1.0) == 1.0
