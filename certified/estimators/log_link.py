"""What regressions with a log link share: one positive or non-negative target, predicted as exp(x·w + b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_tweedie_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from certified.certificates.provenance import Provenance
from certified.data.sources import RowSource
from certified.estimators.base import CertifiedEstimator
from certified.estimators.encoding import Label, RealTargets

Array = npt.NDArray[np.float64]

TARGET_LIMIT = 1e15
"""Largest target, and inverse of the smallest positive one: from there the solver still finds its way from zero."""


class LogLinkRegressor(RegressorMixin, CertifiedEstimator):
    """exp(x·w + b) as the mean of a target; subclasses name the loss and the targets that it permits."""

    _encoding = RealTargets()
    _power: ClassVar[int]

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
        """Return exp(x·w + b), (n,)."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(np.exp(X @ self.coef_ + self.intercept_))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return D², the share of the deviance that the model explains, as scikit-learn's regressors of this kind."""
        return float(d2_tweedie_score(y, self.predict(X), sample_weight=sample_weight, power=self._power))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        X, y = validate_data(self, X, y, reset=reset, dtype=np.float64, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        self._check_targets(y)
        return X, y

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        if np.max(y, initial=0.0) > TARGET_LIMIT:
            raise ValueError(f"y holds values beyond {TARGET_LIMIT:g}: express the targets in a larger unit")

    def _require_source(self, source: RowSource) -> None:
        if source.n_outputs != 1:
            raise ValueError(f"the source must have one target for each row; it has {source.n_outputs}")

    def _labels(self, y: Any) -> list[Label]:
        return list(y.tolist())

    def _publish(self, released: Array, fitted: dict[str, Any]) -> None:
        super()._publish(released, fitted)
        d = fitted["n_features"]
        self.coef_ = released[:d, 0].copy()
        self.intercept_ = float(released[d, 0]) if fitted["fit_intercept"] else 0.0
