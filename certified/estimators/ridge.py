"""Ridge regression with certified deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from certified.certificates.provenance import Provenance
from certified.data.sources import RowSource
from certified.estimators.base import CertifiedEstimator
from certified.estimators.encoding import Label, RealTargets
from certified.losses import SQUARED
from certified.numerics.rounding import MAGNITUDE_LIMIT

Array = npt.NDArray[np.float64]


class CertifiedRidge(MultiOutputMixin, RegressorMixin, CertifiedEstimator):
    """Ridge regression whose rows can be deleted with an (ε, δ) certificate.

    Minimises ½Σ c_i (x_i·w + b − y_i)² + ‖w‖²/(2C), b unpenalised: scikit-learn's ``Ridge(alpha=1/C)``. One or several
    targets, released and accounted for jointly. Parameters, requests and certificates are those of
    `CertifiedLogisticRegression`. Guarantee: claim T16 (T1–T5, T12, T13); T2 is exact for squared loss.

    Attributes:
        coef_: (d,) or (K, d), the released weights.
        intercept_: float or (K,).
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> import numpy as np
        >>> X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> model = CertifiedRidge(C=10.0).fit(X, X[:, 0] + 1.0)
        >>> model.remove([0]).remaining_count
        19
    """

    _loss = SQUARED
    _encoding = RealTargets()
    _target_ndim: int

    def __init__(
        self,
        C: float = 1.0,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        noise_std: float | str = "auto",
        fit_intercept: bool = True,
        l2_scaling: str = "total",
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
        self.max_releases = max_releases
        self.norm_bound = norm_bound
        self.assumptions = assumptions
        self.features = features
        self.random_state = random_state

    def predict(self, X: Any) -> Array:
        """Return x·w + b: (n,) or (n, K)."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(X @ self.coef_.T + self.intercept_)

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        X, y = validate_data(self, X, y, reset=reset, dtype=np.float64, multi_output=True, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        if np.max(np.abs(y), initial=0.0) > MAGNITUDE_LIMIT:
            raise ValueError(f"y holds values beyond {MAGNITUDE_LIMIT:g}: rescale the targets")
        if not reset and (y.ndim != self._target_ndim or (y.ndim == 2 and y.shape[1] != self.certificate_.n_outputs)):
            raise ValueError(
                f"y must have the shape it had in fit: {self.certificate_.n_outputs} target(s) for each row"
            )
        if reset:
            self._target_ndim = y.ndim
        return X, y

    def _require_source(self, source: RowSource) -> None:
        self._target_ndim = 1 if source.n_outputs == 1 else 2

    def _labels(self, y: Any) -> list[Label]:
        return [tuple(row) if isinstance(row, list) else row for row in y.tolist()]

    def _public_attributes(self) -> dict[str, Any]:
        return {**super()._public_attributes(), "target_ndim": self._target_ndim}

    def _publish(self, released: Array, fitted: dict[str, Any]) -> None:
        super()._publish(released, fitted)
        self._target_ndim = fitted["target_ndim"]
        d, outputs = fitted["n_features"], released.shape[1]
        intercept = released[d].copy() if fitted["fit_intercept"] else np.zeros(outputs)
        single = self._target_ndim == 1
        self.coef_ = released[:d, 0].copy() if single else released[:d].T.copy()
        self.intercept_ = float(intercept[0]) if single else intercept
