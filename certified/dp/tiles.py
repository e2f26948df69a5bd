"""Clipped sums of batches, tile by tile: rows are read from memory once and stay in cache meanwhile (T20, part 4).

A batch of some thousand rows is larger than the cache. Gathered as a whole it would be written to memory and read again
for the gradients, and once more for their sum.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.dp.clipping import BLOCK, ClippedGradient, Tree
from certified.dp.poisson import EMPTY

_CACHE_BYTES = 1 << 18
"""What fits into the cache of one core of a CPU, with room for the rest."""

_TIMES_THE_SUM = 32
"""A tile is so many times larger than the float64 sum, at least, which is read and written once for each."""


def in_tiles(slots: npt.NDArray[np.int32], data: Tree, params: Tree) -> npt.NDArray[np.int32]:
    """Return slots (steps, capacity) as (steps, tiles, slots of a tile), the last tile filled up with `EMPTY`.

    On CPUs the rows of a tile fit into the cache, unless the weights are too many for that; on accelerators the whole
    batch is one tile.

    >>> slots = np.zeros((2, 256), np.int32)
    >>> in_tiles(slots, jnp.zeros((100, 1024), jnp.float32), jnp.zeros((1024, 1), jnp.float32)).shape
    (2, 4, 64)
    """
    leaves = jax.tree.leaves(data)
    blocks = slots.shape[1] // BLOCK
    most = blocks
    if all(device.platform == "cpu" for leaf in leaves for device in leaf.devices()):
        per_row = sum(leaf.nbytes // len(leaf) for leaf in leaves)
        total = 8 * sum(leaf.size for leaf in jax.tree.leaves(params))
        most = max(1, max(_CACHE_BYTES, _TIMES_THE_SUM * total) // (BLOCK * max(1, per_row)))
    tiles = -(-blocks // most)
    tile = BLOCK * -(-blocks // tiles)
    filled = np.pad(slots, ((0, 0), (0, tiles * tile - slots.shape[1])), constant_values=EMPTY)
    return filled.reshape(-1, tiles, tile)


def tiled_sum(gradient: ClippedGradient, params: Tree, data: Tree, slots: jax.Array, threshold: jax.Array) -> Tree:
    """Return the clipped sum over ``slots`` (tiles, slots of a tile) of rows of ``data``, in float64 (T20, part 4)."""

    def add(total: Tree, tile: jax.Array) -> tuple[Tree, None]:
        present = tile != EMPTY
        rows = jax.tree.map(lambda leaf: leaf.at[jnp.where(present, tile, 0)].get(mode="promise_in_bounds"), data)
        # Behind the barrier all is the same program, however many rows there are: so it rounds alike with and without.
        rows = jax.lax.optimization_barrier(rows)  # type: ignore[no-untyped-call]
        return jax.tree.map(jnp.add, total, gradient.clipped_sum(params, rows, present, threshold)), None

    zeros: Any = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float64), params)
    return jax.lax.scan(add, zeros, slots)[0]
