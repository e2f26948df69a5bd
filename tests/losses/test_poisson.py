from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx

from certified.losses import POISSON
from certified.numerics.exponential import LARGEST_ARGUMENT
from certified.numerics.precision import in_float64

SIGN = 1.0


@pytest.mark.parametrize("target", [1e-15, 0.5, 3.0, 1e15])
def test_constants(target: float) -> None:
    """Claim C-poisson: φ' = e^z − t and φ'' = φ''' = e^z are unbounded, and ν = 1 with equality."""
    assert (POISSON.derivative_limit, POISSON.curvature_limit, POISSON.self_concordance) == (math.inf, math.inf, 1.0)
    assert not POISSON.constant_curvature
    step = arb(2) ** -100
    with ctx.workprec(600):
        for z in np.linspace(-170.0, 170.0, 341).tolist():
            bends = [POISSON.ball_curvature(arb(z) + k * step, arb(target)) for k in (-1, 0, 1)]
            slopes = [POISSON.ball_derivative(arb(z) + k * step, arb(target)) for k in (-1, 0, 1)]
            third = (bends[2] - bends[0]) / (2 * step)
            assert bends[1] > 0
            assert abs((slopes[2] - slopes[0]) / (2 * step) - bends[1]) <= bends[1] * arb(2) ** -190
            assert abs(abs(third) - POISSON.self_concordance * bends[1]) <= bends[1] * arb(2) ** -190


@in_float64
def test_values_in_closed_form() -> None:
    zero, two = jnp.zeros(()), jnp.full((), 2.0)
    assert [float(f(zero, two)) for f in (POISSON.value, POISSON.derivative, POISSON.curvature)] == [1.0, -1.0, 1.0]


@in_float64
def test_it_overflows_on_one_side_only_and_beyond_the_limit() -> None:
    edge = LARGEST_ARGUMENT
    z = SIGN * jnp.asarray([-1e300, -edge, 0.0, edge, math.nextafter(edge, 1e3), 1e300])
    for method in (POISSON.derivative, POISSON.curvature):
        finite = np.isfinite(np.asarray(method(z, jnp.ones(6)))).tolist()
        assert finite == [True, True, True, True, False, False]
    assert np.asarray(POISSON.curvature(z, jnp.ones(6)))[4:].tolist() == [math.inf, math.inf]
    assert np.asarray(POISSON.value(z, jnp.ones(6)))[4:].tolist() == [math.inf, math.inf]


def test_padding_is_finite() -> None:
    """A row of padding has target 0 and predictor 0; its weight 0 makes every coefficient zero."""
    assert np.asarray(in_float64(lambda: POISSON.derivative(jnp.zeros(1), jnp.zeros(1)))()).tolist() == [1.0]
