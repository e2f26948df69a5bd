"""Pointwise losses with proved constants."""

from certified.losses.gamma import GAMMA as GAMMA
from certified.losses.gamma import Gamma as Gamma
from certified.losses.huberised_hinge import HUBERISED_HINGE as HUBERISED_HINGE
from certified.losses.huberised_hinge import HuberisedHinge as HuberisedHinge
from certified.losses.logistic import LOGISTIC as LOGISTIC
from certified.losses.logistic import Logistic as Logistic
from certified.losses.poisson import POISSON as POISSON
from certified.losses.poisson import Poisson as Poisson
from certified.losses.protocol import CoupledLoss as CoupledLoss
from certified.losses.protocol import Loss as Loss
from certified.losses.protocol import couples as couples
from certified.losses.registry import PROVED as PROVED
from certified.losses.softmax import SOFTMAX as SOFTMAX
from certified.losses.softmax import Softmax as Softmax
from certified.losses.squared import SQUARED as SQUARED
from certified.losses.squared import Squared as Squared
