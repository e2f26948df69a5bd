"""Reading DATA, the file of training rows that commands take: CSV, Parquet or NumPy archive, by its suffix."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from certified.cli.labels import as_labels, read_label, read_name

if TYPE_CHECKING:
    import pandas as pd

    from certified.estimators.base import CertifiedEstimator

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Rows: .csv or .parquet with named columns, or .npz with arrays X, y and optionally ids, subjects, "
        "sample_weight.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="COL", help="Column to predict (CSV, Parquet); repeat it for several targets."),
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="COL", help="Column of row ids (CSV, Parquet). Default: 0, 1, 2, …")
]
SubjectOption = Annotated[
    str | None, typer.Option("--subject", metavar="COL", help="Column that says whose row it is (CSV, Parquet).")
]
WeightOption = Annotated[
    str | None, typer.Option("--weight", metavar="COL", help="Column of sample weights (CSV, Parquet).")
]

_NPZ_KEYS = ("X", "y", "ids", "subjects", "sample_weight")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table have a role; all others are features."""

    target: Sequence[str]
    id: str | None = None
    subject: str | None = None
    weight: str | None = None

    def __bool__(self) -> bool:
        return bool(self.target or self.id or self.subject or self.weight)


@dataclass(frozen=True, repr=False)
class RowData:
    """Rows as read; ``X`` is a table with column names where the file has them."""

    X: Any
    y: npt.NDArray[Any]
    ids: list[int | str] | None
    subjects: list[int | str] | None
    sample_weight: npt.NDArray[np.float64] | None

    def take(self, positions: npt.NDArray[np.int64]) -> RowData:
        """The rows at ``positions``."""
        return RowData(
            X=self.X.iloc[positions] if hasattr(self.X, "iloc") else self.X[positions],
            y=self.y[positions],
            ids=None if self.ids is None else [self.ids[i] for i in positions],
            subjects=None if self.subjects is None else [self.subjects[i] for i in positions],
            sample_weight=None if self.sample_weight is None else self.sample_weight[positions],
        )


