"""Linear support vector classification with certified deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from certified.certificates.provenance import Provenance
from certified.estimators.class_weight import ClassWeight
from certified.estimators.classifier import CertifiedClassifier
from certified.estimators.session import Recipe
from certified.losses import HUBERISED_HINGE, HuberisedHinge


class CertifiedLinearSVC(CertifiedClassifier):
    """Linear support vector classifier whose rows can be deleted with an (ε, δ) certificate.

    Minimises Σ c_i φ(t_i·z_i) + (‖w‖² + b²)/(2C), z = x·w + b, with the hinge rounded off over a width h: φ(m) is 0
    from m = 1 on, (1 − m)²/(2h) down to 1 − h, and 1 − m − h/2 below. As in scikit-learn's ``LinearSVC`` the intercept
    is penalised: only then does a certificate cover this loss (claim T1). More than two classes by one-vs-rest,
    released and accounted for jointly. Parameters not named here, requests and certificates are those of
    `CertifiedLogisticRegression`. Guarantee: claim T16 (T1, T3–T5, T12, T13, C-hinge).

    Parameters:
        C: inverse L2 strength, as that of ``LinearSVC(loss="hinge")``.
        width: h, a power of two from 2**-10 to 1; smaller is nearer to the hinge and takes more Newton steps.
        fit_intercept: whether to fit an intercept, penalised like every other weight.

    Attributes:
        coef_: (1, d) for two classes, (K, d) for more, (0, d) for a single class; released weights.
        intercept_: (1,), (K,) or (0,).
        classes_: labels in force; a class that loses its last row leaves.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.preprocessing import normalize
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = CertifiedLinearSVC(C=10.0).fit(normalize(X), y)
        >>> certificate = model.remove([3, 5])
        >>> certificate.distance_claim, certificate.distance_bound <= 1e-8
        ('T1', True)
    """

    _loss = HUBERISED_HINGE

    def __init__(
        self,
        C: float = 1.0,
        *,
        width: float = 0.5,
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
        self.width = width
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

    def _recipe(self) -> Recipe:
        if isinstance(self.width, bool) or not isinstance(self.width, int | float | np.integer | np.floating):
            raise TypeError(f"width must be a number, a power of two from 2**-10 to 1; got {self.width!r}")
        return replace(super()._recipe(), loss=HuberisedHinge(float(self.width)))
