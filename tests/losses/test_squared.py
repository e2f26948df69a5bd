from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from certified.losses import SQUARED
from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF

NUMBERS = st.floats(-1e60, 1e60)


def test_constants() -> None:
    """Claim C-squared: φ' = z − t is unbounded, φ'' = 1 and φ''' = 0."""
    assert SQUARED.derivative_limit == math.inf
    assert (SQUARED.curvature_limit, SQUARED.self_concordance, SQUARED.constant_curvature) == (1.0, 0.0, True)


@given(NUMBERS, NUMBERS)
@in_float64
def test_derivatives(z: float, target: float) -> None:
    predictor, wanted = jnp.asarray(z), jnp.asarray(target)
    # XLA may take subnormal numbers for zero, which T12 charges to underflow.
    slope = float(SQUARED.derivative(predictor, wanted))
    assert slope == z - target or abs(slope - (z - target)) <= 2.0**-1021
    assert float(SQUARED.curvature(predictor, wanted)) == 1.0
    value = float(SQUARED.value(predictor, wanted))
    assert math.isclose(value, 0.5 * (z - target) ** 2, rel_tol=4 * UNIT_ROUNDOFF, abs_tol=2.0**-1021)


@in_float64
def test_the_difference_is_exact_nearby() -> None:
    """Sterbenz: where z and t agree to a factor of two, the residual carries no rounding at all."""
    z = np.random.default_rng(0).uniform(1.0, 2.0, 100)
    residual = np.asarray(SQUARED.derivative(jnp.asarray(z), jnp.ones(100)))
    assert np.array_equal(residual + 1.0, z)
