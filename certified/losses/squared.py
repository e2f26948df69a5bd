"""Squared loss ½(z − t)² with real targets (claim C-squared)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flint import arb

from certified.numerics.rounding import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Squared:
    """½(z − t)²: φ'' = 1, φ''' = 0, so the local certificate T2 is exact (claim C-squared)."""

    name: str = "squared"
    self_concordance: float = 0.0
    derivative_limit: float = math.inf
    curvature_limit: float = 1.0
    evaluation_error: float = 2.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = True
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.square(z - target)

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return z - target

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.ones_like(z)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return z - target

    def ball_curvature(self, z: arb, target: arb) -> arb:
        return arb(1)


SQUARED = Squared()
