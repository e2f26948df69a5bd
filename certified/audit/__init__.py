"""Attacks on mechanisms: exact divergences, proofs of violations and searches for them (claims T8 and T9).

Also what Newton removals really leave, beside the published bounds on it."""

from certified.audit.certified_gap import NotProvedError as NotProvedError
from certified.audit.certified_gap import Refutation as Refutation
from certified.audit.certified_gap import refute as refute
from certified.audit.gap_search import judge as judge
from certified.audit.gap_search import random_problems as random_problems
from certified.audit.gap_search import worst_problem as worst_problem
from certified.audit.newton_trace import NewtonTrace as NewtonTrace
from certified.audit.newton_trace import trace_removals as trace_removals
from certified.audit.objective_perturbation import Divergences as Divergences
from certified.audit.objective_perturbation import PublishedClaim as PublishedClaim
from certified.audit.objective_perturbation import ScalarDeletion as ScalarDeletion
from certified.audit.objective_perturbation import densities as densities
from certified.audit.objective_perturbation import divergences as divergences
from certified.audit.smoothing import SmoothedRelease as SmoothedRelease
from certified.audit.smoothing import smoothed_release as smoothed_release
