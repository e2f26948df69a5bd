"""The losses whose constants this library proves, by the names that certificates carry."""

from __future__ import annotations

from certified.losses.gamma import GAMMA
from certified.losses.huberised_hinge import HINGE_WIDTHS, HuberisedHinge
from certified.losses.logistic import LOGISTIC
from certified.losses.poisson import POISSON
from certified.losses.protocol import Loss
from certified.losses.softmax import SOFTMAX
from certified.losses.squared import SQUARED

_ALL: tuple[Loss, ...] = (LOGISTIC, SQUARED, SOFTMAX, POISSON, GAMMA, *map(HuberisedHinge, HINGE_WIDTHS))

PROVED = {loss.name: loss for loss in _ALL}
"""Name → loss; no other loss may carry one of these names."""
