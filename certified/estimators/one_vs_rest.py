"""One-vs-rest classification by any elementwise loss, with certified deletion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh

from certified.certificates.provenance import Provenance
from certified.data.sources import RowSource
from certified.estimators.archive import ModelFormatError
from certified.estimators.class_weight import ClassWeight
from certified.estimators.classifier import CertifiedClassifier
from certified.estimators.saved_model import read
from certified.estimators.session import Recipe
from certified.losses import PROVED, Loss
from certified.losses.probe import probe

_CONSTANTS = ("self_concordance", "derivative_limit", "curvature_limit", "evaluation_error", "evaluation_shift")
_REGRESSIONS = ("squared", "poisson", "gamma")


class CertifiedOneVsRestClassifier(CertifiedClassifier):
    """Linear classifier for a loss of your own whose rows can be deleted with an (ε, δ) certificate.

    Minimises Σ_k Σ_i c_i φ(z_ik; t_ik) + ‖W‖²/(2C), z = X·W + b, over all outputs jointly: one for two classes, else
    one for each class against the rest, t = ±1. They are released together, under one certificate for all of W:
    distances are Frobenius norms (claim C-outputs). The intercept is unpenalised if the loss is self-concordant, else
    penalised.

    The certificate of a loss that is none of the library's states that its constants are its author's word, and
    `certified.verify` refuses it by name: the verifier has formulas of its own for proved losses alone
    (docs/add-a-loss.md). Guarantee: claim T16 (T1–T5, T12, T13, C-outputs), if the constants hold.

    Parameters:
        loss: an elementwise `losses.Loss`, hashable, such as a frozen dataclass; its name is part of the certificate.
        C: inverse L2 strength. The other parameters are those of `CertifiedLogisticRegression`.

    Attributes:
        coef_: (1, d) for two classes, (K, d) for more, (0, d) for a single class; released weights.
        intercept_: (1,), (K,) or (0,).
        classes_: labels in force; a class that loses its last row leaves.
        certificate_: the certificate of the last release.
        ids_: ids of the rows in force.
        n_features_in_: d.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from certified.losses import HuberisedHinge
        >>> X, y = load_iris(return_X_y=True)
        >>> model = CertifiedOneVsRestClassifier(HuberisedHinge(1.0)).fit(X, y)
        >>> certificate = model.remove([3, 5])
        >>> certificate.n_outputs, certificate.distance_bound <= 1e-8
        (3, True)
    """

    def __init__(
        self,
        loss: Loss,
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
        self.loss = loss
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

    @classmethod
    def load(
        cls,
        path: str | Path,
        loss: Loss | None = None,
        *,
        rows: RowSource | None = None,
        mesh: Mesh | None = None,
    ) -> Self:
        """Read a saved model; a file holds the name of its loss, so a loss of your own must be given again.

        Raises:
            FileNotFoundError, ModelFormatError: as for the other estimators.
            ValueError: ``loss`` has another name than the one that the model was trained with.
        """
        saved = read(path)
        name = saved.params.get("loss")
        if loss is None or saved.estimator != cls.__name__:
            return super().load(path, rows=rows, mesh=mesh)
        if checked_loss(loss).name != name:
            raise ValueError(f"loss is {loss.name!r}, but {path} holds a model of the loss {name!r}: give that one")
        return cls._built(replace(saved, params={**saved.params, "loss": loss}), rows, mesh)

    def _recipe(self) -> Recipe:
        self._loss = checked_loss(self.loss)
        return super()._recipe()

    def _plain_params(self) -> dict[str, Any]:
        return {**super()._plain_params(), "loss": self.loss.name}

    @classmethod
    def _from_plain(cls, params: dict[str, Any]) -> Self:
        loss = params["loss"]
        if isinstance(loss, str):
            if loss not in PROVED:
                raise ModelFormatError(
                    f"a model of the loss {loss!r}, which is none of this library: read it by "
                    f"{cls.__name__}.load(path, loss=…)"
                )
            loss = PROVED[loss]
        return super()._from_plain({**params, "loss": loss})


def checked_loss(loss: Any) -> Loss:
    """Return ``loss`` if one-vs-rest classification can use it.

    Raises:
        TypeError: it is no object that satisfies `losses.Loss`, or cannot be hashed, which compilation needs, or a
            method is no elementwise JAX function.
        ValueError: it couples outputs, predicts numbers, has constants that are none or that its methods contradict
            (`losses.probe.probe`), or the name of another loss.
    """
    if isinstance(loss, type):
        raise TypeError(f"loss must be an object that satisfies certified.losses.Loss, not a class: {loss.__name__}()")
    if not isinstance(loss, Loss):
        lacking = [name for name in vars(Loss) if not name.startswith("_") and not hasattr(loss, name)]
        raise TypeError(
            f"loss must be an object that satisfies certified.losses.Loss; {loss!r} lacks {', '.join(lacking)}"
        )
    try:
        hash(loss)
    except TypeError:
        raise TypeError(f"loss must be hashable: make {type(loss).__name__} a frozen dataclass") from None
    if loss.couples_outputs:
        raise ValueError(f"loss {loss.name!r} couples its outputs: softmax has CertifiedSoftmaxRegression")
    if not (isinstance(loss.name, str) and loss.name.strip() and loss.name.isprintable()):
        raise ValueError("loss must have a name, of printable characters: certificates carry it")
    if loss.name in PROVED and loss != PROVED[loss.name]:
        raise ValueError(f"loss has the name {loss.name!r} of a loss of this library without being it: rename it")
    if loss.name in _REGRESSIONS:
        raise ValueError(f"loss {loss.name!r} predicts numbers: it has a regression estimator")
    for name in _CONSTANTS:
        value = getattr(loss, name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not value >= 0.0:
            raise ValueError(f"loss.{name} must be a number of at least 0, or infinity; got {value!r}")
    if not (loss.evaluation_error < 1.0 and loss.evaluation_shift < math.inf):
        raise ValueError("loss.evaluation_error must be below 1 and loss.evaluation_shift finite (claim T12)")
    if math.isinf(loss.self_concordance) and math.isinf(loss.curvature_limit):
        raise ValueError("loss needs a finite self_concordance or a finite curvature_limit: no bound holds without")
    if loss.name not in PROVED:
        probe(loss)
    return loss
