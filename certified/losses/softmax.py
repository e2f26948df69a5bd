"""Softmax cross-entropy −Σ_k t_k log p_k, p = softmax(z), with targets t ≥ 0 that sum to one (claim C-softmax).

Unlike the other losses it couples the outputs: methods act along the last axis, and what stands for the curvature of a
row is p, whose Hessian is A(p) = diag(p) − p·pᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flint import arb

from certified.numerics.exponential import exp_nonpositive
from certified.numerics.rounding import UNIT_ROUNDOFF

_TINY = 1e-300


@dataclass(frozen=True)
class Softmax:
    """−Σ_k t_k log softmax(z)_k: ‖∇‖₂ ≤ √2, A ⪯ ½(I − 11ᵀ/K), |D³[u,u,v]| ≤ √2‖v‖₂·D²[u,u] (claim C-softmax)."""

    name: str = "softmax"
    self_concordance: float = 1.4142135623730951
    derivative_limit: float = 1.4142135623730951
    curvature_limit: float = 0.5
    evaluation_error: float = 16.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = False
    couples_outputs: bool = True

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """−t_k log p_k, whose sum over the outputs is the loss."""
        top = jnp.max(z, axis=-1, keepdims=True)
        total = jnp.sum(exp_nonpositive(z - top), axis=-1, keepdims=True)
        return target * (jnp.log(total) - (z - top))

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """p − t."""
        return self.curvature(z, target) - target

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """p, from which `curvature_product` makes A(p)·u."""
        e = exp_nonpositive(z - jnp.max(z, axis=-1, keepdims=True))
        return e / jnp.sum(e, axis=-1, keepdims=True)

    def curvature_product(self, curvature: jax.Array, slope: jax.Array) -> jax.Array:
        """c·A(p)·u for the curvature c·p and u."""
        total = jnp.sum(curvature, axis=-1, keepdims=True)
        mean = jnp.sum(curvature * slope, axis=-1, keepdims=True) / jnp.maximum(total, _TINY)
        return curvature * (slope - mean)

    def diagonal_curvature(self, curvature: jax.Array) -> jax.Array:
        """c·p_k(1 − p_k), the diagonal of c·A(p), for the curvature c·p."""
        total = jnp.sum(curvature, axis=-1, keepdims=True)
        return curvature * jnp.maximum(total - curvature, 0.0) / jnp.maximum(total, _TINY)

    def derivative_error(self, z: jax.Array, target: jax.Array, zeta: jax.Array) -> jax.Array:
        """Bound the error of `derivative`, computed at z, against the exact one within ζ of z (T12, part 12).

        The 2-norm over the outputs is a bound on that of the error; single entries are not.
        """
        p, relative = self._probabilities(z)
        own = 2.0 * relative * p + 4.0 * UNIT_ROUNDOFF * jnp.abs(p - target)
        return own + self._spread(0.5 * self._norm(zeta), z)

    def product_error(
        self, z: jax.Array, slope: jax.Array, zeta: jax.Array, slope_error: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """A(p)·u computed at z and u, and a bound on its error as for `derivative_error` (T12, part 12)."""
        p, relative = self._probabilities(z)
        count = z.shape[-1]
        mean = jnp.sum(p * slope, axis=-1, keepdims=True)
        drift = relative + (count + 2) * UNIT_ROUNDOFF
        mean_error = 2.0 * jnp.sum(p * jnp.abs(slope) * drift, axis=-1, keepdims=True)
        rounding = 4.0 * UNIT_ROUNDOFF * (jnp.abs(slope) + jnp.abs(mean))
        own = 2.0 * p * (relative * jnp.abs(slope - mean) + mean_error + rounding)
        moved = 0.5 * self._norm(slope_error) + 0.7072 * self._norm(zeta) * self._norm(slope)
        return p * (slope - mean), own + self._spread(moved, z)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        raise TypeError("softmax couples its outputs: use ball_derivatives")

    def ball_curvature(self, z: arb, target: arb) -> arb:
        raise TypeError("softmax couples its outputs, so one output has no curvature of its own")

    def ball_derivatives(self, z: Sequence[arb], target: Sequence[arb]) -> list[arb]:
        """p − t of one row as Arb balls."""
        top = max(z, key=lambda value: float(value.mid()))
        e = [(value - top).exp() for value in z]
        total = sum(e, arb(0))
        return [share / total - t for share, t in zip(e, target, strict=True)]

    def _probabilities(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """p and a bound on its relative errors: (16 + 2a_k + 2K)u with a_k = max z − z_k."""
        below = jnp.max(z, axis=-1, keepdims=True) - z
        return self.curvature(z, z), (16.0 + 2.0 * below + 2.0 * z.shape[-1]) * UNIT_ROUNDOFF

    def _norm(self, values: jax.Array) -> jax.Array:
        """An upper bound on the 2-norm over the outputs."""
        inflate = 1.0 + 4.0 * (values.shape[-1] + 8) * UNIT_ROUNDOFF
        return jnp.sqrt(jnp.sum(jnp.square(values), axis=-1, keepdims=True) + 1e-290) * inflate

    def _spread(self, size: jax.Array, like: jax.Array) -> jax.Array:
        """Equal entries with this 2-norm, or a little more."""
        share = (1.0 + 8.0 * UNIT_ROUNDOFF) / like.shape[-1] ** 0.5
        return jnp.broadcast_to(size * share, like.shape)


SOFTMAX = Softmax()
