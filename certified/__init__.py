"""Certified removal: delete training rows from convex models and prove how far the result is from retraining."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certified.version import __version__ as __version__

if TYPE_CHECKING:
    from certified.certificates.certificate import Certificate as Certificate
    from certified.certificates.certificate import CertificateFormatError as CertificateFormatError
    from certified.data.index import UnknownIdError as UnknownIdError
    from certified.estimators import CertifiedGammaRegressor as CertifiedGammaRegressor
    from certified.estimators import CertifiedLinearSVC as CertifiedLinearSVC
    from certified.estimators import CertifiedLogisticRegression as CertifiedLogisticRegression
    from certified.estimators import CertifiedOneVsRestClassifier as CertifiedOneVsRestClassifier
    from certified.estimators import CertifiedPoissonRegressor as CertifiedPoissonRegressor
    from certified.estimators import CertifiedRidge as CertifiedRidge
    from certified.estimators import CertifiedSoftmaxRegression as CertifiedSoftmaxRegression
    from certified.estimators import DPLogisticRegression as DPLogisticRegression
    from certified.estimators.archive import ModelFormatError as ModelFormatError
    from certified.removal import TargetNotReachedError as TargetNotReachedError
    from certified.service import DeletionStore as DeletionStore
    from certified.verification.report import VerificationError as VerificationError
    from certified.verification.report import VerificationReport as VerificationReport
    from certified.verification.verify import verify as verify

# Loaded on first use, so that the calculators and the command line start without JAX and scikit-learn.
_HOMES = {
    "Certificate": "certified.certificates.certificate",
    "CertificateFormatError": "certified.certificates.certificate",
    "CertifiedGammaRegressor": "certified.estimators",
    "CertifiedLinearSVC": "certified.estimators",
    "CertifiedLogisticRegression": "certified.estimators",
    "CertifiedOneVsRestClassifier": "certified.estimators",
    "CertifiedPoissonRegressor": "certified.estimators",
    "CertifiedRidge": "certified.estimators",
    "CertifiedSoftmaxRegression": "certified.estimators",
    "DPLogisticRegression": "certified.estimators",
    "DeletionStore": "certified.service",
    "ModelFormatError": "certified.estimators.archive",
    "TargetNotReachedError": "certified.removal",
    "UnknownIdError": "certified.data.index",
    "VerificationError": "certified.verification.report",
    "VerificationReport": "certified.verification.report",
    "verify": "certified.verification.verify",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'certified' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
