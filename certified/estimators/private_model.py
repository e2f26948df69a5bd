"""A privately trained model in a file: what was released, its guarantee, and how it was trained. No secret is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from certified.certificates.commitment import weights_commitment
from certified.certificates.record import CertificateFormatError, Record, check_names, decode
from certified.dp.guarantee import DPGuarantee
from certified.estimators.dp_logistic import DPLogisticRegression

PRIVATE_MODEL_SCHEMA = "certified-dp-model/1"


@dataclass(frozen=True, kw_only=True)
class PrivateModel(Record):
    """A released `DPLogisticRegression` as JSON, which reads back to the same numbers.

    Training again on the remaining rows takes the same ``params``. The seed of an experiment is left out: whoever knows
    it knows the noise.

    Attributes:
        params: the estimator's parameters, which are public; without ``random_state``.
        classes: the labels.
        feature_names: names of the features; empty where they had none.
        weights: released weights (p, K), the intercept's row last.
        guarantee: what the training promises.
        schema: version of this record's format.

    Example:
        >>> import numpy as np
        >>> model = DPLogisticRegression("output", classes=[0, 1], C=0.1).fit(np.eye(2), [0, 1])
        >>> kept = PrivateModel.of(model)
        >>> PrivateModel.from_json(kept.to_json()) == kept
        True
        >>> bool(np.all(kept.restored().coef_ == model.coef_))
        True
    """

    params: dict[str, Any]
    classes: tuple[bool | int | float | str, ...]
    feature_names: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    guarantee: DPGuarantee
    schema: str = field(default=PRIVATE_MODEL_SCHEMA)

    @classmethod
    def of(cls, model: DPLogisticRegression) -> Self:
        """Return what may be kept of a fitted model, and published.

        Raises:
            NotFittedError: before ``fit``.
            TypeError: the model was not trained privately, so it has no guarantee that could be published.
        """
        if not isinstance(model, DPLogisticRegression):
            raise TypeError(f"model must be a DPLogisticRegression; got a {type(model).__name__}: use its save(path)")
        check_is_fitted(model, "guarantee_")
        rows = [*model.coef_.T, model.intercept_] if model.fit_intercept else list(model.coef_.T)
        return cls(
            params={name: _plain(value) for name, value in model.get_params().items() if name != "random_state"},
            classes=tuple(model.classes_.tolist()),
            feature_names=tuple(map(str, getattr(model, "feature_names_in_", ()))),
            weights=tuple(tuple(row.tolist()) for row in rows),
            guarantee=model.guarantee_,
        )

    def restored(self) -> DPLogisticRegression:
        """Return the fitted model; it predicts, and its ``guarantee_`` certifies deletions."""
        model, weights = DPLogisticRegression(**self.params), self.array()
        d = len(weights) - bool(model.fit_intercept)
        model.coef_ = weights[:d].T.copy()
        model.intercept_ = weights[d].copy() if model.fit_intercept else np.zeros(weights.shape[1])
        model.classes_, model.n_features_in_ = np.array(self.classes), d
        if self.feature_names:
            model.feature_names_in_ = np.array(self.feature_names, dtype=object)
        model.guarantee_ = self.guarantee
        return model

    def array(self) -> npt.NDArray[np.float64]:
        """The released weights (p, K)."""
        return np.array(self.weights, dtype=np.float64).reshape(len(self.weights), self.guarantee.n_outputs)

    @property
    def digest(self) -> str:
        """SHA-256 of the released weights, which names the model in a deletion certificate."""
        return weights_commitment(b"", self.array())

    def _plain(self) -> dict[str, Any]:
        weights = [list(row) for row in self.weights]
        return {**super()._plain(), "weights": weights, "guarantee": self.guarantee.to_dict()}

    @classmethod
    def _read(cls, values: dict[str, Any]) -> Self:
        plain = {"params": "dict[str, Any]", "classes": "tuple[label, ...]", "feature_names": "tuple[str, ...]"}
        read: dict[str, Any] = {name: decode(name, kind, values[name]) for name, kind in plain.items()}
        check_names(read["params"], set(DPLogisticRegression().get_params()) - {"random_state"})
        guarantee, rows = DPGuarantee.from_dict(values["guarantee"]), values["weights"]
        shape = guarantee.n_features, guarantee.n_outputs
        if not (isinstance(rows, list) and all(isinstance(row, list) for row in rows)):
            raise CertificateFormatError("field 'weights' must be a list of rows")
        if (len(rows), *{len(row) for row in rows}) != shape or any(type(w) is not float for row in rows for w in row):
            raise CertificateFormatError(f"field 'weights' must hold {shape[0]} rows of {shape[1]} numbers")
        inputs, outputs = shape[0] - bool(read["params"]["fit_intercept"]), len(read["classes"])
        if outputs < 2 or shape[1] != (1 if outputs == 2 else outputs) or len(read["feature_names"]) not in (0, inputs):
            raise CertificateFormatError("classes and feature_names do not fit the weights")
        return cls(**read, weights=tuple(map(tuple, rows)), guarantee=guarantee)


def _plain(value: Any) -> Any:
    """A parameter as a JSON value."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
