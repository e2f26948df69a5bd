"""The classifier against scikit-learn's, and its classes as rows come and go."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from certified.estimators import CertifiedLogisticRegression
from tests.estimators.reference import Reference, Row, table

Array = npt.NDArray[np.float64]

SMALL = 1e-9
"""Release noise that hides in the sixth digit."""
rng = np.random.default_rng(50)
FEATURES = rng.normal(size=(48, 3))
SCORES = FEATURES @ [1.0, -2.0, 0.5] + rng.normal(size=48)
BINARY = (SCORES > 0).astype(int)
TERNARY = np.digitize(SCORES, [-1.0, 1.0])
SOME = rng.choice([0.0, 0.5, 1.0, 4.0], size=48)


def exact(C: float, fit_intercept: bool = True) -> LogisticRegression:
    return LogisticRegression(C=C, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-12, max_iter=1000)


@pytest.mark.parametrize("weights", [None, SOME], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-6, 1.0, 1e4])
def test_two_classes_agree_with_scikit_learn(C: float, fit_intercept: bool, weights: Array | None) -> None:
    model = CertifiedLogisticRegression(C=C, fit_intercept=fit_intercept, noise_std=SMALL)
    model.fit(FEATURES, BINARY, sample_weight=weights)
    other = exact(C, fit_intercept).fit(FEATURES, BINARY, sample_weight=weights)
    assert np.allclose(model.coef_, other.coef_, rtol=0.0, atol=1e-6)
    assert np.allclose(model.intercept_, other.intercept_, rtol=0.0, atol=1e-6)
    assert model.coef_.shape == other.coef_.shape
    assert model.intercept_.shape == other.intercept_.shape
    assert np.array_equal(model.predict(FEATURES), other.predict(FEATURES))
    assert np.allclose(model.decision_function(FEATURES), other.decision_function(FEATURES), atol=1e-6)
    assert np.allclose(model.predict_proba(FEATURES), other.predict_proba(FEATURES), atol=1e-6)
    assert np.allclose(np.exp(model.predict_log_proba(FEATURES)), other.predict_proba(FEATURES), atol=1e-6)


@pytest.mark.parametrize("y", [BINARY, TERNARY], ids=["two", "three"])
def test_probabilities_that_underflow_have_a_logarithm(y: npt.NDArray[np.int64]) -> None:
    model = CertifiedLogisticRegression(fit_intercept=False, noise_std=SMALL).fit(FEATURES, y)
    far = 1e4 * FEATURES[:10]
    logarithms, scores = model.predict_log_proba(far), model.decision_function(far)
    assert np.all(np.isfinite(logarithms))
    heads = np.stack([-scores, scores], axis=1) if y is BINARY else scores
    odds = -np.logaddexp(0.0, -heads)
    assert np.allclose(logarithms[:, 1:] - logarithms[:, :1], odds[:, 1:] - odds[:, :1], rtol=1e-12)
    assert np.allclose(np.exp(logarithms).sum(axis=1), 1.0)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_more_classes_agree_with_one_vs_rest(fit_intercept: bool) -> None:
    model = CertifiedLogisticRegression(fit_intercept=fit_intercept, noise_std=SMALL).fit(FEATURES, TERNARY)
    other = OneVsRestClassifier(exact(1.0, fit_intercept)).fit(FEATURES, TERNARY)
    assert np.allclose(model.coef_, np.vstack([e.coef_ for e in other.estimators_]), rtol=0.0, atol=1e-6)
    assert np.array_equal(model.predict(FEATURES), other.predict(FEATURES))
    assert np.allclose(model.predict_proba(FEATURES), other.predict_proba(FEATURES), atol=1e-6)
    assert np.allclose(model.decision_function(FEATURES), other.decision_function(FEATURES), atol=1e-6)


def test_per_sample_strength_is_the_strength_times_the_total_weight() -> None:
    model = CertifiedLogisticRegression(C=20.0, l2_scaling="per_sample", noise_std=SMALL)
    model.fit(FEATURES, BINARY, sample_weight=SOME)
    assert np.allclose(model.coef_, exact(20.0 / SOME.sum()).fit(FEATURES, BINARY, SOME).coef_, atol=1e-6)
    model.remove(list(range(20)))
    other = exact(20.0 / SOME[20:].sum()).fit(FEATURES[20:], BINARY[20:], SOME[20:])
    assert np.allclose(model.coef_, other.coef_, atol=1e-6)


@pytest.mark.parametrize("l2_scaling", ["total", "per_sample"])
def test_a_weight_of_two_is_the_row_twice(l2_scaling: str) -> None:
    weights = np.where(np.arange(48) % 3 == 0, 2.0, 1.0)
    weighted = CertifiedLogisticRegression(l2_scaling=l2_scaling, noise_std=SMALL).fit(FEATURES, BINARY, weights)
    twice = np.repeat(np.arange(48), weights.astype(int))
    repeated = CertifiedLogisticRegression(l2_scaling=l2_scaling, noise_std=SMALL).fit(FEATURES[twice], BINARY[twice])
    assert np.allclose(weighted.coef_, repeated.coef_, atol=1e-7)


@pytest.mark.parametrize(
    "names",
    [
        ["no", "yes"],
        [False, True],
        [-7, -3],
        [0.0, 1.0],
        [-1.0, 3.0],
        ["blue", "green", "red"],
        [-1, 0, 1],
        [0.0, 2.0, 10.0],
    ],
    ids=str,
)
def test_labels_of_every_kind(names: list[Any]) -> None:
    codes = TERNARY if len(names) == 3 else BINARY
    y = np.array(names)[codes]
    model = CertifiedLogisticRegression(noise_std=SMALL).fit(FEATURES, y)
    numbered = CertifiedLogisticRegression(noise_std=SMALL).fit(FEATURES, codes)
    assert model.classes_.tolist() == list(model.certificate_.classes) == names
    assert model.classes_.dtype.kind == y.dtype.kind
    assert np.allclose(model.coef_, numbered.coef_, atol=1e-7)
    assert np.array_equal(model.predict(FEATURES), np.array(names)[numbered.predict(FEATURES)])
    assert model.score(FEATURES, y) == numbered.score(FEATURES, codes)
    gone = model.remove(labels=names[0])
    assert list(gone.classes) == names[1:]
    assert gone.removed_count == int(np.sum(codes == 0))
    again = model.add(FEATURES[codes == 0], y[codes == 0])
    assert list(again.classes) == names
    assert np.allclose(model.coef_, numbered.coef_, atol=1e-6)


def test_labels_keep_their_kind_when_rows_come_with_another() -> None:
    """The same rows have the same commitment, whether their labels came as 1, 1.0 or True."""
    model = CertifiedLogisticRegression().fit(FEATURES[:40], BINARY[:40])
    Reference(model, table(FEATURES[:40], BINARY[:40]), seen=[model.certificate_])
    model.add(FEATURES[40:44], BINARY[40:44].astype(float))
    model.add(FEATURES[44:], BINARY[44:].astype(bool))
    reference = Reference(model, table(FEATURES, BINARY))
    reference._check_commitments(model.certificate_)
    assert model.classes_.dtype.kind == "i"
    assert model.classes_.tolist() == [0, 1]
    assert [type(label) for label in model.certificate_.classes] == [int, int]


def test_classes_leave_to_none_and_come_back() -> None:
    names = np.array(["a", "b", "c"])[np.arange(12) % 3]
    rows = table(FEATURES[:12], names)
    model = CertifiedLogisticRegression()
    reference = Reference.fitted(model, rows)
    probabilities = []
    for label in ("a", "c", "b"):
        reference.remove([key for key, row in rows.items() if row.label == label], labels=[label])
        probabilities.append(model.classes_.tolist())
    assert probabilities == [["b", "c"], ["b"], []]
    for label in ("b", "c", "a"):
        reference.add({key: row for key, row in rows.items() if row.label == label})
        assert model.predict_proba(FEATURES).shape == (48, len(model.classes_))
    assert model.classes_.tolist() == ["a", "b", "c"]


def test_one_class_is_predicted_whatever_the_features() -> None:
    model = CertifiedLogisticRegression().fit(FEATURES[:8], ["a"] * 8)
    assert model.coef_.shape == (0, 3)
    assert model.intercept_.shape == (0,)
    assert model.predict(FEATURES).tolist() == ["a"] * 48
    assert np.array_equal(model.predict_proba(FEATURES), np.ones((48, 1)))
    assert np.array_equal(model.predict_log_proba(FEATURES), np.zeros((48, 1)))
    assert np.array_equal(model.decision_function(FEATURES), np.zeros(48))
    assert model.certificate_.distance_bound == 0.0


def test_rows_of_one_class_come_and_go() -> None:
    rows = table(FEATURES[:8], ["a"] * 8)
    reference = Reference.fitted(CertifiedLogisticRegression(), rows)
    reference.add({f"more {i}": row for i, row in rows.items()})
    reference.correct({3: Row((1.0, 2.0, 3.0), "a")})
    reference.add({f"yet more {i}": row for i, row in rows.items()})
    reference.remove([0, "more 1"])
    reference.correct({5: Row((1.0, 2.0, 3.0), "b")})
    assert reference.model.classes_.tolist() == ["a", "b"]


def test_without_rows_there_is_nothing_to_predict() -> None:
    model = CertifiedLogisticRegression().fit(FEATURES[:8], BINARY[:8])
    model.remove(model.ids_)
    assert model.classes_.tolist() == []
    for predict in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(ValueError, match=r"no training row .* add rows"):
            predict(FEATURES)
    model.add(FEATURES[:8], BINARY[:8])
    assert model.classes_.tolist() == [0, 1]


def test_a_class_without_weight_does_not_count() -> None:
    weights = np.where(TERNARY == 1, 0.0, 1.0)
    model = CertifiedLogisticRegression(noise_std=SMALL).fit(FEATURES, TERNARY, sample_weight=weights)
    assert model.classes_.tolist() == [0, 2]
    assert np.allclose(model.coef_, exact(1.0).fit(FEATURES[TERNARY != 1], TERNARY[TERNARY != 1]).coef_, atol=1e-6)
    assert model.remove(labels=1).classes == (0, 2)


def test_many_classes() -> None:
    labels = np.array([f"class {k:02d}" for k in range(12)])[np.arange(48) % 12]
    reference = Reference.fitted(CertifiedLogisticRegression(), table(FEATURES, labels))
    gone = [key for key, row in reference.rows.items() if row.label in ("class 00", "class 07")]
    reference.remove(gone, labels=["class 00", "class 07"])
    assert reference.model.coef_.shape == (10, 3)


@pytest.mark.parametrize("x64", [False, True])
def test_results_are_float64_whatever_the_caller_chose(x64: bool) -> None:
    with jax.enable_x64(x64):
        model = CertifiedLogisticRegression(noise_std=SMALL).fit(FEATURES.astype(np.float32), BINARY)
        model.remove([1, 2])
        model.add(FEATURES[:1], BINARY[:1])
        assert jax.config.jax_enable_x64 is x64
        for array in (model.coef_, model.intercept_, model.predict_proba(FEATURES), model.audit_bundle().weights):
            assert array.dtype == np.float64
        rows = model._session.state.objective.rows
        for values in (rows.features, rows.targets, rows.weights, rows.norms):
            assert values.dtype == np.float64
        assert model.certificate_.distance_bound <= 1e-10


def test_the_result_does_not_depend_on_the_callers_precision() -> None:
    found = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            model = CertifiedLogisticRegression(random_state=3).fit(FEATURES, BINARY)
            model.remove([1, 2])
            found.append(model.audit_bundle())
    assert np.array_equal(found[0].weights, found[1].weights)
    assert np.array_equal(found[0].released, found[1].released)
