"""Where rows that do not fit in memory are read from: arrays, NumPy files, Parquet, or anything with a ``read``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


class SourceChangedError(RuntimeError):
    """Rows are not what they were when they were first read; sums over them would belong to no data set."""


@runtime_checkable
class RowSource(Protocol):
    """Rows that can be read again and again, in any order and by any thread, with the same result each time.

    Attributes:
        length: the number of rows n.
        n_features: d.
        n_outputs: K.
    """

    @property
    def length(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        """Features (k, d), targets (k, K) and sample weights (k,) of the k rows ``start`` … ``stop − 1``."""
        ...


class ArraySource:
    """Rows held in arrays, which must not be changed: features (n, d), targets (n, K) or (n,), weights (n,) or ones."""

    def __init__(self, features: Numbers, targets: Numbers, weights: Numbers | None = None) -> None:
        self._parts = _aligned(features, targets, weights)

    def __repr__(self) -> str:
        return f"ArraySource(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    @property
    def length(self) -> int:
        return len(self._parts[0])

    @property
    def n_features(self) -> int:
        return int(self._parts[0].shape[1])

    @property
    def n_outputs(self) -> int:
        return int(self._parts[1].shape[1])

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        features, targets, weights = self._parts
        return features[start:stop], targets[start:stop], weights[start:stop]


class NpySource:
    """Rows in ``.npy`` files, read piece by piece and never mapped: a file cut short is an error, not a crash.

    Args:
        features: path of an (n, d) array in C order.
        targets: path of an (n, K) or (n,) array.
        weights: path of an (n,) array of sample weights; all 1 if omitted.

    Raises:
        ValueError: a file is not such an array, or the files disagree about n.
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        features: str | os.PathLike[str],
        targets: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self._files = [
            _NpyFile(name, Path(path))
            for name, path in (("features", features), ("targets", targets), ("weights", weights))
            if path is not None
        ]
        # The shapes are checked on arrays that take no memory.
        stand_ins = [np.broadcast_to(np.zeros(1, file.dtype), file.shape) for file in self._files]
        x, y, _ = _aligned(*stand_ins)
        self.length, self.n_features, self.n_outputs = len(x), int(x.shape[1]), int(y.shape[1])

    def __repr__(self) -> str:
        return f"NpySource(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        features, targets, *weights = (file.read(start, stop) for file in self._files)
        return features, targets.reshape(stop - start, self.n_outputs), weights[0] if weights else np.ones(stop - start)


class _NpyFile:
    def __init__(self, name: str, path: Path) -> None:
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{name}: {path} is no intact .npy file ({error}); save the array again") from error
        if not isinstance(mapped, np.memmap):
            raise ValueError(f"{name}: {path} must be one .npy array; save the array with numpy.save")
        if not mapped.flags.c_contiguous:
            raise ValueError(f"{name}: {path} is in Fortran order; save numpy.ascontiguousarray of it")
        self.name, self.path = name, path
        self.shape, self.dtype, self._offset = mapped.shape, mapped.dtype, mapped.offset

    def read(self, start: int, stop: int) -> Numbers:
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        with open(self.path, "rb") as file:
            file.seek(self._offset + start * width * self.dtype.itemsize)
            values = np.fromfile(file, self.dtype, (stop - start) * width)
        if values.size != (stop - start) * width:
            raise SourceChangedError(
                f"{self.name}: {self.path} was cut short since it was opened; restore it, or open the rows again"
            )
        return values.reshape(stop - start, *self.shape[1:])


