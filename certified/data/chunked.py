"""Rows of a source in chunks on the host, with the changes since kept beside them and the source left as it is."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from certified.data.rows import BLOCK, norm_bounds
from certified.data.sources import RowSource, SourceChangedError
from certified.numerics.rounding import MAGNITUDE_LIMIT, SMALLEST_WEIGHT

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Parts: TypeAlias = tuple[Array, Array, Array, Array]
"""Features (k, d), targets (k, K), sample weights (k,) and norm bounds (k,)."""
Progress = Callable[[int, int], None]
Observer = Callable[[int, tuple[Array, Array, Array]], None]


@dataclass(frozen=True, eq=False, repr=False)
class Chunked:
    """A source cut into chunks, what it held when it was opened, and what has changed since. A secret.

    Positions count the rows of the source and then the rows added; chunks hold one or the other.

    Attributes:
        source: where the rows are.
        size: rows in a chunk.
        length: the number of positions.
        norms: (n,) upper bounds on ‖x_i‖₂ over the source, 0 where the sample weight is 0.
        row_checksums: (n,) checksums of the rows of the source.
        checksums: of the chunks of the source.
        in_force: the number of rows of positive weight.
        kept: for each chunk that lost rows, which of its rows it keeps.
        added: the rows added, in pieces as they came.
    """

    source: RowSource
    size: int
    length: int
    norms: Array
    row_checksums: npt.NDArray[np.uint32]
    checksums: tuple[int, ...]
    in_force: int
    kept: Mapping[int, npt.NDArray[np.bool_]]
    added: tuple[Parts, ...] = ()

    @classmethod
    def first_reading(
        cls, source: RowSource, size: int, progress: Progress | None, observe: Observer | None
    ) -> Chunked:
        """Read and check all rows of ``source``; arguments and errors as of `StreamedRows.open`."""
        n = source.length
        size = min(size, max(n, BLOCK))
        norms, rows, checksums = np.zeros(n), np.zeros(n, dtype=np.uint32), []
        for start in range(0, n, size):
            stop = min(start + size, n)
            parts = read(source, start, stop)
            norms[start:stop] = checked(parts, f"rows {start} to {stop - 1}")
            if observe is not None:
                observe(start, parts)
            rows[start:stop] = row_checksums(parts)
            checksums.append(checksum(parts))
            if progress is not None:
                progress(stop, n)
        return cls(source, size, n, norms, rows, tuple(checksums), int(np.count_nonzero(norms)), {})

    @property
    def count(self) -> int:
        """The number of chunks, at least one."""
        return max(1, len(self.checksums) + -(-(self.length - len(self.norms)) // self.size))

    @cached_property
    def largest_norm(self) -> float:
        """Upper bound on ‖x_i‖₂ over the rows in force."""
        largest = 0.0
        for chunk in range(self.count):
            norms, kept = self.norms_of(chunk), self.kept.get(chunk)
            largest = max(largest, float(np.max(norms if kept is None else norms[kept[: len(norms)]], initial=0.0)))
        return largest

    @cached_property
    def _extra(self) -> Parts:
        """The rows added, as one piece."""
        d, outputs = self.source.n_features, self.source.n_outputs
        pieces = ((np.empty((0, d)), np.empty((0, outputs)), np.empty(0), np.empty(0)), *self.added)
        features, targets, weights, norms = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        return features, targets, weights, norms

    def norms_of(self, chunk: int) -> Array:
        """The norm bounds of a chunk as it was before rows left."""
        start = chunk * self.size
        if chunk < len(self.checksums):
            return self.norms[start : start + self.size]
        start -= len(self.checksums) * self.size
        return self._extra[3][start : start + self.size]

    def parts(self, chunk: int, start: int, stop: int) -> Parts:
        """Rows ``start`` … ``stop − 1`` of a chunk, as far as it has them; rows that left have weight 0.

        Raises:
            SourceChangedError: they are not what they were.
        """
        whole = self.norms_of(chunk)
        start = min(start, len(whole))
        norms = whole[start:stop]
        if chunk < len(self.checksums):
            first = chunk * self.size + start
            features, targets, weights = read(self.source, first, first + len(norms))
            found = (features, targets, weights)
            if len(norms) == len(whole):
                same = checksum(found) == self.checksums[chunk]
            else:
                same = np.array_equal(row_checksums(found), self.row_checksums[first : first + len(norms)])
            if not same:
                raise SourceChangedError(
                    f"source: rows {chunk * self.size} to {chunk * self.size + len(whole) - 1} are not what they were "
                    "when they were opened; restore them, or open the rows again and train again"
                )
        else:
            begin = (chunk - len(self.checksums)) * self.size
            features, targets, weights = (part[begin:][start:stop] for part in self._extra[:3])
        kept = self.kept.get(chunk)
        if kept is not None:
            weights = np.where(kept[start : start + len(weights)], weights, 0.0)
        return features, targets, weights, norms

    def located(self, positions: Positions) -> Iterator[tuple[int, Positions, Positions]]:
        """For each chunk concerned: its number, ascending rows of it, and which of ``positions`` those are.

        Raises:
            TypeError: they are no integers.
            IndexError: there is no such position.
        """
        if positions.size and positions.dtype.kind not in "iu":
            raise TypeError(f"positions must be integers, got {positions.dtype}; use numpy.flatnonzero for a mask")
        positions = positions.astype(np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < self.length:
            raise IndexError(f"positions must lie between 0 and {self.length - 1}; name rows that there are")
        n = len(self.norms)
        address = np.where(positions < n, positions, positions - n + len(self.checksums) * self.size)
        order = np.argsort(address, kind="stable")
        chunks = address[order] // self.size
        for places in np.split(order, np.flatnonzero(np.diff(chunks)) + 1):
            if len(places):
                yield int(address[places[0]] // self.size), address[places] % self.size, places

    def gathered(self, positions: Positions) -> Parts:
        """The rows at ``positions``, in that order; no other row is read. Errors as for `parts` and `located`."""
        count, d, outputs = len(positions), self.source.n_features, self.source.n_outputs
        arrays = np.zeros((count, d)), np.zeros((count, outputs)), np.zeros(count), np.zeros(count)
        for chunk, rows, places in self.located(positions):
            # Neighbours are read together.
            for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
                parts = self.parts(chunk, int(rows[run[0]]), int(rows[run[-1]]) + 1)
                for array, part in zip(arrays, parts, strict=True):
                    array[places[run]] = part
        return arrays

    def without(self, positions: Positions) -> Chunked:
        """The same rows but for those at ``positions``, in time and memory for the chunks concerned."""
        kept, in_force = dict(self.kept), self.in_force
        for chunk, rows, _ in self.located(positions):
            mask = kept[chunk].copy() if chunk in kept else np.ones(self.size, dtype=bool)
            leaving = np.unique(rows[mask[rows]])
            in_force -= int(np.count_nonzero(self.norms_of(chunk)[leaving]))
            mask[leaving] = False
            kept[chunk] = mask
        return replace(self, kept=kept, in_force=in_force)

    def append(self, features: Array, targets: Array, weights: Array) -> Chunked:
        """The same rows and new ones behind them."""
        piece = (features, targets, weights, checked((features, targets, weights), "rows added"))
        in_force = self.in_force + int(np.count_nonzero(weights))
        return replace(self, added=(*self.added, piece), length=self.length + len(features), in_force=in_force)


def read(source: RowSource, start: int, stop: int) -> tuple[Array, Array, Array]:
    """Read rows as contiguous float64 of the shapes that the source has named.

    Raises:
        ValueError: it returned other shapes.
        TypeError: it returned something other than real numbers.
    """
    count, d, outputs = stop - start, source.n_features, source.n_outputs
    found = [np.asarray(part) for part in source.read(start, stop)]
    shapes = {"features": (count, d), "targets": (count, outputs), "weights": (count,)}
    if len(found) != len(shapes):
        raise ValueError(f"source.read must return features, targets and weights, got {len(found)} parts")
    for (name, shape), part in zip(shapes.items(), found, strict=True):
        if part.shape != shape:
            raise ValueError(
                f"source.read({start}, {stop}) returned {name} of shape {part.shape}, but length, n_features and "
                f"n_outputs of the source promise {shape}; correct either"
            )
        if not np.can_cast(part.dtype, np.float64):
            raise TypeError(f"source.read returned {name} of type {part.dtype}; convert it to float64")
    features, targets, weights = (np.ascontiguousarray(part, dtype=np.float64) for part in found)
    return features, targets, weights


def checked(parts: tuple[Array, Array, Array], where: str) -> Array:
    """Return norm bounds (k,), 0 where the sample weight is 0, of rows whose every number is admissible (claim T12).

    Raises:
        ValueError: an entry is not finite or too large, or a sample weight is negative or subnormal.
    """
    features, targets, weights = parts
    norms = norm_bounds(features)
    # A norm within the limit bounds every entry of its row; only others need a closer look.
    long = ~(norms <= MAGNITUDE_LIMIT)
    for name, values in (("features", features[long]), ("targets", targets), ("weights", weights)):
        if not np.all(np.abs(values) <= MAGNITUDE_LIMIT):
            raise ValueError(
                f"{name} must be finite and at most {MAGNITUDE_LIMIT:g} in size, but not all of {where} are; "
                "repair or drop those rows"
            )
    if not np.all((weights == 0.0) | (weights >= SMALLEST_WEIGHT)):
        raise ValueError(
            f"weights must be 0 or at least {SMALLEST_WEIGHT:g}, but not all of {where} are; repair or drop those rows"
        )
    return np.where(weights > 0.0, norms, 0.0)


def checksum(parts: tuple[Array, Array, Array]) -> int:
    """A checksum of every byte: it finds accidents and sources that are not repeatable, not forgeries."""
    return zlib.crc32(parts[2].data, zlib.crc32(parts[1].data, zlib.crc32(parts[0].data)))


def row_checksums(parts: tuple[Array, Array, Array]) -> npt.NDArray[np.uint32]:
    """The checksum of each row (k,)."""
    rows = zip(parts[0], parts[1], parts[2][:, None], strict=True)
    return np.fromiter((checksum(row) for row in rows), dtype=np.uint32, count=len(parts[0]))
