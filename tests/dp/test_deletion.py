"""Deletion without work: the smallest bound for k rows against worlds whose laws are known, limits, and the record."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from certified import CertifiedLogisticRegression
from certified.accounting import Relation, SubsampledGaussian, dp_delta
from certified.audit.perturbed_pair import PerturbedPair
from certified.certificates.certificate import CertificateFormatError
from certified.dp import (
    DeletionCertificate,
    DeletionLimitError,
    DPGuarantee,
    certify_deletion,
    deletion_delta,
    deletion_epsilon,
    deletions_left,
    extractor_provenance,
    verify_deletion,
    with_head,
)
from certified.dp.curve import Curve
from certified.dp.objective_curve import ObjectiveCurve
from certified.dp.objective_perturbation import calibrated
from certified.dp.output_curve import OutputCurve
from certified.dp.sampled import SampledCurve
from certified.privacy.objective_perturbation import PerturbedProblem
from certified.verification.deletion import MOST_ROWS

MODEL = "5" * 64


def promised(curve: Curve, mechanism: str = "output perturbation") -> DPGuarantee:
    return DPGuarantee(
        mechanism=mechanism,
        stated_epsilon=1.0,
        stated_delta=1e-6,
        group_size=1,
        curve=curve,
        loss="logistic",
        n_features=3,
        n_outputs=1,
    )


def gaussian_curve(epsilon: float, mu: float) -> float:
    return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))


OUTPUT = promised(OutputCurve(gradient_bound=1.0, strength=1.0, distance=0.0, noise_std=20.0))
DESCENT = promised(SampledCurve((SubsampledGaussian(50.0, 1.0, 25),), 0.0), "DP-SGD")
SAMPLED = promised(SampledCurve((SubsampledGaussian(8.0, 0.02, 20),), 0.0), "DP-SGD")
LOGISTIC = promised(calibrated(PerturbedProblem(1.0, 0.25, 3.0, "logistic"), 0.3, 1e-7), "objective perturbation")

STRONG = promised(calibrated(PerturbedProblem(1.0, 0.25, 8.0, "logistic"), 2.0, 1e-3), "objective perturbation")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.floats(0.0, 8.0))
def test_groups_under_gaussian_noise_cost_their_exact_curve(rows: int, epsilon: float) -> None:
    # Minimisers of k rows may be kL/λ apart, sums of T full batches k√T; both worlds are then Gaussians.
    for guarantee, mu in ((OUTPUT, rows / 20.0), (DESCENT, rows * math.sqrt(25) / 50.0)):
        found, exact = deletion_delta(guarantee, epsilon, rows), gaussian_curve(epsilon, mu)
        assert found.block == rows
        assert exact * (1 - 1e-9) - 1e-16 <= found.delta <= exact * (1 + 1e-9) + 1e-15


def test_subsampled_steps_take_the_mixtures() -> None:
    phase = SubsampledGaussian(8.0, 0.02, 20)
    expected = dp_delta(0.5, [phase], relation=Relation.add_or_remove, rows=7)
    assert deletion_delta(SAMPLED, 0.5, 7).delta == expected
    assert deletion_epsilon(SAMPLED, expected, 7).epsilon <= 0.5 * (1 + 1e-6)


def test_rows_one_after_another_where_that_is_the_smaller_bound() -> None:
    found = deletion_delta(LOGISTIC, 0.5, 2)
    assert found.block == 1 and found.delta < 0.5 * LOGISTIC.delta(0.5, 2)
    # (2ε, δ + e^ε δ) from (ε, δ) of one row.
    assert found.delta == pytest.approx(LOGISTIC.delta(0.25, 1) * (1 + math.exp(0.25)), rel=1e-9)
    assert deletion_delta(LOGISTIC, 1.0, 2).block == 2


@pytest.mark.parametrize(("guarantee", "one_by_one"), [(LOGISTIC, True), (STRONG, False)])
def test_no_pair_of_data_sets_exceeds_the_bound_for_its_rows(guarantee: DPGuarantee, one_by_one: bool) -> None:
    rng, largest, curve = np.random.default_rng(1), 0.0, guarantee.curve
    assert isinstance(curve, ObjectiveCurve)
    for _ in range(30):
        rows = int(rng.integers(2, 4))
        pull = float(rng.choice([0.0, rng.uniform(-60.0, 0.0)]))
        kept = [*rng.uniform(-1, 1, rng.integers(0, 3)).tolist(), *([pull / 40] * 40 if pull else [])]
        pair = PerturbedPair(kept, [1.0] * rows, curve.problem.strength, curve.noise_std)
        for epsilon in (0.15 * rows, 0.3 * rows):
            bound = deletion_delta(guarantee, epsilon, rows)
            assert (bound.block == 1) == one_by_one
            largest = max(largest, pair.divergences(epsilon, size=4001).worst / bound.delta)
    assert 0.01 < largest <= 1.0


def test_beyond_the_accountants_limit_blocks_follow_one_another() -> None:
    weak = promised(SampledCurve((SubsampledGaussian(1e5, 1.0, 25),), 0.0), "DP-SGD")
    found = deletion_delta(weak, 0.2, 350)
    assert found.block == 200
    assert gaussian_curve(0.2, 350 * 5 / 1e5) <= found.delta < 1e-6


def test_no_more_rows_are_certified_than_the_verifier_takes() -> None:
    weak = promised(OutputCurve(gradient_bound=1.0, strength=1.0, distance=0.0, noise_std=1e9))
    most = deletions_left(weak, 1.0, 1e-6)
    assert most == MOST_ROWS
    assert verify_deletion(certify_deletion(weak, most, 1.0, 1e-6, model=MODEL)).complete
    with pytest.raises(DeletionLimitError, match=f"which is {most} since"):
        certify_deletion(weak, most + 1, 1.0, 1e-6, model=MODEL)


@pytest.mark.parametrize("guarantee", [OUTPUT, DESCENT, LOGISTIC, SAMPLED])
def test_the_limit_is_where_the_bound_is_met_no_more(guarantee: DPGuarantee) -> None:
    epsilon, delta = (0.1, 1e-6) if guarantee is SAMPLED else (1.0, 1e-6)
    most = deletions_left(guarantee, epsilon, delta)
    assert most >= 2
    assert deletion_delta(guarantee, epsilon, most).delta <= delta < deletion_delta(guarantee, epsilon, most + 1).delta


def test_what_was_deleted_counts() -> None:
    most = deletions_left(OUTPUT, 1.0, 1e-6)
    assert deletions_left(OUTPUT, 1.0, 1e-6, deleted=2) == most - 2
    assert deletions_left(OUTPUT, 1.0, 1e-6, deleted=most + 5) == 0


def test_deletions_add_up_until_the_limit() -> None:
    most = deletions_left(OUTPUT, 1.0, 1e-6)
    certificates = [certify_deletion(OUTPUT, k, 1.0, 1e-6, model=MODEL) for k in range(1, most + 1)]
    assert [c.deletions_left for c in certificates] == list(range(most - 1, -1, -1))
    epsilons = [c.epsilon for c in certificates]
    assert epsilons == sorted(set(epsilons)) and epsilons[-1] <= 1.0
    for c in certificates:
        assert gaussian_curve(c.epsilon, c.deleted_total / 20.0) <= 1e-6 * (1 + 1e-9)
    with pytest.raises(DeletionLimitError, match=f"which is {most} since the training") as refused:
        certify_deletion(OUTPUT, most + 1, 1.0, 1e-6, model=MODEL)
    assert refused.value.deletions == most


def test_nothing_fits_a_promise_that_one_row_exceeds() -> None:
    assert deletions_left(OUTPUT, 1e-3, 1e-9) == 0
    with pytest.raises(DeletionLimitError, match="which is 0 since the training"):
        certify_deletion(OUTPUT, 1, 1e-3, 1e-9, model=MODEL)


def test_the_record_survives_json_and_notices_changes() -> None:
    certificate = certify_deletion(DESCENT, 2, 1.0, 1e-6, model=np.arange(6.0).reshape(3, 2))
    assert DeletionCertificate.from_json(certificate.to_json()) == certificate
    assert DeletionCertificate.from_json(certificate.to_json(indent=2)) == certificate
    assert "2 rows deleted" in str(certificate) and "T10" in certificate.claims
    fields = json.loads(certificate.to_json())
    for name, value in (("epsilon", 0.1), ("deleted_total", 1), ("epsilon", "small"), ("schema", "other/1")):
        with pytest.raises(CertificateFormatError):
            DeletionCertificate.from_json(json.dumps(fields | {name: value}))
    with pytest.raises(CertificateFormatError, match="unknown fields: extra"):
        DeletionCertificate.from_json(json.dumps(fields | {"extra": 1}))
    with pytest.raises(CertificateFormatError, match="not JSON"):
        DeletionCertificate.from_json("{")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    certificate = certify_deletion(OUTPUT, 1, 1.0, 1e-6, model=MODEL)
    certificate.save(path)
    assert DeletionCertificate.load(path) == certificate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"deleted": 0}, "deleted must be a number of rows of at least 1"),
        ({"deleted": True}, "deleted must be a number"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"epsilon": math.inf}, "epsilon must be positive and finite"),
        ({"delta": 0.0}, "delta must lie strictly between 0 and 1"),
        ({"model": "model.bin"}, "model must be the released weights or the 64 hexadecimal digits"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    given = {"deleted": 1, "epsilon": 1.0, "delta": 1e-6, "model": MODEL} | arguments
    with pytest.raises(ValueError, match=message):
        certify_deletion(OUTPUT, **given)  # type: ignore[arg-type]


def test_a_guarantee_for_replaced_rows_deletes_nothing() -> None:
    replaced = dataclasses.replace(OUTPUT, relation="replace")
    with pytest.raises(ValueError, match="says nothing about a missing row"):
        certify_deletion(replaced, 1, 1.0, 1e-6, model=MODEL)


def test_counts_may_be_numpys() -> None:
    one, two = (certify_deletion(OUTPUT, deleted, 1.0, 1e-6, model=MODEL) for deleted in (1, np.int64(1)))  # type: ignore[arg-type]
    assert one.to_json() == two.to_json()
    assert type(deletions_left(OUTPUT, 1.0, 1e-6, deleted=np.int64(1))) is int  # type: ignore[arg-type]


def test_bad_counts() -> None:
    with pytest.raises(ValueError, match="deleted must be a number of rows, 0 or more"):
        deletions_left(OUTPUT, 1.0, 1e-6, deleted=-1)
    with pytest.raises(ValueError, match="rows must be a number of rows of at least 1"):
        deletion_delta(OUTPUT, 1.0, 0)


def test_a_head_on_a_private_extractor_gains_from_the_groups_own_bound() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    features = extractor_provenance(DESCENT, "network", MODEL, delta=1e-8)
    assert (features.epsilon, features.delta) == (DESCENT.epsilon(1e-8, 1), 1e-8)
    model = CertifiedLogisticRegression(noise_std=1e-3, epsilon=1.0, delta=1e-6, features=features).fit(X, y)
    head = model.remove([3, 4, 5])
    extractor = certify_deletion(DESCENT, 3, 2.0, head.full_delta - head.delta, model=MODEL)
    epsilon, delta = with_head(extractor, head)
    assert extractor.epsilon < 3 * features.epsilon
    assert epsilon == pytest.approx(extractor.epsilon + head.epsilon) and epsilon < head.full_epsilon
    assert delta == pytest.approx(head.full_delta, rel=1e-6)
    with pytest.raises(ValueError, match="3 were removed from the head"):
        with_head(certify_deletion(DESCENT, 2, 2.0, 1e-8, model=MODEL), head)
    with pytest.raises(ValueError, match="features_digest is another model's"):
        with_head(dataclasses.replace(extractor, model="6" * 64), head)
