from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flint import arb, ctx

from certified.losses import LOGISTIC, Logistic
from certified.numerics.precision import in_float64


def test_constants() -> None:
    """Claim C-logistic with p = σ(z): φ' = p − 1, φ'' = p(1 − p) ≤ 1/4, φ''' = φ''·(1 − 2p), so |φ'''| < φ''."""
    assert (LOGISTIC.derivative_limit, LOGISTIC.curvature_limit, LOGISTIC.self_concordance) == (1.0, 0.25, 1.0)
    assert not LOGISTIC.constant_curvature
    with ctx.workprec(400):
        for z in np.linspace(-100.0, 100.0, 2001).tolist():
            p = 1 / (1 + (-arb(z)).exp())
            slope, bend = -(1 - p), p * (1 - p)
            assert abs(slope) < LOGISTIC.derivative_limit
            assert bend <= LOGISTIC.curvature_limit or z == 0.0
            assert abs(bend * (1 - 2 * p)) < LOGISTIC.self_concordance * bend


@in_float64
def test_values_in_closed_form() -> None:
    zero, one = jnp.zeros(()), jnp.ones(())
    assert float(LOGISTIC.value(zero, one)) == float(np.log(2.0))
    assert float(LOGISTIC.derivative(zero, one)) == -0.5
    assert float(LOGISTIC.derivative(zero, -one)) == 0.5
    assert float(LOGISTIC.curvature(zero, one)) == 0.25


@in_float64
def test_labels_mirror_each_other() -> None:
    z, one = jnp.asarray(np.linspace(-800.0, 800.0, 1601)), jnp.ones(1601)
    assert jnp.array_equal(LOGISTIC.value(z, one), LOGISTIC.value(-z, -one))
    assert jnp.array_equal(LOGISTIC.derivative(z, one), -LOGISTIC.derivative(-z, -one))
    assert jnp.array_equal(LOGISTIC.curvature(z, one), LOGISTIC.curvature(-z, one))


@in_float64
def test_extreme_margins_are_finite() -> None:
    z, one = jnp.asarray([-1e300, -1e4, 1e4, 1e300]), jnp.ones(4)
    assert np.asarray(LOGISTIC.value(z, one))[:2].tolist() == [1e300, 1e4]
    assert np.all(np.asarray(LOGISTIC.value(z, one))[2:] < 1e-300)
    assert np.asarray(LOGISTIC.derivative(z, one))[:2].tolist() == [-1.0, -1.0]
    assert np.all(np.asarray(LOGISTIC.curvature(z, one)) > 0.0)


def test_padding_has_no_slope() -> None:
    """A row of padding has target 0 and predictor 0."""
    with_padding = in_float64(lambda: LOGISTIC.derivative(jnp.zeros(1), jnp.zeros(1)))()
    assert np.asarray(with_padding).tolist() == [0.0]


def test_equal_losses_share_compiled_code() -> None:
    assert Logistic() == LOGISTIC
    assert hash(Logistic()) == hash(LOGISTIC)
