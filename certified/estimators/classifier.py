"""What linear classifiers share: labels, scores and classes in scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from certified.data.sources import RowSource
from certified.estimators import class_weight as class_weights
from certified.estimators.base import CertifiedEstimator
from certified.estimators.class_weight import ClassWeight
from certified.estimators.encoding import Encoding, Label, OneVsRest
from certified.estimators.register import Slots

Array = npt.NDArray[np.float64]

EXACT_LABELS = 2.0**53 - 1.0
"""Up to here float64, which streamed rows are read as, tells whole numbers apart."""


class CertifiedClassifier(ClassifierMixin, CertifiedEstimator):
    """Classes by the sign of one linear score, or by the largest of several; subclasses name the loss."""

    class_weight: ClassWeight

    _encoding: Encoding = OneVsRest()

    def decision_function(self, X: Any) -> Array:
        """Return x·w + b: (n,) for at most two classes, (n, K) for more."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        scores = X @ self.coef_.T + self.intercept_
        if len(self.classes_) == 2:
            return np.asarray(scores[:, 0])
        return np.zeros(len(X)) if len(self.classes_) < 2 else np.asarray(scores)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most likely class of each row; with a single class in force, that class."""
        scores = self.decision_function(X)
        self._require_rows()
        if len(self.classes_) == 1:
            winners = np.zeros(len(scores), dtype=np.intp)
        elif len(self.classes_) == 2:
            winners = (scores > 0).astype(np.intp)
        else:
            winners = scores.argmax(axis=1)
        return np.asarray(self.classes_[winners])

    def _require_rows(self) -> None:
        if len(self.classes_) == 0:
            raise ValueError("no training row of positive weight is left, so there is no class to predict: add rows")

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        X, y = validate_data(self, X, y, reset=reset, dtype=np.float64)
        check_classification_targets(y)
        y = column_or_1d(y)
        if reset:
            class_weights.require_known(self.class_weight, self._labels(y))
        return X, y

    def _require_source(self, source: RowSource) -> None:
        if source.n_outputs != 1:
            raise ValueError(f"the source must have one label for each row as its target; it has {source.n_outputs}")
        if self.class_weight is not None:
            raise ValueError("class_weight must be None for a source: give the products as its sample weights")

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        if y.dtype.kind == "f" and np.any(y != np.floor(y)):
            raise ValueError("Unknown label type: continuous. The targets of the source must be whole numbers")
        if np.any(y.astype(np.float64) > EXACT_LABELS) or np.any(y.astype(np.float64) < -EXACT_LABELS):
            raise ValueError(f"the source holds labels beyond {EXACT_LABELS:g}: number the classes from 0")

    def _labels(self, y: Any) -> list[Label]:
        labels = list(y.tolist())
        for label in labels:
            if not isinstance(label, bool | int | float | str):
                raise TypeError(f"y must hold strings, integers or booleans as labels; got a {type(label).__name__}")
        return labels

    def _weighted(self, labels: Sequence[Label], sample_weight: Any) -> Array:
        return class_weights.times_class_weights(self.class_weight, labels, super()._weighted(labels, sample_weight))

    def _kept_weights(self, labels: Sequence[Label], slots: Slots) -> Array:
        before = self._session.labels_at(slots)
        return class_weights.reweighted(self.class_weight, before, labels, super()._kept_weights(labels, slots))

    def _plain_params(self) -> dict[str, Any]:
        return {**super()._plain_params(), "class_weight": class_weights.to_plain(self.class_weight)}

    @classmethod
    def _from_plain(cls, params: dict[str, Any]) -> Self:
        # Models saved before there were class weights have none.
        return super()._from_plain({**params, "class_weight": class_weights.from_plain(params.get("class_weight"))})

    def _public_attributes(self) -> dict[str, Any]:
        return {**super()._public_attributes(), "classes": list(self._session.certificate.classes)}

    def _publish(self, released: Array, fitted: dict[str, Any]) -> None:
        super()._publish(released, fitted)
        d = fitted["n_features"]
        self.coef_ = released[:d].T.copy()
        self.intercept_ = released[d].copy() if fitted["fit_intercept"] else np.zeros(released.shape[1])
        self.classes_ = np.array(fitted["classes"])
