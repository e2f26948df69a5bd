"""Sources made of other sources: all rows but some, the rows of several, and rows whose reading is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.data.sources import Numbers, RowSource


class WithoutRows:
    """The rows of a source but those at ``positions``, in the same order.

    Raises:
        ValueError: a position that the source does not have.

    >>> from certified.data.sources import ArraySource
    >>> rest = WithoutRows(ArraySource(np.eye(4), np.arange(4)), [1, 2])
    >>> rest.length, rest.read(0, 2)[1].ravel().tolist()
    (2, [0, 3])
    """

    def __init__(self, source: RowSource, positions: Sequence[int] | npt.NDArray[np.integer[Any]]) -> None:
        self._source, self._gone = source, np.unique(np.asarray(positions, dtype=np.int64))
        if len(self._gone) and not 0 <= self._gone[0] <= self._gone[-1] < source.length:
            raise ValueError(f"positions must lie between 0 and {source.length - 1}; name rows that there are")
        # How many rows are kept before each that is gone.
        self._before = self._gone - np.arange(len(self._gone))
        self.length, self.n_features, self.n_outputs = (
            source.length - len(self._gone),
            source.n_features,
            source.n_outputs,
        )

    def __repr__(self) -> str:
        return f"WithoutRows(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        kept = np.arange(start, stop)
        places = kept + np.searchsorted(self._before, kept, side="right")
        # Neighbours are read together.
        runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1) if len(places) else []
        parts = [self._source.read(int(run[0]), int(run[-1]) + 1) for run in runs] or [self._source.read(0, 0)]
        features, targets, weights = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return features, targets, weights


class JoinedRows:
    """The rows of several sources, one after the other.

    Raises:
        ValueError: no source, or sources with different numbers of features or outputs.

    >>> from certified.data.sources import ArraySource
    >>> joined = JoinedRows(ArraySource(np.eye(2), np.zeros(2)), ArraySource(np.ones((1, 2)), np.ones(1)))
    >>> joined.length, joined.read(1, 3)[1].ravel().tolist()
    (3, [0.0, 1.0])
    """

    def __init__(self, *sources: RowSource) -> None:
        shapes = {(source.n_features, source.n_outputs) for source in sources}
        if len(shapes) != 1:
            raise ValueError("sources must be at least one, all with the same numbers of features and outputs")
        self._sources = sources
        ((self.n_features, self.n_outputs),) = shapes
        self._starts = [sum(source.length for source in sources[:i]) for i in range(len(sources))]
        self.length = sum(source.length for source in sources)

    def __repr__(self) -> str:
        return f"JoinedRows(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        parts = [self._sources[0].read(0, 0)]
        for source, first in zip(self._sources, self._starts, strict=False):
            low, high = max(start - first, 0), min(stop - first, source.length)
            if low < high:
                parts.append(source.read(low, high))
        features, targets, weights = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return features, targets, weights


class WatchedRows:
    """The rows of a source, with a call for each stretch that is read: progress of whatever reads it.

    Args:
        source: any source of rows.
        progress: called with (row reached, rows in all) after each reading, by the thread that read; rows are read
            from the first on in every pass, so the first number falls where a new pass begins.

    >>> from certified.data.sources import ArraySource
    >>> watched = WatchedRows(ArraySource(np.eye(4), np.arange(4)), lambda row, rows: print(f"{row} of {rows}"))
    >>> _ = watched.read(0, 3)
    3 of 4
    """

    def __init__(self, source: RowSource, progress: Callable[[int, int], None]) -> None:
        if not callable(progress):
            raise TypeError(f"progress must be a function of (row reached, rows in all); got {progress!r}")
        self._source, self._progress = source, progress
        self.length, self.n_features, self.n_outputs = source.length, source.n_features, source.n_outputs

    def __repr__(self) -> str:
        return f"WatchedRows(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        part = self._source.read(start, stop)
        self._progress(stop, self.length)
        return part
