"""Packed files are checked array by array before anything is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certified.data import published
from certified.data.formats import ADULT_CATEGORIES, ADULT_NUMERIC
from certified.data.registry import ADULT_FILES, ADULT_PACKED, MNIST_FILES, MNIST_PACKED, SST2_FEATURES

Arrays = dict[str, np.ndarray[Any, Any]]


def mnist_arrays() -> Arrays:
    return {
        "X_train": np.zeros((60_000, 28, 28), dtype=np.uint8),
        "y_train": np.arange(60_000, dtype=np.uint8) % 10,
        "X_test": np.full((10_000, 28, 28), 255, dtype=np.uint8),
        "y_test": np.arange(10_000, dtype=np.uint8) % 10,
    }


def adult_arrays() -> Arrays:
    sizes = [len(levels) for levels in ADULT_CATEGORIES.values()]
    arrays: Arrays = {
        "num_names": np.array(ADULT_NUMERIC),
        "cat_names": np.array(list(ADULT_CATEGORIES)),
        "cat_levels": np.array(json.dumps(ADULT_CATEGORIES)),
    }
    for part, n in (("train", 32_561), ("test", 16_281)):
        row = np.arange(n)[:, None]
        arrays[f"num_{part}"] = (row + np.arange(6)).astype(np.float32)
        arrays[f"cat_{part}"] = (row % np.array(sizes)).astype(np.uint8)
        arrays[f"y_{part}"] = (row[:, 0] % 2).astype(np.uint8)
    return arrays


def sst2_arrays() -> Arrays:
    arrays: Arrays = {}
    for part, n in (("train", 6_920), ("dev", 872), ("test", 1_821)):
        arrays[f"X_{part}"] = np.full((n, 3), 0.5, dtype=np.float32)
        arrays[f"y_{part}"] = (np.arange(n) % 2).astype(np.uint8)
    return arrays


def write(home: Path, file: str, arrays: Arrays) -> None:
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(home / file, **arrays)


def test_intact_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, MNIST_PACKED, mnist_arrays())
    images, digits, test_images, test_digits = published.mnist(tmp_path, download=False)
    assert (images.shape, test_images.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (test_images == 255).all()
    assert digits[:11].tolist() == test_digits[:11].tolist() == [*range(10), 0]

    arrays = adult_arrays()
    write(tmp_path, ADULT_PACKED, arrays)
    for part, (numbers, codes, labels) in zip(("train", "test"), published.adult(tmp_path, False), strict=True):
        assert (numbers.dtype, codes.dtype, labels.dtype) == (np.float64, np.int64, np.int64)
        assert (numbers == arrays[f"num_{part}"]).all()
        assert (codes == arrays[f"cat_{part}"]).all()
        assert (labels == arrays[f"y_{part}"]).all()

    write(tmp_path, SST2_FEATURES, sst2_arrays())
    assert {part: X.shape for part, (X, _) in published.sst2(tmp_path).items()} == {
        "train": (6_920, 3),
        "dev": (872, 3),
        "test": (1_821, 3),
    }


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("y_test", np.zeros(9_999, dtype=np.uint8), "y_test must be numbers of shape"),
        ("y_test", np.full(10_000, 10, dtype=np.uint8), "y_test has values"),
        ("y_test", np.full(10_000, "3"), "y_test must be numbers"),
        ("X_test", np.zeros((10_000, 784), dtype=np.uint8), "X_test must be numbers of shape"),
    ],
)
def test_a_wrong_mnist_array_is_refused(tmp_path: Path, name: str, wrong: np.ndarray[Any, Any], reason: str) -> None:
    write(tmp_path, MNIST_PACKED, mnist_arrays() | {name: wrong})
    with pytest.raises(ValueError, match=reason):
        published.mnist(tmp_path, download=False)


def bad_cell(name: str, value: float) -> Arrays:
    array = adult_arrays()[name]
    array[0, -1] = value
    return {name: array}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (bad_cell("num_train", np.nan), "num_train has values"),
        (bad_cell("num_test", np.inf), "num_test has values"),
        (bad_cell("num_test", -1.0), "num_test has values"),
        (bad_cell("cat_train", 42), "cat_train has values"),
        ({"y_train": np.full(32_561, 2)}, "y_train has values"),
        ({"num_names": np.array(ADULT_NUMERIC[::-1])}, "code book"),
        ({"cat_levels": np.array("{}")}, "code book"),
    ],
)
def test_a_wrong_adult_array_is_refused(tmp_path: Path, change: Arrays, reason: str) -> None:
    write(tmp_path, ADULT_PACKED, adult_arrays() | change)
    with pytest.raises(ValueError, match=reason):
        published.adult(tmp_path, download=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"X_dev": np.zeros((872, 4))}, r"X_dev must be numbers of shape \(872, 3\)"),
        ({"X_test": np.full((1_821, 3), np.nan)}, "X_test has values"),
        ({"X_train": np.zeros(6_920)}, "X_train must be numbers"),
        ({"y_train": np.full(6_920, -1)}, "y_train has values"),
    ],
)
def test_a_wrong_feature_array_is_refused(tmp_path: Path, change: Arrays, reason: str) -> None:
    write(tmp_path, SST2_FEATURES, sst2_arrays() | change)
    with pytest.raises(ValueError, match=reason):
        published.sst2(tmp_path)


def test_missing_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz is missing.*download=True"):
        published.mnist(tmp_path, download=False)
    with pytest.raises(FileNotFoundError, match=r"adult\.data is missing.*download=True"):
        published.adult(tmp_path, download=False)
    with pytest.raises(FileNotFoundError, match=r"sst2_minilm\.npz is missing.*load_sst2_sentences"):
        published.sst2(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("remote", [MNIST_FILES[0], ADULT_FILES[0]], ids=lambda remote: remote.name)
def test_an_original_file_with_other_bytes_is_refused(tmp_path: Path, remote) -> None:
    name = "mnist" if remote in MNIST_FILES else "adult"
    (tmp_path / name).mkdir()
    (tmp_path / name / remote.name).write_bytes(b"other")
    with pytest.raises(ValueError, match="damaged or another version"):
        getattr(published, name)(tmp_path, download=False)
