"""Logistic regression with certified deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from certified.certificates.provenance import Provenance
from certified.estimators.class_weight import ClassWeight
from certified.estimators.classifier import CertifiedClassifier
from certified.losses import LOGISTIC, Loss

Array = npt.NDArray[np.float64]


class CertifiedLogisticRegression(CertifiedClassifier):
    """L2-regularised logistic regression whose rows can be deleted with an (ε, δ) certificate.

    Minimises Σ c_i log(1 + e^(−t_i·z_i)) + ‖w‖²/(2C), z = x·w + b, b unpenalised; more than two classes by one-vs-rest,
    released and accounted for jointly. ``coef_`` and ``intercept_`` are the *released* weights: the minimiser plus
    Gaussian noise of standard deviation ``noise_std``. Guarantee: claim T16 (T1–T5, T12, T13).

    Parameters:
        C: inverse L2 strength; the total strength is 1/C, or Σc_i/C with ``l2_scaling="per_sample"``.
        epsilon, delta: the guarantee for all releases jointly.
        noise_std: σ per weight; "auto" is the noise at which each release may be 1e-8 from retraining.
        fit_intercept: whether to fit an unpenalised intercept.
        l2_scaling: "total" (strength 1/C, as in scikit-learn) or "per_sample" (strength Σc_i/C; Guo et al. 2020).
        class_weight: factors on the sample weights by label, such as {"rare": 5.0}; 1 for labels not named. They must
            be fixed without looking at rows that may be deleted, so "balanced" is refused. `verify` takes the products,
            as `row_weights` returns them.
        max_releases: number of releases that the guarantee is planned for; polishing makes more possible.
        norm_bound: reject rows longer than this; None accepts any.
        assumptions: sentences to add to every certificate, such as where a scaler before this model was fitted.
        features: where X comes from, if an extractor computed it (`certified.features.Provenance`); None: X is the rows
            themselves, or preprocessing that never saw the deleted rows.
        random_state: None draws exact noise from the operating system; an integer seeds an idealised sampler
            (reproducible; the certificate says that T13 does not hold).

    Attributes:
        coef_: (1, d) for two classes, (K, d) for more, (0, d) for a single class.
        intercept_: (1,), (K,) or (0,).
        classes_: labels in force; a class that loses its last row leaves.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.preprocessing import normalize
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = CertifiedLogisticRegression(C=100.0).fit(normalize(X), y)
        >>> certificate = model.remove([3, 5])
        >>> certificate.removed_count, certificate.distance_bound <= 1e-8
        (2, True)
    """

    _loss: Loss = LOGISTIC

    def __init__(
        self,
        C: float = 1.0,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        noise_std: float | str = "auto",
        fit_intercept: bool = True,
        l2_scaling: str = "total",
        class_weight: ClassWeight = None,
        max_releases: int = 100,
        norm_bound: float | None = None,
        assumptions: Sequence[str] = (),
        features: Provenance | None = None,
        random_state: int | None = None,
    ) -> None:
        self.C = C
        self.epsilon = epsilon
        self.delta = delta
        self.noise_std = noise_std
        self.fit_intercept = fit_intercept
        self.l2_scaling = l2_scaling
        self.class_weight = class_weight
        self.max_releases = max_releases
        self.norm_bound = norm_bound
        self.assumptions = assumptions
        self.features = features
        self.random_state = random_state

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities of `predict_proba`."""
        scores = self.decision_function(X)
        self._require_rows()
        if len(self.classes_) == 1:
            return np.zeros((len(scores), 1))
        if len(self.classes_) == 2:
            scores = np.stack([-scores, scores], axis=1)
        positive = -np.logaddexp(0.0, -scores)
        return np.asarray(positive - logsumexp(positive, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Return class probabilities (n, number of classes); beyond two classes, normalised one-vs-rest."""
        return np.asarray(np.exp(self.predict_log_proba(X)))
