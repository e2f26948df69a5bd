"""A dense layer as the output of a certified estimator: parameters in, parameters out, the model's code untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import jax
import numpy as np
import numpy.typing as npt
from sklearn.base import clone, is_classifier

from certified.certificates.certificate import Certificate
from certified.estimators.base import CertifiedEstimator

Array = npt.NDArray[np.float64]

ABSENT = -1e4
"""Bias of the output of a class without rows: a constant that is public, below every score, and representable in every
floating-point type; its kernel column is zero."""


class DenseHead:
    """Kernel and bias of a ``flax.linen.Dense`` from the released weights of a certified estimator.

    A head is trained anew: the given parameters say which layer it is for, by shapes and types, and nothing else of
    them enters. Rows are then deleted as from the estimator, with a certificate, and `params` are the new parameters.
    They are a function of the released weights alone, so the certificate covers them (claim T3, post-processing).

    Columns of a classifier's head, for K outputs and ``classes`` in the order of the outputs:

    - K ≥ 2, estimator with a weight vector per class: column k is that of ``classes[k]``.
    - Two classes left, estimator with one weight vector w: columns −w/2 and +w/2, whose softmax is the sigmoid of w.
    - K = 1: ``classes`` are two, and the output is the logit of the second.
    - A class without rows, for example after its last one was deleted: kernel zero, bias `ABSENT`, both public; in a
      layer without bias its output is 0.

    So the largest output is the class that the estimator predicts. Softmax of the outputs is its ``predict_proba`` for
    two classes and for softmax estimators; one-vs-rest estimators of more classes normalise otherwise.

    Args:
        params: {"kernel": (d, K), "bias": (K,)}, or the kernel alone for a layer without bias.
        estimator: a fitted estimator of this library.
        classes: labels in the order of the outputs; by default those that the estimator knows, sorted. None for
            regressions, whose targets are the outputs.

    Raises:
        TypeError, ValueError: the parts do not fit together; the message says which.

    Example:
        >>> import numpy as np
        >>> from certified import CertifiedLogisticRegression
        >>> features = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> params = {"kernel": np.zeros((2, 2), np.float32), "bias": np.zeros(2, np.float32)}
        >>> head = DenseHead.fit(params, features, features[:, 0] > 0.0, estimator=CertifiedLogisticRegression())
        >>> head.remove([3]).remaining_count, head.params["kernel"].shape, head.params["kernel"].dtype
        (19, (2, 2), dtype('float32'))
    """

    def __init__(self, params: Any, estimator: CertifiedEstimator, *, classes: Sequence[Any] | None = None) -> None:
        if not isinstance(estimator, CertifiedEstimator) or not hasattr(estimator, "coef_"):
            raise TypeError("estimator must be a fitted estimator of this library: use fit to train one")
        known = list(range(len(np.atleast_2d(estimator.coef_))))
        known = estimator.classes_.tolist() if is_classifier(estimator) else known
        self._layer = Layer.of(self._parameters(params))
        self.classes = self._layer.checked(estimator, estimator.n_features_in_, known, classes)
        self.estimator = estimator

    @classmethod
    def fit(
        cls,
        params: Any,
        features: Any,
        labels: Any,
        *,
        estimator: CertifiedEstimator,
        classes: Sequence[Any] | None = None,
        sample_weight: Any = None,
        ids: Any = None,
        subjects: Any = None,
    ) -> Self:
        """Train a copy of ``estimator`` on features (n, d) and labels, and return the head with its certificate.

        The arguments are those of the class and of the estimator's ``fit``.
        """
        if not isinstance(estimator, CertifiedEstimator):
            raise TypeError(f"estimator must be an estimator of this library; got a {type(estimator).__name__}")
        known = list(range(np.size(labels) // max(1, len(labels))))
        known = sorted(set(np.ravel(labels).tolist())) if is_classifier(estimator) else known
        # Before training, so that nothing is released for a layer that it does not fit.
        wanted = Layer.of(cls._parameters(params)).checked(estimator, np.shape(features)[-1], known, classes)
        fitted = clone(estimator).fit(features, labels, sample_weight=sample_weight, ids=ids, subjects=subjects)
        return cls(params, fitted, classes=wanted)

    @property
    def certificate(self) -> Certificate:
        """The certificate of the last release."""
        return self.estimator.certificate_

    @property
    def params(self) -> dict[str, jax.Array]:
        """Released kernel and bias, rounded to the types of the given ones.

        Raises:
            OverflowError: a weight exceeds the type.
        """
        return self._layer.cast(*columns(self.estimator, self.classes, self._layer.outputs))

    def remove(self, ids: Any = None, *, subjects: Any = None, labels: Any = None) -> Certificate:
        """Delete rows as the estimator's ``remove`` does; on any error nothing has changed."""
        return self._published(self.estimator.remove(ids, subjects=subjects, labels=labels))

    def add(
        self, features: Any, labels: Any, sample_weight: Any = None, ids: Any = None, subjects: Any = None
    ) -> Certificate:
        """Add rows as the estimator's ``add`` does; their labels must be among ``classes``."""
        self._check_labels(labels)
        return self._published(self.estimator.add(features, labels, sample_weight, ids, subjects))

    def correct(self, ids: Any, features: Any, labels: Any, sample_weight: Any = None) -> Certificate:
        """Replace rows as the estimator's ``correct`` does; their labels must be among ``classes``."""
        self._check_labels(labels)
        return self._published(self.estimator.correct(ids, features, labels, sample_weight))

    def _check_labels(self, labels: Any) -> None:
        strange = [label for label in np.ravel(labels).tolist() if label not in self.classes]
        if strange and self.classes:
            raise ValueError(f"labels holds {strange[0]!r}, for which the layer has no output: train a wider layer")

    def _published(self, certificate: Certificate) -> Certificate:
        return certificate

    @staticmethod
    def _parameters(params: Any) -> Mapping[str, Any]:
        if not isinstance(params, Mapping):
            raise TypeError("params must be a mapping with the kernel and bias of one dense layer")
        return params


