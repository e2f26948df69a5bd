"""Logistic loss log(1 + e^(−t·z)) with targets t ∈ {−1, +1} (claim C-logistic)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flint import arb

from certified.numerics.exponential import exp_nonpositive
from certified.numerics.rounding import UNIT_ROUNDOFF


@dataclass(frozen=True)
class Logistic:
    """log(1 + e^(−t·z)): |φ'| ≤ 1, φ'' ≤ 1/4, |φ'''| ≤ φ'' (claim C-logistic)."""

    name: str = "logistic"
    self_concordance: float = 1.0
    derivative_limit: float = 1.0
    curvature_limit: float = 0.25
    evaluation_error: float = 16.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = False
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        margin = target * z
        return jnp.maximum(-margin, 0.0) + jnp.log1p(exp_nonpositive(-jnp.abs(margin)))

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        margin = target * z
        e = exp_nonpositive(-jnp.abs(margin))
        return -target * jnp.where(margin > 0, e, 1.0) / (1.0 + e)

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        e = exp_nonpositive(-jnp.abs(z))
        return e / ((1.0 + e) * (1.0 + e))

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return -target / (1 + (target * z).exp())

    def ball_curvature(self, z: arb, target: arb) -> arb:
        e = (-abs(z)).exp()
        return e / ((1 + e) * (1 + e))


LOGISTIC = Logistic()
