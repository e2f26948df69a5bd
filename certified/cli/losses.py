"""What ``--loss`` can be: the one table of losses, their estimators and the targets they take; loads no library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certified.estimators.base import CertifiedEstimator


class LossName(StrEnum):
    """Losses by the names that certificates carry."""

    logistic = "logistic"
    softmax = "softmax"
    huberised_hinge = "huberised_hinge"
    squared = "squared"
    poisson = "poisson"
    gamma = "gamma"


@dataclass(frozen=True)
class Choice:
    """A loss on offer.

    Attributes:
        estimator: its class in `certified.estimators`.
        targets: what it predicts, in words.
        labels: whether these are labels, not numbers.
        options: estimator parameters that not all losses have.
    """

    estimator: str
    targets: str
    labels: bool
    options: frozenset[str] = frozenset()

    @property
    def kind(self) -> type[CertifiedEstimator]:
        """The estimator's class."""
        from certified import estimators

        kind: type[CertifiedEstimator] = getattr(estimators, self.estimator)
        return kind


_WEIGHTED = frozenset({"class_weight"})

LOSSES = {
    LossName.logistic: Choice("CertifiedLogisticRegression", "labels, one against the rest", True, _WEIGHTED),
    LossName.softmax: Choice("CertifiedSoftmaxRegression", "labels, all jointly", True, _WEIGHTED),
    LossName.huberised_hinge: Choice(
        "CertifiedLinearSVC", "labels, as a support vector machine", True, _WEIGHTED | {"width"}
    ),
    LossName.squared: Choice("CertifiedRidge", "any numbers, one or several targets (ridge)", False),
    LossName.poisson: Choice("CertifiedPoissonRegressor", "counts and other numbers of at least 0", False),
    LossName.gamma: Choice("CertifiedGammaRegressor", "positive numbers", False),
}

HELP = "What is minimised, and the targets that it takes: " + "; ".join(
    f"{name} – {choice.targets}" for name, choice in LOSSES.items()
) + "."  # fmt: skip


def accepting(option: str) -> str:
    """The losses whose estimators have the parameter ``option``, for messages.

    >>> accepting("width")
    'huberised_hinge'
    """
    return ", ".join(name for name, choice in LOSSES.items() if option in choice.options)
