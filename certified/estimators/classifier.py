"""What linear classifiers share: labels, scores and classes in scikit-learn's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from certified.estimators.base import CertifiedEstimator
from certified.estimators.encoding import Encoding, Label, OneVsRest

Array = npt.NDArray[np.float64]


class CertifiedClassifier(ClassifierMixin, CertifiedEstimator):
    """Classes by the sign of one linear score, or by the largest of several; subclasses name the loss."""

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
        return X, column_or_1d(y)

    def _labels(self, y: Any) -> list[Label]:
        labels = list(y.tolist())
        for label in labels:
            if not isinstance(label, bool | int | float | str):
                raise TypeError(f"y must hold strings, integers or booleans as labels; got a {type(label).__name__}")
        return labels

    def _public_attributes(self) -> dict[str, Any]:
        return {**super()._public_attributes(), "classes": list(self._session.certificate.classes)}

    def _publish(self, released: Array, fitted: dict[str, Any]) -> None:
        super()._publish(released, fitted)
        d = fitted["n_features"]
        self.coef_ = released[:d].T.copy()
        self.intercept_ = released[d].copy() if fitted["fit_intercept"] else np.zeros(released.shape[1])
        self.classes_ = np.array(fitted["classes"])
