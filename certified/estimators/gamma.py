"""Gamma regression with certified deletion."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from certified.estimators.log_link import TARGET_LIMIT, LogLinkRegressor
from certified.losses import GAMMA

Array = npt.NDArray[np.float64]


class CertifiedGammaRegressor(LogLinkRegressor):
    """Gamma regression with a log link whose rows can be deleted with an (ε, δ) certificate.

    Minimises Σ c_i (z_i + y_i·e^(−z_i)) + ‖w‖²/(2C), z = x·w + b, b unpenalised, for targets y > 0. That is
    scikit-learn's ``GammaRegressor(alpha)`` with C = 1/alpha and ``l2_scaling="per_sample"``, or with
    C = 1/(alpha·Σc_i) in total scaling. Parameters, requests and certificates are those of
    `CertifiedLogisticRegression`. Guarantee: claim T16 (T1–T5, T12, T13, C-gamma).

    Attributes:
        coef_: (d,), the released weights.
        intercept_: float.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> model = CertifiedGammaRegressor(C=10.0).fit(X, 1.0 + np.arange(20) % 5)
        >>> model.remove([0]).remaining_count
        19
    """

    _loss = GAMMA
    _power = 2

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        super()._check_targets(y)
        if not np.all(y > 0.0):
            raise ValueError("y must be positive for a gamma model: correct or leave out the rows that are not")
        if np.any(y < 1.0 / TARGET_LIMIT):
            raise ValueError(f"y holds values below {1.0 / TARGET_LIMIT:g}: express the targets in a smaller unit")
