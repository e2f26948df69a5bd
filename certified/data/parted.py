"""Rows in parts over a mesh, and what reads them; what changes them is in `certified.data.sharded` (claim T12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.data.mesh import agree, is_shared, picked
from certified.data.rows import Rows, block_shape, to_device
from certified.data.shards import Shards
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class PartedRows(Shards):
    """Rows over a mesh in parts that are summed alone, each row at a position that it keeps.

    Attributes:
        parts: parts that are summed alone: one per device, or any number on a single device.
        places: (m, 3) part, first slot in it and number of rows of each run of positions.
    """

    parts: int
    places: npt.NDArray[np.int64]

    @property
    def length(self) -> int:
        """The number of positions, those of removed rows included."""
        return int(self.places[:, 2].sum())

    @cached_property
    def in_force(self) -> int:
        """The number of rows of positive weight."""
        with jax.enable_x64(True):
            (count,) = self.total(_count, ())
            return int(count)

    @property
    def any_in_force(self) -> bool:
        return self.in_force > 0

    @cached_property
    def largest_norm(self) -> float:
        with jax.enable_x64(True):
            return float(self.highest(_longest, ()))

    @property
    def summation_depth(self) -> int:
        """Additions on the longest path of a row sum: in a block, across the blocks of a part, across parts (T12)."""
        blocks, size = self.weights.shape
        return int(size + blocks // self.parts + self.parts)

    def chunks(self) -> Iterator[Rows]:
        """One part of each device at a time."""
        if self.parts == self.mesh.size:
            yield Shards(**vars(self.plain), mesh=self.mesh)
            return
        blocks = len(self.weights) // self.parts
        for part in range(self.parts):
            pieces = {name: _part(array, np.int64(part), blocks) for name, array in vars(self.plain).items()}
            yield Shards(**pieces, mesh=self.mesh)

    def fetched(self) -> Iterator[Rows]:
        """One part after the other on every process."""
        blocks = len(self.weights) // self.parts
        for part in range(self.parts):
            yield self.blocks(np.arange(part * blocks, (part + 1) * blocks))

    @in_float64
    def blocks(self, index: Positions) -> Rows:
        return to_device(*self._at(index[:, None] * self.weights.shape[1] + np.arange(self.weights.shape[1])))

    @in_float64
    def along_blocks(self, array: jax.Array, index: Positions) -> jax.Array:
        slots = index[:, None] * self.weights.shape[1] + np.arange(self.weights.shape[1])
        return jnp.asarray(np.asarray(picked(self.mesh, array, slots)))

    @in_float64
    def take(self, positions: Positions) -> Rows:
        """The rows at ``positions`` as rows of their own on every process, in small blocks.

        Raises:
            TypeError: ``positions`` are no integers.
            IndexError: there is no such position.
            ProcessesDifferError: processes name different positions.
        """
        size, blocks = block_shape(len(positions))
        index = np.full(size * blocks, self.slots, dtype=np.int64)
        index[: len(positions)] = self._slots(positions)
        return to_device(*self._at(index.reshape(blocks, size)))

    def features_at(self, positions: Positions) -> Array:
        """As of rows in memory.

        Raises:
            TypeError: other processes hold rows, too; or as `take`, as are IndexError and ProcessesDifferError.
        """
        slots, found = self._slots(positions), np.empty((len(positions), self.n_features))
        if is_shared(self.mesh):
            raise TypeError("rows of other processes are not in the memory of this one: take those that you need")
        # Piece by piece: of the whole array JAX would keep a copy in host memory, with rows that leave later.
        for piece in self.features.addressable_shards:
            values = np.asarray(piece.data).reshape(-1, self.n_features)
            own = slots - (piece.index[0].start or 0) * self.weights.shape[1]
            here = (own >= 0) & (own < len(values))
            found[here] = values[own[here]]
        return found

    def _at(self, slots: Positions) -> list[Array]:
        """The four arrays at these slots."""
        return [np.asarray(a) for a in vars(picked(self.mesh, self.plain, slots)).values()]

    def _slots(self, positions: Positions) -> Positions:
        """The slot of each position, the same on all processes."""
        agree(self.mesh, "positions", positions)
        if positions.size and positions.dtype.kind not in "iu":
            raise TypeError(f"positions must be integers, got {positions.dtype}; use numpy.flatnonzero for a mask")
        positions = positions.astype(np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < self.length:
            raise IndexError(f"positions must lie between 0 and {self.length - 1}; name rows that there are")
        ends = np.cumsum(self.places[:, 2])
        run = np.searchsorted(ends, positions, side="right")
        part, first, count = self.places[run].T
        slots: Positions = part * self._part_slots + first + positions - (ends[run] - count)
        return slots

    @property
    def _part_slots(self) -> int:
        return self.slots // self.parts


@in_float64
def _part(array: jax.Array, part: np.int64, blocks: int) -> jax.Array:
    found: jax.Array = jax.lax.dynamic_slice_in_dim(array, part * blocks, blocks)
    return found


def _count(rows: Rows) -> tuple[jax.Array, ...]:
    return ((rows.weights > 0.0).sum(),)


def _longest(rows: Rows) -> tuple[jax.Array, ...]:
    return (jnp.max(rows.norms, where=rows.weights > 0.0, initial=0.0),)
