"""Softmax (multinomial logistic) regression with certified deletion."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted, validate_data

from certified.estimators.encoding import OneHot
from certified.estimators.logistic import CertifiedLogisticRegression
from certified.losses import SOFTMAX

Array = npt.NDArray[np.float64]


class CertifiedSoftmaxRegression(CertifiedLogisticRegression):
    """L2-regularised multinomial logistic regression whose rows can be deleted with an (ε, δ) certificate.

    Minimises −Σ c_i log softmax(z_i)[y_i] + (‖W‖² + ‖b‖²)/(2C), z = W·x + b, over all classes jointly: the model of
    scikit-learn's ``LogisticRegression`` for several classes, except that the intercept is penalised, which makes the
    minimiser unique (claim T1). No matrix over all weights is ever formed, so heads of thousands of features and
    hundreds of classes fit. Parameters, requests and certificates are those of `CertifiedLogisticRegression`.
    Guarantee: claim T16 (T1–T5, T12, T13, C-softmax).

    Attributes:
        coef_: (K, d), a row for each class, released weights; (0, d) for a single class.
        intercept_: (K,), penalised; (0,) for a single class.
        classes_: labels in force; a class that loses its last row leaves, and the others are solved anew.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = CertifiedSoftmaxRegression(C=10.0).fit(X, y)
        >>> certificate = model.remove([3, 5])
        >>> model.coef_.shape, certificate.distance_bound <= 1e-8
        ((3, 4), True)
    """

    _loss = SOFTMAX
    _encoding = OneHot()

    def decision_function(self, X: Any) -> Array:
        """Return z: (n, K), or z₁ − z₀ (n,) for two classes; zero for a single class."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        scores = X @ self.coef_.T + self.intercept_
        if len(self.classes_) == 2:
            return np.asarray(scores[:, 1] - scores[:, 0])
        return np.zeros(len(X)) if len(self.classes_) < 2 else np.asarray(scores)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities of `predict_proba`."""
        scores = self.decision_function(X)
        self._require_rows()
        if len(self.classes_) == 1:
            return np.zeros((len(scores), 1))
        if len(self.classes_) == 2:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        return np.asarray(scores - logsumexp(scores, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Return class probabilities (n, number of classes)."""
        return np.asarray(np.exp(self.predict_log_proba(X)))
