"""Estimators on rows of a source: what they are on arrays, without an array of all rows."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified import (
    CertifiedGammaRegressor,
    CertifiedLogisticRegression,
    CertifiedPoissonRegressor,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
    TargetNotReachedError,
    UnknownIdError,
    verify,
)
from certified.data import streamed
from certified.data.sources import ArraySource, NpySource, SourceChangedError
from certified.estimators import streamed as session
from tests.oracle import Problem, is_upper_bound

N, D = 90, 3
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, D)) / np.sqrt(D)
SCORES = X @ RNG.normal(size=D) + 0.4 * RNG.normal(size=N)
BINARY = (SCORES > 0.0).astype(np.int8)
THREE = np.digitize(SCORES, [-0.5, 0.5])
WEIGHTS = RNG.choice([0.0, 0.5, 1.0, 2.0], N)
CASES = {
    "logistic": (CertifiedLogisticRegression, BINARY),
    "one-vs-rest": (CertifiedLogisticRegression, THREE),
    "softmax": (CertifiedSoftmaxRegression, THREE),
    "ridge": (CertifiedRidge, np.stack([SCORES, X[:, 0]], axis=1)),
    "poisson": (CertifiedPoissonRegressor, THREE),
}


SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ("one-vs-rest", "softmax")]


@pytest.fixture(autouse=True)
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few chunks for so few rows."""
    monkeypatch.setattr(streamed, "BLOCK", 32)
    monkeypatch.setattr(streamed, "CHUNK_ENTRIES", 90)


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a.audit_bundle().weights - b.audit_bundle().weights))


def is_confirmed(model: Any) -> bool:
    """Whether an auditor who streams the rows confirms everything."""
    secrets = model.audit_bundle()
    rows = model.rows_in_force()
    return verify(
        model.certificate_, rows, None, secrets.weights, released=secrets.released, nonce=secrets.nonce
    ).complete  # fmt: skip


