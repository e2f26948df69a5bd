"""Attacks on mechanisms: lower bounds on ε that hold their level, membership inference, reconstruction (claim T21).

Also exact divergences, proofs of violations and searches for them (claims T8 and T9), and what Newton removals really
leave, beside the published bounds on it. The guide: docs/audits.md."""

from certified.audit.certified_gap import NotProvedError as NotProvedError
from certified.audit.certified_gap import Refutation as Refutation
from certified.audit.certified_gap import refute as refute
from certified.audit.exact import InstanceAudit as InstanceAudit
from certified.audit.exact import audit_instance as audit_instance
from certified.audit.gap_search import judge as judge
from certified.audit.gap_search import random_problems as random_problems
from certified.audit.gap_search import worst_problem as worst_problem
from certified.audit.likelihood_ratio import lira as lira
from certified.audit.likelihood_ratio import u_lira as u_lira
from certified.audit.membership import ROC as ROC
from certified.audit.membership import LowRate as LowRate
from certified.audit.membership import rate_at as rate_at
from certified.audit.membership import roc as roc
from certified.audit.monte_carlo import epsilon_lower_bound as epsilon_lower_bound
from certified.audit.monte_carlo import mu_lower_bound as mu_lower_bound
from certified.audit.newton_trace import NewtonTrace as NewtonTrace
from certified.audit.newton_trace import trace_removals as trace_removals
from certified.audit.objective_perturbation import Divergences as Divergences
from certified.audit.objective_perturbation import PublishedClaim as PublishedClaim
from certified.audit.objective_perturbation import ScalarDeletion as ScalarDeletion
from certified.audit.objective_perturbation import densities as densities
from certified.audit.objective_perturbation import divergences as divergences
from certified.audit.one_run import OneRunAudit as OneRunAudit
from certified.audit.one_run import audit_one_run as audit_one_run
from certified.audit.one_run import one_run_epsilon as one_run_epsilon
from certified.audit.one_run import one_run_mu as one_run_mu
from certified.audit.one_run import one_run_p_value as one_run_p_value
from certified.audit.reconstruction import Reconstruction as Reconstruction
from certified.audit.reconstruction import reconstruct_row as reconstruct_row
from certified.audit.shadow import ShadowModels as ShadowModels
from certified.audit.shadow import random_halves as random_halves
from certified.audit.shadow import train_shadows as train_shadows
from certified.audit.smoothing import SmoothedRelease as SmoothedRelease
from certified.audit.smoothing import smoothed_release as smoothed_release
