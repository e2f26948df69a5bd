from __future__ import annotations

import math
import re

import numpy as np
import pytest
from flint import arb
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from certified.bounds.published.descent import (
    best_step,
    contraction_factor,
    distance_after_steps,
    finite,
    gaussian_norm_bound,
    whole,
)
from certified.numerics.balls import working_precision

CURVATURES = st.floats(1e-3, 1e3)


@given(CURVATURES, CURVATURES, st.floats(0.0, 10.0), st.integers(0, 100))
def test_a_step_contracts(first: float, second: float, step: float, seed: int) -> None:
    """Claim T7n: on a random quadratic with these extreme curvatures no two points part more, and two attain it."""
    m, smooth = sorted((first, second))
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    eigenvalues = np.array([m, smooth, rng.uniform(m, smooth)])
    image = basis - step * basis @ np.diag(eigenvalues)
    factor = contraction_factor(step, m, smooth)
    stretched = float(np.linalg.norm(image @ basis.T, 2))
    assert stretched <= factor * (1.0 + 1e-9) + 1e-12
    assert math.isclose(stretched, factor, rel_tol=1e-6, abs_tol=1e-9)


@given(st.floats(0.0, 3.0), CURVATURES, CURVATURES)
def test_the_factor_is_rounded_up(step: float, first: float, second: float) -> None:
    m, smooth = sorted((first, second))
    factor = contraction_factor(step, m, smooth)
    with working_precision(256):
        for end in (m, smooth):
            assert abs(1 - arb(step) * arb(end)) <= arb(factor)


@given(CURVATURES, CURVATURES, st.floats(0.1, 1.9))
def test_no_step_contracts_more_than_the_best(first: float, second: float, share: float) -> None:
    m, smooth = sorted((first, second))
    best = contraction_factor(best_step(m, smooth), m, smooth)
    assert math.isclose(best, (smooth - m) / (smooth + m), rel_tol=1e-9, abs_tol=1e-12)
    assert best <= contraction_factor(share * best_step(m, smooth), m, smooth) * (1.0 + 1e-12) + 1e-15


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.floats(0.0, 1.0), st.integers(0, 200))
def test_distance_after_steps(distance: float, shift: float, contraction: float, steps: int) -> None:
    bound = distance_after_steps(distance, shift, contraction, steps)
    exact = arb(contraction) ** steps * (arb(distance) + arb(shift))
    assert not arb(bound) < exact
    assert bound <= float(exact) * (1.0 + 1e-12) + math.ulp(0.0)


@given(st.integers(1, 2000), st.floats(1e-12, 0.5), st.floats(1e-3, 1e3))
def test_a_gaussian_norm_exceeds_its_bound_rarely(dimension: int, failure: float, noise_std: float) -> None:
    """Claim T7n, item 5, against the χ distribution."""
    radius = gaussian_norm_bound(noise_std, dimension, failure) / noise_std
    assert stats.chi.sf(radius, dimension) <= failure * (1.0 + 1e-6)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_finite_accepts_what_it_says(value: float) -> None:
    assume(not (math.isfinite(value) and value >= 0.0))
    with pytest.raises(ValueError, match="distance must"):
        finite("distance", value)


BAD = {
    "steps of no length": (lambda: contraction_factor(-1.0, 1.0, 2.0), "step must"),
    "curvatures in the wrong order": (lambda: best_step(2.0, 1.0), "strong_convexity must be positive and at most"),
    "no strong convexity": (lambda: best_step(0.0, 1.0), "strong_convexity must be positive"),
    "half a step": (lambda: distance_after_steps(1.0, 0.0, 0.5, 1.5), "steps must be an integer"),  # type: ignore[arg-type]
    "a boolean": (lambda: whole("steps", True, 1), "steps must be an integer"),
    "certain failure": (lambda: gaussian_norm_bound(1.0, 2, 1.0), "failure must lie strictly"),
    "no failure at all": (lambda: gaussian_norm_bound(1.0, 2, 0.0), "failure must lie strictly"),
    "a negative dimension": (lambda: gaussian_norm_bound(1.0, -2, 0.1), "dimension must be an integer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
