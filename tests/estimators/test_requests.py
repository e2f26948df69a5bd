"""Requests taken together: their order, their inverses, their budget, their seeds, and failures in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import rows_commitment
from certified.estimators import CertifiedLogisticRegression, CertifiedRidge, register, session
from certified.privacy import gaussian_mu
from certified.removal import TargetNotReachedError
from tests.estimators.reference import Model, Reference, Row, snapshot, table

Array = npt.NDArray[np.float64]

rng = np.random.default_rng(70)
FEATURES = rng.normal(size=(40, 2))
LABELS = np.array(["a", "b", "c"])[np.arange(40) % 3]
TARGETS = FEATURES @ [2.0, -1.0] + rng.normal(size=40)

BOTH: list[tuple[Callable[..., Model], npt.NDArray[Any]]] = [
    (CertifiedLogisticRegression, LABELS),
    (CertifiedRidge, TARGETS),
]
both = pytest.mark.parametrize(("kind", "y"), BOTH, ids=["logistic", "ridge"])


def apart(one: Model, other: Model) -> float:
    return float(np.linalg.norm(one.audit_bundle().weights - other.audit_bundle().weights))


def bounds(*models: Model) -> float:
    return sum(model.certificate_.distance_bound for model in models)


@both
@pytest.mark.parametrize("l2_scaling", ["total", "per_sample"])
def test_neither_order_nor_batching_matters(kind: Callable[..., Model], y: npt.NDArray[Any], l2_scaling: str) -> None:
    models = [kind(l2_scaling=l2_scaling).fit(FEATURES, y) for _ in range(4)]
    gone = [3, 1, 17, 22, 8]
    models[0].remove(gone)
    for model, order in ((models[1], gone), (models[2], gone[::-1])):
        for key in order:
            model.remove([key])
    retrained = models[3].fit(np.delete(FEATURES, gone, axis=0), np.delete(y, gone, axis=0))
    for model in models[:3]:
        assert model.certificate_.removed_total == 5
        assert model.ids_.tolist() == [k for k in range(40) if k not in gone]
        assert model.certificate_.alpha == retrained.certificate_.alpha
        assert apart(model, retrained) <= bounds(model, retrained)


def committed(model: Model) -> list[bytes]:
    """The digests that the certificate commits to."""
    session = model._session
    assert model.certificate_.rows_commitment == rows_commitment(session.nonce, session.register.ordered)
    return session.register.ordered


@both
def test_a_row_removed_and_added_again_leaves_no_trace(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    model, untouched = kind().fit(FEATURES, y), kind().fit(FEATURES, y)
    before = committed(model)
    model.remove([5])
    assert committed(model) != before
    model.add(FEATURES[[5]], y[[5]], ids=[5])
    assert committed(model) == before
    assert apart(model, untouched) <= bounds(model, untouched)


@both
def test_a_row_added_and_removed_again_leaves_no_trace(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    model, untouched = kind().fit(FEATURES[:30], y[:30]), kind().fit(FEATURES[:30], y[:30])
    before = committed(model)
    model.add(FEATURES[30:], y[30:])
    model.remove(list(range(30, 40)))
    assert committed(model) == before
    assert apart(model, untouched) <= bounds(model, untouched)


@both
def test_a_corrected_row_is_the_new_row(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    features, targets = FEATURES.copy(), y.copy()
    features[[4, 9]], targets[[4, 9]] = FEATURES[[11, 12]] + 0.5, y[[11, 12]]
    model, retrained = kind().fit(FEATURES, y), kind().fit(features, targets)
    model.correct([4, 9], features[[4, 9]], targets[[4, 9]])
    assert apart(model, retrained) <= bounds(model, retrained)
    assert model.ids_.tolist() == list(range(40))


@both
def test_a_correction_without_weights_keeps_them(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    weights = np.where(np.arange(40) < 20, 3.0, 0.5)
    features = FEATURES.copy()
    features[[4, 30]] += 1.0
    model = kind().fit(FEATURES, y, sample_weight=weights)
    retrained = kind().fit(features, y, sample_weight=weights)
    model.correct([30, 4], features[[30, 4]], y[[30, 4]])
    assert apart(model, retrained) <= bounds(model, retrained)


def test_subjects_stay_through_corrections() -> None:
    model = CertifiedRidge().fit(FEATURES, TARGETS, subjects=np.arange(40) % 4)
    model.correct([2], [[1.0, 1.0]], [0.0])
    assert model.remove(subjects=2).removed_count == 10
    assert 2 not in model.ids_


def test_several_subjects_and_labels_at_once() -> None:
    model = CertifiedLogisticRegression().fit(FEATURES, LABELS, subjects=[f"p{i % 4}" for i in range(40)])
    assert model.remove(subjects=["p1", "p3"]).removed_count == 20
    assert model.remove(labels=["a", "c"]).remaining_count == int(np.sum(LABELS[::2] == "b"))


def test_new_rows_never_take_the_number_of_a_removed_row() -> None:
    """Else a deletion request that is made twice would delete somebody else's row."""
    model = CertifiedRidge().fit(FEATURES[:10], TARGETS[:10])
    model.remove([9])
    model.add(FEATURES[10:12], TARGETS[10:12])
    assert model.ids_.tolist()[-2:] != [9, 10]
    with pytest.raises(KeyError):
        model.remove([9])


