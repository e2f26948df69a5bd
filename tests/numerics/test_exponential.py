from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, ctx

from certified.numerics.exponential import (
    EXPONENTIAL_ERROR,
    LARGEST_ARGUMENT,
    LOWEST_ARGUMENT,
    exp_limited,
    exp_nonpositive,
)
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]


@in_float64
def computed(z: Array, *, compiled: bool = True) -> Array:
    function = jax.jit(exp_nonpositive) if compiled else exp_nonpositive
    return np.asarray(function(jnp.asarray(z)))


def neighbours(centres: Array, reach: int = 3) -> Array:
    """The centres and their nearest floating-point neighbours, within the domain."""
    steps = np.arange(-reach, reach + 1)
    points = (centres[:, None] + steps * np.spacing(np.abs(centres))[:, None]).ravel()
    return points[(points <= 0.0) & (points >= LOWEST_ARGUMENT)]


def hard_points() -> Array:
    """Where the reduction switches (half-odd multiples of ln 2), cancels (multiples), or meets the ends."""
    multiples = np.arange(0, 1022) * np.log(2.0)
    halves = (np.arange(0, 1022) + 0.5) * np.log(2.0)
    powers = 2.0 ** np.arange(-1074.0, 10.0)
    return np.concatenate([neighbours(-centres) for centres in (multiples, halves, powers, np.array([0.0, 708.0]))])


def relative_errors(z: Array, values: Array) -> list[arb]:
    with ctx.workprec(192):
        return [abs(arb(v) / arb(a).exp() - 1) for a, v in zip(z.tolist(), values.tolist(), strict=True)]


def test_error() -> None:
    """Dense, random and hard points against Arb."""
    rng = np.random.default_rng(0)
    z = np.concatenate([
        hard_points(),
        -np.linspace(0.0, 708.0, 4001),
        -708.0 * rng.random(2000),
        -(10.0 ** rng.uniform(-320, 2.85, 2000)),
        -0.7 * rng.random(2000),
    ])  # fmt: skip
    worst = max(relative_errors(z, computed(z)))
    assert worst <= EXPONENTIAL_ERROR
    # The bound is not idle: half of it would be violated or nearly so.
    assert worst >= 0.2 * EXPONENTIAL_ERROR


def test_error_without_compilation() -> None:
    z = np.concatenate([hard_points()[::23], -708.0 * np.random.default_rng(1).random(200)])
    assert max(relative_errors(z, computed(z, compiled=False))) <= EXPONENTIAL_ERROR


@pytest.mark.slow
def test_error_on_many_points() -> None:
    """Extended precision carries 64 bits, so its own error is far below the slack that is left here."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no extended precision on this platform")
    rng = np.random.default_rng(2)
    for _ in range(20):
        z = -np.concatenate([708.0 * rng.random(500_000), 10.0 ** rng.uniform(-20, 2.85, 500_000)])
        exact = np.exp(z.astype(np.longdouble))
        errors = np.abs(computed(z).astype(np.longdouble) - exact) / exact
        assert float(errors.max()) <= EXPONENTIAL_ERROR * (1.0 - 2.0**-8)


def test_below_the_lowest_argument_the_value_stays_tiny() -> None:
    z = np.array([-708.0, np.nextafter(-708.0, -np.inf), -709.0, -745.2, -1e4, -1e300, -np.inf])
    values = computed(z)
    assert np.all(values == values[0])
    assert 0.0 < values[0] < 4e-308


def test_exact_at_zero() -> None:
    assert computed(np.array([0.0, -0.0])).tolist() == [1.0, 1.0]


def test_never_exceeds_one_by_more_than_its_error() -> None:
    values = computed(-(10.0 ** np.linspace(-330, 2.85, 20_000)))
    assert values.max() <= 1.0 + EXPONENTIAL_ERROR


def test_nan_stays_nan() -> None:
    assert np.isnan(computed(np.array([np.nan]))).all()


@in_float64
def test_either_sign_up_to_the_limit() -> None:
    """exp_limited: relative error at most 6u, infinite beyond the limit, and NaN stays NaN."""
    points = hard_points()
    z = np.concatenate([-points[points >= -LARGEST_ARGUMENT], points[::7], np.linspace(-708.0, LARGEST_ARGUMENT, 4001)])
    values = np.asarray(jax.jit(exp_limited)(jnp.asarray(z)))
    assert max(relative_errors(z, values)) <= 6.0 * 2.0**-53
    beyond = [np.nextafter(LARGEST_ARGUMENT, 1e3), 709.0, 1e300, np.inf]
    assert np.asarray(exp_limited(jnp.asarray(beyond))).tolist() == [np.inf] * 4
    assert np.isnan(np.asarray(exp_limited(jnp.asarray([np.nan])))).all()
