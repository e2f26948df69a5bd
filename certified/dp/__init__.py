"""Differentially private training, under the relation "add or remove rows" (claims T10, T14, T15, T20)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certified.certificates.deletion import DeletionCertificate as DeletionCertificate
from certified.dp.choice import Demand as Demand
from certified.dp.choice import Option as Option
from certified.dp.choice import choose as choose
from certified.dp.deletion import DeletionBound as DeletionBound
from certified.dp.deletion import DeletionLimitError as DeletionLimitError
from certified.dp.deletion import certify_deletion as certify_deletion
from certified.dp.deletion import deletion_delta as deletion_delta
from certified.dp.deletion import deletion_epsilon as deletion_epsilon
from certified.dp.deletion import deletions_left as deletions_left
from certified.dp.deletion import extractor_provenance as extractor_provenance
from certified.dp.deletion import with_head as with_head
from certified.dp.guarantee import DPGuarantee as DPGuarantee
from certified.dp.guarantee import DPRelease as DPRelease
from certified.dp.limits import RowLimits as RowLimits
from certified.dp.minimiser import MinimiserNotReachedError as MinimiserNotReachedError
from certified.dp.objective_perturbation import objective_perturbation as objective_perturbation
from certified.dp.output_perturbation import output_perturbation as output_perturbation
from certified.verification.deletion import verify_deletion as verify_deletion

if TYPE_CHECKING:
    from certified.dp.dense import DenseGradient as DenseGradient
    from certified.dp.linear import LinearGradient as LinearGradient
    from certified.dp.per_example import PerExampleGradient as PerExampleGradient
    from certified.dp.plan import SGDPlan as SGDPlan
    from certified.dp.sgd import SGDResult as SGDResult
    from certified.dp.sgd import SGDState as SGDState
    from certified.dp.sgd import dp_sgd as dp_sgd
    from certified.dp.sgd_release import private_sgd as private_sgd
    from certified.dp.transform import differentially_private_aggregate as differentially_private_aggregate
    from certified.dp.transform import gaussian_noise as gaussian_noise

# Loaded on first use: they need optax, and flax models need flax.
_HOMES = {
    "DenseGradient": "certified.dp.dense",
    "LinearGradient": "certified.dp.linear",
    "PerExampleGradient": "certified.dp.per_example",
    "SGDPlan": "certified.dp.plan",
    "SGDResult": "certified.dp.sgd",
    "SGDState": "certified.dp.sgd",
    "differentially_private_aggregate": "certified.dp.transform",
    "dp_sgd": "certified.dp.sgd",
    "gaussian_noise": "certified.dp.transform",
    "private_sgd": "certified.dp.sgd_release",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'certified.dp' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error.name} is missing: pip install 'certified-removal[flax]'") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
