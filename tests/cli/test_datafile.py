from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certified.cli.datafile import Columns, match, read_rows
from tests.cli.conftest import FEATURES

ALL = Columns(["outcome"], "id", "person", "count")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_keep_every_bit(tmp_path: Path, frame: pd.DataFrame, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    chosen = frame.drop(columns="cost")
    chosen.to_csv(path, index=False) if suffix == "csv" else chosen.to_parquet(path)
    rows = read_rows(path, ALL, numeric_target=False)
    assert list(rows.X.columns) == list(FEATURES)
    assert np.array_equal(rows.X.to_numpy(), frame[list(FEATURES)].to_numpy())
    assert rows.y.tolist() == frame["outcome"].tolist()
    assert rows.ids == frame["id"].tolist()
    assert rows.subjects == frame["person"].tolist()
    assert rows.sample_weight is not None
    assert rows.sample_weight.tolist() == frame["count"].tolist()


def test_archive(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    X, y = np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"])
    np.savez(path, X=X, y=y, ids=np.array([5, 6, 7]), sample_weight=np.ones(3))
    rows = read_rows(path, Columns([]), numeric_target=False)
    assert np.array_equal(rows.X, X)
    assert (rows.y.tolist(), rows.ids, rows.subjects) == (["a", "b", "a"], [5, 6, 7], None)
    assert rows.take(np.array([2])).ids == [7]


def test_numeric_targets(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "rows.csv"
    frame.drop(columns=["outcome", "person"]).to_csv(path, index=False)
    one = read_rows(path, Columns(["cost"], "id"), numeric_target=True)
    two = read_rows(path, Columns(["cost", "count"], "id"), numeric_target=True)
    assert np.array_equal(one.y, frame["cost"])
    assert np.array_equal(two.y, frame[["cost", "count"]])


def test_a_name_does_not_depend_on_the_rest_of_its_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,id,t\n1,7,1\n2,007,1.0\n3,-3,0\n4,7b,0e0\n5,1e3,1\n6,NA7,0\n")
    rows = read_rows(path, Columns(["t"], "id"), numeric_target=False)
    assert rows.ids == [7, "007", -3, "7b", "1e3", "NA7"]
    assert [type(key) for key in rows.ids] == [int, str, int, str, str, str]
    assert rows.y.tolist() == [1, 1, 0, 0, 1, 0]
    assert rows.y.dtype.kind == "i"


CSV = "a,b,id,t\n1,2,7,x\n3,4,8,y\n"
BAD_TABLES = {
    "no target": (CSV, Columns([]), "--target is missing"),
    "unknown target": (CSV, Columns(["z"]), "--target: rows.csv has no column 'z'; it has a, b, id, t"),
    "unknown id": (CSV, Columns(["t"], "z"), "--id: rows.csv has no column 'z'"),
    "two roles": (CSV, Columns(["t"], "id", "id"), "--subject: the column 'id' already has another role"),
    "two labels": (CSV, Columns(["t", "id"]), "a classifier has one target column"),
    "words": (CSV, Columns(["id"]), "the columns t do not hold numbers"),
    "gap in features": (CSV + "5,,9,x\n", Columns(["t"]), "the columns b have missing values"),
    "gap in ids": (CSV + "5,6,,x\n", Columns(["t"], "id"), "--id: the column 'id' of rows.csv has missing values"),
    "gap in target": (CSV + "5,6,9,\n", Columns(["t"]), "--target: the column 't' of rows.csv has missing values"),
    "mixed labels": (CSV + "5,6,9,3\n", Columns(["t"]), "mixes numbers and words"),
    "no feature": ("t\nx\ny\n", Columns(["t"]), "no feature column left"),
    "empty": ("", Columns(["t"]), "rows.csv is not an intact .csv file"),
    "ragged": ("a,t\n1,x\n1,2,3,4\n", Columns(["t"]), "rows.csv is not an intact .csv file"),
    "words as weights": (CSV, Columns(["id"], None, None, "t"), "the columns t do not hold numbers"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(tmp_path: Path, case: str) -> None:
    text, columns, message = BAD_TABLES[case]
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read_rows(path, columns, numeric_target=False)


def test_words_as_numeric_target(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(CSV)
    with pytest.raises(ValueError, match="the columns t do not hold numbers"):
        read_rows(path, Columns(["t"], "id"), numeric_target=True)


BAD_ARCHIVES = {
    "no y": ({"X": np.ones((2, 1))}, "has the arrays X; it needs X and y"),
    "unknown array": ({"X": np.ones((2, 1)), "y": np.ones(2), "weights": np.ones(2)}, "has the arrays X, weights, y"),
    "pickled": ({"X": np.ones((2, 1)), "y": np.array([1, "a"], dtype=object)}, "not an intact .npz"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives(tmp_path: Path, case: str) -> None:
    arrays, message = BAD_ARCHIVES[case]
    path = tmp_path / "rows.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        read_rows(path, Columns([]), numeric_target=False)


@pytest.mark.parametrize("name", ["rows.npz", "rows.csv", "rows.parquet"])
def test_damaged_and_missing_files(tmp_path: Path, name: str) -> None:
    columns = Columns([] if name.endswith("npz") else ["t"])
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_rows(tmp_path / name, columns, numeric_target=False)
    (tmp_path / name).write_bytes(b"\xff\x00 no such format")
    with pytest.raises(ValueError, match=name):
        read_rows(tmp_path / name, columns, numeric_target=False)


def test_wrong_suffix_and_columns_of_an_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.csv, \.parquet or \.npz; got 'rows\.xlsx'"):
        read_rows(tmp_path / "rows.xlsx", Columns(["t"]), numeric_target=False)
    with pytest.raises(ValueError, match="--target, --id, --subject and --weight name columns"):
        read_rows(tmp_path / "rows.npz", Columns(["t"]), numeric_target=False)


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_missing_packages_name_the_extra(
    tmp_path: Path, frame: pd.DataFrame, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.parquet"
    frame.to_parquet(path)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'certified-removal\[data\]'"):
        read_rows(path, Columns(["outcome"]), numeric_target=False)


def test_match_finds_what_is_written_alike() -> None:
    assert match(["3", "a", "2"], [2.0, 3, "a", "b"], "--ids") == [3, "a", 2.0]
    with pytest.raises(ValueError, match="--ids: '9' is not in force"):
        match(["9"], [1], "--ids")
    with pytest.raises(ValueError, match="both a number and a text"):
        match(["1"], [1, "1"], "--ids")


def test_rows_are_not_represented(table: Path) -> None:
    rows = read_rows(table, Columns(["outcome"], "id", "person"), numeric_target=False)
    assert "P0" not in repr(rows)
