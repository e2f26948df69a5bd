"""Poisson regression with certified deletion."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from certified.estimators.log_link import LogLinkRegressor
from certified.losses import POISSON

Array = npt.NDArray[np.float64]


class CertifiedPoissonRegressor(LogLinkRegressor):
    """Poisson regression with a log link whose rows can be deleted with an (ε, δ) certificate.

    Minimises Σ c_i (e^(z_i) − y_i·z_i) + ‖w‖²/(2C), z = x·w + b, b unpenalised, for targets y ≥ 0. That is
    scikit-learn's ``PoissonRegressor(alpha)`` with C = 1/alpha and ``l2_scaling="per_sample"``, or with
    C = 1/(alpha·Σc_i) in total scaling. Parameters, requests and certificates are those of
    `CertifiedLogisticRegression`. Guarantee: claim T16 (T1–T5, T12, T13, C-poisson).

    Attributes:
        coef_: (d,), the released weights.
        intercept_: float.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> model = CertifiedPoissonRegressor(C=10.0).fit(X, np.arange(20) % 5)
        >>> model.remove([0]).remaining_count
        19
    """

    _loss = POISSON
    _power = 1

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        X, y = super()._validate(X, y, reset=reset)
        if reset:
            self._check_largest(float(np.max(y)))
        return X, y

    def _check_largest(self, largest: float) -> None:
        if self.fit_intercept and not largest > 0.0:
            raise ValueError(
                "y is zero in every row, so the best intercept would be −∞: add rows with a count, or set "
                "fit_intercept=False"
            )

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        super()._check_targets(y)
        if np.any(y < 0.0):
            raise ValueError("y holds negative targets, but counts are at least zero: correct or leave out those rows")
