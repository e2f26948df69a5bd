"""Poisson loss e^z − t·z with the log link, for counts t ≥ 0 (claim C-poisson)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
from flint import arb

from certified.numerics.exponential import exp_limited
from certified.numerics.rounding import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Poisson:
    """e^z − t·z: φ' = e^z − t and φ'' = φ''' = e^z, both unbounded, ν = 1 (claim C-poisson).

    Beyond z = 180 everything is infinite, so there is no certificate.
    """

    name: str = "poisson"
    self_concordance: float = 1.0
    derivative_limit: float = math.inf
    curvature_limit: float = math.inf
    evaluation_error: float = 8.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 16.0 * UNIT_ROUNDOFF
    constant_curvature: bool = False
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return exp_limited(z) - target * z

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return exp_limited(z) - target

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return exp_limited(z)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return z.exp() - target

    def ball_curvature(self, z: arb, target: arb) -> arb:
        return z.exp()


POISSON = Poisson()
