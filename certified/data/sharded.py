"""Rows on a mesh of devices, of one process or of several: the same row sums, each device over its own rows (T12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import jax
import numpy as np
import numpy.typing as npt

from certified.data.chunked import checked
from certified.data.mesh import agree, mesh_of, overwritten, spread, widened, written
from certified.data.parted import Array, PartedRows, Positions
from certified.data.placement import placed
from certified.data.rows import Rows
from certified.numerics.precision import in_float64


@dataclass(frozen=True, eq=False, repr=False)
class ShardedRows(PartedRows):
    """Rows spread over devices, whose every change stays with the device that holds the row.

    Position i is row i of process 0, then come those of process 1 and so on, then the rows appended. Each device sums
    its part of the rows alone. The sums are added in the order of the parts, so their bits depend on the number of
    parts and on the kind of device, but neither on the number of processes nor on the network. One device with
    ``parts=8`` gives the bits of eight.

    With several processes all of them call the same methods in the same order with the same arguments, and all get the
    same results. That the arguments are the same is checked before any work is shared.

    >>> rows = ShardedRows.from_arrays(np.eye(5), np.ones((5, 1)), np.ones(5), devices=jax.devices()[:1], parts=2)
    >>> rows.without(np.array([3])).in_force, rows.length, [chunk.slots for chunk in rows.chunks()]
    (4, 5, [8, 8])
    """

    def __repr__(self) -> str:
        return (
            f"ShardedRows(slots={self.slots}, features={self.n_features}, outputs={self.n_outputs}, "
            f"devices={self.mesh.size})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "rows on a mesh cannot be pickled or copied; save and load the estimator, or keep the arrays or files that "
            "they came from"
        )

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
        norms = checked((features, targets, weights), "rows added")
        return self.enlarged(self.length + len(chosen))._with(
            np.arange(self.length, self.length + len(chosen)), features, targets, weights, norms
        )

    @in_float64
    def place(self, rows: Rows, positions: Positions) -> ShardedRows:
        """The same rows with the first ``len(positions)`` of ``rows`` written at ``positions``, by whoever holds these.

        Raises:
            TypeError, IndexError: as `take`.
            ProcessesDifferError: processes name different positions or are given different rows.
        """
        values = [np.asarray(a).reshape(rows.slots, *a.shape[2:])[: len(positions)] for a in vars(rows).values()]
        agree(self.mesh, "rows placed", *values)
        return self._with(positions, *values)

    @in_float64
    def with_targets(self, targets: Array) -> ShardedRows:
        """The same rows with new targets (length, K), of which each device gets its own.

        Raises:
            ProcessesDifferError: processes are given different targets.
        """
        agree(self.mesh, "targets", targets)
        laid = np.zeros((self.slots, targets.shape[1]))
        laid[self._slots(np.arange(self.length))] = targets
        blocks, size = self.weights.shape
        pieces = laid.reshape(self.mesh.size, blocks // self.mesh.size, size, targets.shape[1])
        own = [device.process_index == jax.process_index() for device in self.mesh.devices.flat]
        return replace(self, targets=spread(self.mesh, list(pieces[own])))

    @in_float64
    def enlarged(self, slots: int) -> ShardedRows:
        """The same rows, with at least ``slots`` positions; the new ones hold no row."""
        count = max(0, slots - self.length)
        wide = self._with_room(count)
        return replace(wide, places=np.concatenate([wide.places, wide._free(count)]))

    @in_float64
    def select_outputs(self, outputs: list[int]) -> ShardedRows:
        return replace(self, targets=self.targets[..., np.array(outputs, dtype=np.int64)])

    def _with(self, positions: Positions, *values: Array) -> ShardedRows:
        """The same rows with ``values`` (k, …) of the four arrays written at ``positions``."""
        index = self._lengthened(self._slots(positions))
        padded = (np.concatenate([a, np.zeros((len(index) - len(a), *a.shape[1:]))]) for a in values)
        return replace(self, **vars(written(self.mesh, self.plain, index, Rows(*padded))))  # type: ignore[arg-type]

    def _lengthened(self, slots: Positions) -> Positions:
        """Few lengths, so that few are compiled; slots beyond the last are dropped."""
        index = np.full(1 << max(3, (len(slots) - 1).bit_length()), self.slots, dtype=np.int64)
        index[: len(slots)] = slots
        return index

    def _with_room(self, count: int) -> ShardedRows:
        """The same rows with free slots for ``count`` more, in parts an eighth larger if need be, small ones twice."""
        missing = count - (self.slots - self.length)
        if missing <= 0:
            return self
        blocks, size = len(self.weights) // self.parts, self.weights.shape[1]
        more = max(min(blocks, 8), blocks // 8, -(-missing // (size * self.parts)))
        wide = widened(self.mesh, self.plain, self.parts // self.mesh.size, blocks + more)
        return replace(self, **vars(wide))

    def _free(self, count: int) -> npt.NDArray[np.int64]:
        """Runs of free slots, ``count`` in all, from the first part that has some."""
        taken = np.bincount(self.places[:, 0], self.places[:, 2], self.parts).astype(np.int64)  # the first slots
        reached = np.minimum(np.cumsum(self._part_slots - taken), count)
        counts = np.diff(reached, prepend=0)
        return np.stack([np.arange(self.parts), taken, counts], axis=1)[counts > 0]