def test_ids_of_mixed_kinds() -> None:
    model = CertifiedRidge().fit(FEATURES[:4], TARGETS[:4], ids=[7, "x", -2, "7"])
    model.remove("7")
    model.add(FEATURES[4:6], TARGETS[4:6])
    assert sorted(map(repr, model.ids_.tolist())) == ["'x'", "-2", "7", "8", "9"]


def test_the_store_grows_with_many_additions() -> None:
    reference = Reference.fitted(CertifiedRidge(), table(FEATURES[:3], TARGETS[:3]))
    for step in range(4):
        rows = table(FEATURES[3 + 9 * step : 12 + 9 * step], TARGETS[3 + 9 * step : 12 + 9 * step])
        reference.add({f"{step}.{i}": row for i, row in rows.items()})
    reference.remove(list(reference.rows)[::2])
    reference.add({"last": Row((0.5, 0.5), 1.0)})


@both
def test_rows_without_weight_change_nothing(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    model = kind().fit(FEATURES[:30], y[:30])
    weights = model.audit_bundle().weights
    model.add(FEATURES[30:], y[30:], sample_weight=np.zeros(10))
    assert model.certificate_.remaining_count == 40
    assert np.linalg.norm(model.audit_bundle().weights - weights) <= 2e-8
    model.correct([1], FEATURES[[1]], y[[1]], sample_weight=[0.0])
    retrained = kind().fit(np.delete(FEATURES[:30], 1, axis=0), np.delete(y[:30], 1, axis=0))
    assert apart(model, retrained) <= bounds(model, retrained)


@both
def test_every_release_has_noise_of_its_own(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    model = kind().fit(FEATURES, y)
    weights = model.audit_bundle().weights
    seen = [model.audit_bundle().released]
    for _ in range(3):
        model.release()
        seen.append(model.audit_bundle().released)
    assert np.array_equal(model.audit_bundle().weights, weights)
    noise = np.array([released - weights for released in seen])
    assert len(np.unique(noise)) == noise.size
    assert model.certificate_.noise == "rounded_gaussian"
    assert "T13" in model.certificate_.claims


@both
def test_a_seed_repeats_the_releases_and_is_named(kind: Callable[..., Model], y: npt.NDArray[Any]) -> None:
    def run(seed: int) -> tuple[list[Array], Certificate]:
        model = kind(random_state=seed).fit(FEATURES, y)
        seen = [model.audit_bundle().released]
        for request in (model.release, lambda: model.remove([1]), model.release):
            request()
            seen.append(model.audit_bundle().released)
        noise = [released - model.audit_bundle().weights for released in seen[2:]]
        assert not np.array_equal(noise[0], noise[1])
        return seen, model.certificate_

    first, certificate = run(5)
    second, _ = run(5)
    third, _ = run(6)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, third, strict=True))
    assert certificate.noise == "idealized_gaussian"
    assert "T13" not in certificate.claims
    assert any(text.startswith("idealized_noise") for text in certificate.assumptions)


def nearly_exhausted(kind: Callable[..., Model], y: npt.NDArray[Any], releases: float) -> Model:
    """A model with noise for about that many releases at the smallest distance that float64 can certify."""
    with pytest.raises(TargetNotReachedError) as caught:
        kind(noise_std=1e-25).fit(FEATURES, y)
    noise_std = caught.value.bound.value * (releases + 1.0) ** 0.5 / gaussian_mu(1.0, 1e-6)
    return kind(noise_std=noise_std, max_releases=1).fit(FEATURES, y)


