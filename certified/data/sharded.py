"""Rows on a mesh of devices, of one process or of several: the same row sums, each device over its own rows (T12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.data.chunked import checked
from certified.data.mesh import agree, mesh_of, overwritten, picked, widened, written
from certified.data.placement import placed
from certified.data.rows import Rows, block_shape, to_device
from certified.data.shards import Shards
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class ShardedRows(Shards):
    """Rows spread over devices, whose every change stays with the device that holds the row.

    Position i is row i of process 0, then come those of process 1 and so on, then the rows appended. Each device sums
    its part of the rows alone. The sums are added in the order of the parts, so their bits depend on the number of
    parts and on the kind of device, but neither on the number of processes nor on the network. One device with
    ``parts=8`` gives the bits of eight.

    With several processes all of them call the same methods in the same order with the same arguments, and all get the
    same results. That the arguments are the same is checked before any work is shared.

    Attributes:
        parts: parts that are summed alone: one per device, or any number on a single device.
        places: (m, 3) part, first slot in it and number of rows of each run of positions.

    >>> rows = ShardedRows.from_arrays(np.eye(5), np.ones((5, 1)), np.ones(5), devices=jax.devices()[:1], parts=2)
    >>> rows.without(np.array([3])).in_force, rows.length, [chunk.slots for chunk in rows.chunks()]
    (4, 5, [8, 8])
    """

    parts: int
    places: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return (
            f"ShardedRows(slots={self.slots}, features={self.n_features}, outputs={self.n_outputs}, "
            f"devices={self.mesh.size})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("rows on a mesh cannot be pickled; keep the arrays or files that they came from")

    @staticmethod
    @in_float64
    def from_arrays(
        features: Array,
        targets: Array,
        weights: Array,
        slots: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        parts: int | None = None,
    ) -> ShardedRows:
        """Check the rows of this process and place them on its devices.

        Args:
            features: (n, d) rows of this process alone; n = 0 is fine where another process has rows.
            targets: (n, K).
            weights: (n,) sample weights, 0 or positive.
            slots: room for at least so many rows in all; rows appended beyond it are given room then.
            devices: all devices to use, by default all there are, of every process.
            parts: the number of parts, by default that of the devices; another only on a single device.

        Raises:
            TypeError: an array is not float64.
            ValueError: shapes do not fit, an entry is not finite or too large, a sample weight is negative or
                subnormal, processes have different numbers of features or outputs, or ``devices`` or ``parts`` cannot
                be used. With several processes all raise it.
        """
        mesh = mesh_of(jax.devices() if devices is None else devices)
        parts = mesh.size if parts is None else parts
        arrays, counts = placed(mesh, parts, features, targets, weights, slots or 0)
        places = np.stack([np.arange(parts), np.zeros(parts, dtype=np.int64), counts], axis=1)
        return ShardedRows(**vars(arrays), mesh=mesh, parts=parts, places=places)

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

    @in_float64
    def without(self, positions: Positions) -> ShardedRows:
        """The same rows with those at ``positions`` taken out of every sum, by the devices that hold them.

        Raises:
            TypeError, IndexError, ProcessesDifferError: as `take`.
        """
        index = self._lengthened(self._slots(positions))
        return replace(self, weights=written(self.mesh, self.weights, index, np.zeros(len(index))))

    @in_float64
    def erase(self, positions: Positions) -> ShardedRows:
        """Overwrite the rows at ``positions`` in place; the buffers of ``self`` are consumed.

        Raises:
            TypeError, IndexError, ProcessesDifferError: as `take`.
        """
        index, plain = self._lengthened(self._slots(positions)), self.plain
        zeros = jax.tree_util.tree_map(lambda a: np.zeros((len(index), *a.shape[2:])), plain)
        erased = overwritten(self.mesh, plain, index, zeros)
        return replace(self, **vars(erased))

    @in_float64
    def append(self, rows: Rows) -> ShardedRows:
        """The same rows and, at the positions from ``length`` on, those of ``rows`` that have positive weight.

        Every process is given the same rows.

        Raises:
            ValueError: ``rows`` has other numbers of features or outputs, or an entry that is not finite or too large.
            ProcessesDifferError: processes are given different rows.
        """
        chosen = np.flatnonzero(np.asarray(rows.weights).reshape(-1) > 0.0)
        features, targets, weights = (
            np.asarray(a).reshape(rows.slots, *a.shape[2:])[chosen] for a in (rows.features, rows.targets, rows.weights)
        )
        agree(self.mesh, "rows appended", features, targets, weights)
        if (rows.n_features, rows.n_outputs) != (self.n_features, self.n_outputs):
            raise ValueError(
                f"rows must have {self.n_features} features and {self.n_outputs} outputs, "
                f"got {rows.n_features} and {rows.n_outputs}"
            )
        values = Rows(features, targets, weights, checked((features, targets, weights), "rows added"))  # type: ignore[arg-type]
        wide = self._with_room(len(chosen))
        runs = wide._free(len(chosen))
        grown = replace(wide, places=np.concatenate([wide.places, runs]))
        slots = grown._slots(np.arange(self.length, grown.length))
        index = self._lengthened(slots, grown.slots)
        padded = jax.tree_util.tree_map(
            lambda a: np.concatenate([a, np.zeros((len(index) - len(a), *a.shape[1:]))]), values
        )
        return replace(grown, **vars(written(self.mesh, wide.plain, index, padded)))

    @in_float64
    def select_outputs(self, outputs: list[int]) -> ShardedRows:
        return replace(self, targets=self.targets[..., np.array(outputs, dtype=np.int64)])

    def _not_on_a_mesh(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("rows on a mesh stay where they are; use append, without and erase, or ShardedRows.from_arrays")

    place = with_targets = enlarged = _not_on_a_mesh

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

    def _lengthened(self, slots: Positions, beyond: int | None = None) -> Positions:
        """Few lengths, so that few are compiled; slots beyond the last are dropped."""
        index = np.full(1 << max(3, (len(slots) - 1).bit_length()), beyond or self.slots, dtype=np.int64)
        index[: len(slots)] = slots
        return index

    def _taken(self) -> Positions:
        """The number of slots in use in each part: the first ones."""
        return np.bincount(self.places[:, 0], self.places[:, 2], self.parts).astype(np.int64)

    def _with_room(self, count: int) -> ShardedRows:
        """The same rows with free slots for ``count`` more, in parts twice as large if need be."""
        missing = count - (self.slots - self.length)
        if missing <= 0:
            return self
        blocks, size = len(self.weights) // self.parts, self.weights.shape[1]
        more = max(blocks, -(-missing // (size * self.parts)))
        wide = widened(self.mesh, self.plain, self.parts // self.mesh.size, blocks + more)
        return replace(self, **vars(wide))

    def _free(self, count: int) -> npt.NDArray[np.int64]:
        """Runs of free slots, ``count`` in all, from the first part that has some."""
        taken = self._taken()
        reached = np.minimum(np.cumsum(self._part_slots - taken), count)
        counts = np.diff(reached, prepend=0)
        return np.stack([np.arange(self.parts), taken, counts], axis=1)[counts > 0]


@in_float64
def _part(array: jax.Array, part: np.int64, blocks: int) -> jax.Array:
    found: jax.Array = jax.lax.dynamic_slice_in_dim(array, part * blocks, blocks)
    return found


def _count(rows: Rows) -> tuple[jax.Array, ...]:
    return ((rows.weights > 0.0).sum(),)


def _longest(rows: Rows) -> tuple[jax.Array, ...]:
    return (jnp.max(rows.norms, where=rows.weights > 0.0, initial=0.0),)
