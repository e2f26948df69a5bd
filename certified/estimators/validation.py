"""What every certified estimator checks before anything changes: its parameters, and the rows it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from certified.certificates.provenance import Provenance
from certified.data.rows import norm_bounds
from certified.data.sources import RowSource
from certified.estimators.encoding import Encoding, Label
from certified.estimators.parameters import checked_weights, positive
from certified.estimators.register import Slots
from certified.estimators.session import NewRows, Recipe, Session
from certified.losses import Loss
from certified.numerics.rounding import MAGNITUDE_LIMIT

Array = npt.NDArray[np.float64]
Checked = TypeVar("Checked")


class ValidatedEstimator(ABC, BaseEstimator):
    """Parameters that all certified estimators share; subclasses say which rows, labels and targets they take."""

    C: float
    epsilon: float
    delta: float
    noise_std: float | str
    fit_intercept: bool
    l2_scaling: str
    max_releases: int
    norm_bound: float | None
    assumptions: Sequence[str]
    features: Provenance | None
    random_state: int | None

    _loss: Loss
    _encoding: Encoding
    _session: Session[Any]

    def _recipe(self) -> Recipe:
        strength = 1.0 / positive("C", self.C)
        if not 1.0 / MAGNITUDE_LIMIT <= strength <= MAGNITUDE_LIMIT:
            raise ValueError(f"C must lie between {1.0 / MAGNITUDE_LIMIT:g} and {MAGNITUDE_LIMIT:g}; got {self.C!r}")
        if self.l2_scaling not in ("total", "per_sample"):
            raise ValueError(f"l2_scaling must be 'total' or 'per_sample'; got {self.l2_scaling!r}")
        if not isinstance(self.fit_intercept, bool | np.bool_):
            raise TypeError(f"fit_intercept must be True or False; got {self.fit_intercept!r}")
        if self.random_state is not None and not isinstance(self.random_state, int | np.integer):
            raise TypeError("random_state must be None (exact noise from the operating system) or an integer seed")
        if self.random_state is not None and self.random_state < 0:
            raise ValueError(f"random_state must not be negative; got {self.random_state!r}")
        seed = None if self.random_state is None else int(self.random_state)
        return Recipe(self._loss, self._encoding, bool(self.fit_intercept), self.l2_scaling, strength, seed)

    def _new_rows(self, X: Array, y: Any, sample_weight: Any) -> NewRows:
        if np.max(np.abs(X), initial=0.0) > MAGNITUDE_LIMIT:
            raise ValueError(f"X holds values beyond {MAGNITUDE_LIMIT:g}: scale the features")
        labels = self._labels(y)
        weights = self._weighted(labels, sample_weight)
        self._check_norms(X)
        return NewRows(X, labels, weights)

    def _check_norms(self, X: Array) -> None:
        if self.norm_bound is not None:
            limit = positive("norm_bound", self.norm_bound)
            longest = float(np.max(norm_bounds(X), initial=0.0))
            if longest > limit * (1.0 + 1e-12):
                raise ValueError(
                    f"X holds a row longer than norm_bound={limit:g}: scale the rows or declare a larger norm_bound"
                )

    def _check_rows(self, X: Array, y: npt.NDArray[Any]) -> None:
        """Refuse features and targets (k, K₀) of a source, chunk by chunk, that arrays could not have either."""
        self._check_norms(X)
        self._check_targets(y)

    def _require_source(self, source: RowSource) -> None:
        """Refuse a source that this estimator cannot train on."""

    def _check_largest(self, largest: float) -> None:
        """Refuse targets for whose largest there is no minimiser."""

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        """Refuse targets that the loss cannot take."""

    def _weighted(self, labels: Sequence[Label], sample_weight: Any) -> Array:
        """The weights of rows with these labels in the objective."""
        return checked_weights(sample_weight, len(labels))

    def _kept_weights(self, labels: Sequence[Label], slots: Slots) -> Array:
        """The weights of the rows at ``slots`` once they have these labels, where no others are given."""
        return self._session.weights_at(slots)

    def _check(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        return without_rows(lambda: self._validate(X, y, reset=reset), X, y)

    @abstractmethod
    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        """X (n, d) and y in scikit-learn's conventions, refused by scikit-learn's messages."""

    @abstractmethod
    def _labels(self, y: Any) -> list[Label]:
        """What a row's label or target is in the register."""


def without_rows(validate: Callable[[], Checked], X: Any, y: Any) -> Checked:
    """Return ``validate()``, where scikit-learn's own messages for some mistakes in X and y would show the rows."""
    for name, value in (("X", X), ("y", y)):
        if not (hasattr(value, "__array__") or hasattr(value, "__len__") or np.isscalar(value) or value is None):
            raise TypeError(f"{name} must be an array, a data frame or a list; got a {type(value).__name__}")
        if np.ma.is_masked(value):
            raise ValueError(f"{name} has masked entries, which no model can leave out: fill them, or drop their rows")
    if any(np.iscomplexobj(np.asarray(value)) for value in (X, y)):
        raise ValueError("Complex data not supported: X and y must hold real numbers")
    if np.asarray(X).ndim == 1:
        raise ValueError("Expected 2D array, got 1D array instead: X has one row per sample. Reshape your data")
    try:
        return validate()
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
    # Out here it has no context either: that would hold the message, and with it a row.
    raise ValueError("X must hold numbers, and so must the targets y of a regression")
