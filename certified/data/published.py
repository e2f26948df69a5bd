"""The published arrays of each data set, from whichever of its files the folder holds, checked before use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.data import registry
from certified.data.download import obtain
from certified.data.formats import ADULT_CATEGORIES, ADULT_NUMERIC, read_adult, read_idx, read_npz

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_MNIST_SHAPES = {
    "X_train": (60_000, 28, 28),
    "y_train": (60_000,),
    "X_test": (10_000, 28, 28),
    "y_test": (10_000,),
}
_ADULT_ROWS = {"train": 32_561, "test": 16_281}
_SST2_ROWS = {"train": 6_920, "dev": 872, "test": 1_821}


def mnist(home: Path, download: bool) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return training images (60000, 28, 28) and digits, test images (10000, 28, 28) and digits."""
    packed = home / registry.MNIST_PACKED
    if packed.is_file():
        arrays = read_npz(packed, _MNIST_SHAPES)
        for name, shape in _MNIST_SHAPES.items():
            _require(packed, name, arrays[name], shape, 0, 255 if name.startswith("X") else 9)
    else:
        files = (obtain(file, packed.parent, download=download) for file in registry.MNIST_FILES)
        arrays = dict(zip(_MNIST_SHAPES, map(read_idx, files), strict=True))
    return arrays["X_train"], arrays["y_train"], arrays["X_test"], arrays["y_test"]


def adult(home: Path, download: bool) -> tuple[tuple[Numbers, Codes, Codes], tuple[Numbers, Codes, Codes]]:
    """Return (numbers, codes, labels) as in :func:`read_adult`, for training and for test rows."""
    packed = home / registry.ADULT_PACKED
    if not packed.is_file():
        train, test = (read_adult(obtain(file, packed.parent, download=download)) for file in registry.ADULT_FILES)
        return train, test
    names = [f"{kind}_{part}" for part in _ADULT_ROWS for kind in ("num", "cat", "y")]
    arrays = read_npz(packed, [*names, "num_names", "cat_names", "cat_levels"])
    code_book = json.dumps(ADULT_CATEGORIES)
    columns = [*arrays["num_names"].tolist(), *arrays["cat_names"].tolist()]
    if columns != [*ADULT_NUMERIC, *ADULT_CATEGORIES] or str(arrays["cat_levels"]) != code_book:
        raise ValueError(f"{packed} does not follow the published code book of Adult; replace the file")
    largest = np.array([len(levels) - 1 for levels in ADULT_CATEGORIES.values()])
    for part, n in _ADULT_ROWS.items():
        _require(packed, f"num_{part}", arrays[f"num_{part}"], (n, len(ADULT_NUMERIC)), 0, np.inf)
        _require(packed, f"cat_{part}", arrays[f"cat_{part}"], (n, len(largest)), 0, largest)
        _require(packed, f"y_{part}", arrays[f"y_{part}"], (n,), 0, 1)
    train, test = (
        (
            arrays[f"num_{part}"].astype(np.float64),
            arrays[f"cat_{part}"].astype(np.int64),
            arrays[f"y_{part}"].astype(np.int64),
        )
        for part in _ADULT_ROWS
    )
    return train, test


def sst2(home: Path) -> dict[str, tuple[Numbers, Codes]]:
    """Return encoder features (n, d) and labels (n,) for "train", "dev" and "test".

    Raises:
        FileNotFoundError: the feature file is missing; the message says how to make it.
    """
    path = home / registry.SST2_FEATURES
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing and has no public home; encode the sentences of load_sst2_sentences() with a "
            "frozen sentence encoder (all-MiniLM-L6-v2, mean-pooled, unit norm: 384 columns) and write "
            "X_train, y_train, X_dev, y_dev, X_test, y_test there by numpy.savez, or point data_dir or "
            "CERTIFIED_DATA at a folder that holds it"
        )
    arrays = read_npz(path, [f"{kind}_{part}" for part in _SST2_ROWS for kind in "Xy"])
    columns = arrays["X_train"].shape[-1:]
    for part, n in _SST2_ROWS.items():
        _require(path, f"X_{part}", arrays[f"X_{part}"], (n, *columns), -np.inf, np.inf)
        _require(path, f"y_{part}", arrays[f"y_{part}"], (n,), 0, 1)
    return {part: (arrays[f"X_{part}"].astype(np.float64), arrays[f"y_{part}"].astype(np.int64)) for part in _SST2_ROWS}


def _require(
    path: Path,
    name: str,
    array: npt.NDArray[Any],
    shape: tuple[int, ...],
    low: float,
    high: float | npt.NDArray[Any],
) -> None:
    """Refuse another shape, a type other than numbers, and values not finite or outside [low, high]."""
    if array.shape != shape or array.dtype.kind not in "uif":
        raise ValueError(
            f"{path}: {name} must be numbers of shape {shape}, not {array.dtype} of shape {array.shape}; "
            "replace the file"
        )
    if not (np.isfinite(array) & (array >= low) & (array <= high)).all():
        raise ValueError(f"{path}: {name} has values that are not finite or out of range; replace the file")
