"""Rows that an auditor reads chunk by chunk: each time the same ones, and never all of them in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]

CHUNK_ENTRIES = 1 << 21
"""Features that are read at a time (16 MiB)."""
MAGNITUDE_LIMIT = 1e60
"""No certificate covers larger numbers."""


@runtime_checkable
class RowReader(Protocol):
    """Rows that can be read again and again, such as a source of `certified.data.sources`.

    Attributes:
        length: the number of rows n.
        n_features: d.
    """

    @property
    def length(self) -> int: ...
    @property
    def n_features(self) -> int: ...

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        """Features (k, d), labels or targets (k, K) and sample weights (k,) of the k rows ``start`` … ``stop − 1``."""
        ...


class Features(Protocol):
    """Features (n, d) of which any stretch can be had: an array, or `ReadFeatures`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Array: ...


class ReadFeatures:
    """Features of the rows of a reader, or of those at ``places``; checksums show that they are those first read."""

    def __init__(
        self, reader: RowReader, length: int, size: int, checksums: list[bytes], places: npt.NDArray[np.int64] | None
    ) -> None:
        self._reader, self._length, self._size = reader, length, size
        self._checksums, self._places = checksums, places
        self._held: tuple[int, Array] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self._length if self._places is None else len(self._places), self._reader.n_features

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(len(self))
        places = np.arange(start, stop) if self._places is None else self._places[start:stop]
        chunks = places // self._size
        runs = np.split(places, np.flatnonzero(np.diff(chunks)) + 1) if len(places) else []
        parts = [self._chunk(int(run[0]) // self._size)[run % self._size] for run in runs]
        return np.concatenate(parts) if parts else np.empty((0, self.shape[1]))

    def at(self, chosen: npt.NDArray[np.bool_]) -> ReadFeatures:
        """The features of the chosen rows."""
        places = None if np.all(chosen) else np.flatnonzero(chosen)
        return ReadFeatures(self._reader, self._length, self._size, self._checksums, places)

    def _chunk(self, number: int) -> Array:
        """One chunk; the last one is kept, as neighbouring stretches ask for it."""
        if self._held is None or self._held[0] != number:
            start = number * self._size
            found = _read(self._reader, start, min(start + self._size, self._length))
            if _checksum(found) != self._checksums[number]:
                raise ValueError(
                    "X does not return the same rows each time it is read: verify files that nobody changes"
                )
            self._held = number, found[0]
        return self._held[1]


@dataclass(frozen=True, repr=False)
class ReadRows:
    """What a first reading of all rows found: their features to be read again, labels or targets, weights."""

    features: ReadFeatures
    values: Numbers
    sample_weights: Numbers


def read_all(reader: RowReader) -> ReadRows:
    """Read all rows once.

    Raises:
        TypeError: features or weights are no real numbers.
        ValueError: the reader returns other shapes than it has promised, or features that are not finite or too large.
    """
    length, size = reader.length, max(1, CHUNK_ENTRIES // max(1, reader.n_features))
    checksums, values, weights = [], [], []
    for start in range(0, max(length, 1), size):
        found = _read(reader, start, min(start + size, length))
        if not np.all(np.abs(found[0]) <= MAGNITUDE_LIMIT):
            raise ValueError(f"X must be finite and at most {MAGNITUDE_LIMIT:g} in size, as in training")
        checksums.append(_checksum(found))
        values.append(found[1][:, 0] if found[1].shape[1] == 1 else found[1])
        weights.append(found[2])
    return ReadRows(
        ReadFeatures(reader, length, size, checksums, None), np.concatenate(values), np.concatenate(weights)
    )


def _read(reader: RowReader, start: int, stop: int) -> tuple[Array, Numbers, Numbers]:
    features, values, weights = (np.asarray(part) for part in reader.read(start, stop))
    count = stop - start
    if features.shape != (count, reader.n_features) or values.shape[:1] != (count,) or weights.shape != (count,):
        raise ValueError(f"X.read({start}, {stop}) must return features, targets and weights of {count} rows")
    if features.dtype.kind not in "biuf":
        raise TypeError(f"X must hold real numbers; got {features.dtype}")
    return np.ascontiguousarray(features, dtype=np.float64), values if values.ndim == 2 else values[:, None], weights


def _checksum(parts: tuple[Numbers, ...]) -> bytes:
    """Of all bytes; other rows with the same one cannot be found, so those committed to are those summed over."""
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).view(np.uint8).data)
    return total.digest()
