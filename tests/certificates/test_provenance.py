"""Where features come from: what may be said of it, and that certificates, words and files repeat it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from certified import CertifiedLinearSVC, CertifiedLogisticRegression, CertifiedPoissonRegressor, CertifiedRidge
from certified.certificates.provenance import KINDS, Provenance
from certified.certificates.statements import assumptions, features_statement
from certified.estimators.persistence import restored, saved
from certified.estimators.saved_model import loads
from certified.privacy import feature_guarantee
from certified.service import DeletionStore

DIGEST = "ab" * 32
PROVENANCES = [
    Provenance(),
    Provenance.public("encoder", DIGEST),
    Provenance.dp("encoder", DIGEST, 0.5, 1e-7),
    Provenance.trained_on_rows("encoder", DIGEST),
]
X = np.random.default_rng(0).normal(size=(30, 2))
COUNTS = np.arange(30) % 4


def test_every_kind_is_tried() -> None:
    assert [provenance.kind for provenance in PROVENANCES] == list(KINDS)


@pytest.mark.parametrize("provenance", PROVENANCES, ids=KINDS)
def test_json_keeps_it(provenance: Provenance) -> None:
    text = json.dumps(provenance.to_dict(), allow_nan=False)
    assert Provenance.from_dict(json.loads(text)) == provenance


@pytest.mark.parametrize(
    "kind", [CertifiedLogisticRegression, CertifiedLinearSVC, CertifiedRidge, CertifiedPoissonRegressor]
)
@pytest.mark.parametrize("provenance", PROVENANCES, ids=KINDS)
def test_estimators_certificates_and_files_keep_it(kind: Any, provenance: Provenance, tmp_path: Path) -> None:
    labels = (X[:, 0] > 0.0) if issubclass(kind, CertifiedLogisticRegression | CertifiedLinearSVC) else COUNTS
    model = clone(kind(features=provenance))
    assert model.get_params()["features"] == provenance
    model.fit(X, labels)
    model.save(tmp_path / "model.npz")
    loaded = kind.load(tmp_path / "model.npz")
    assert loaded.features == provenance
    again = restored(loads(saved(loaded).secrets()))
    for certificate in (model.certificate_, loaded.remove([1, 2]), again.remove([1, 2])):
        assert certificate.provenance == provenance
        statement = certificate.statement()
        assert statement["features"] == provenance.kind and statement["features_name"] == provenance.name
        assert features_statement(provenance) in statement["assumptions"]
        full = feature_guarantee(provenance.epsilon, provenance.delta, 1.0, 1e-6, max(1, certificate.removed_total))
        assert (certificate.full_epsilon, certificate.full_delta) == full
        assert ("T11" in certificate.claims) == (provenance.kind == "dp")
    (tmp_path / "model.secret.npz").unlink()
    assert kind.load(tmp_path / "model.npz").features == provenance


def test_changing_the_parameter_later_changes_nothing_that_was_trained() -> None:
    model = CertifiedRidge(features=PROVENANCES[3]).fit(X, X[:, 0])
    model.set_params(features=None)
    assert model.remove([1]).features == "trained_on_rows"


def test_the_store_keeps_it(tmp_path: Path) -> None:
    with DeletionStore.init(tmp_path / "s", CertifiedRidge(features=PROVENANCES[2]).fit(X, X[:, 0])) as store:
        store.request_removal([1, 2])
        outcome = store.process()
        assert outcome is not None and outcome.certificate.provenance == PROVENANCES[2]
        assert outcome.certificate.full_epsilon == 2.0
        assert store.verify().ok
    with DeletionStore.open(tmp_path / "s") as store:
        store.request_removal([3])
        outcome = store.process()
        assert outcome is not None and outcome.certificate.full_epsilon == 2.5


def test_a_certificate_of_the_head_only_says_so_first() -> None:
    model = CertifiedLogisticRegression(features=PROVENANCES[3], random_state=1).fit(X, X[:, 0] > 0.0)
    certificate = model.certificate_
    assert str(certificate).startswith("HEAD ONLY")
    assert certificate.assumptions[0].startswith("the head only")
    assert (certificate.full_epsilon, certificate.full_delta) == (math.inf, 1.0)
    assert not any("never saw" in text for text in certificate.assumptions)


def test_a_private_extractor_shows_both_guarantees() -> None:
    certificate = CertifiedRidge(features=PROVENANCES[2]).fit(X, X[:, 0]).remove([1, 2])
    assert "(1, 1e-06) for the head, (2, " in str(certificate)


def test_the_standing_sentence_is_replaced() -> None:
    for provenance in PROVENANCES:
        for noise in ("rounded_gaussian", "idealized_gaussian"):
            texts = assumptions(provenance, noise)
            assert sum("features" in text for text in texts) == 1
            assert len(set(texts)) == 4 + (noise == "idealized_gaussian")


def test_numbers_have_one_spelling() -> None:
    words = {features_statement(Provenance.dp("e", DIGEST, e, 0.0)) for e in (2, 2.0, np.float64(2.0), np.int64(2))}
    assert len(words) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Provenance("private"), ValueError, "kind must be one of given, public, dp, trained_on_rows"),
        (lambda: Provenance("given", "encoder"), ValueError, "given provenance has no further"),
        (lambda: Provenance.public("", DIGEST), ValueError, "name must be a printable text"),
        (lambda: Provenance.public("a\nb", DIGEST), ValueError, "name must be a printable text"),
        (lambda: Provenance.public("encoder", ""), ValueError, "digest must be the SHA-256.*parameter_digest"),
        (lambda: Provenance.public("encoder", "AB" * 32), ValueError, "digest must be the SHA-256"),
        (lambda: Provenance.public("encoder", 7), TypeError, "name and digest must be strings"),  # type: ignore[arg-type]
        (lambda: Provenance("public", "encoder", DIGEST, 1.0), ValueError, "no choice for the kind 'public'"),
        (lambda: Provenance.dp("encoder", DIGEST, -1.0, 0.0), ValueError, "epsilon must be finite and not negative"),
        (
            lambda: Provenance.dp("encoder", DIGEST, math.inf, 0.0),
            ValueError,
            "epsilon must be finite.*trained_on_rows",
        ),
        (lambda: Provenance.dp("encoder", DIGEST, math.nan, 0.0), ValueError, "epsilon must be finite"),
        (lambda: Provenance.dp("encoder", DIGEST, 1.0, 1.0), ValueError, r"delta must lie in \[0, 1\)"),
        (lambda: Provenance.dp("encoder", DIGEST, "1", 0.0), TypeError, "epsilon must be a number"),  # type: ignore[arg-type]
        (lambda: Provenance.dp("encoder", DIGEST, True, 0.0), TypeError, "epsilon must be a number"),
        (lambda: Provenance("trained_on_rows", "encoder", DIGEST, 1.0, 0.0), ValueError, "no choice for the kind"),
        (lambda: Provenance.trained_on_rows("encoder", "short"), ValueError, "digest must be the SHA-256"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
