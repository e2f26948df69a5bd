"""Shapes, ranges and labels as documented; real files where the data folder holds them, never a download."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from certified.data import loaders
from certified.data.formats import ADULT_CATEGORIES, ADULT_NUMERIC
from certified.data.loaders import LoadedData
from certified.data.registry import ADULT_FILES, available, data_home

EPS = np.finfo(np.float64).eps


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not available(name),
        reason=f"no {name} files in {data_home()}; set CERTIFIED_DATA to a folder with them",
    )


def check(data: LoadedData, n_train: int, n_test: int, d: int, labels: list[int]) -> None:
    assert data.X_train.shape == (n_train, d)
    assert data.X_test.shape == (n_test, d)
    assert data.y_train.shape == (n_train,)
    assert data.y_test.shape == (n_test,)
    assert data.X_train.dtype == data.X_test.dtype == np.float64
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert np.isfinite(data.X_train).all() and np.isfinite(data.X_test).all()
    assert np.unique(data.y_train).tolist() == np.unique(data.y_test).tolist() == labels
    assert len(data.feature_names) == len(set(data.feature_names)) == d
    assert len(data.target_names) == len(labels)
    assert data.source and data.licence
    assert repr(data) == f"LoadedData(name={data.name!r}, train={(n_train, d)}, test={(n_test, d)})"


def norms(X: np.ndarray) -> np.ndarray:
    return np.sqrt((X.astype(np.longdouble) ** 2).sum(axis=1))


@pytest.mark.parametrize(
    ("load", "embedded", "unit", "sizes", "labels"),
    [
        (loaders.load_digits, sklearn.datasets.load_digits, 16.0, (1437, 360, 64), list(range(10))),
        (loaders.load_breast_cancer, sklearn.datasets.load_breast_cancer, 1.0, (455, 114, 30), [0, 1]),
    ],
)
def test_embedded_sets_are_split_without_loss(load, embedded, unit, sizes, labels) -> None:
    data = load()
    check(data, *sizes, labels)
    bunch = embedded()
    published = np.column_stack([bunch.data / unit, bunch.target])
    split = np.column_stack([np.vstack([data.X_train, data.X_test]), np.hstack([data.y_train, data.y_test])])
    assert (published[np.lexsort(published.T)] == split[np.lexsort(split.T)]).all()
    for label in labels:
        assert np.mean(data.y_train == label) == pytest.approx(np.mean(data.y_test == label), abs=0.01)


@pytest.mark.parametrize("load", [loaders.load_digits, loaders.load_breast_cancer])
def test_the_split_is_the_same_every_time(load) -> None:
    state = np.random.get_state()[1].tolist()
    first, second = load(), load()
    assert (first.X_train == second.X_train).all()
    assert (first.y_test == second.y_test).all()
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize("load", [loaders.load_digits, loaders.load_breast_cancer])
def test_unit_rows_are_row_wise_and_named(load) -> None:
    plain, unit = load(), load(unit_rows=True)
    assert np.abs(norms(unit.X_train) - 1.0).max() <= 64 * EPS
    assert np.allclose(unit.X_train * norms(plain.X_train)[:, None].astype(float), plain.X_train)
    assert (unit.y_train == plain.y_train).all()
    assert unit.preprocessing == (*plain.preprocessing, "each row / its 2-norm")


@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))),
    data=st.data(),
)
def test_three_vs_eight_maps_each_row_by_itself(images: np.ndarray, data: st.DataObject) -> None:
    digits = data.draw(hnp.arrays(np.uint8, len(images), elements=st.integers(0, 9)))
    X, y = loaders.three_vs_eight(images, digits)
    kept = [i for i, digit in enumerate(digits) if digit in (3, 8)]
    assert y.tolist() == [1 if digits[i] == 3 else -1 for i in kept]
    assert X.shape == (len(kept), images[0].size)
    assert (np.abs(norms(X) - 1.0) <= 16 * EPS).all()
    for row, i in zip(X, kept, strict=True):
        alone, _ = loaders.three_vs_eight(images[i : i + 1], digits[i : i + 1])
        assert (row == alone[0]).all()
        centred = images[i].ravel() / 255.0 - 0.5
        assert np.allclose(row * np.linalg.norm(centred), centred, atol=1e-15)


def test_a_zero_row_stays_zero(tmp_path: Path) -> None:
    folder = tmp_path / "sst2"
    folder.mkdir()
    arrays = {}
    for part, n in (("train", 6_920), ("dev", 872), ("test", 1_821)):
        arrays[f"X_{part}"] = np.vstack([np.zeros((1, 2)), np.tile([[3.0, 4.0]], (n - 1, 1))])
        arrays[f"y_{part}"] = np.arange(n) % 2
    np.savez(folder / "sst2_minilm.npz", **arrays)
    data = loaders.load_sst2(data_dir=tmp_path, unit_rows=True)
    check(data, 6_920, 1_821, 2, [0, 1])
    assert data.X_train[:2].tolist() == [[0.0, 0.0], [0.6, 0.8]]
    assert loaders.load_sst2(data_dir=tmp_path).X_train[1].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    "load",
    [loaders.load_mnist, loaders.load_mnist_3_vs_8, loaders.load_adult, loaders.load_sst2_sentences],
)
def test_nothing_is_downloaded_unless_allowed(load, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="download=True"):
        load(data_dir=tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_loaders_does_not_import_scikit_learn() -> None:
    code = "import sys, certified.data.loaders; print([m for m in ('sklearn', 'pandas') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@needs("mnist")
def test_mnist() -> None:
    data = loaders.load_mnist(download=False)
    check(data, 60_000, 10_000, 784, list(range(10)))
    assert data.X_train.min() == 0.0 and data.X_train.max() == 1.0
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs("mnist_3_vs_8")
def test_mnist_3_vs_8_is_the_published_setting() -> None:
    data = loaders.load_mnist_3_vs_8(download=False)
    check(data, 11_982, 1_984, 784, [-1, 1])
    assert np.sum(data.y_train == 1) == 6_131
    assert np.sum(data.y_test == 1) == 1_010
    assert data.target_names == ("8", "3")
    assert np.abs(norms(data.X_train) - 1.0).max() <= 64 * EPS


@needs("adult")
def test_adult() -> None:
    data = loaders.load_adult(download=False)
    check(data, 32_561, 16_281, 108, [0, 1])
    assert data.y_train.sum() == 7_841
    assert data.y_test.sum() == 3_846
    assert data.X_train.min() == 0.0 and data.X_train.max() < 1.5
    start = len(ADULT_NUMERIC)
    for levels in ADULT_CATEGORIES.values():
        block = data.X_train[:, start : start + len(levels)]
        assert ((block == 0.0) | (block == 1.0)).all()
        assert (block.sum(axis=1) == 1.0).all()
        start += len(levels)
    assert start == 108
    first = dict(zip(data.feature_names, data.X_train[0], strict=True))
    assert first["age"] == 0.39 and first["education=Bachelors"] == 1.0 and first["workclass=State-gov"] == 1.0


@needs("adult")
def test_the_original_adult_files_have_the_published_checksum_and_load_alike(tmp_path: Path) -> None:
    data = loaders.load_adult(download=False)
    folder = tmp_path / "adult"
    folder.mkdir()
    columns = (
        *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
        *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"),
    )
    units = dict(zip(ADULT_NUMERIC, loaders.ADULT_UNITS, strict=True))
    parts = [(data.X_train, data.y_train, "", ""), (data.X_test, data.y_test, "|1x3 Cross validator\n", ".")]
    for remote, (X, y, head, end) in zip(ADULT_FILES, parts, strict=True):
        fields = {}
        for name in columns:
            if name in units:
                values = X[:, ADULT_NUMERIC.index(name)] * units[name]
                fields[name] = [str(round(value)) for value in values]
            else:
                start = data.feature_names.index(f"{name}={ADULT_CATEGORIES[name][0]}")
                codes = X[:, start : start + len(ADULT_CATEGORIES[name])].argmax(axis=1)
                fields[name] = [ADULT_CATEGORIES[name][code] for code in codes]
        rows = zip(*fields.values(), (data.target_names[label] + end for label in y), strict=True)
        content = (head + "\n".join(", ".join(row) for row in rows) + "\n\n").encode()
        assert hashlib.sha256(content).hexdigest() == remote.sha256
        assert len(content) == remote.size
        (folder / remote.name).write_bytes(content)
    again = loaders.load_adult(data_dir=tmp_path, download=False)
    for name in ("X_train", "y_train", "X_test", "y_test"):
        assert (getattr(again, name) == getattr(data, name)).all()


@needs("sst2")
def test_sst2_features() -> None:
    data = loaders.load_sst2()
    check(data, 6_920, 1_821, len(data.feature_names), [0, 1])
    assert data.X_dev is not None and data.X_dev.shape == (872, len(data.feature_names))
    unit = loaders.load_sst2(unit_rows=True)
    assert np.abs(norms(unit.X_test) - 1.0).max() <= 64 * EPS


@needs("sst2_sentences")
def test_sst2_sentences() -> None:
    data = loaders.load_sst2_sentences(download=False)
    assert (len(data.train), len(data.dev), len(data.test)) == (6_920, 872, 1_821)
    assert (data.y_train.shape, data.y_dev.shape, data.y_test.shape) == ((6_920,), (872,), (1_821,))
    assert np.unique(data.y_train).tolist() == [0, 1]
    assert repr(data) == "LabelledSentences(name='sst2_sentences', train=6920, dev=872, test=1821)"
    assert data.train[1] == "apparently reassembled from the cutting room floor of any given daytime soap"
    assert data.y_train[1] == 0


@needs("sst2")
@needs("sst2_sentences")
def test_sst2_features_belong_to_the_sentences() -> None:
    features, sentences = loaders.load_sst2(), loaders.load_sst2_sentences(download=False)
    assert (features.y_train == sentences.y_train).all()
    assert (features.y_dev == sentences.y_dev).all()
    assert (features.y_test == sentences.y_test).all()


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFIED_DATA", os.fspath(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        loaders.load_adult(download=False)
