"""Pointwise losses with proved constants."""

from certified.losses.logistic import LOGISTIC as LOGISTIC
from certified.losses.logistic import Logistic as Logistic
from certified.losses.protocol import Loss as Loss
from certified.losses.squared import SQUARED as SQUARED
from certified.losses.squared import Squared as Squared