@both
def test_releases_end_where_float64_certifies_no_half_of_the_rest(
    kind: Callable[..., Model], y: npt.NDArray[Any]
) -> None:
    model = nearly_exhausted(kind, y, 6.5)
    for count in range(2, 100):
        before = snapshot(vars(model))
        try:
            assert model.release().releases == count
        except TargetNotReachedError as error:
            assert "noise_std" in str(error)
            break
    else:
        pytest.fail("the targets never fell below what float64 can certify")
    assert count >= 6
    assert snapshot(vars(model)) == before
    assert model.certificate_.mu <= gaussian_mu(1.0, 1e-6)
    assert len(model.predict(FEATURES)) == 40


@both
@pytest.mark.parametrize("request_", ["remove", "add", "correct"])
def test_a_request_beyond_the_budget_changes_nothing(
    kind: Callable[..., Model], y: npt.NDArray[Any], request_: str
) -> None:
    model = kind().fit(FEATURES, y)
    budget = model._session.budget
    model._session.budget = replace(budget, mu_spent=budget.mu_total)
    arguments: dict[str, tuple[Any, ...]] = {
        "remove": ([0],),
        "add": ([[9.0, 9.0]], y[:1]),
        "correct": ([0], [[9.0, 9.0]], y[:1]),
    }
    before = snapshot(vars(model))
    with pytest.raises(TargetNotReachedError, match="noise_std"):
        getattr(model, request_)(*arguments[request_])
    assert snapshot(vars(model)) == before
    assert len(model.predict(FEATURES)) == 40


def test_a_planned_number_of_releases_may_each_be_at_the_target() -> None:
    model = CertifiedLogisticRegression(max_releases=5).fit(FEATURES, LABELS)
    mu = gaussian_mu(1.0, 1e-6)
    assert model.certificate_.distance_target == pytest.approx(1e-8, rel=1e-9)
    assert model.certificate_.noise_std == pytest.approx(1e-8 * 6**0.5 / mu, rel=1e-9)
    for key in range(20):
        certificate = model.remove([key])
        assert certificate.distance_bound <= certificate.distance_target <= 1e-8
        assert certificate.mu <= mu
    assert certificate.releases == 21


def test_releasing_polishes_where_the_budget_demands_it() -> None:
    """A state within the first target can lie beyond what is left; it moves closer instead of giving up."""
    model = CertifiedLogisticRegression(noise_std=0.03, max_releases=1).fit(FEATURES, LABELS)
    rough = model.remove(list(range(12))).distance_bound
    before = model.audit_bundle().weights
    for _ in range(2000):
        if model.release().distance_bound < rough:
            break
    else:
        assert rough**2 * 2000 <= (0.03 * gaussian_mu(1.0, 1e-6)) ** 2
    assert model.certificate_.mu <= gaussian_mu(1.0, 1e-6)
    assert np.linalg.norm(model.audit_bundle().weights - before) <= 2.0 * rough


@both
@pytest.mark.parametrize("stage", ["release_gaussian", "issue", "rows_commitment", "update"])
def test_a_failure_on_the_way_changes_nothing(
    kind: Callable[..., Model], y: npt.NDArray[Any], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kind().fit(FEATURES, y)
    before = snapshot(vars(model))

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("out of entropy")

    with monkeypatch.context() as patched:
        patched.setattr(register if stage == "rows_commitment" else session, stage, fail)
        for request in (lambda: model.remove([1]), lambda: model.add(FEATURES[:20], y[:20])):
            with pytest.raises(OSError, match="out of entropy"):
                request()
    assert snapshot(vars(model)) == before
    assert model.remove([1]).remaining_count == 39


def test_salts_and_nonces_are_fresh() -> None:
    seen: set[bytes] = set()
    salts: set[str] = set()
    for _ in range(3):
        model = CertifiedRidge().fit(FEATURES, TARGETS)
        salts.add(model.certificate_.salt)
        seen.add(model.audit_bundle().nonce)
        model.remove([1])
        seen.add(model.audit_bundle().nonce)
        assert model.certificate_.salt in salts
    assert len(salts) == 3
    assert len(seen) == 6
    assert all(len(nonce) == 32 for nonce in seen)


def test_the_cost_of_a_request_is_told() -> None:
    model = CertifiedLogisticRegression().fit(FEATURES, LABELS)
    assert model.update_info_.relinearised
    model.remove([1])
    assert model.update_info_.passes >= 1
    model.release()
    assert (model.update_info_.passes, model.update_info_.steps) == (0, 0)
