"""Mechanisms from the literature, faithful to their publications and labelled with what is wrong with them.

docs/mechanisms.md lists them; ``Mechanism`` in ``protocol.py`` is what they have in common.
"""

from certified.removal.published.deltagrad import DeltaGrad as DeltaGrad
from certified.removal.published.descent_to_delete import DescentToDelete as DescentToDelete
from certified.removal.published.jackknife import Jackknife as Jackknife
from certified.removal.published.langevin import Langevin as Langevin
from certified.removal.published.objective_perturbation import ObjectivePerturbation as ObjectivePerturbation
from certified.removal.published.projected_noisy_sgd import ProjectedNoisySGD as ProjectedNoisySGD
from certified.removal.published.projective_residual import ProjectiveResidual as ProjectiveResidual
from certified.removal.published.protocol import Claim as Claim
from certified.removal.published.protocol import Mechanism as Mechanism
from certified.removal.published.protocol import MechanismState as MechanismState
from certified.removal.published.recollection import Recollection as Recollection
from certified.removal.published.sekhari import Sekhari as Sekhari
from certified.removal.published.smoothed_perturbation import SmoothedPerturbation as SmoothedPerturbation