@dataclass(frozen=True)
class Layer:
    """What is fixed about a dense layer: d inputs, K outputs, the types of its parameters."""

    features: int
    outputs: int
    kernel: np.dtype[Any]
    bias: np.dtype[Any] | None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Layer:
        """Read shapes and types of {"kernel", "bias"}."""
        if not {"kernel"} <= set(params) <= {"kernel", "bias"}:
            raise ValueError(f"params must hold 'kernel' and perhaps 'bias' of one layer; got {sorted(params)}")
        kernel, bias = params["kernel"], params.get("bias")
        if np.ndim(kernel) != 2 or np.shape(kernel)[1] < 1:
            raise ValueError(f"kernel must have shape (features, outputs); got {np.shape(kernel)}")
        if bias is not None and np.shape(bias) != np.shape(kernel)[1:]:
            raise ValueError(f"bias must have shape {np.shape(kernel)[1:]}; got {np.shape(bias)}")
        kinds = [np.dtype(array.dtype) for array in (kernel, bias) if array is not None]
        if not all(jax.numpy.issubdtype(kind, np.floating) for kind in kinds):
            raise TypeError("params must hold real floating-point arrays")
        features, outputs = np.shape(kernel)
        return cls(features, outputs, kinds[0], None if bias is None else kinds[1])

    def checked(
        self, estimator: CertifiedEstimator, features: int, known: list[Any], classes: Sequence[Any] | None
    ) -> tuple[Any, ...]:
        """Return the labels in the order of the outputs, none for a regression; raise where the parts do not fit.

        ``known`` are the labels of the rows, or the positions of a regression's targets.
        """
        if features != self.features:
            raise ValueError(f"kernel takes {self.features} features, got {features}: give the layer's input")
        if self.bias is None and estimator.fit_intercept:
            raise ValueError("the layer has no bias: use an estimator with fit_intercept=False, or a layer with bias")
        if not is_classifier(estimator):
            if classes:
                raise ValueError("classes is for classifiers: leave it out, the outputs are the targets")
            if len(known) != self.outputs:
                raise ValueError(f"the layer has {self.outputs} output(s) for {len(known)} target(s): they must agree")
            return ()
        labels = tuple(known if classes is None else np.asarray(classes, dtype=object).tolist())
        wanted = max(2, self.outputs)
        if len(labels) != wanted or len(set(labels)) != wanted:
            raise ValueError(
                f"classes must be {wanted} different labels for {self.outputs} output(s); got {len(labels)}"
            )
        strange = [label for label in known if label not in labels]
        if strange:
            raise ValueError(f"labels holds {strange[0]!r}, which is not among classes: name it there")
        return labels

    def cast(self, kernel: Array, bias: Array) -> dict[str, jax.Array]:
        """Return both in the types of the layer."""
        cast = {}
        for name, values, kind in (("kernel", kernel, self.kernel), ("bias", bias, self.bias)):
            if kind is None:
                continue
            with np.errstate(over="ignore"):
                rounded = values.astype(kind)
            if not np.all(np.isfinite(rounded.astype(np.float64))):
                raise OverflowError(f"a released weight exceeds {kind}: use a wider type for the {name}")
            with jax.enable_x64(True):
                cast[name] = jax.numpy.asarray(rounded)
        return cast


def columns(estimator: CertifiedEstimator, classes: tuple[Any, ...], outputs: int) -> tuple[Array, Array]:
    """Return kernel (d, K) and bias (K,) in float64 for a layer whose outputs are ``classes``."""
    weights = np.atleast_2d(estimator.coef_)
    offsets = np.broadcast_to(np.atleast_1d(estimator.intercept_), len(weights))
    if not classes:
        return weights.T.copy(), offsets.copy()
    present = estimator.classes_.tolist()
    kernel, bias = np.zeros((weights.shape[1], len(classes))), np.full(len(classes), ABSENT)
    if len(present) == 2 and len(weights) == 1:
        weights, offsets = np.stack([-weights[0], weights[0]]) / 2.0, np.stack([-offsets[0], offsets[0]]) / 2.0
    for label, place in ((label, classes.index(label)) for label in present):
        # A single class has no weights: its output is 0, above that of every absent class.
        own = present.index(label)
        kernel[:, place], bias[place] = (weights[own], offsets[own]) if len(present) > 1 else (0.0, 0.0)
    if outputs == 1:
        return kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return kernel, bias
