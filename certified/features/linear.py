"""A ``flax.nnx.Linear`` that a certified estimator keeps up to date in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from certified.certificates.certificate import Certificate
from certified.estimators.base import CertifiedEstimator
from certified.features.head import DenseHead


class LinearHead(DenseHead):
    """A `DenseHead` whose layer is a ``flax.nnx.Linear``: each release is written into it, the first one included.

    Arguments are those of `DenseHead`, with the layer in the place of ``params``. Requests must be made of the head, so
    that the layer follows; after ``head.estimator.remove(…)`` it would not.

    Raises:
        ModuleNotFoundError: flax is not installed.

    Example:
        >>> import numpy as np
        >>> from flax import nnx
        >>> from certified import CertifiedLogisticRegression
        >>> features = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> layer = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
        >>> head = LinearHead.fit(layer, features, features[:, 0] > 0.0, estimator=CertifiedLogisticRegression())
        >>> head.remove([3]).removed_count, bool(layer.kernel[0, 1] == head.params["kernel"][0, 1])
        (1, True)
    """

    def __init__(self, layer: Any, estimator: CertifiedEstimator, *, classes: Sequence[Any] | None = None) -> None:
        super().__init__(layer, estimator, classes=classes)
        self.layer = layer
        self._published(self.certificate)

    def _published(self, certificate: Certificate) -> Certificate:
        for name, values in self.params.items():
            getattr(self.layer, name)[...] = values
        return certificate

    @staticmethod
    def _parameters(layer: Any) -> Mapping[str, Any]:
        try:
            from flax import nnx
        except ModuleNotFoundError:
            raise ModuleNotFoundError("flax is missing: pip install 'certified-removal[flax]'") from None
        if not isinstance(layer, nnx.Linear):
            raise TypeError(f"layer must be a flax.nnx.Linear; got a {type(layer).__name__}")
        given = {"kernel": layer.kernel, "bias": layer.bias}
        return {name: value[...] for name, value in given.items() if value is not None}
