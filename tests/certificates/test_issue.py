"""What a certificate says about a release: every field from its source, and the budget it was issued under."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from certified.bounds.distance import DistanceBound
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import weights_commitment
from certified.certificates.issue import Event, issue
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Logistic, Loss
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.version import __version__
from tests.estimators.reference import told

Array = npt.NDArray[np.float64]

NONCE = bytes(range(32))
EVENT = Event("remove", 2, 0, 5, 3, ("a", "b"), "c0ffee", b"\x01\x02", ("assumed",))
BOUND = DistanceBound(1e-9, "T2w", 1e-12, 1e-15, 0.5, 3, ("T2", "T2w", "T1", "T12"))
WEIGHTS = np.array([[0.123456789012345], [-1.98765432109876], [0.5123456789012]])
RELEASED = WEIGHTS + 1e-3
BUDGET = ReleaseBudget.create(1.0, 1e-6, 1e-6, 10)


def objective(loss: Loss = LOGISTIC, fit_intercept: bool = True) -> Objective:
    features = np.array([[3.0, 4.0], [1.0, 0.0], [30.0, 40.0], [0.0, 1.0]])
    rows = Rows.from_arrays(features, np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([1.0, 2.0, 0.0, 1.0]))
    return Objective(loss, rows, 0.25, fit_intercept)


def issued(**changes: Any) -> Certificate:
    arguments: dict[str, Any] = {
        "event": EVENT,
        "objective": objective(),
        "bound": BOUND,
        "before": BUDGET,
        "l2_scaling": "per_sample",
        "l2_strength": 0.0625,
        "noise": "rounded_gaussian",
        "released": RELEASED,
        "weights": WEIGHTS,
        "nonce": NONCE,
    }
    return issue(**(arguments | changes))


def test_every_field_comes_from_its_source() -> None:
    certificate = issued()
    after = BUDGET.spend(BOUND.value)
    assert (certificate.event, certificate.removed_count, certificate.added_count) == ("remove", 2, 0)
    assert (certificate.removed_total, certificate.remaining_count, certificate.classes) == (5, 3, ("a", "b"))
    assert (certificate.rows_commitment, certificate.salt) == ("c0ffee", "0102")
    assert (certificate.epsilon, certificate.delta, certificate.noise_std) == (1.0, 1e-6, 1e-6)
    assert (certificate.mu_before, certificate.mu, certificate.releases) == (0.0, after.mu_spent, 1)
    assert certificate.distance_target == BUDGET.target
    assert (certificate.distance_bound, certificate.distance_claim) == (1e-9, "T2w")
    assert (certificate.gradient_residual, certificate.rounding_error, certificate.curvature) == (1e-12, 1e-15, 0.5)
    assert (certificate.loss, certificate.self_concordance) == ("logistic", 1.0)
    assert (certificate.derivative_limit, certificate.curvature_limit) == (1.0, 0.25)
    assert (certificate.l2_scaling, certificate.l2_strength, certificate.alpha) == ("per_sample", 0.0625, 0.25)
    assert (certificate.n_features, certificate.n_outputs, certificate.fit_intercept) == (2, 1, True)
    assert certificate.released_commitment == weights_commitment(b"", RELEASED)
    assert certificate.weights_commitment == weights_commitment(NONCE, WEIGHTS)
    assert certificate.library_version == __version__
    assert "assumed" in certificate.assumptions
    assert abs(datetime.fromisoformat(certificate.issued_at) - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize(("fit_intercept", "norm"), [(True, 26.0**0.5), (False, 5.0)])
def test_the_norm_bound_is_of_rows_that_count(fit_intercept: bool, norm: float) -> None:
    certificate = issued(objective=objective(fit_intercept=fit_intercept), weights=WEIGHTS, released=RELEASED)
    assert norm <= certificate.row_norm_bound <= norm * (1.0 + 1e-12)


@pytest.mark.parametrize(
    ("loss", "claims"),
    [
        (LOGISTIC, ("T0",)),
        (LOGISTIC, ("T1", "T12")),
        (LOGISTIC, ("T2", "T2f", "T12")),
        (LOGISTIC, ("T2", "T2s", "T2w", "T12b")),
        (SQUARED, ("T1", "T12")),
    ],
)
def test_the_claims_are_those_relied_upon(loss: Loss, claims: tuple[str, ...]) -> None:
    certificate = issued(bound=replace(BOUND, claims=claims), objective=objective(loss))
    constants = {"C-logistic", "T12e"} if loss is LOGISTIC else {"C-squared"}
    assert set(certificate.claims) == {"T3", "T4", "T12", "T13", "T16", *constants, *claims}
    assert list(certificate.claims) == sorted(set(certificate.claims))


def test_a_loss_from_outside_is_its_author_s_word() -> None:
    known, own = issued(), issued(objective=objective(Logistic(name="own")))
    (word,) = set(own.assumptions) - set(known.assumptions)
    assert "the loss 'own'" in word and "no claim of this library proves" in word
    assert set(known.claims) - set(own.claims) == {"C-logistic", "T12e"} and own.loss == "own"


def test_idealised_noise_is_named_and_rests_on_no_sampler_claim() -> None:
    exact, idealised = issued(), issued(noise="idealized_gaussian")
    assert "T13" in exact.claims
    assert "T13" not in idealised.claims
    assert not any("idealized_noise" in text for text in exact.assumptions)
    assert any("idealized_noise" in text for text in idealised.assumptions)
    assert set(exact.assumptions) < set(idealised.assumptions)


def test_releases_compose() -> None:
    budget = BUDGET
    for count in range(1, 6):
        certificate = issued(before=budget)
        budget = budget.spend(BOUND.value)
        assert (certificate.releases, certificate.mu) == (count, budget.mu_spent)
        assert certificate.mu > certificate.mu_before


def test_a_distance_beyond_the_budget_gets_no_certificate() -> None:
    with pytest.raises(ValueError, match="release budget"):
        issued(bound=replace(BOUND, value=1.0))


@pytest.mark.parametrize("value", [np.nan, -1e-9, np.inf])
def test_a_distance_that_is_no_distance_gets_no_certificate(value: float) -> None:
    with pytest.raises(ValueError, match="distance"):
        issued(bound=replace(BOUND, value=value))


def test_no_weights_have_a_certificate() -> None:
    rows = Rows.from_arrays(np.ones((2, 2)), np.zeros((2, 0)), np.ones(2))
    none = np.zeros((3, 0))
    certificate = issued(
        objective=Objective(LOGISTIC, rows, 1.0, True),
        bound=DistanceBound(0.0, "T0", 0.0, 0.0, np.inf, 0, ("T0",)),
        released=none,
        weights=none,
    )
    assert (certificate.n_outputs, certificate.mu, certificate.curvature) == (0, 0.0, np.inf)
    assert Certificate.from_json(certificate.to_json()) == certificate


def test_a_certificate_survives_json_and_tells_no_weight() -> None:
    certificate = issued()
    text = certificate.to_json()
    assert Certificate.from_json(text) == certificate
    assert told(repr(WEIGHTS.tolist()), WEIGHTS) == WEIGHTS.ravel().tolist()
    assert not told(text + repr(certificate), np.vstack([WEIGHTS, RELEASED]))


def test_a_linear_term_gets_no_certificate() -> None:
    with pytest.raises(ValueError, match="linear term"):
        issued(objective=replace(objective(), linear=np.ones((3, 1))))
