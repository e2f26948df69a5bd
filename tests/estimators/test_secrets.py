"""Noise-free weights and rows stay inside: no text that a user, a log or a reader of a certificate sees tells them."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from certified.data.rows import Rows
from certified.estimators import CertifiedLogisticRegression, CertifiedRidge
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.removal import LedgerState, TargetNotReachedError
from certified.solvers import solve
from tests.estimators.reference import Model, told

Array = npt.NDArray[np.float64]

rng = np.random.default_rng(80)
FEATURES = rng.normal(size=(20, 2))
TARGETS = rng.normal(size=20)
LABELS = np.array(["a", "b", "c", "a"] * 5)


def fitted(kind: str, **params: Any) -> Model:
    model = CertifiedRidge(**params) if kind == "ridge" else CertifiedLogisticRegression(**params)
    model.fit(FEATURES, TARGETS if kind == "ridge" else LABELS, ids=[f"row {i}" for i in range(20)])
    model.remove(["row 3"])
    return model


def secrets_of(model: Model) -> Array:
    """Rows, noise-free weights, and what is computed from them on the way."""
    state = model._session.state
    hessians = [h.value for h in state.linearisation.data_hessians]
    assert isinstance(state, LedgerState) and state.anchor is not None
    ledger = [state.anchor.point, state.anchor.gradient.value, *state.inverses]
    parts = [FEATURES, state.weights, state.gradient, state.linearisation.weights, *hessians, *ledger]
    targets = TARGETS if isinstance(model, CertifiedRidge) else np.zeros(0)
    values = np.concatenate([targets, *(np.ravel(part) for part in parts)])
    return values[values != np.round(values)]


def inside(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every object of this package that is reachable from ``value``."""
    if id(value) in seen or value is None or isinstance(value, bool | int | float | str | bytes):
        return
    seen.add(id(value))
    if type(value).__module__.startswith("certified."):
        yield value
        for part in vars(value).values():
            yield from inside(part, seen)
    elif isinstance(value, dict):
        for part in value.values():
            yield from inside(part, seen)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from inside(part, seen)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_no_object_shows_a_secret(kind: str) -> None:
    model = fitted(kind)
    secrets = secrets_of(model)
    assert told(repr(secrets.tolist()), secrets) == secrets.tolist()
    objects = list(inside(model, set()))
    kinds = {type(value).__name__ for value in objects}
    assert {"HeldSession", "LedgerState", "Anchor", "Rows", "Objective", "Exchanged", "Enclosure", "RowIndex"} <= kinds
    for value in (*objects, model.audit_bundle(), model.update_info_):
        assert not told(f"{value!r} {value!s}", secrets), type(value).__name__
    assert not told(model._repr_html_() or "", secrets)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_a_certificate_tells_no_row_and_no_weight(kind: str) -> None:
    model = fitted(kind)
    certificate = model.certificate_
    text = certificate.to_json(indent=2) + certificate.to_json() + json.dumps(certificate.to_dict()) + repr(certificate)
    assert not told(text, secrets_of(model))
    assert "row 3" not in text
    assert "row 4" not in text
    assert model.audit_bundle().nonce.hex() not in text


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_public_attributes_hold_released_weights_alone(kind: str) -> None:
    model = fitted(kind, noise_std=1e-3)
    public = {name: value for name, value in vars(model).items() if not name.startswith("_")}
    assert "coef_" in public
    plain = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in public.items()}
    assert not told(repr(plain), secrets_of(model))
    assert told(repr(plain), model.audit_bundle().released)


def test_a_released_array_is_the_callers_own() -> None:
    model = fitted("ridge")
    released = model.audit_bundle().released.copy()
    model.coef_[:] = 0.0
    bundle = model.audit_bundle()
    bundle.weights[:] = 0.0
    bundle.released[:] = 0.0
    assert np.array_equal(model.audit_bundle().released, released)
    assert model.audit_bundle().weights.any()


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_a_refused_release_tells_no_secret(kind: str) -> None:
    model = fitted(kind)
    with pytest.raises(TargetNotReachedError) as caught:
        fitted(kind, noise_std=1e-25)
    error = caught.value
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.bound) + repr(error.args)
    assert not told(text, secrets_of(model))


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_nothing_is_logged_or_printed(
    kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        model = fitted(kind)
        model.add(FEATURES[:1], [LABELS[0]] if kind == "logistic" else TARGETS[:1])
        model.correct(["row 5"], FEATURES[:1], [LABELS[0]] if kind == "logistic" else TARGETS[:1])
        model.release()
    captured = capfd.readouterr()
    assert not told(caplog.text + captured.out + captured.err, secrets_of(model))
    assert not [record for record in caplog.records if record.name.startswith("certified")]


def test_a_rejected_row_is_not_repeated_in_the_error() -> None:
    alone = np.array([[1.23456789], [-9.87654321]])
    with pytest.raises(ValueError, match="norm_bound") as caught:
        CertifiedRidge(norm_bound=2.0).fit(alone, [0.0, 1.0])
    assert "9.8765" not in str(caught.value)
    for X, y in ((FEATURES + 1j, TARGETS), (FEATURES, TARGETS + 1j)):
        with pytest.raises(ValueError, match=r"[Cc]omplex") as caught:
            CertifiedRidge().fit(X, y)
        assert not told(str(caught.value), np.concatenate([FEATURES.ravel(), TARGETS]), digits=6)
    for X, y in ((FEATURES[1], TARGETS[:1]), ([["1,23456789", "2"]], [0.0]), ([[1.0, 2.0]], ["1,23456789"])):
        with pytest.raises(ValueError, match=r"X|y") as caught:
            CertifiedRidge().fit(X, y)
        assert not told(str(caught.value).replace(",", "."), np.array([*FEATURES[1], 1.23456789]), digits=6)


def test_a_perturbation_and_a_solution_are_not_shown() -> None:
    rows = Rows.from_arrays(FEATURES, np.sign(TARGETS)[:, None], np.ones(20))
    perturbation = rng.normal(size=(2, 1))
    objective = Objective(LOGISTIC, rows, 1.0, False, perturbation)
    solution = solve(objective)
    assert not told(repr(objective) + str(objective), np.concatenate([perturbation.ravel(), FEATURES.ravel()]))
    assert not told(repr(solution) + str(solution), solution.weights)


def test_what_an_update_reports_is_no_array() -> None:
    model = fitted("ridge")
    info = model.update_info_
    assert all(isinstance(value, bool | int | str) for value in dataclasses.astuple(info))
    assert not told(str(info), secrets_of(model))


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_a_pickled_model_does_not_determine_what_left(kind: str) -> None:
    """What the ledger keeps of the time before a deletion gives the row away, so none of it is pickled."""
    model = fitted(kind, noise_std=100.0)
    assert model.update_info_.route == "step"
    state, copy = model._session.state, pickle.loads(pickle.dumps(model))._session.state
    for one, told_apart in ((state, True), (copy, False)):
        assert one.anchor is not None
        hessian = one.linearisation.data_hessians[0].value + np.diagflat(one.linearisation.penalty)
        gap = np.linalg.norm(np.linalg.inv(one.inverses[0]) - hessian) / np.linalg.norm(hessian)
        assert (gap > 1e-6) == told_apart
    assert np.array_equal(copy.anchor.point, copy.weights)
    assert np.array_equal(copy.linearisation.weights, copy.weights)
