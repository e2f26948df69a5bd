"""Accounting of differentially private training, by upper bounds that hold after rounding (claims T10, T19).

Python-flint and NumPy are all it needs; `events`, which reads and writes dp-accounting's events, needs the extra
``dp``. Guide: docs/dp-accounting.md.
"""

from certified.accounting.accountant import dp_delta as dp_delta
from certified.accounting.accountant import dp_epsilon as dp_epsilon
from certified.accounting.calibration import dp_noise_multiplier as dp_noise_multiplier
from certified.accounting.calibration import dp_sampling_rate as dp_sampling_rate
from certified.accounting.calibration import dp_steps as dp_steps
from certified.accounting.group import generic_group_epsilon as generic_group_epsilon
from certified.accounting.group import group_epsilons as group_epsilons
from certified.accounting.mechanisms import ApproximateRelease as ApproximateRelease
from certified.accounting.mechanisms import Relation as Relation
from certified.accounting.mechanisms import SubsampledGaussian as SubsampledGaussian
