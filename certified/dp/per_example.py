"""Clipped gradients of any model: one gradient per row, some rows at a time (claim T20, part 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from certified.dp.clipping import Tree, float64_sensitivity, moderate, scales, unit_roundoff


@dataclass(frozen=True)
class PerExampleGradient:
    """Gradients of ``loss(params, example)``, a scalar, where an example is the data's leaves without their axis 0.

    Any pure function: of a ``flax.linen`` model through ``model.apply``, of a ``flax.nnx`` model through ``nnx.split``
    and ``nnx.merge``. Rows must not see each other, and cannot: the function is called with one. Dropout and other
    randomness is up to the function.

    Attributes:
        loss: the function.
        microbatch: rows whose gradients are in memory at once.

    Example:
        >>> square = PerExampleGradient(lambda w, x: 0.5 * jnp.square(w @ x), microbatch=32)
        >>> with jax.enable_x64(True):
        ...     batch = square.prepare(np.ones((64, 2)))
        ...     square.clipped_sum(jnp.array([3.0, 0.0]), batch, jnp.arange(64) < 2, 1.0).round(4)
        Array([1.4142, 1.4142], dtype=float64)
    """

    loss: Callable[[Tree, Any], jax.Array]
    microbatch: int = 64

    def __post_init__(self) -> None:
        if self.microbatch not in (1, 2, 4, 8, 16, 32, 64):
            raise ValueError(f"microbatch must be a power of two up to 64, got {self.microbatch!r}")

    def prepare(self, data: Tree) -> Tree:
        """Return the data as JAX arrays; rows whose gradient is not finite contribute zero."""
        return jax.tree.map(jnp.asarray, data)

    def clipped_sum(self, params: Tree, batch: Tree, present: jax.Array, threshold: jax.Array) -> Tree:
        """Return Σ s_i ∇ℓ_i in float64."""
        gradients = jax.vmap(jax.grad(self.loss), in_axes=(None, 0))

        def add(total: Tree, part: tuple[Tree, jax.Array]) -> tuple[Tree, None]:
            examples, there = part
            return jax.tree.map(jnp.add, total, clip_and_add(gradients(params, examples), there, threshold)), None

        def split(leaf: jax.Array) -> jax.Array:
            return leaf.reshape(-1, self.microbatch, *leaf.shape[1:])

        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float64), params)
        return jax.lax.scan(add, zeros, jax.tree.map(split, (batch, present)))[0]

    def sensitivity(self, params: Tree, capacity: int) -> Fraction:
        """As `float64_sensitivity`, for norms of as many squares as there are weights."""
        for leaf in jax.tree.leaves(params):
            unit_roundoff(leaf.dtype)
        return float64_sensitivity(capacity, sum(int(np.size(leaf)) for leaf in jax.tree.leaves(params)))


def clip_and_add(gradients: Tree, present: jax.Array, threshold: jax.Array) -> Tree:
    """Return Σ_i s_i g_i in float64 from gradients with the rows on axis 0 (claim T20, part 3)."""
    leaves = [leaf.astype(jnp.float64) for leaf in jax.tree.leaves(gradients)]
    usable = present
    for leaf in leaves:
        usable = usable & moderate(leaf)
    axes = [tuple(range(1, leaf.ndim)) for leaf in leaves]
    squares = sum(jnp.sum(jnp.square(leaf), axis=axis) for leaf, axis in zip(leaves, axes, strict=True))
    scale = scales(jnp.sqrt(squares), threshold, usable)

    def total(leaf: jax.Array) -> jax.Array:
        wide = (-1, *[1] * (leaf.ndim - 1))
        kept = jnp.where(usable.reshape(wide), leaf.astype(jnp.float64), 0.0)
        return jnp.sum(kept * scale.reshape(wide), axis=0)

    return jax.tree.map(total, gradients)
