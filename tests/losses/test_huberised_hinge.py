from __future__ import annotations

import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.losses import HUBERISED_HINGE, HuberisedHinge
from certified.losses.huberised_hinge import HINGE_WIDTHS
from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF

WIDTHS = st.sampled_from(HINGE_WIDTHS)
NEAR = st.floats(-0.01, 1.01, allow_subnormal=False) | st.floats(-5.0, 5.0, allow_subnormal=False)


def slope(margin: Fraction, width: float) -> Fraction:
    return min(Fraction(1), max(Fraction(0), (1 - margin) / Fraction(width)))


@given(WIDTHS, NEAR, NEAR, st.sampled_from([-1, 1]))
def test_constants(width: float, a: float, b: float, target: int) -> None:
    """Claim C-hinge: |φ'| ≤ 1, φ' is nondecreasing in z and Lipschitz with 1/h, exactly; ν = ∞."""
    loss = HuberisedHinge(width)
    assert (loss.derivative_limit, loss.curvature_limit, loss.self_concordance) == (1.0, 1.0 / width, math.inf)
    first, second = (-target * slope(target * Fraction(z), width) for z in sorted((a, b)))
    assert abs(first) <= loss.derivative_limit
    assert 0 <= second - first <= Fraction(loss.curvature_limit) * abs(Fraction(b) - Fraction(a))


@given(WIDTHS, NEAR, st.sampled_from([-1.0, 1.0]))
@in_float64
def test_values_against_rational_arithmetic(width: float, z: float, target: float) -> None:
    loss, margin = HuberisedHinge(width), Fraction(target) * Fraction(z)
    found = [float(f(jnp.asarray(z), jnp.asarray(target))) for f in (loss.value, loss.derivative, loss.curvature)]
    gap, h = max(Fraction(0), 1 - margin), Fraction(width)
    value = gap * gap / (2 * h) if gap <= h else gap - h / 2
    assert abs(Fraction(found[0]) - value) <= 8 * Fraction(UNIT_ROUNDOFF) * max(value, h)
    exact = slope(margin, width)
    assert abs(Fraction(found[1]) + Fraction(target) * exact) <= Fraction(UNIT_ROUNDOFF) * exact
    assert found[2] == (1.0 / width if 1 - h < margin < 1 else 0.0)
    hinge = max(Fraction(0), 1 - margin)
    assert 0 <= hinge - value <= h / 2


@pytest.mark.parametrize("width", [0.3, 0.0, -0.5, 2.0, 2.0**-11, math.nan, math.inf])
def test_other_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match=r"width must be a power of two from 2\*\*-10 to 1"):
        HuberisedHinge(width)


def test_names_are_distinct_and_equal_losses_share_compiled_code() -> None:
    assert len({HuberisedHinge(width).name for width in HINGE_WIDTHS}) == len(HINGE_WIDTHS)
    assert HuberisedHinge(0.5) == HUBERISED_HINGE and hash(HuberisedHinge(0.5)) == hash(HUBERISED_HINGE)


def test_padding_has_no_slope() -> None:
    zero = np.zeros(1)
    for width in HINGE_WIDTHS:
        loss = HuberisedHinge(width)
        assert np.asarray(in_float64(loss.derivative)(jnp.asarray(zero), jnp.asarray(zero))).tolist() == [0.0]
        assert np.asarray(in_float64(loss.curvature)(jnp.asarray(zero), jnp.asarray(zero))).tolist() == [0.0]
