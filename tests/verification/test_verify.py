"""What an auditor may rely on: genuine certificates pass, and no altered field, row or weight does."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests, rows_commitment, weights_commitment
from certified.certificates.statements import IDEALIZED_NOISE
from certified.verification.losses import REGRESSIONS
from certified.verification.report import VerificationError
from certified.verification.verify import verify
from tests.estimators.reference import told
from tests.oracle import Problem, minimise
from tests.verification.cases import NONCE, SALT, Case, make_case, restated

Array = npt.NDArray[np.float64]

GENUINE: dict[str, dict[str, Any]] = {
    "plain": {},
    "fit": {"removal": False},
    "intercept": {"fit_intercept": True},
    "per sample": {"l2_scaling": "per_sample", "l2_strength": 0.01},
    "weighted": {"weighted": True, "l2_scaling": "per_sample", "fit_intercept": True},
    "three classes": {"classes": ("a", "b", "c"), "fit_intercept": True},
    "strings": {"classes": ("no", "yes")},
    "booleans": {"classes": (False, True)},
    "floats": {"classes": (-1.0, 1.0)},
    "one class": {"classes": (7,)},
    "no rows": {"n": 2, "classes": (7,)},
    "several releases planned": {"max_releases": 9},
    "idealised": {"noise": "idealized_gaussian"},
    "squared": {"loss": "squared"},
    "squared with intercept": {"loss": "squared", "fit_intercept": True, "weighted": True},
    "two targets": {"loss": "squared", "targets": 2, "fit_intercept": True},
    "no rows, two targets": {"loss": "squared", "targets": 2, "n": 2},
    "factorised": {"sharpened": True, "l2_strength": 1e-6},
    "factorised with intercept": {"sharpened": True, "fit_intercept": True, "classes": ("a", "b", "c")},
    "no penalty": {"sharpened": True, "l2_strength": 0.0, "fit_intercept": True},
    "witness": {"shift": 1e-5, "l2_strength": 1e-3},
    "witness with intercept": {"shift": 1e-5, "fit_intercept": True, "classes": (0, 1, 2)},
    "ledger": {"ledger": True, "target": 0.1, "noise_std": 1.0, "n": 200},
    "ledger with intercept": {"ledger": True, "fit_intercept": True, "weighted": True, "classes": ("a", "b", "c")},
    "ledger, squared": {"ledger": True, "loss": "squared", "targets": 2, "fit_intercept": True},
    "squared witness": {"loss": "squared", "targets": 2, "shift": 1e-5},
    "poisson": {"loss": "poisson", "fit_intercept": True, "weighted": True},
    "poisson witness": {"loss": "poisson", "shift": 1e-5, "fit_intercept": True},
    "gamma": {"loss": "gamma", "l2_scaling": "per_sample", "l2_strength": 0.01},
    "gamma, factorised with intercept": {"loss": "gamma", "sharpened": True, "fit_intercept": True, "l2_strength": 0.0},
    "ledger, gamma": {"ledger": True, "loss": "gamma", "fit_intercept": True, "target": 0.1, "noise_std": 1.0},
    "hinge": {"loss": "huberised_hinge/0.5", "fit_intercept": True},
    "hinge, three classes": {"loss": f"huberised_hinge/{2.0**-10}", "classes": ("a", "b", "c"), "weighted": True},
    "hinge, shifted": {"loss": "huberised_hinge/1.0", "shift": 1e-6, "fit_intercept": True},
    "hinge, one class": {"loss": "huberised_hinge/0.5", "classes": (7,), "fit_intercept": True},
}


@pytest.mark.parametrize("options", GENUINE.values(), ids=GENUINE)
def test_a_genuine_certificate_is_confirmed(options: dict[str, Any]) -> None:
    report = make_case(**options).verify()
    assert report.ok, str(report)
    assert not report.skipped


def test_the_cases_cover_every_claim() -> None:
    certificates = [make_case(**options).certificate for options in GENUINE.values()]
    assert {c.distance_claim for c in certificates} == {"T0", "T1", "T2", "T2w", "T6"}
    assert {c.event for c in certificates} == {"fit", "remove"}
    structural = make_case(**GENUINE["witness"]).certificate.alpha
    assert make_case(**GENUINE["witness"]).certificate.curvature > structural


@settings(max_examples=25)
@given(
    loss=st.sampled_from(["logistic", "squared"]),
    ledger=st.booleans(),
    fit_intercept=st.booleans(),
    weighted=st.booleans(),
    strength=st.floats(-6.0, 3.0),
    shift=st.sampled_from([0.0, 1e-12, 1e-6]),
    seed=st.integers(0, 10_000),
)
def test_every_certificate_of_the_library_is_confirmed(
    loss: str, ledger: bool, fit_intercept: bool, weighted: bool, strength: float, shift: float, seed: int
) -> None:
    case = make_case(
        loss,
        ledger=ledger,
        fit_intercept=fit_intercept,
        weighted=weighted,
        l2_strength=10.0**strength,
        shift=shift,
        noise_std=1.0,
        seed=seed,
    )
    report = case.verify()
    assert report.ok, str(report)


def test_what_is_not_given_is_not_examined() -> None:
    case = make_case()
    report = case.verify(nonce=None, released=None)
    assert report.ok
    assert {check.name for check in report.skipped} == {
        *("rows_commitment", "weights_commitment"),
        *("released_commitment", "released_noise"),
    }


def test_the_order_of_rows_does_not_matter() -> None:
    case = make_case(weighted=True, fit_intercept=True)
    order = np.random.default_rng(1).permutation(len(case.X))
    assert case.verify(X=case.X[order], y=case.y[order], sample_weight=case.sample_weight[order])


def test_every_pass_reports_its_progress() -> None:
    seen: list[tuple[int, int]] = []
    case = make_case()
    assert case.verify(progress=lambda done, rows: seen.append((done, rows)))
    # For the digests, the row norms and the sums.
    assert seen == [(len(case.X), len(case.X))] * 3


# --- Altered certificates: one field at a time, with a digest that fits ------------------------------------------

Change = Callable[[Any], Any]


def _scaled(factor: float) -> Change:
    return lambda value: value * factor


def _to(value: Any) -> Change:
    return lambda _: value


ALTERED: dict[str, list[Change]] = {
    "event": [_to("add"), _to("fit"), _to("correct"), _to("release"), _to("refit")],
    "epsilon": [_scaled(0.5), _scaled(0.999), _scaled(1.001), _scaled(2.0), _to(-1.0), _to(np.inf), _to(np.nan)],
    "delta": [_scaled(0.5), _scaled(0.999), _scaled(1.001), _to(0.0), _to(1.0), _to(np.nan)],
    "mu": [_scaled(0.999999), _scaled(1.000001), _to(0.0), _to(-1.0), _to(np.inf)],
    "mu_before": [_scaled(0.5), _scaled(2.0), _to(0.0), _to(-1.0)],
    "releases": [_to(1), _to(0), _to(2.0)],
    "distance_bound": [_scaled(0.9), _scaled(1.1), _to(0.0), _to(-1.0), _to(np.inf)],
    "distance_target": [_scaled(0.99), _scaled(1.01), _to(0.0), _to(np.inf)],
    "distance_claim": [_to("T0"), _to("T1"), _to("T2"), _to("T2w"), _to("T3")],
    "gradient_residual": [_scaled(0.5), _scaled(1.001), _to(0.0), _to(np.nan)],
    "rounding_error": [_to(0.0), _to(1.0), _to(-1.0)],
    "curvature": [_scaled(2.0), _scaled(10.0), _scaled(0.9), _to(np.inf), _to(0.0)],
    "noise_std": [_scaled(0.9), _scaled(1.1), _scaled(1e3), _to(0.0), _to(np.inf)],
    "noise": [_to("idealized_gaussian"), _to("rounded_gaussian"), _to("laplace")],
    "loss": [_to("squared"), _to("logistic"), _to("hinge")],
    "self_concordance": [_scaled(0.5), _to(2.0), _to(0.0), _to(1.0)],
    "derivative_limit": [_to(0.5), _to(np.inf), _to(1.0)],
    "curvature_limit": [_to(0.5), _to(0.25), _to(1.0)],
    "row_norm_bound": [_scaled(0.999999), _scaled(1.00001), _to(0.0), _to(np.inf)],
    "l2_scaling": [_to("total"), _to("per_sample"), _to("mean")],
    "l2_strength": [_scaled(0.5), _scaled(1.0 + 1e-15), _to(np.nan)],
    "alpha": [_scaled(0.5), _scaled(1.0 + 1e-15), _scaled(2.0)],
    "fit_intercept": [_to(True), _to(False), _to(1)],
    "n_features": [_to(2), _to(4), _to(0)],
    "n_outputs": [_to(0), _to(2), _to(3), _to(-1)],
    "classes": [_to(()), _to((0,)), _to((1, 0)), _to((0, 2)), _to((0, 1, 2)), _to((False, True)), _to((0.0, 1.0))],
    "remaining_count": [_scaled(2), _to(57), _to(0), _to(-1)],
    "removed_count": [_to(0), _to(3), _to(-1)],
    "added_count": [_to(1), _to(-1)],
    "removed_total": [_to(0), _to(1), _to(-1)],
    "features": [_to("public"), _to("dp"), _to("given"), _to("trained_on_rows"), _to("private")],
    "features_name": [_to("other"), _to(""), _to(" ")],
    "features_digest": [_to("0" * 64), _to(""), _to("xyz")],
    "features_epsilon": [_to(0.0), _to(0.25), _scaled(1.0 + 1e-15), _to(-1.0), _to(np.inf), _to(np.nan)],
    "features_delta": [_to(0.0), _to(1e-9), _scaled(1.0 + 1e-15), _to(-1.0), _to(1.0), _to(np.nan)],
    "full_epsilon": [_scaled(1.0 - 1e-15), _scaled(1.001), _to(0.0), _to(-1.0), _to(np.inf), _to(np.nan)],
    "full_delta": [_scaled(1.0 - 1e-15), _scaled(1.001), _to(0.0), _to(-1.0), _to(1.0), _to(np.nan)],
    "rows_commitment": [_to("0" * 64), _to(""), _to("xyz")],
    "salt": [_to("00" * 16), _to(""), _to("xy")],
    "released_commitment": [_to("0" * 64), _to("")],
    "weights_commitment": [_to("0" * 64), _to("")],
    "claims": [_to(()), lambda v: v[1:], lambda v: v[:-1], lambda v: (*v, "T99"), lambda v: v[::-1]],
    "assumptions": [_to(()), lambda v: v[1:], lambda v: (IDEALIZED_NOISE, *v), lambda v: (*v, "")],
    "threat_model": [_to("none"), lambda v: v.replace("every", "one")],
    "reference": [_to("none"), lambda v: v.replace("remaining", "original")],
    "issued_at": [_to("yesterday"), _to("2999-01-01T00:00:00+00:00"), _to("2025-01-01T00:00:00")],
    "library_version": [_to(""), _to("latest")],
    "schema": [_to("certified-removal/0"), _to("")],
}
SUBJECTS = ("plain", "squared with intercept", "witness", "several releases planned", "ledger")
IMMATERIAL = {
    *(("witness", "curvature", 2), ("witness", "mu_before", 0)),
    *(("ledger", "curvature", 2), *(("ledger", "mu_before", i) for i in range(3))),
    *(("ledger", "gradient_residual", 0), ("ledger", "gradient_residual", 1), ("ledger", "rounding_error", 0)),
}
"""A smaller curvature is true, and neither a witness's bound nor T6's tells which was used; mu_before² is lost in mu².
The residual of T6 bounds more than ‖∇F(W)‖, so others between are as true."""


def _alterations() -> list[Any]:
    return [
        pytest.param(subject, name, change, id=f"{subject}-{name}-{i}")
        for subject in SUBJECTS
        for name, changes in ALTERED.items()
        for i, change in enumerate(changes)
        if (subject, name, i) not in IMMATERIAL
    ]


def test_every_field_is_altered() -> None:
    assert set(ALTERED) == {field.name for field in dataclasses.fields(Certificate)}


@pytest.mark.parametrize(("subject", "name", "change"), _alterations())
def test_no_altered_field_is_confirmed(subject: str, name: str, change: Change) -> None:
    case = make_case(**GENUINE[subject])
    value = getattr(case.certificate, name)
    altered = change(value)
    if altered == value and type(altered) is type(value):
        return
    report = case.with_certificate(**{name: altered}).verify()
    assert not report.ok, str(report)


@pytest.mark.parametrize(
    ("name", "altered"),
    [
        ("issued_at", "2024-02-29T12:00:00+00:00"),
        ("library_version", "0.0.9rc1"),
        ("releases", 5),
        ("removed_total", 50),
    ],
)
def test_what_only_the_issuer_knows_is_not_refuted(name: str, altered: Any) -> None:
    """The documented exceptions: nothing that an auditor holds speaks against these values."""
    assert make_case().with_certificate(**{name: altered}).verify()


@pytest.mark.parametrize("subject", ["one class", "no rows", "no rows, two targets"])
@pytest.mark.parametrize(
    "changes",
    [
        {"distance_claim": "T1"},
        {"gradient_residual": 1.0},
        {"rounding_error": 1.0},
        {"curvature": 1.0},
        {"row_norm_bound": 100.0},
    ],
)
def test_no_altered_degenerate_certificate_is_confirmed(subject: str, changes: dict[str, Any]) -> None:
    assert not make_case(**GENUINE[subject]).with_certificate(**changes).verify()


@pytest.mark.parametrize(("spent", "failures"), [(0.23, {"target"}), (0.3, {"target", "privacy"})])
def test_an_exhausted_budget_is_not_stretched(spent: float, failures: set[str]) -> None:
    """(ε, δ) = (1, 1e-6) permits μ = 0.2367 in all."""
    case = make_case()
    stretched = restated(case.with_certificate(mu_before=spent), distance_bound=case.certificate.distance_bound)
    assert {check.name for check in stretched.verify().failures} == failures


# --- Forged certificates: every field fits every other, but the claim is false ----------------------------------


def _distance(case: Case) -> float:
    """‖W − W*‖_F from an independent exact minimiser."""
    c = case.certificate
    targets = case.y.reshape(len(case.y), -1) if c.loss in REGRESSIONS else np.where(case.y == 1, 1.0, -1.0)[:, None]
    problem = Problem(c.loss, case.X, targets, case.sample_weight, c.alpha, c.fit_intercept)
    return float(minimise(problem).distance(case.weights))


@pytest.mark.parametrize("loss", ["logistic", *REGRESSIONS])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_distance_below_the_truth_is_not_confirmed(loss: str, fit_intercept: bool) -> None:
    case = make_case(loss, fit_intercept=fit_intercept, shift=1e-5)
    truth = _distance(case)
    assert 0.5 * case.certificate.distance_bound < truth <= case.certificate.distance_bound
    for share in (0.9, 0.999):
        report = restated(case, distance_bound=share * truth).verify()
        assert {check.name for check in report.failures} == {"distance_bound"}


@pytest.mark.parametrize("claim", ["T1", "T2", "T2w", "T6"])
def test_a_hinge_is_confirmed_by_t1_alone(claim: str) -> None:
    case = make_case(**GENUINE["hinge, shifted"])
    assert case.certificate.distance_claim == "T1"
    truth = _distance(case)
    assert 0.0 < truth <= case.certificate.distance_bound
    assert not restated(case, distance_bound=0.999 * truth).verify()
    assert case.with_certificate(distance_claim=claim).verify().ok == (claim == "T1")
    further = {"T1": set(), "T2": {"T2"}, "T2w": {"T2", "T2w"}, "T6": {"T2", "T6", "T6a"}}[claim]
    claims = tuple(sorted({*case.certificate.claims, *further}))
    report = case.with_certificate(distance_claim=claim, claims=claims).verify()
    assert report.ok == (claim == "T1"), str(report)


@pytest.mark.parametrize(("loss", "target"), [("poisson", -1.0), ("gamma", 0.0), ("gamma", -2.0)])
def test_targets_that_make_the_loss_no_loss_are_refused(loss: str, target: float) -> None:
    case = make_case(**GENUINE[loss])
    y = case.y.copy()
    y[np.argmax(case.sample_weight > 0.0)] = target
    failures = case.verify(y=y).failures
    assert any("targets for" in check.detail for check in failures)


def test_figures_of_the_ledger_below_the_truth_are_not_confirmed() -> None:
    case = make_case(**GENUINE["ledger"])
    truth = _distance(case)
    assert 0.0 < truth <= case.certificate.distance_bound
    report = restated(case, distance_bound=0.99 * truth).verify()
    assert {check.name for check in report.failures} == {"distance_bound", "distance_claim"}
    report = case.with_certificate(gradient_residual=0.9 * case.certificate.alpha * truth, rounding_error=0.0).verify()
    assert {check.name for check in report.failures} == {"gradient_residual"}


def test_a_residual_below_the_truth_is_not_confirmed() -> None:
    case = make_case(shift=1e-5)
    c = case.certificate
    forged = restated(
        case,
        distance_bound=1e-9,
        distance_claim="T1",
        gradient_residual=1e-9 * c.alpha,
        rounding_error=1e-20,
        curvature=c.alpha,
    ).with_certificate(claims=tuple(sorted({*c.claims, "T1"} - {"T2", "T2w", "T2f"})))
    assert {check.name for check in forged.verify().failures} == {"gradient_residual", "distance_bound"}


def test_a_curvature_above_the_truth_is_not_confirmed() -> None:
    case = make_case(shift=1e-5, l2_strength=1e-3)
    x = case.X
    share = 1.0 / (1.0 + np.exp(-(x @ case.weights)))
    smallest = np.linalg.eigvalsh((x * share * (1.0 - share)).T @ x + case.certificate.alpha * np.eye(3))[0]
    assert case.with_certificate(curvature=float(0.999 * smallest)).verify()
    assert not case.with_certificate(curvature=float(1.001 * smallest)).verify()


def _altered_rows(case: Case, change: str) -> dict[str, Any]:
    X, y, c = case.X.copy(), case.y.copy(), case.sample_weight.copy()
    if change == "row":
        X[3] = X[4]
    elif change == "entry":
        X[3, 1] = np.nextafter(X[3, 1], 9.0)
    elif change == "label":
        y[3] = 1 - y[3]
    elif change == "weight":
        c[3] *= 1.01
    elif change == "labels swapped":
        i, j = np.flatnonzero(y == 0)[0], np.flatnonzero(y == 1)[0]
        y[i], y[j] = y[j], y[i]
    elif change == "dropped":
        X, y, c = X[1:], y[1:], c[1:]
    elif change == "extra":
        X, y, c = np.vstack([X, X[:1]]), np.append(y, y[0]), np.append(c, 0.0)
    return {"X": X, "y": y, "sample_weight": c}


@pytest.mark.parametrize("change", ["row", "entry", "label", "weight", "labels swapped", "dropped", "extra"])
def test_other_rows_are_not_confirmed(change: str) -> None:
    case = make_case(fit_intercept=True)
    rows = _altered_rows(case, change)
    assert "rows_commitment" in {check.name for check in case.verify(**rows).failures}


@pytest.mark.parametrize("change", ["row", "label", "weight", "labels swapped", "dropped"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_other_rows_are_not_confirmed_under_a_forged_commitment(change: str, fit_intercept: bool) -> None:
    """The arithmetic itself tells: these weights are not the minimiser on those rows."""
    case = make_case(fit_intercept=fit_intercept)
    rows = _altered_rows(case, change)
    digests = row_digests(SALT, rows["X"], rows["y"].tolist(), rows["sample_weight"])
    forged = case.with_certificate(rows_commitment=rows_commitment(NONCE, digests), remaining_count=len(rows["X"]))
    failures = {check.name for check in forged.verify(**rows).failures}
    assert {"gradient_residual", "distance_bound"} <= failures
    assert "rows_commitment" not in failures


def test_other_weights_are_not_confirmed() -> None:
    case = make_case()
    moved = case.weights + 1e-6
    report = case.verify(weights=moved)
    assert {"gradient_residual", "distance_bound", "weights_commitment"} <= {check.name for check in report.failures}
    assert not case.verify(nonce=NONCE[::-1])
    assert not case.verify(weights=np.zeros((4, 1)), released=None)


@pytest.mark.parametrize("factor", [0.0, 1e-6, 100.0, np.nan])
def test_an_implausible_release_is_not_confirmed(factor: float) -> None:
    case = make_case()
    released = case.weights + factor * (case.released - case.weights)
    forged = case.with_certificate(released_commitment=weights_commitment(b"", released))
    assert {check.name for check in forged.verify(released=released).failures} == {"released_noise"}


def test_another_release_is_not_confirmed() -> None:
    case = make_case()
    released = case.released[::-1].copy()
    assert "released_commitment" in {check.name for check in case.verify(released=released).failures}


def test_noise_below_the_spacing_of_floats_is_plausible() -> None:
    case = make_case()
    released = case.weights.copy()
    tiny = case.with_certificate(noise_std=1e-19, released_commitment=weights_commitment(b"", released))
    assert "released_noise" not in {check.name for check in tiny.verify(released=released).failures}


@pytest.mark.parametrize(
    "y",
    [
        np.array(["a", 1, None], dtype=object)[np.arange(58) % 3],
        np.array(["a", 1], dtype=object)[np.arange(58) % 2],
        np.zeros((58, 2)),
    ],
    ids=["no labels", "no order", "two columns"],
)
def test_labels_of_another_kind_are_not_confirmed(y: npt.NDArray[Any]) -> None:
    assert "classes" in {check.name for check in make_case().verify(y=y).failures}


def test_targets_that_are_no_numbers_are_not_confirmed() -> None:
    case = make_case("squared")
    assert "classes" in {check.name for check in case.verify(y=np.full(len(case.X), "a")).failures}


# --- Unusable input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("certificate", {"epsilon": 1.0}, TypeError),
        ("X", np.full((58, 3), np.nan), ValueError),
        ("X", np.full((58, 3), 1e61), ValueError),
        ("X", np.zeros(58), ValueError),
        ("X", np.full((58, 3), "a"), TypeError),
        ("y", np.zeros(57), ValueError),
        ("y", np.zeros((58, 1, 1)), ValueError),
        ("y", np.full(58, np.inf), ValueError),
        ("y", np.full(58, 1j), TypeError),
        ("weights", None, TypeError),
        ("weights", np.zeros((3, 1), dtype=np.float32), TypeError),
        ("weights", [[0.0], [0.0], [0.0]], TypeError),
        ("weights", np.zeros(3), TypeError),
        ("weights", np.full((3, 1), np.nan), ValueError),
        ("weights", np.zeros((5, 1)), ValueError),
        ("sample_weight", np.ones(57), ValueError),
        ("sample_weight", -np.ones(58), ValueError),
        ("sample_weight", np.full(58, np.nan), ValueError),
        ("released", np.zeros((3, 2)), ValueError),
        ("released", np.zeros((3, 1), dtype=np.float32), TypeError),
        ("nonce", "00" * 32, TypeError),
    ],
)
def test_unusable_input_is_named(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{name} "):
        make_case().verify(**{name: value})


@pytest.mark.parametrize(
    "convert",
    [lambda a: a.tolist(), lambda a: np.asfortranarray(a), lambda a: a.astype(object) if a.ndim == 1 else a],
    ids=["lists", "column order", "objects"],
)
def test_rows_may_come_in_any_container(convert: Change) -> None:
    case = make_case(classes=("no", "yes"))
    assert case.verify(X=convert(case.X), y=convert(case.y))


# --- The report -------------------------------------------------------------------------------------------------


def test_the_report_names_what_failed() -> None:
    case = make_case()
    report = case.with_certificate(mu=2.0 * case.certificate.mu).verify(nonce=None)
    assert not report
    assert [check.name for check in report.failures] == ["composition"]
    with pytest.raises(VerificationError, match="composition: mu is larger"):
        report.raise_if_failed()
    case.verify().raise_if_failed()
    text = str(report)
    assert "NOT confirmed: 21 checks passed, 1 failed, 2 not examined" in text
    assert "FAIL  composition" in text and "skip  weights_commitment" in text and "pass  record" in text
    values = json.loads(json.dumps(report.to_dict()))
    assert values["ok"] is False
    assert {"name": "composition", "passed": False, "detail": report.failures[0].detail} in values["checks"]
    assert {c["passed"] for c in values["checks"]} == {True, False, None}


@pytest.mark.parametrize("changes", [{"epsilon": "1"}, {"classes": [0, 1]}, {"n_features": 3.0}, {"noise": None}])
def test_a_malformed_certificate_is_examined_no_further(changes: dict[str, Any]) -> None:
    report = make_case().with_certificate(**changes).verify()
    assert [check.name for check in report.checks] == ["record"]
    assert not report


@pytest.mark.parametrize("subject", GENUINE)
def test_the_report_tells_no_secret(subject: str) -> None:
    case = make_case(**GENUINE[subject])
    reports = [case.verify(), case.with_certificate(distance_bound=0.0).verify(), case.verify(X=case.X + 1.0)]
    for report in reports:
        text = str(report) + repr(report) + json.dumps(report.to_dict())
        secrets = np.concatenate([case.weights.ravel(), case.X.ravel(), np.ravel(case.released)])
        assert not told(text, secrets[np.abs(secrets) > 1e-3])


def test_the_verifier_shares_no_code_with_the_issuer() -> None:
    program = """if True:
        import sys
        import certified.verification.verify
        allowed = {"certified", "certified.version"}
        own = {m for m in sys.modules if m.startswith("certified.")}
        foreign = {m for m in own - allowed if not m.startswith(("certified.certificates", "certified.verification"))}
        assert not foreign, foreign
        assert "certified.certificates.issue" not in own
        assert not {"jax", "jaxlib", "sklearn"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_verify_is_public() -> None:
    import certified

    assert certified.verify is verify


def test_a_certificate_read_back_is_confirmed() -> None:
    case = make_case()
    read = Certificate.from_json(case.certificate.to_json(indent=2))
    assert replace(case, certificate=read).verify()
