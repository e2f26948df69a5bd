"""Rows that do not fit in memory: read chunk by chunk in every pass, changed without touching the rest (claim T12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import numpy as np
import numpy.typing as npt

from certified.data.chunked import Array, Chunked, Observer, Parts, Progress
from certified.data.rows import BLOCK, Rows, block_shape, blocked, to_device
from certified.data.sources import RowSource
from certified.numerics.precision import in_float64

CHUNK_ENTRIES = 1 << 21
"""Features in a chunk (16 MiB), unless a square matrix of that many columns is larger anyway."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Outputs:
    """How the targets (k, K₀) of the source become the targets (k, K) of a loss, such as labels those of classes.

    Attributes:
        count: K.
        of: the map.
    """

    count: int
    of: Callable[[Array], Array]


class StreamedRows(Rows):
    """Rows of a source, of which a few chunks are in memory at a time, all of one shape.

    Row i of the source has position i; rows appended follow from ``length`` on. A change takes time and memory for the
    chunks of the changed rows, whatever n is. Beside the chunks, twelve bytes per row are held: its norm bound and its
    checksum.

    The first reading checks every number, and each later one that the rows are what they were then: sums over rows that
    change in between would belong to no data set. To erase removed rows from their files, rewrite these without them,
    and open them again. There are no arrays of all rows: code that asks for them raises a ``TypeError``.

    >>> from certified.data.sources import ArraySource
    >>> rows = StreamedRows.open(ArraySource(np.eye(5), np.ones(5)), chunk_rows=2)
    >>> rows.without(np.array([3])).in_force, [chunk.slots for chunk in rows.chunks()]
    (4, [8, 8, 8])
    """

    in_memory = False

    def __init__(self, contents: Chunked, progress: Progress | None = None, outputs: Outputs | None = None) -> None:
        # Assignment is closed, as in every frozen dataclass.
        self.__dict__.update(_contents=contents, _progress=progress, _outputs=outputs)

    _contents: Chunked
    _progress: Progress | None
    _outputs: Outputs | None

    @staticmethod
    def open(
        source: RowSource,
        chunk_rows: int | None = None,
        progress: Progress | None = None,
        observe: Observer | None = None,
    ) -> StreamedRows:
        """Read and check all rows of ``source`` once.

        Args:
            source: where the rows are; read again in every pass.
            chunk_rows: rows in a chunk; by default as many as take 16 MiB, or d where that is more.
            progress: called with (rows done, rows) after each chunk, anew for each pass.
            observe: called with the position of its first row and the checked features, targets and weights of each
                chunk of this first reading; what it raises stops the opening.

        Raises:
            TypeError: ``source`` lacks a member of `RowSource`, or holds something other than real numbers.
            ValueError: ``source`` breaks its own word on shapes, an entry is not finite or too large, a sample weight
                is negative or subnormal, or ``chunk_rows`` is not positive.
        """
        if not isinstance(source, RowSource):
            raise TypeError(f"source must have length, n_features, n_outputs and read, unlike {type(source).__name__}")
        if chunk_rows is None:
            wanted = max(CHUNK_ENTRIES // max(source.n_features, 1), source.n_features)
            chunk_rows = -(-wanted // BLOCK) * BLOCK
        if chunk_rows < 1:
            raise ValueError(f"chunk_rows must be at least 1, got {chunk_rows}")
        return StreamedRows(Chunked.first_reading(source, chunk_rows, progress, observe), progress)

    def __repr__(self) -> str:
        return f"StreamedRows(slots={self.slots}, features={self.n_features}, outputs={self.n_outputs})"

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def length(self) -> int:
        """The number of positions, those of removed rows included."""
        return self._contents.length

    @property
    def in_force(self) -> int:
        """The number of rows of positive weight."""
        return self._contents.in_force

    @property
    def checksums(self) -> npt.NDArray[np.uint32]:
        """(n,) checksums of the rows of the source, as they were read first."""
        return self._contents.row_checksums

    @property
    def any_in_force(self) -> bool:
        return self.in_force > 0

    @property
    def largest_norm(self) -> float:
        return self._contents.largest_norm

    @property
    def n_features(self) -> int:
        return self._contents.source.n_features

    @property
    def n_outputs(self) -> int:
        return self._contents.source.n_outputs if self._outputs is None else self._outputs.count

    @property
    def slots(self) -> int:
        size, blocks = self._shape
        return self._contents.count * blocks * size

    @property
    def summation_depth(self) -> int:
        """Additions on the longest path of a row sum: in a block, across the blocks of a chunk, across chunks (T12)."""
        return sum(self._shape) + self._contents.count

    @property
    def _shape(self) -> tuple[int, int]:
        """(size, blocks) of every chunk."""
        return block_shape(self._contents.size)

    def chunks(self) -> Iterator[Rows]:
        """Each chunk in turn; the next one is read while the caller works on the present one.

        Raises:
            SourceChangedError: a chunk is not what it was when the rows were opened.
        """
        count, rows = self._contents.count, self.length
        with ThreadPoolExecutor(max_workers=1) as reader:
            pending = reader.submit(self._chunk, 0)
            for done in range(1, count + 1):
                chunk = pending.result()
                if done < count:
                    pending = reader.submit(self._chunk, done)
                yield chunk
                if self._progress is not None:
                    self._progress(rows * done // count, rows)

    @in_float64
    def _chunk(self, number: int) -> Rows:
        size, blocks = self._shape
        parts = self._encoded(self._contents.parts(number, 0, self._contents.size))
        # No copy where the device can read the array in place: a chunk is never written to.
        return Rows(*(jax.device_put(blocked(part, blocks, size)) for part in parts))

    def _encoded(self, parts: Parts) -> Parts:
        features, targets, weights, norms = parts
        return features, targets if self._outputs is None else self._outputs.of(targets), weights, norms

    def blocks(self, index: Positions) -> Rows:
        size, per_chunk = self._shape
        found = []
        for chunk, inner in zip(*np.divmod(index, per_chunk), strict=True):
            parts = self._encoded(self._contents.parts(int(chunk), int(inner) * size, (int(inner) + 1) * size))
            found.append([blocked(part, 1, size) for part in parts])
        return to_device(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def take(self, positions: Positions) -> Rows:
        """The rows at ``positions`` as rows of their own, in small blocks; no other row is read.

        Raises:
            TypeError: ``positions`` are no integers.
            IndexError: there is no such position.
            SourceChangedError: a row is not what it was when the rows were opened.
        """
        size, blocks = block_shape(len(positions))
        parts = self._encoded(self._contents.gathered(positions))
        return to_device(*(blocked(part, blocks, size) for part in parts))

    def where(self, target: Any) -> Positions:
        """Positions of the rows with this target in the source, removed ones included, by a pass."""
        found, start = [], 0
        for number in range(self._contents.count):
            _, targets, _, _ = self._contents.parts(number, 0, self._contents.size)
            found.append(start + np.flatnonzero(np.all(targets == target, axis=1)))
            start += len(targets)
        return np.concatenate(found)

    def values(self, positions: Positions) -> tuple[Array, Array, Array]:
        """Features, the source's own targets and weights of the rows at ``positions``; errors as for `take`."""
        return self._contents.gathered(positions)[:3]

    def without(self, positions: Positions) -> StreamedRows:
        """The same rows with those at ``positions`` taken out of every sum; the source is left alone.

        Raises:
            TypeError: ``positions`` are no integers.
            IndexError: there is no such position.
        """
        return self._changed(self._contents.without(positions))

    def append(self, rows: Rows) -> StreamedRows:
        """The same rows and, at the positions from ``length`` on, those of ``rows`` that have positive weight.

        Raises:
            ValueError: ``rows`` has other numbers of features or outputs, or an entry that is not finite or too large.
        """
        if (rows.n_features, rows.n_outputs) != (self.n_features, self.n_outputs):
            raise ValueError(
                f"rows must have {self.n_features} features and {self.n_outputs} outputs, "
                f"got {rows.n_features} and {rows.n_outputs}"
            )
        if self._outputs is not None:
            raise TypeError("the targets of these rows are encoded; use extend with targets as those of the source")
        chosen = np.flatnonzero(np.asarray(rows.weights).reshape(-1) > 0.0)
        features, targets, weights = (
            np.asarray(a).reshape(rows.slots, *a.shape[2:])[chosen] for a in (rows.features, rows.targets, rows.weights)
        )
        return self.extend(features, targets, weights)

    def extend(self, features: Array, targets: Array, weights: Array) -> StreamedRows:
        """The same rows and, at the positions from ``length`` on, new ones with targets as those of the source.

        Raises:
            ValueError: an entry is not finite or too large, or a weight is negative or subnormal.
        """
        return self._changed(self._contents.append(features, targets, weights))

    def encoded(self, outputs: Outputs | None) -> StreamedRows:
        """The same rows with targets made by ``outputs`` from those of the source, chunk by chunk."""
        return StreamedRows(self._contents, self._progress, outputs)

    def select_outputs(self, outputs: list[int]) -> StreamedRows:
        whole, columns = self._outputs, np.array(outputs, dtype=np.int64)
        return self.encoded(
            Outputs(len(outputs), lambda targets: (targets if whole is None else whole.of(targets))[:, columns])
        )

    def watched(self, progress: Progress | None) -> StreamedRows:
        """The same rows with another listener to passes."""
        return StreamedRows(self._contents, progress, self._outputs)

    def __reduce__(self) -> NoReturn:
        raise TypeError("rows are streamed, so they cannot be pickled or copied; open their source where they are used")

    def _changed(self, contents: Chunked) -> StreamedRows:
        return StreamedRows(contents, self._progress, self._outputs)

    def _not_in_memory(self) -> NoReturn:
        raise TypeError(
            "rows are streamed, so there is no array of all of them; use what goes chunk by chunk, or rows in memory "
            "(certified.data.rows.Rows.from_arrays)"
        )

    features = targets = weights = norms = property(_not_in_memory)
