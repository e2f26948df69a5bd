"""The losses as the verifier knows them: their constants, and which of them have real targets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LossConstants:
    """ν with |φ'''| ≤ ν·φ'', sup |φ'| and sup φ'' (the claims C-… of each loss)."""

    self_concordance: float
    derivative_limit: float
    curvature_limit: float


HINGES = {f"huberised_hinge/{2.0**-k}": 2.0**-k for k in range(11)}
"""The widths h of the Huberised hinge by name."""
LOSSES = {
    "logistic": LossConstants(1.0, 1.0, 0.25),
    "squared": LossConstants(0.0, math.inf, 1.0),
    "softmax": LossConstants(1.4142135623730951, 1.4142135623730951, 0.5),
    "poisson": LossConstants(1.0, math.inf, math.inf),
    "gamma": LossConstants(1.0, math.inf, math.inf),
    **{name: LossConstants(math.inf, 1.0, 1.0 / width) for name, width in HINGES.items()},
}
REGRESSIONS = ("squared", "poisson", "gamma")
"""Losses whose targets are numbers; the targets of the others are classes."""


def leaves_intercept_free(loss: str) -> bool:
    """Whether an intercept is not penalised: where the claims need it, it is (C-hinge, C-softmax)."""
    return loss not in HINGES and loss != "softmax"


def approximate_curvature(loss: str, z: Array, target: Array) -> Array:
    """Return φ'' of a self-concordant loss at the predictors z in float64; it steers and proves nothing."""
    if loss == "squared":
        return np.ones_like(z)
    if loss in ("poisson", "gamma"):
        sign, factor = (1.0, 1.0) if loss == "poisson" else (-1.0, target)
        return np.asarray(factor * np.exp(np.minimum(sign * z, 700.0)))
    share = expit(z)
    return np.asarray(share * (1.0 - share))
