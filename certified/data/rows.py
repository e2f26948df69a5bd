"""Training rows on the device: zero-padded blocks, so that one rounding bound fits any device count (claim T12).

Rows that do not fit in memory are in `certified.data.streamed`, rows on many devices in `certified.data.sharded`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF, gamma

BLOCK = 256
"""Rows per block. Sums run within a block first, so γ grows with 256 + n/256 and not with n."""

Array = npt.NDArray[np.float64]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rows:
    """Rows in blocks; a row of weight zero takes no part in any sum. Rows are secrets: never print them.

    Whatever sums over rows goes through :meth:`chunks`, so that the same lines serve rows that are never in memory as a
    whole (`certified.data.streamed.StreamedRows`).

    Attributes:
        features: (blocks, size, d).
        targets: (blocks, size, K).
        weights: (blocks, size) sample weights c_i ≥ 0.
        norms: (blocks, size) certified upper bounds on ‖x_i‖₂.
    """

    features: jax.Array
    targets: jax.Array
    weights: jax.Array
    norms: jax.Array

    in_memory: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"Rows(slots={self.slots}, features={self.n_features}, outputs={self.n_outputs})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Device arrays restored outside a 64-bit context would silently become float32.
        return to_device, tuple(np.asarray(a) for a in (self.features, self.targets, self.weights, self.norms))

    @property
    def slots(self) -> int:
        return int(self.weights.size)

    @property
    def length(self) -> int:
        """The number of positions: here the slots, those without a row included."""
        return self.slots

    @property
    def n_features(self) -> int:
        return int(self.features.shape[2])

    @property
    def n_outputs(self) -> int:
        return int(self.targets.shape[2])

    @property
    def summation_depth(self) -> int:
        """Additions on the longest path of a row sum: within a block, then across blocks, each in any order."""
        return int(self.weights.shape[0] + self.weights.shape[1])

    @property
    def any_in_force(self) -> bool:
        """Whether a row has positive weight."""
        return bool(np.any(np.asarray(self.weights) > 0.0))

    @property
    def largest_norm(self) -> float:
        """Upper bound on ‖x_i‖₂ over the rows of positive weight; 0 without any."""
        return float(np.max(np.asarray(self.norms)[np.asarray(self.weights) > 0.0], initial=0.0))

    def chunks(self) -> Iterator[Rows]:
        """The rows in parts that are in memory one at a time: here one part, the rows themselves."""
        yield self

    def fetched(self) -> Iterator[Rows]:
        """The rows in parts that this process can read."""
        yield from self.chunks()

    def total(
        self,
        function: Callable[..., tuple[jax.Array, ...]],
        static: tuple[Any, ...],
        *arguments: Any,
        along: tuple[jax.Array, ...] = (),
        kept: int = 0,
    ) -> tuple[jax.Array, ...]:
        """What ``function`` sums over the rows of a chunk, wherever they are.

        Args:
            function: of ``static``, rows, the arrays ``along`` and ``arguments``; jitted.
            static: hashable arguments.
            arguments: arrays that all rows share.
            along: arrays (blocks, size, …) that run along the rows.
            kept: how many of its last results run along the rows, and so are no sums.
        """
        return function(*static, self, *along, *arguments)

    def highest(
        self, function: Callable[..., tuple[jax.Array, ...]], static: tuple[Any, ...], *arguments: Any
    ) -> jax.Array:
        """The largest value ≥ 0 of a ``function`` of ``static``, rows and ``arguments`` over the rows of a chunk."""
        (found,) = function(*static, self, *arguments)
        return found

    @in_float64
    def along_blocks(self, array: jax.Array, index: npt.NDArray[np.int64]) -> jax.Array:
        """The blocks of the given numbers of an array (blocks, size, …) that runs along the rows."""
        return array[index]

    @in_float64
    def blocks(self, index: npt.NDArray[np.int64]) -> Rows:
        """The blocks of the given numbers as rows of their own."""
        chosen: Rows = jax.tree_util.tree_map(lambda a: a[index], self)
        return chosen

    @staticmethod
    def from_arrays(features: Array, targets: Array, weights: Array, slots: int | None = None) -> Rows:
        """Lay validated rows (n, d), targets (n, K) and weights (n,) out in blocks with at least ``slots`` slots."""
        n = len(features)
        size, blocks = block_shape(max(n, slots or 0))
        norms = norm_bounds(features)
        return to_device(*(blocked(a, blocks, size) for a in (features, targets, weights, norms)))

    def features_at(self, positions: npt.NDArray[np.int64]) -> Array:
        """The features (k, d) of the rows at ``positions``, in the memory of this process."""
        return np.asarray(self.features).reshape(-1, self.n_features)[positions]

    @in_float64
    def take(self, positions: npt.NDArray[np.int64]) -> Rows:
        """The rows at ``positions`` as rows of their own, in small blocks."""
        size, blocks = block_shape(len(positions))
        index = np.full(size * blocks, -1, dtype=np.int64)
        index[: len(positions)] = positions
        taken: Rows = _take(self, index.reshape(blocks, size))
        return taken

    @in_float64
    def without(self, positions: npt.NDArray[np.int64]) -> Rows:
        """The same rows with those at ``positions`` taken out of every sum."""
        # Few lengths, so that few are compiled; slots that do not exist are dropped.
        index = np.full(1 << max(3, (len(positions) - 1).bit_length()), self.slots, dtype=np.int64)
        index[: len(positions)] = positions
        return replace(self, weights=_without(self.weights, index))

    @in_float64
    def place(self, rows: Rows, positions: npt.NDArray[np.int64]) -> Rows:
        """The same rows with the first ``len(positions)`` of ``rows`` written at ``positions``."""
        block, slot = np.divmod(positions, self.weights.shape[1])
        count = len(positions)

        def write(here: jax.Array, there: jax.Array) -> jax.Array:
            return here.at[block, slot].set(there.reshape(rows.slots, *there.shape[2:])[:count])

        written: Rows = jax.tree_util.tree_map(write, self, rows)
        return written

    @in_float64
    def erase(self, positions: npt.NDArray[np.int64]) -> Rows:
        """Overwrite the rows at ``positions`` in place; the buffers of ``self`` are consumed."""
        size, blocks = block_shape(len(positions))
        index = np.full(size * blocks, self.slots, dtype=np.int64)
        index[: len(positions)] = positions
        erased: Rows = _erase(self, jnp.asarray(index))
        return erased

    @in_float64
    def with_targets(self, targets: Array) -> Rows:
        """The same rows with new targets (length, K)."""
        return replace(self, targets=owned(targets.reshape(*self.weights.shape, targets.shape[1])))

    @in_float64
    def select_outputs(self, outputs: list[int]) -> Rows:
        """The same rows with the named output columns of their targets."""
        return replace(self, targets=self.targets[..., np.array(outputs, dtype=np.int64)])

    def enlarged(self, slots: int) -> Rows:
        """The same rows, in the same slots, with room for at least ``slots``."""
        size, blocks = block_shape(slots)
        arrays = (self.features, self.targets, self.weights, self.norms)
        flat = (np.asarray(a).reshape(self.slots, *a.shape[2:]) for a in arrays)
        return to_device(*(blocked(a, blocks, size) for a in flat))


def norm_bounds(features: Array) -> Array:
    """Return (n,) upper bounds on the row norms ‖x_i‖₂, rounding and underflow included (claim T12)."""
    d = features.shape[1]
    squares = np.einsum("ij,ij->i", features, features)
    inflated = squares * (1.0 + 2.0 * gamma(d + 2)) + d * 2.0**-1020
    return np.asarray(np.sqrt(inflated) * (1.0 + 8.0 * UNIT_ROUNDOFF))


def block_shape(n: int) -> tuple[int, int]:
    """(size, blocks) that hold n rows: few distinct shapes, so that compiled passes are reused."""
    size = min(BLOCK, max(8, 1 << max(n - 1, 0).bit_length()))
    return size, max(1, -(-n // size))


def blocked(values: Array, blocks: int, size: int) -> Array:
    """Lay values (n, …) out as (blocks, size, …), the last slots zero; a view where nothing is missing."""
    if len(values) == blocks * size:
        return values.reshape(blocks, size, *values.shape[1:])
    padded = np.zeros((blocks * size, *values.shape[1:]))
    padded[: len(values)] = values
    return padded.reshape(blocks, size, *values.shape[1:])


@in_float64
def to_device(features: Array, targets: Array, weights: Array, norms: Array) -> Rows:
    """Copy arrays laid out in blocks to the device, each of them once."""
    return Rows(*(owned(a) for a in (features, targets, weights, norms)))


def owned(array: Array, device: jax.Device | None = None) -> jax.Array:
    """The array in memory of the device's own, by default the default device's."""
    # The device must own its buffers to erase rows in place, but it may take an aligned array of the caller's as its
    # own; asking for a copy always would cost two, one in host memory first.
    array = np.asarray(array, dtype=np.float64)
    put = jax.device_put(array, device).block_until_ready()
    shared = put.unsafe_buffer_pointer() == array.ctypes.data
    return jnp.copy(put).block_until_ready() if shared else put


@jax.jit
def _take(rows: Rows, index: npt.NDArray[np.int64]) -> Rows:
    block, slot = jnp.divmod(index, rows.weights.shape[1])
    taken: Rows = jax.tree_util.tree_map(lambda a: a[block, slot], rows)
    return replace(taken, weights=jnp.where(index >= 0, taken.weights, 0.0))


@jax.jit
def _without(weights: jax.Array, index: npt.NDArray[np.int64]) -> jax.Array:
    block, slot = jnp.divmod(index, weights.shape[1])
    return weights.at[block, slot].set(0.0, mode="drop")


@partial(jax.jit, donate_argnums=0)
def _erase(rows: Rows, index: jax.Array) -> Rows:
    block, slot = jnp.divmod(index, rows.weights.shape[1])
    erased: Rows = jax.tree_util.tree_map(lambda a: a.at[block, slot].set(0.0, mode="drop"), rows)
    return erased
