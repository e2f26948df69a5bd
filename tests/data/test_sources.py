from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from certified.data.sources import ArraySource, NpySource, ParquetSource, RowSource, SourceChangedError
from certified.data.streamed import StreamedRows

Array = npt.NDArray[np.float64]
ROWS = 23


def arrays() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 3)), rng.normal(size=(ROWS, 2)), rng.uniform(1, 2, ROWS)


def npy(folder: Path, **changed: Array) -> dict[str, Path]:
    """Files of the example, with parts of it changed."""
    parts = dict(zip(("features", "targets", "weights"), arrays(), strict=True)) | changed
    for name, array in parts.items():
        np.save(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in parts}


def parquet(path: Path, *parts: Array) -> ParquetSource:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    features, targets, weights = parts
    columns = {f"x{j}": features[:, j] for j in range(3)} | {f"t{k}": targets[:, k] for k in range(2)}
    pyarrow.parquet.write_table(pyarrow.table(columns | {"c": weights}), path, row_group_size=5)
    return ParquetSource(path, ["x0", "x1", "x2"], ["t0", "t1"], "c")


@pytest.fixture(params=["arrays", "npy", "parquet"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> RowSource:
    if request.param == "arrays":
        return ArraySource(*arrays())
    return NpySource(**npy(tmp_path)) if request.param == "npy" else parquet(tmp_path / "rows.parquet", *arrays())


def test_any_piece_can_be_read_again_and_again(source: RowSource) -> None:
    assert isinstance(source, RowSource)
    assert (source.length, source.n_features, source.n_outputs) == (ROWS, 3, 2)
    for start, stop in ((0, ROWS), (4, 6), (5, 10), (22, 23), (7, 7), (0, 1), (0, ROWS)):
        for found, expected in zip(source.read(start, stop), arrays(), strict=True):
            np.testing.assert_array_equal(found, expected[start:stop])


def test_it_can_be_streamed(source: RowSource) -> None:
    rows = StreamedRows.open(source, 6)
    features = np.concatenate([np.asarray(chunk.features).reshape(-1, 3)[:6] for chunk in rows.chunks()])
    np.testing.assert_array_equal(features[:ROWS], arrays()[0])
    assert rows.in_force == ROWS


def test_repr_shows_shapes_only(source: RowSource) -> None:
    assert repr(source) == f"{type(source).__name__}(rows={ROWS}, features=3, outputs=2)"


def test_weights_are_optional_and_one_target_needs_no_column(tmp_path: Path) -> None:
    features, targets, _ = arrays()
    files = npy(tmp_path, targets=targets[:, 0])
    for found in (ArraySource(features, targets[:, 0]), NpySource(files["features"], files["targets"])):
        assert found.n_outputs == 1
        _, read, weights = found.read(3, 5)
        np.testing.assert_array_equal(read, targets[3:5, :1])
        np.testing.assert_array_equal(weights, np.ones(2))


def test_other_types_are_read_as_they_are(tmp_path: Path) -> None:
    features, targets = np.arange(6, dtype=np.int8).reshape(3, 2), np.array([1.0, -1.0, 1.0], dtype=np.float32)
    files = npy(tmp_path, features=features, targets=targets, weights=np.array([True, False, True]))
    rows = StreamedRows.open(NpySource(**files), 2)
    assert rows.in_force == 2
    np.testing.assert_array_equal(np.asarray(rows.take(np.array([2])).features)[0, 0], [4.0, 5.0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": np.ones(ROWS)}, r"features must be an \(n, d\) array"),
        ({"features": np.ones((ROWS, 3, 1))}, r"features must be an \(n, d\) array"),
        ({"targets": np.ones((ROWS - 1, 2))}, "targets has shape .* per row .23."),
        ({"targets": np.ones((ROWS, 2, 1))}, "targets has shape"),
        ({"weights": np.ones(ROWS + 1)}, "weights has shape .24,.: give one weight for each of the 23 rows"),
        ({"weights": np.ones((ROWS, 1))}, "weights has shape"),
    ],
)
def test_shapes_that_do_not_fit(changed: dict[str, Array], message: str, tmp_path: Path) -> None:
    parts = dict(zip(("features", "targets", "weights"), arrays(), strict=True)) | changed
    with pytest.raises(ValueError, match=message):
        ArraySource(**parts)
    with pytest.raises(ValueError, match=message):
        NpySource(**npy(tmp_path, **changed))


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    """Before it is opened, and afterwards, when a mapped file would end the process."""
    files = npy(tmp_path)
    source = NpySource(**files)
    rows = StreamedRows.open(source, 5)
    content = files["features"].read_bytes()
    files["features"].write_bytes(content[:-8])
    source.read(0, ROWS - 1)
    with pytest.raises(SourceChangedError, match=r"features: .*features.npy was cut short"):
        list(rows.chunks())
    with pytest.raises(ValueError, match=r"features: .*features.npy is no intact .npy file"):
        NpySource(**files)


def test_a_file_that_changes_is_found_out(tmp_path: Path) -> None:
    files = npy(tmp_path)
    rows = StreamedRows.open(NpySource(**files), 5)
    npy(tmp_path, targets=-arrays()[1])
    with pytest.raises(SourceChangedError, match="rows 0 to 4 are not what they were"):
        list(rows.chunks())


def test_files_of_another_kind(tmp_path: Path) -> None:
    files = npy(tmp_path)
    text = tmp_path / "features.csv"
    text.write_text("1,2,3\n")
    with pytest.raises(ValueError, match=r"features: .* is no intact .npy file"):
        NpySource(text, files["targets"])
    np.savez(tmp_path / "several.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"features: .* must be one .npy array"):
        NpySource(tmp_path / "several.npz", files["targets"])
    np.save(tmp_path / "columns.npy", np.asfortranarray(arrays()[0]))
    with pytest.raises(ValueError, match=r"features: .* is in Fortran order"):
        NpySource(tmp_path / "columns.npy", files["targets"])
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"features: .* is no intact .npy file"):
        NpySource(tmp_path / "objects.npy", files["targets"])
    with pytest.raises(FileNotFoundError, match="absent"):
        NpySource(tmp_path / "absent.npy", files["targets"])


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    parquet(tmp_path / "rows.parquet", *arrays())
    for features, targets, message in (
        (["x0", "x9"], ["t0"], r"\['x9'\] are not there"),
        (["x0", "x0"], ["t0"], "one is named twice"),
        (["x0"], ["x0"], "one is named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            ParquetSource(tmp_path / "rows.parquet", features, targets)
    with pytest.raises(TypeError, match=r"targets must be a list of column names, such as \['t0'\]"):
        ParquetSource(tmp_path / "rows.parquet", ["x0"], "t0")
    (tmp_path / "rows.csv").write_text("x0,t0\n1,2\n")
    with pytest.raises(ValueError, match=r"rows\.csv is no intact Parquet file"):
        ParquetSource(tmp_path / "rows.csv", ["x0"], ["t0"])


def test_columns_without_numbers(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    days = pyarrow.array([0, 1], pyarrow.date32())
    table = pyarrow.table({"name": ["Ada", None], "day": days, "x": [1, 2], "f": [True, False], "who": ["a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert ParquetSource(tmp_path / "rows.parquet", ["x"], ["f"]).read(0, 2)[1].tolist() == [[1.0], [0.0]]
    with pytest.raises(ValueError, match=r"the columns \['day', 'name'\] of .* do not hold numbers") as raised:
        ParquetSource(tmp_path / "rows.parquet", ["x", "day"], ["name"])
    assert "Ada" not in str(raised.value)
    source = ParquetSource(tmp_path / "rows.parquet", ["x"], ["f"])
    assert source.column("who").tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"the column 'name' has no value in 1 row"):
        source.column("name")


def test_missing_values_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"x": pyarrow.array([1.0, None, 2.0]), "t": [1.0, -1.0, 1.0]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="features must be finite"):
        StreamedRows.open(ParquetSource(tmp_path / "rows.parquet", ["x"], ["t"]))
