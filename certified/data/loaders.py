"""Real data sets, ready for certified removal: no transformation here is fitted on rows.

A scaler, vocabulary or selection fitted on rows that are deleted later lies outside every certificate. So the
only transformations here are divisions by public constants, one-hot coding by a published code book, a frozen
public encoder, and (``unit_rows=True``) the division of each row by its own 2-norm, a zero row staying zero.
Standardising belongs in a pipeline, where it is in the open and can be named.

Loaders of sets that are not embedded in scikit-learn take

- ``data_dir``: the data folder; by default ``$CERTIFIED_DATA``, else one in the user's cache;
- ``download``: fetch missing files from their public home and verify them by SHA-256;

and raise ``FileNotFoundError`` (a file is missing and is not to be downloaded), ``DownloadError`` (it could
not be fetched) or ``ValueError`` (a file is damaged or another version).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.data import published
from certified.data.download import obtain
from certified.data.formats import ADULT_CATEGORIES, ADULT_NUMERIC, read_labelled_sentences
from certified.data.registry import SST2_FILES, data_home

Features = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ADULT_UNITS = (100.0, 1e6, 16.0, 1e5, 1e4, 100.0)
"""Divisors of the columns ``ADULT_NUMERIC``: round numbers fixed in advance that bring values near [0, 1]."""

_MNIST_PIXELS = tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28))
_MNIST_SOURCE = "LeCun, Cortes & Burges, The MNIST database of handwritten digits"
_MNIST_LICENCE = "CC BY-SA 3.0"
_SST2_TARGETS = ("negative", "positive")
_SST2_SOURCE = "Socher et al. (2013), Stanford Sentiment Treebank, whole sentences without the neutral ones"
_SST2_LICENCE = "none stated"


@dataclass(frozen=True, eq=False, repr=False)
class LoadedData:
    """A data set with a fixed split. Rows can be people's: the representation shows shapes only.

    Attributes:
        name: as accepted by ``registry.available``.
        X_train, X_test: (n, d) features.
        y_train, y_test: (n,) class labels.
        X_dev, y_dev: development rows, where the published split has them.
        feature_names: one per column.
        target_names: one per class, by ascending label.
        preprocessing: every transformation applied to the published values, in order.
        source, licence: where the data come from and their terms, as stated there.
    """

    name: str
    X_train: Features
    y_train: Labels
    X_test: Features
    y_test: Labels
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    preprocessing: tuple[str, ...]
    source: str
    licence: str
    X_dev: Features | None = None
    y_dev: Labels | None = None

    def __repr__(self) -> str:
        return f"LoadedData(name={self.name!r}, train={self.X_train.shape}, test={self.X_test.shape})"


@dataclass(frozen=True, eq=False, repr=False)
class LabelledSentences:
    """Sentences with labels by ``target_names``, in the published split; the representation hides them."""

    name: str
    train: tuple[str, ...]
    y_train: Labels
    dev: tuple[str, ...]
    y_dev: Labels
    test: tuple[str, ...]
    y_test: Labels
    target_names: tuple[str, ...]
    source: str
    licence: str

    def __repr__(self) -> str:
        sizes = f"train={len(self.train)}, dev={len(self.dev)}, test={len(self.test)}"
        return f"LabelledSentences(name={self.name!r}, {sizes})"


def load_digits(*, unit_rows: bool = False) -> LoadedData:
    """Load 8×8 handwritten digits, ten classes, pixels / 16, from scikit-learn; a fixed 4:1 split.

    >>> load_digits()
    LoadedData(name='digits', train=(1437, 64), test=(360, 64))
    """
    from sklearn.datasets import load_digits as embedded

    bunch = embedded()
    return _embedded(
        bunch,
        bunch.data / 16.0,
        unit_rows,
        name="digits",
        preprocessing=("pixels / 16 (public constant)",),
        source="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI repository",
    )


def load_breast_cancer(*, unit_rows: bool = False) -> LoadedData:
    """Load 30 measures of cell nuclei, malignant (0) or benign (1), from scikit-learn; a fixed 4:1 split.

    >>> load_breast_cancer().target_names
    ('malignant', 'benign')
    """
    from sklearn.datasets import load_breast_cancer as embedded

    bunch = embedded()
    return _embedded(
        bunch,
        bunch.data,
        unit_rows,
        name="breast_cancer",
        preprocessing=(),
        source="Wolberg, Mangasarian, Street & Street, Breast Cancer Wisconsin (Diagnostic), UCI repository",
    )


def load_mnist(
    *, data_dir: str | os.PathLike[str] | None = None, download: bool = True, unit_rows: bool = False
) -> LoadedData:
    """Load 28×28 handwritten digits, ten classes, official split, flattened to d = 784, pixels / 255.

    Arguments and errors: see the module. A download takes 11.6 MB.
    """
    images, digits, test_images, test_digits = published.mnist(data_home(data_dir), download)
    return LoadedData(
        name="mnist",
        X_train=_scaled(images.reshape(-1, 784) / 255.0, unit_rows),
        y_train=digits.astype(np.int64),
        X_test=_scaled(test_images.reshape(-1, 784) / 255.0, unit_rows),
        y_test=test_digits.astype(np.int64),
        feature_names=_MNIST_PIXELS,
        target_names=tuple(str(digit) for digit in range(10)),
        preprocessing=_named(("pixels / 255 (public constant)",), unit_rows),
        source=_MNIST_SOURCE,
        licence=_MNIST_LICENCE,
    )


def load_mnist_3_vs_8(*, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> LoadedData:
    """Load MNIST's threes (+1) and eights (−1) as in Guo et al. (2020): n = 11,982, test 1,984, d = 784.

    Rows are those of :func:`three_vs_eight`. Arguments and errors: see the module.
    """
    images, digits, test_images, test_digits = published.mnist(data_home(data_dir), download)
    X_train, y_train = three_vs_eight(images, digits)
    X_test, y_test = three_vs_eight(test_images, test_digits)
    return LoadedData(
        name="mnist_3_vs_8",
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        feature_names=_MNIST_PIXELS,
        target_names=("8", "3"),
        preprocessing=_named(("pixels / 255 − 0.5 (public constants)",), True),
        source=_MNIST_SOURCE,
        licence=_MNIST_LICENCE,
    )


def three_vs_eight(images: npt.NDArray[np.uint8], digits: npt.NDArray[np.uint8]) -> tuple[Features, Labels]:
    """Select threes (+1) and eights (−1), in order; rows (x/255 − 1/2) / ‖x/255 − 1/2‖₂.

    Norms are 1 up to rounding, so a certificate takes its own bound on them.

    >>> images = np.array([[[0, 255]], [[0, 0]]], dtype=np.uint8)
    >>> X, y = three_vs_eight(images, np.array([8, 1], dtype=np.uint8))
    >>> X.round(4).tolist(), y.tolist()
    ([[-0.7071, 0.7071]], [-1])
    """
    chosen = np.isin(digits, (3, 8))
    pixels = images[chosen].reshape(-1, math.prod(images.shape[1:]))
    return _scaled(pixels / 255.0 - 0.5, True), np.where(digits[chosen] == 3, 1, -1)


def load_adult(
    *, data_dir: str | os.PathLike[str] | None = None, download: bool = True, unit_rows: bool = False
) -> LoadedData:
    """Load census incomes, up to (0) or above (1) 50,000 dollars: n = 32,561, test 16,281, d = 108.

    The official split. Six numbers divided by ``ADULT_UNITS``, then eight attributes one-hot by the published
    code book (102 columns; "?" is a level of its own, so that no row is dropped).

    Arguments and errors: see the module. A download takes 6 MB.
    """
    train, test = published.adult(data_home(data_dir), download)
    units = ", ".join(f"{name} / {unit:g}" for name, unit in zip(ADULT_NUMERIC, ADULT_UNITS, strict=True))
    levels = tuple(f"{name}={level}" for name, levels in ADULT_CATEGORIES.items() for level in levels)
    steps = (f"{units} (public constants)", "categories one-hot by the published code book")
    return LoadedData(
        name="adult",
        X_train=_scaled(_adult_features(*train[:2]), unit_rows),
        y_train=train[2],
        X_test=_scaled(_adult_features(*test[:2]), unit_rows),
        y_test=test[2],
        feature_names=ADULT_NUMERIC + levels,
        target_names=("<=50K", ">50K"),
        preprocessing=_named(steps, unit_rows),
        source="Becker & Kohavi, Adult, UCI repository, doi:10.24432/C5XW20",
        licence="CC BY 4.0",
    )


def load_sst2(*, data_dir: str | os.PathLike[str] | None = None, unit_rows: bool = False) -> LoadedData:
    """Load sentence-encoder features of movie reviews, negative (0) or positive (1): n = 6,920 / 872 / 1,821.

    Row i belongs to sentence i of :func:`load_sst2_sentences`. The feature file is never downloaded; an error
    says how to make it. Arguments and errors: see the module.
    """
    parts = published.sst2(data_home(data_dir))
    X = {part: _scaled(features, unit_rows) for part, (features, _) in parts.items()}
    return LoadedData(
        name="sst2",
        X_train=X["train"],
        y_train=parts["train"][1],
        X_test=X["test"],
        y_test=parts["test"][1],
        feature_names=tuple(f"encoder_{j}" for j in range(X["train"].shape[1])),
        target_names=_SST2_TARGETS,
        preprocessing=_named(("frozen public sentence encoder (all-MiniLM-L6-v2, mean-pooled)",), unit_rows),
        source=_SST2_SOURCE,
        licence=f"sentences: {_SST2_LICENCE}; encoder: Apache-2.0",
        X_dev=X["dev"],
        y_dev=parts["dev"][1],
    )


def load_sst2_sentences(*, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> LabelledSentences:
    """Load the SST-2 sentences themselves, lower-cased and tokenised: 6,920 / 872 / 1,821.

    Arguments and errors: see the module. A download takes 1 MB.
    """
    folder = data_home(data_dir) / "sst2"
    (train, y_train), (dev, y_dev), (test, y_test) = (
        read_labelled_sentences(obtain(file, folder, download=download)) for file in SST2_FILES
    )
    return LabelledSentences(
        name="sst2_sentences",
        train=train,
        y_train=y_train,
        dev=dev,
        y_dev=y_dev,
        test=test,
        y_test=y_test,
        target_names=_SST2_TARGETS,
        source=_SST2_SOURCE,
        licence=_SST2_LICENCE,
    )


def _embedded(
    bunch: Any, X: Features, unit_rows: bool, *, name: str, preprocessing: tuple[str, ...], source: str
) -> LoadedData:
    from sklearn.model_selection import train_test_split

    X_train, X_test, y_train, y_test = train_test_split(
        _scaled(X, unit_rows), bunch.target, test_size=0.2, random_state=0, stratify=bunch.target
    )
    return LoadedData(
        name=name,
        X_train=X_train,
        y_train=y_train.astype(np.int64),
        X_test=X_test,
        y_test=y_test.astype(np.int64),
        feature_names=tuple(str(feature) for feature in bunch.feature_names),
        target_names=tuple(str(target) for target in bunch.target_names),
        preprocessing=_named(preprocessing, unit_rows),
        source=source,
        licence="CC BY 4.0",
    )


def _adult_features(numbers: Features, codes: Labels) -> Features:
    onehot = [np.eye(len(levels))[codes[:, j]] for j, levels in enumerate(ADULT_CATEGORIES.values())]
    return np.hstack([numbers / np.array(ADULT_UNITS), *onehot])


def _scaled(X: Features, unit_rows: bool) -> Features:
    """Divide each row by its 2-norm if asked; a zero row stays zero."""
    if not unit_rows:
        return X
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(norms > 0.0, norms, 1.0))


def _named(preprocessing: tuple[str, ...], unit_rows: bool) -> tuple[str, ...]:
    return (*preprocessing, "each row / its 2-norm") if unit_rows else preprocessing
