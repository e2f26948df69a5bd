"""Huberised hinge: the hinge max(0, 1 − t·z) with its kink rounded off, targets t ∈ {−1, +1} (claim C-hinge).

Its second derivative jumps, so it is not self-concordant: of the distance certificates only T1 covers it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flint import arb

from certified.numerics.rounding import UNIT_ROUNDOFF

HINGE_WIDTHS = tuple(2.0**-k for k in range(11))
"""Widths on offer: powers of two, for which 1/h and 1 − h are exact."""


@dataclass(frozen=True)
class HuberisedHinge:
    """0 for m = t·z ≥ 1, (1 − m)²/(2h) down to m = 1 − h, 1 − m − h/2 below: |φ'| ≤ 1, 0 ≤ φ'' ≤ 1/h, ν = ∞.

    At the two kinks of φ' the curvature is the left-hand or the right-hand one; it steers the solver and certifies
    nothing (claim C-hinge).

    Raises:
        ValueError: the width is not one of `HINGE_WIDTHS`.
    """

    width: float = 0.5
    self_concordance: float = math.inf
    derivative_limit: float = 1.0
    evaluation_error: float = 2.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = False
    couples_outputs: bool = False

    def __post_init__(self) -> None:
        if self.width not in HINGE_WIDTHS:
            raise ValueError(f"width must be a power of two from 2**-10 to 1; got {self.width!r}")

    @property
    def name(self) -> str:
        return f"huberised_hinge/{self.width}"

    @property
    def curvature_limit(self) -> float:
        return 1.0 / self.width

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        gap = jnp.maximum(1.0 - target * z, 0.0)
        return jnp.where(gap < self.width, (0.5 / self.width) * gap * gap, gap - 0.5 * self.width)

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return -target * jnp.clip((1.0 - target * z) * (1.0 / self.width), 0.0, 1.0)

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        margin = target * z
        bent = (margin > 1.0 - self.width) & (margin < 1.0)
        return jnp.where(bent, jnp.square(target) * (1.0 / self.width), 0.0)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return -target * ((1 - target * z) / self.width).max(arb(0)).min(arb(1))

    def ball_curvature(self, z: arb, target: arb) -> arb:
        margin, low = target * z, arb(1) - self.width
        if margin >= 1 or margin <= low:
            return arb(0)
        bend = target * target / self.width
        return bend if margin > low and margin < 1 else arb(0).union(bend)


HUBERISED_HINGE = HuberisedHinge()
