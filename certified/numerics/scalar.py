"""Elementary functions of one scalar: a formula written once runs on floats, on balls and under JAX.

On floats the result is rounded to nearest and is no bound; on balls it encloses the real value; JAX values
are handed to JAX, which this module never imports: such a value cannot exist before its owner has imported
it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from flint import arb

if TYPE_CHECKING:
    import jax

Scalar = TypeVar("Scalar", float, arb, "jax.Array")


def exp(x: Scalar) -> Scalar:
    """Return eˣ."""
    return _apply("exp", x)


def expm1(x: Scalar) -> Scalar:
    """Return eˣ − 1 without cancellation near zero."""
    return _apply("expm1", x)


def log(x: Scalar) -> Scalar:
    """Return the natural logarithm of x > 0."""
    return _apply("log", x)


def log1p(x: Scalar) -> Scalar:
    """Return log(1 + x) for x > −1 without cancellation near zero."""
    return _apply("log1p", x)


def sqrt(x: Scalar) -> Scalar:
    """Return √x for x ≥ 0."""
    return _apply("sqrt", x)


def erfc(x: Scalar) -> Scalar:
    """Return the complementary error function (2/√π) ∫ₓ^∞ e^(−t²) dt."""
    return _apply("erfc", x)


def normal_cdf(x: Scalar) -> Scalar:
    """Return Φ(x) = erfc(−x/√2)/2, the standard normal distribution function.

    >>> normal_cdf(0.0), normal_cdf(arb(0)) == 0.5
    (0.5, True)
    """
    return erfc(-x / (arb(2).sqrt() if isinstance(x, arb) else math.sqrt(2.0))) / 2


def _apply(name: str, x: Scalar) -> Scalar:
    """Evaluate the function that the standard library, Arb and ``jax.lax`` all call ``name``."""
    function: Callable[[Scalar], Scalar]
    if isinstance(x, arb):
        function = getattr(arb, name)
    elif isinstance(x, float | int):
        function = getattr(math, name)
    else:
        jax = sys.modules.get("jax")
        if jax is None or not isinstance(x, jax.Array):
            raise TypeError(f"{name} needs a float, ball or JAX array, not {type(x).__name__}; convert it")
        function = getattr(jax.lax, name)
    return function(x)
