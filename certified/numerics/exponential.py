"""An exponential with a proved error, built from operations that IEEE 754 fixes (claim T12e).

Library exponentials are accurate but carry no proof, and compilers choose among several. This one uses
only ``+``, ``×``, rounding to an integer and scaling by a power of two, so its bound follows from the rounding model.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

EXPONENTIAL_ERROR = 4.0 * 2.0**-53
"""Relative error of `exp_nonpositive` on [−708, 0] (T12e); below −708 the value is e⁻⁷⁰⁸ < 4e-308."""

LOWEST_ARGUMENT = -708.0
LARGEST_ARGUMENT = 180.0
"""Beyond it `exp_limited` is infinite: e¹⁸⁰ times a number up to 1e60 is within the range that T12 presumes."""

_INVERSE_LN2 = 1.4426950408889634
# ln 2 = HIGH + LOW: HIGH has 32 significant bits, so k·HIGH is exact for |k| < 2²¹.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_TAYLOR = tuple(
    1.0 / factorial
    for factorial in (6227020800.0, 479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0,
                      720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0)
)  # fmt: skip


def exp_nonpositive(z: jax.Array) -> jax.Array:
    """Return e^z for z ≤ 0 with relative error at most `EXPONENTIAL_ERROR` (claim T12e).

    Cody–Waite reduction z = k·ln 2 + r with |r| ≤ 0.347, then the Taylor polynomial of degree 13 by Horner's rule.
    """
    z = jnp.maximum(z, LOWEST_ARGUMENT)
    k = jnp.round(z * _INVERSE_LN2)
    r = (z - k * _LN2_HIGH) - k * _LN2_LOW
    polynomial = jnp.full_like(r, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        polynomial = polynomial * r + coefficient
    exponent_bits = (k.astype(jnp.int64) + 1023) << 52
    return polynomial * jax.lax.bitcast_convert_type(exponent_bits, jnp.float64)


def exp_limited(z: jax.Array) -> jax.Array:
    """Return e^z with relative error at most 6u for z ≤ `LARGEST_ARGUMENT`, and infinity beyond (claim T12e)."""
    e = exp_nonpositive(-jnp.abs(z))
    return jnp.where(z > LARGEST_ARGUMENT, jnp.inf, jnp.where(z > 0.0, 1.0 / e, e))
