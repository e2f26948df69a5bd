"""What a certificate says of its features is confirmed if genuine, and noticed if altered."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest

from certified import Certificate, CertifiedLogisticRegression, verify
from certified.certificates.certificate import CertificateFormatError
from certified.features import Provenance
from certified.privacy import feature_guarantee
from certified.verification.report import VerificationReport

DIGEST = "0123456789abcdef" * 4
PROVENANCES = {
    "given": Provenance(),
    "public": Provenance.public("digits-cnn", DIGEST),
    "dp": Provenance.dp("digits-cnn", DIGEST, 0.75, 1e-7),
    "pure dp": Provenance.dp("digits-cnn", DIGEST, 0.125, 0.0),
    "nearly nothing": Provenance.dp("digits-cnn", DIGEST, 300.0, 0.9),
    "no leak at all": Provenance.dp("digits-cnn", DIGEST, 0.0, 1e-9),
    "trained on rows": Provenance.trained_on_rows("digits-cnn", DIGEST),
    "trained on rows, no digest": Provenance.trained_on_rows("digits-cnn"),
}
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0.0).astype(int)


@cache
def model(name: str, removed: int) -> CertifiedLogisticRegression:
    fitted = CertifiedLogisticRegression(features=PROVENANCES[name]).fit(X, Y)
    if removed:
        fitted.remove(range(removed))
    return fitted


def verified(name: str, certificate: Certificate, removed: int = 3) -> VerificationReport:
    secrets = model(name, removed).audit_bundle()
    return verify(
        certificate, X[removed:], Y[removed:], secrets.weights, released=secrets.released, nonce=secrets.nonce
    )


@pytest.mark.parametrize("removed", [0, 1, 3])
@pytest.mark.parametrize("name", PROVENANCES)
def test_a_genuine_provenance_is_confirmed(name: str, removed: int) -> None:
    certificate = model(name, removed).certificate_
    report = verified(name, certificate, removed)
    assert report.ok and not report.skipped, str(report)
    assert certificate.provenance == PROVENANCES[name]
    assert Certificate.from_json(certificate.to_json()) == certificate


ALTERED: list[dict[str, Any]] = [
    *({"features": kind} for kind in ("given", "public", "dp", "trained_on_rows", "private")),
    *({"features_name": value} for value in ("other", "", " ", "a\nb")),
    *({"features_digest": value} for value in ("f" * 64, "", "xyz", DIGEST.upper())),
    *({"features_epsilon": value} for value in (0.0, 0.5, -1.0, np.inf, np.nan)),
    *({"features_delta": value} for value in (0.0, 1e-8, -1.0, 1.0, np.nan)),
    *({"full_epsilon": value} for value in (0.0, 1.0, 2.0, -1.0, np.inf, np.nan)),
    *({"full_delta": value} for value in (0.0, 1e-6, 1e-5, -1.0, 1.0, np.nan)),
    {"features": "given", "features_name": "", "features_digest": "", "features_epsilon": 0.0, "features_delta": 0.0},
    {"features": "public", "features_epsilon": 0.0, "features_delta": 0.0},
    {"features": "trained_on_rows", "features_epsilon": np.inf, "features_delta": 1.0},
    {"claims": "without T11"},
    {"claims": "with T11"},
    {"assumptions": "without features"},
    {"assumptions": "last first"},
    {"assumptions": "given"},
]


@pytest.mark.parametrize("changes", ALTERED, ids=lambda changes: "-".join(f"{k}={v}"[:40] for k, v in changes.items()))
@pytest.mark.parametrize("name", PROVENANCES)
def test_an_altered_provenance_is_not_confirmed(name: str, changes: dict[str, Any]) -> None:
    """Each alteration is caught by the digest and, where the digest was made anew, by what does not fit together."""
    certificate = model(name, 3).certificate_
    said = next(text for text in certificate.assumptions if "features" in text)
    options: dict[Any, Any] = {
        "without T11": tuple(c for c in certificate.claims if c != "T11"),
        "with T11": tuple(sorted({*certificate.claims, "T11", "T17c"})),
        "without features": tuple(text for text in certificate.assumptions if text != said),
        "last first": (certificate.assumptions[-1], *certificate.assumptions[:-1]),
        "given": tuple(
            text if text != said else model("given", 3).certificate_.assumptions[1] for text in certificate.assumptions
        ),
    }
    changes = {field: options.get(value, value) for field, value in changes.items()}
    altered = dataclasses.replace(certificate, **changes)
    if altered == certificate:
        return
    assert not verified(name, altered).ok
    with pytest.raises((CertificateFormatError, ValueError)):
        Certificate.from_dict({**certificate.to_dict(), **changes})


def test_the_guarantee_with_the_extractor_is_recomputed() -> None:
    """A certificate that understates k, or composes otherwise, is refuted by the figures alone."""
    certificate = model("dp", 3).certificate_
    for size in (1, 2, 4):
        epsilon, delta = feature_guarantee(0.75, 1e-7, certificate.epsilon, certificate.delta, size)
        altered = dataclasses.replace(certificate, full_epsilon=epsilon, full_delta=delta)
        assert {check.name for check in verified("dp", altered).failures} == {"features"}