def check_equal(from_source: Any, from_arrays: Any) -> None:
    """Both models are certified near the same minimiser, on the same rows."""
    found, expected = from_source.certificate_, from_arrays.certificate_
    assert distance(from_source, from_arrays) <= found.distance_bound + expected.distance_bound
    for name in ("alpha", "classes", "remaining_count", "removed_count", "added_count", "n_outputs", "event"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.row_norm_bound == pytest.approx(expected.row_norm_bound, rel=1e-12)


@pytest.mark.parametrize("case", ["logistic", "ridge", *SLOW, pytest.param("poisson", marks=pytest.mark.slow)])
def test_every_estimator_does_on_a_source_what_it_does_on_arrays(case: str) -> None:
    kind, y = CASES[case]
    first, later = slice(0, 80), slice(80, N)
    models = [kind(C=5.0).fit(ArraySource(X[first], y[first], WEIGHTS[first])), kind(C=5.0)]
    models[1].fit(X[first], y[first], sample_weight=WEIGHTS[first])
    check_equal(*models)
    for request in (
        lambda model: model.remove([0, 17, 18, 79]),
        lambda model: model.add(X[later], y[later], sample_weight=WEIGHTS[later], subjects=["s"] * 10),
        lambda model: model.correct([5, 85], X[:2] / 2.0, y[:2]),
        lambda model: model.remove(subjects="s"),
        lambda model: model.release(),
    ):
        for model in models:
            request(model)
        check_equal(*models)
        assert sorted(models[0].ids_.tolist()) == sorted(models[1].ids_.tolist())
    assert is_confirmed(models[0])
    assert np.allclose(models[0].predict(X), models[1].predict(X), atol=1e-4)


@settings(max_examples=4)
@given(st.data())
def test_any_sequence_matches_exact_retraining(data: st.DataObject) -> None:
    """After every request the certified distance is above the true one, and an auditor confirms the last."""
    model = CertifiedLogisticRegression(C=2.0, fit_intercept=data.draw(st.booleans())).fit(ArraySource(X, BINARY))
    present: dict[Any, int] = {i: i for i in range(N)}
    for number in range(data.draw(st.integers(1, 3))):
        ids = data.draw(st.lists(st.sampled_from(sorted(present)), min_size=1, max_size=5, unique=True))
        if data.draw(st.booleans()):
            model.remove(ids)
            present = {key: row for key, row in present.items() if key not in ids}
        else:
            rows = data.draw(st.lists(st.integers(0, N - 1), min_size=len(ids), max_size=len(ids)))
            new = [1000 + 10 * number + i for i in range(len(ids))]
            model.add(X[rows], BINARY[rows], ids=new)
            present |= dict(zip(new, rows, strict=True))
        kept = list(present.values())
        signs = np.where(BINARY[kept] > 0, 1.0, -1.0)[:, None]
        problem = Problem("logistic", X[kept], signs, np.ones(len(kept)), 0.5, model.fit_intercept)
        assert is_upper_bound(model.certificate_.distance_bound, problem, model.audit_bundle().weights)
    assert is_confirmed(model)


@pytest.mark.parametrize("case", ["logistic", *SLOW])
def test_a_class_leaves_and_comes_back(case: str) -> None:
    kind, y = CASES[case]
    models = [kind(C=5.0).fit(ArraySource(X, y)), kind(C=5.0).fit(X, y)]
    for request in (
        lambda model: model.remove(labels=[1]),
        lambda model: model.add(X[:2], np.array([1, 1])),
        lambda model: model.add(X[2:4], np.array([7, 7])),
    ):
        for model in models:
            request(model)
        check_equal(*models)
        assert models[0].classes_.tolist() == models[1].classes_.tolist()
        assert is_confirmed(models[0])


def test_everything_is_removed() -> None:
    model = CertifiedRidge().fit(ArraySource(X, SCORES), ids=np.array([f"r{i}" for i in range(N)]))
    certificate = model.remove([f"r{i}" for i in range(N)])
    assert certificate.distance_claim == "T0"
    assert is_confirmed(model)


def test_training_starts_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SAMPLE", 0)
    features = RNG.normal(size=(1000, D))
    labels = (features.sum(axis=1) + RNG.normal(size=1000) > 0.0).astype(int)
    sampled = CertifiedLogisticRegression(C=0.1).fit(ArraySource(features, labels))
    monkeypatch.setattr(session, "SAMPLE", 1000)
    whole = CertifiedLogisticRegression(C=0.1).fit(ArraySource(features, labels))
    assert sampled.update_info_.steps < whole.update_info_.steps
    assert distance(sampled, whole) <= sampled.certificate_.distance_bound + whole.certificate_.distance_bound


def files(folder: Path, y: npt.NDArray[Any] = BINARY) -> NpySource:
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    return NpySource(folder / "X.npy", folder / "y.npy")


@pytest.fixture
def saved(tmp_path: Path) -> CertifiedLogisticRegression:
    """A model with removed, added and corrected rows, saved."""
    owners = np.array([f"s{i // 3}" for i in range(N)])
    model = CertifiedLogisticRegression().fit(files(tmp_path), subjects=owners)
    model.remove([3, 4, 77])
    model.add(X[:2], BINARY[:2], subjects=["s1", "new"])
    model.correct([10], X[:1] / 2.0, BINARY[:1])
    model.save(tmp_path / "model.npz")
    return model


def test_a_saved_model_goes_on_where_its_rows_are(saved: CertifiedLogisticRegression, tmp_path: Path) -> None:
    """With the source it was trained on, or rewritten without the rows that left."""
    assert not any(row.tobytes() in (tmp_path / "model.secret.npz").read_bytes() for row in X[2:])
    kept = np.setdiff1d(np.arange(N), [3, 4, 10, 77])
    for rows in (files(tmp_path), ArraySource(X[kept], BINARY[kept])):
        loaded = CertifiedLogisticRegression.load(tmp_path / "model.npz", rows=rows)
        assert loaded.certificate_ == saved.certificate_
        assert loaded.ids_.tolist() == saved.ids_.tolist()
        assert set(loaded.subjects_) == set(saved.subjects_)
        loaded.remove(subjects=["s1", "s3"])
        assert loaded.certificate_.removed_count == 5
        assert is_confirmed(loaded)
        assert loaded.add(X[:1], BINARY[:1]) and loaded.ids_.tolist()[-1] == N + 2


def test_other_rows_are_refused(saved: CertifiedLogisticRegression, tmp_path: Path) -> None:
    """Rows in another order are others, too: ids would name the wrong ones."""
    changed = X.copy()
    changed[50, 1] = np.nextafter(changed[50, 1], 1.0)
    swapped = np.arange(N)
    swapped[[20, 21]] = 21, 20
    for rows in (ArraySource(changed, BINARY), ArraySource(X[swapped], BINARY[swapped]), ArraySource(X, 1 - BINARY)):
        with pytest.raises(SourceChangedError, match="does not hold the rows"):
            CertifiedLogisticRegression.load(tmp_path / "model.npz", rows=rows)
    with pytest.raises(SourceChangedError, match="has 89 rows"):
        CertifiedLogisticRegression.load(tmp_path / "model.npz", rows=ArraySource(X[1:], BINARY[1:]))
    alone = CertifiedLogisticRegression.load(tmp_path / "model.npz")
    assert np.array_equal(alone.predict(X), saved.predict(X))
    with pytest.raises(RuntimeError, match="rows="):
        alone.remove([1])
    CertifiedRidge().fit(X, SCORES).save(tmp_path / "other.npz")
    with pytest.raises(TypeError, match=r"rows must be a source of rows.*got a ndarray"):
        CertifiedLogisticRegression.load(tmp_path / "model.npz", rows=X)
    with pytest.raises(ValueError, match="rows must be left out"):
        CertifiedRidge.load(tmp_path / "other.npz", rows=ArraySource(X, SCORES))


def test_a_source_that_changes_is_noticed_and_changes_nothing(tmp_path: Path) -> None:
    features = X.copy()
    model = CertifiedLogisticRegression().fit(ArraySource(features, BINARY))
    certificate, weights, ids = model.certificate_, model.audit_bundle().weights, model.ids_.tolist()
    features[40, 0] += 1e-9
    requests: Sequence[Any] = (lambda: model.remove([40]), lambda: model.remove([3]), lambda: model.remove(labels=[1]))
    for request in requests:
        with pytest.raises(SourceChangedError):
            request()
    assert model.certificate_ == certificate and model.ids_.tolist() == ids
    assert np.array_equal(model.audit_bundle().weights, weights)
    features[40] = X[40]
    model.remove([3])
    assert is_confirmed(model)


REFUSED: dict[str, tuple[Any, str]] = {
    "y": (lambda m: m.fit(ArraySource(X, BINARY), BINARY), "y and sample_weight must be left out"),
    "sample_weight": (lambda m: m.fit(ArraySource(X, BINARY), None, WEIGHTS), "must be left out"),
    "ids": (lambda m: m.fit(ArraySource(X, BINARY), ids=np.arange(3)), "one entry for each of the 90 rows"),
    "repeated ids": (lambda m: m.fit(ArraySource(X, BINARY), ids=np.zeros(N, int)), "ids must be unique"),
    "continuous": (lambda m: m.fit(ArraySource(X, SCORES)), "whole numbers"),
    "two targets": (lambda m: m.fit(ArraySource(X, X)), "one label for each row"),
    "no weight": (lambda m: m.fit(ArraySource(X, BINARY, np.zeros(N))), "at least one row must count"),
    "not finite": (lambda m: m.fit(ArraySource(np.full((4, 2), np.nan), np.ones(4))), "must be finite"),
    "large labels": (lambda m: m.fit(ArraySource(X, np.full(N, 2**60))), "number the classes from 0"),
    "long rows": (lambda m: m.set_params(norm_bound=1e-3).fit(ArraySource(X, BINARY)), "longer than norm_bound"),
    "class weights": (lambda m: m.set_params(class_weight={1: 2.0}).fit(ArraySource(X, BINARY)), "class_weight must"),
    "label": (lambda m: m.add(X[:1], np.array([0.5])), "label"),
    "kind of label": (lambda m: m.add(X[:1], np.array(["a"])), "numbers"),
    "unknown id": (lambda m: m.remove([N]), "unknown or already removed"),
    "unknown label": (lambda m: m.remove(labels=[9]), "no row in force has the label"),
    "id in force": (lambda m: m.add(X[:1], BINARY[:1], ids=[5]), "already in force"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(case: str) -> None:
    request, message = REFUSED[case]
    model = CertifiedLogisticRegression().fit(ArraySource(X, BINARY))
    before = model.certificate_, model.ids_.tolist()
    with pytest.raises((ValueError, TypeError, UnknownIdError), match=message):
        request(model)
    assert (model.certificate_, model.ids_.tolist()) == before
    model.set_params(norm_bound=None, class_weight=None).remove([1])


def test_targets_are_checked_chunk_by_chunk() -> None:
    with pytest.raises(ValueError, match="negative targets"):
        CertifiedPoissonRegressor().fit(ArraySource(X, np.where(np.arange(N) == 88, -1.0, 1.0)))
    with pytest.raises(ValueError, match="zero in every row"):
        CertifiedPoissonRegressor().fit(ArraySource(X, np.zeros(N)))
    with pytest.raises(ValueError, match="must be positive"):
        CertifiedGammaRegressor().fit(ArraySource(X, np.where(np.arange(N) == 88, 0.0, 1.0)))


def test_an_unreachable_target_changes_nothing() -> None:
    model = CertifiedLogisticRegression().fit(ArraySource(X, BINARY))
    certificate = model.certificate_
    with pytest.raises(TargetNotReachedError):
        model.set_params(noise_std=1e-300).fit(ArraySource(X, BINARY))
    assert model.certificate_ == certificate


def test_streamed_rows_are_not_pickled_nor_kept_elsewhere() -> None:
    model = CertifiedLogisticRegression().fit(ArraySource(X, BINARY))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(model)
    held = CertifiedLogisticRegression().fit(X, BINARY)
    with pytest.raises(RuntimeError, match="given as arrays"):
        held.rows_in_force()


def test_secrets_stay_inside() -> None:
    model = CertifiedLogisticRegression().fit(ArraySource(X, BINARY))
    shown = f"{model!r} {model._session!r} {model._session.register!r} {model.rows_in_force()!r}"
    assert not any(f"{value:.6f}"[:7] in shown for value in X.ravel())


class Changeable(ArraySource):
    """Labels that are integers as long as only one is read."""

    def read(self, start: int, stop: int) -> Any:
        features, targets, weights = super().read(start, stop)
        return features, targets.astype(np.int64) if stop - start < 2 else targets, weights


def test_labels_that_the_first_type_cannot_hold_are_refused() -> None:
    labels = np.where(SCORES > 0.0, 1.5, 1.0)
    with pytest.raises(TypeError, match="use one type"):
        CertifiedLogisticRegression().fit(Changeable(X, labels))