def read_rows(path: Path, columns: Columns, *, numeric_target: bool) -> RowData:
    """Read the rows of ``path``; ``numeric_target`` says that the target is a number and not a label.

    In a CSV file whole numbers that serve as ids, subjects or labels are integers, whatever else the column holds.

    Raises:
        ValueError: an unknown suffix, a missing column or array, or one that does not hold numbers.
        ModuleNotFoundError: the packages of the ``data`` extra are needed.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        if columns:
            raise ValueError("--target, --id, --subject and --weight name columns; an .npz file has arrays instead")
        return _read_npz(path)
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"DATA must end in .csv, .parquet or .npz; got {path.name!r}")
    if not columns.target:
        raise ValueError(f"--target is missing: name the column of {path.name} to predict")
    return _split(_read_table(path, suffix, columns, numeric_target), columns, path.name, numeric_target)


def read_for(estimator: CertifiedEstimator, data: Path, columns: Columns) -> RowData:
    """Read DATA for a model: labels or numbers as its kind has them.

    Raises:
        ValueError: as for `read_rows`, or other feature columns than the model was trained on.
    """
    from sklearn.base import is_regressor

    rows = read_rows(data, columns, numeric_target=is_regressor(estimator))
    expected = getattr(estimator, "feature_names_in_", None)
    if (expected is None) != (not hasattr(rows.X, "columns")):
        known = "columns without names" if expected is None else "named columns"
        raise ValueError(f"DATA: the model was trained on {known}: give a file of the same kind")
    if expected is not None and list(expected) != list(rows.X.columns):
        unlike = ", ".join(sorted(set(expected) ^ set(rows.X.columns))) or "only their order"
        raise ValueError(f"DATA: the feature columns must be those of the training file; different: {unlike}")
    return rows


def match(texts: Iterable[str], in_force: Iterable[Any], option: str) -> list[Any]:
    """Find the ids, subjects or labels in force that are written like ``texts``.

    Raises:
        ValueError: one is not in force, or is written like two of them, a number and a text.
    """
    written: dict[str, list[Any]] = {}
    for value in in_force:
        written.setdefault(_written(value), []).append(value)
    found = []
    for text in texts:
        values = written.get(text, [])
        if not values:
            raise ValueError(f"{option}: {text!r} is not in force: it never was there, or has been removed")
        if len(values) > 1:
            raise ValueError(f"{option}: {text!r} is both a number and a text in this model: remove it from Python")
        found += values
    return found


def _written(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _read_npz(path: Path) -> RowData:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"DATA: there is no file {path}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(f"DATA: {path.name} is not an intact .npz file without pickled objects ({error})") from None
    missing = {"X", "y"} - set(arrays)
    unknown = set(arrays) - set(_NPZ_KEYS)
    if missing or unknown:
        raise ValueError(
            f"DATA: {path.name} has the arrays {', '.join(sorted(arrays)) or 'none'}; it needs X and y and may have "
            "ids, subjects and sample_weight"
        )
    ids, subjects = (arrays[name].tolist() if name in arrays else None for name in ("ids", "subjects"))
    return RowData(arrays["X"], arrays["y"], ids, subjects, arrays.get("sample_weight"))


def _read_table(path: Path, suffix: str, columns: Columns, numeric_target: bool) -> pd.DataFrame:
    try:
        import pandas as pd

        if suffix == ".parquet":
            return pd.read_parquet(path, engine="pyarrow")
        # Names and labels are read value by value: what a name is must not depend on the rest of its column.
        readers = {column: read_name for column in (columns.id, columns.subject) if column is not None}
        if not numeric_target:
            readers |= dict.fromkeys(columns.target, read_label)
        table = pd.read_csv(path, dtype=dict.fromkeys(readers, object))
        for column in readers.keys() & set(table.columns):
            table[column] = pd.Series([readers[column](v) for v in table[column]], dtype=object)
        return table
    except ImportError:
        raise ModuleNotFoundError(
            f"reading {path.name} needs pandas and pyarrow: pip install 'certified-removal[data]', or give an .npz file"
        ) from None
    except FileNotFoundError:
        raise FileNotFoundError(f"DATA: there is no file {path}") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"DATA: {path.name} is not an intact {suffix} file ({error})") from None


def _split(table: pd.DataFrame, columns: Columns, name: str, numeric_target: bool) -> RowData:
    roles = {"--id": columns.id, "--subject": columns.subject, "--weight": columns.weight}
    named = [("--target", c) for c in columns.target] + [(option, c) for option, c in roles.items() if c is not None]
    for position, (option, column) in enumerate(named):
        if column not in table.columns:
            known = ", ".join(str(c) for c in table.columns)
            raise ValueError(f"{option}: {name} has no column {column!r}; it has {known}")
        if column in [c for _, c in named[:position]]:
            raise ValueError(f"{option}: the column {column!r} already has another role")
        if table[column].isna().any():
            raise ValueError(f"{option}: the column {column!r} of {name} has missing values: fill or drop those rows")
    features = table.drop(columns=[column for _, column in named])
    if not len(features.columns):
        raise ValueError(f"DATA: {name} has no feature column left")
    return RowData(
        X=_numbers(features, name),
        y=_targets(table, columns.target, name, numeric_target),
        ids=None if columns.id is None else table[columns.id].tolist(),
        subjects=None if columns.subject is None else table[columns.subject].tolist(),
        sample_weight=None if columns.weight is None else _numbers(table[[columns.weight]], name).to_numpy()[:, 0],
    )


def _targets(table: pd.DataFrame, target: Sequence[str], name: str, numeric: bool) -> npt.NDArray[Any]:
    if numeric:
        try:
            values: npt.NDArray[Any] = _numbers(table[list(target)], name).to_numpy()
        except ValueError as error:
            raise ValueError(f"--target: this loss predicts numbers, but {error}") from None
        return values[:, 0] if len(target) == 1 else values
    if len(target) > 1:
        raise ValueError("--target: a classifier has one target column")
    try:
        return as_labels(table[target[0]].tolist())
    except ValueError as error:
        raise ValueError(f"--target: the column {target[0]!r} of {name} {error}") from None


def _numbers(table: pd.DataFrame, name: str) -> pd.DataFrame:
    words = [str(c) for c in table.columns if table[c].dtype.kind not in "biuf"]
    if words:
        raise ValueError(
            f"{name}: the columns {', '.join(words)} do not hold numbers: encode them as numbers, remove them from the "
            "file, or name their role with --target, --id, --subject or --weight"
        )
    gaps = [str(c) for c in table.columns if table[c].isna().any()]
    if gaps:
        raise ValueError(f"{name}: the columns {', '.join(gaps)} have missing values: fill or drop those rows")
    numbers = table.astype(np.float64)
    return numbers.set_axis([str(c) for c in numbers.columns], axis=1)
