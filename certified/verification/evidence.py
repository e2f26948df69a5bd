"""What an auditor brings: the remaining rows and the noise-free weights, validated. All of it is secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.commitment import Label
from certified.verification.losses import REGRESSIONS
from certified.verification.reading import MAGNITUDE_LIMIT, ReadFeatures, RowReader, read_all

Array = npt.NDArray[np.float64]

SIGNS = {"poisson": "non-negative", "gamma": "positive"}
"""Targets for which the loss is convex and its constants hold (claims C-poisson, C-gamma)."""


class UnfitLabelsError(ValueError):
    """The labels are no labels of the certificate's loss."""


@dataclass(frozen=True, repr=False)
class Evidence:
    """Rows, labels and weights that could belong to some certificate.

    Attributes:
        features: (n, d), to be had stretch by stretch.
        values: (n,) labels, or (n, K) targets, as given.
        sample_weights: (n,) c_i ≥ 0.
        weights: W (p, K), noise-free.
        released: (p, K) released weights, if given.
        nonce: nonce of the weights' commitment, if given.
    """

    features: Array | ReadFeatures
    values: npt.NDArray[Any]
    sample_weights: Array
    weights: Array
    released: Array | None
    nonce: bytes | None

    @classmethod
    def validated(cls, X: Any, y: Any, weights: Any, sample_weight: Any, released: Any, nonce: Any) -> Evidence:
        """Check everything that can be checked without a certificate; errors name the argument and the remedy."""
        features: Array | ReadFeatures
        if isinstance(X, RowReader):
            if y is not None or sample_weight is not None:
                raise ValueError("y and sample_weight must be None where X is read: it holds labels and weights itself")
            rows = read_all(X)
            features, y, sample_weight = rows.features, rows.values, rows.sample_weights
        else:
            features = _real("X", X, 2)
        n, d = features.shape
        values = np.asarray(y)
        if values.ndim not in (1, 2) or len(values) != n:
            raise ValueError(f"y must hold one label, or one row of targets, for each of the {n} rows of X")
        if values.dtype.kind not in "biufUO":
            raise TypeError(f"y must hold booleans, integers, floats or strings; got {values.dtype}")
        if values.dtype.kind == "f":
            _real("y", values, values.ndim)
        c = np.ones(n) if sample_weight is None else _real("sample_weight", sample_weight, 1)
        if len(c) != n:
            raise ValueError(f"sample_weight must hold one weight for each of the {n} rows of X; got {len(c)}")
        if np.any(c < 0.0):
            raise ValueError("sample_weight must not be negative: give the weights that the model was trained with")
        _require_matrix("weights", weights)
        if not np.all(np.isfinite(weights)):
            raise ValueError("weights must be finite: give the noise-free weights of the audit bundle")
        if len(weights) not in (d, d + 1):
            raise ValueError(f"weights must have {d} rows (one a feature), or one more (intercept); got {len(weights)}")
        if released is not None:
            _require_matrix("released", released)
            if released.shape != weights.shape:
                raise ValueError(f"released must have the shape of weights, {weights.shape}; got {released.shape}")
        if nonce is not None and not isinstance(nonce, bytes):
            raise TypeError("nonce must be the bytes of the audit bundle")
        return cls(features, values, c, weights, released, nonce)

    @property
    def counted_features(self) -> Array | ReadFeatures:
        """The features of the rows that count."""
        return (
            self.features.at(self.counted) if isinstance(self.features, ReadFeatures) else self.features[self.counted]
        )

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Rows of positive weight: the others are committed to, but take no part in training."""
        return np.asarray(self.sample_weights > 0.0)

    def labels(self, loss: str) -> Sequence[Any]:
        """Labels as the commitment knows them: plain values; floats, or tuples of floats, where targets are numbers.

        Raises:
            UnfitLabelsError: ``y`` holds no labels of this loss.
        """
        if loss in REGRESSIONS:
            try:
                targets = self.values.astype(np.float64)
            except (ValueError, TypeError):
                raise UnfitLabelsError(f"y must hold real targets for {loss} loss") from None
            lowest = float(np.min(targets[self.counted], initial=np.inf))
            if (loss == "poisson" and lowest < 0.0) or (loss == "gamma" and not lowest > 0.0):
                raise UnfitLabelsError(f"y must hold {SIGNS[loss]} targets for {loss} loss")
            return [tuple(row) for row in targets.tolist()] if targets.ndim == 2 else list(targets.tolist())
        labels = [v.item() if isinstance(v, np.generic) else v for v in self.values.tolist()]
        if not all(isinstance(v, bool | int | float | str) for v in labels):
            raise UnfitLabelsError("y must hold one boolean, number or string a row for a classification loss")
        return labels

    def classes(self, labels: Sequence[Any]) -> tuple[Label, ...]:
        """The labels of the rows that count, sorted.

        Raises:
            UnfitLabelsError: they have no order.
        """
        try:
            return tuple(sorted({label for label, counts in zip(labels, self.counted, strict=True) if counts}))
        except TypeError:
            raise UnfitLabelsError("y mixes labels that have no common order") from None


def one_vs_rest(labels: Sequence[Label], classes: Sequence[Label]) -> Array:
    """Return targets ±1 (n, K): the second of two classes against the first, else each class against the rest.

    A single class has no output.
    """
    positive = {0: [], 1: [], 2: list(classes[1:])}.get(len(classes), list(classes))
    signs = [1.0 if label == owner else -1.0 for label in labels for owner in positive]
    return np.array(signs).reshape(len(labels), len(positive))


def one_hot(labels: Sequence[Label], classes: Sequence[Label]) -> Array:
    """Return targets 0 or 1 (n, K), a column for each class; a single class has no output."""
    owners = list(classes) if len(classes) > 1 else []
    signs = [1.0 if label == owner else 0.0 for label in labels for owner in owners]
    return np.array(signs).reshape(len(labels), len(owners))


def _require_matrix(name: str, value: Any) -> None:
    if not (isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 2):
        raise TypeError(f"{name} must be a float64 array of shape (p, K), as in the audit bundle")


def _real(name: str, values: Any, ndim: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if _mapped(array):
        # A file may change between the digests and the sums; sources are read under a checksum instead.
        array = array.copy()
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s); got {array.ndim}")
    if not np.all(np.abs(array) <= MAGNITUDE_LIMIT):
        raise ValueError(f"{name} must be finite and at most {MAGNITUDE_LIMIT:g} in size, as in training")
    return array


def _mapped(array: Any) -> bool:
    """Whether the numbers lie in a memory-mapped file."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None