class ParquetSource:
    """Rows in a Parquet file, read by row group; needs the extra ``data``.

    Args:
        path: the file.
        features: names of its feature columns.
        targets: names of its target columns.
        weights: name of the column of sample weights; all 1 if omitted.

    Raises:
        ValueError: the file is no Parquet file, or a column is missing, named twice or holds no numbers.
        TypeError: ``features`` or ``targets`` is one name, and no list of names.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        features: Sequence[str],
        targets: Sequence[str],
        weights: str | None = None,
    ) -> None:
        try:
            from pyarrow import ArrowInvalid, types
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise ImportError("reading Parquet needs pyarrow; install certified-removal[data]") from error
        for argument, names in (("features", features), ("targets", targets)):
            if isinstance(names, str):
                raise TypeError(f"{argument} must be a list of column names, such as [{names!r}]")
        try:
            self._file = ParquetFile(path)
        except ArrowInvalid as error:
            raise ValueError(f"path: {path} is no intact Parquet file ({error}); write the file again") from error
        self._features, self._targets, self._weights = tuple(features), tuple(targets), weights
        self._columns = [*self._features, *self._targets, *([] if weights is None else [weights])]
        known = set(self._file.schema_arrow.names)
        missing = [column for column in self._columns if column not in known]
        if missing or len(set(self._columns)) != len(self._columns):
            raise ValueError(
                f"features, targets and weights must name different columns of {path}; "
                + (f"{missing} are not there" if missing else "one is named twice")
            )
        schema = self._file.schema_arrow
        numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
        other = [name for name in self._columns if not any(test(schema.field(name).type) for test in numeric)]
        if other:
            raise ValueError(f"the columns {other} of {path} do not hold numbers: encode them as numbers first")
        groups = self._file.metadata
        sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._held: tuple[int, Numbers] | None = None
        self.length, self.n_features, self.n_outputs = int(self._starts[-1]), len(self._features), len(self._targets)

    def __repr__(self) -> str:
        return f"ParquetSource(rows={self.length}, features={self.n_features}, outputs={self.n_outputs})"

    def read(self, start: int, stop: int) -> tuple[Numbers, Numbers, Numbers]:
        parts = [np.empty((0, len(self._columns)))]
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for group in range(first, len(self._starts) - 1):
            begin, end = self._starts[group], self._starts[group + 1]
            if begin >= stop:
                break
            parts.append(self._group(group)[max(start - begin, 0) : min(stop, end) - begin])
        table = np.concatenate(parts)
        d, outputs = self.n_features, self.n_outputs
        weights = np.ones(len(table)) if self._weights is None else table[:, -1]
        return table[:, :d], table[:, d : d + outputs], weights

    def column(self, name: str) -> Numbers:
        """One column of integers or strings, such as the ids or subjects of the rows.

        Raises:
            ValueError: there is no such column, or a row has nothing in it.
        """
        if name not in self._file.schema_arrow.names:
            raise ValueError(f"name must be a column of the file, got {name!r}")
        column = self._file.read(columns=[name]).column(name)
        if column.null_count:
            raise ValueError(f"the column {name!r} has no value in {column.null_count} row(s): fill them in")
        values = column.to_numpy()
        return np.asarray(values.astype(str) if values.dtype == object else values)

    def _group(self, number: int) -> Numbers:
        """The columns of one row group; the last one read is kept, as neighbouring chunks ask for it."""
        if self._held is None or self._held[0] != number:
            table = self._file.read_row_group(number, columns=self._columns)
            columns = [table.column(name).to_numpy().astype(np.float64) for name in self._columns]
            self._held = number, np.stack(columns, axis=1)
        return self._held[1]


def _aligned(features: Numbers, targets: Numbers, weights: Numbers | None = None) -> tuple[Numbers, Numbers, Numbers]:
    """Features (n, d), targets (n, K) and weights (n,) that agree about n."""
    features, targets = np.asarray(features), np.asarray(targets)
    if features.ndim != 2:
        raise ValueError(f"features must be an (n, d) array, got shape {features.shape}; reshape it")
    if targets.ndim == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or len(targets) != len(features):
        raise ValueError(
            f"targets has shape {targets.shape}: give one target, or one line of them, per row ({len(features)})"
        )
    weights = np.broadcast_to(np.ones(1), len(features)) if weights is None else np.asarray(weights)
    if weights.shape != (len(features),):
        raise ValueError(f"weights has shape {weights.shape}: give one weight for each of the {len(features)} rows")
    return features, targets, weights
