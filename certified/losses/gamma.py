"""Gamma loss z + t·e^(−z) with the log link, for targets t > 0 (claim C-gamma)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
from flint import arb

from certified.numerics.exponential import exp_limited
from certified.numerics.rounding import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Gamma:
    """z + t·e^(−z): φ' = 1 − t·e^(−z) and φ'' = −φ''' = t·e^(−z), both unbounded, ν = 1 (claim C-gamma).

    Below z = −180 everything is infinite, so there is no certificate.
    """

    name: str = "gamma"
    self_concordance: float = 1.0
    derivative_limit: float = math.inf
    curvature_limit: float = math.inf
    evaluation_error: float = 8.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 16.0 * UNIT_ROUNDOFF
    constant_curvature: bool = False
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return z + self.curvature(z, target)

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return 1.0 - self.curvature(z, target)

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return target * exp_limited(-z)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return 1 - target * (-z).exp()

    def ball_curvature(self, z: arb, target: arb) -> arb:
        return target * (-z).exp()


GAMMA = Gamma()
