"""Private logistic regression: scikit-learn's conventions, accuracy where noise is little, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from certified import DPLogisticRegression
from certified.dp import DPGuarantee

X, Y = load_breast_cancer(return_X_y=True)
X = normalize((X - X.mean(0)) / X.std(0))
# scikit-learn's data have long rows and demand accuracy, so the budget is immense: what is checked is the interface.
LAVISH = {"data_norm": 1e3, "epsilon": 1e5, "C": 1e-3}
# Noisy steps move little where rows may be long.
GENEROUS = {"data_norm": 200.0, "epsilon": 300.0, "C": 1e-3}


@parametrize_with_checks([DPLogisticRegression(method="objective", **LAVISH)])
def test_scikit_learn_conformance(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([DPLogisticRegression(method="output", **LAVISH), DPLogisticRegression("sgd", **GENEROUS)])
def test_scikit_learn_conformance_of_the_other_methods(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("method", ["objective", "output"])
@pytest.mark.parametrize("labels", [Y, np.where(X[:, 0] > 0.1, "high", np.where(X[:, 1] > 0, "mid", "low"))])
def test_little_noise_gives_the_ordinary_model(method: str, labels: Any) -> None:
    model = DPLogisticRegression(method, epsilon=1e7, C=1.0, random_state=0).fit(X, labels)
    features = np.hstack([X, np.ones((len(X), 1))])
    plain = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=500).fit(features, labels)
    ours = np.hstack([model.coef_, model.intercept_[:, None]])
    assert np.allclose(ours, plain.coef_, atol=2e-2)
    assert np.mean(model.predict(X) == plain.predict(features)) > 0.99
    assert np.allclose(model.predict_proba(X), plain.predict_proba(features), atol=2e-2)
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_a_useful_model_at_a_common_budget() -> None:
    model = DPLogisticRegression(epsilon=2.0, delta=1e-5, C=0.1, random_state=4).fit(X, Y)
    assert model.score(X, Y) > 0.9


def test_noisy_steps_give_a_useful_model_too() -> None:
    model = DPLogisticRegression("sgd", epsilon=4.0, delta=1e-5, C=0.1, random_state=4).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert "T20" in model.guarantee_.claims and model.guarantee_.delta(4.0) <= 1e-5
    assert model.guarantee_.noise == "idealized_gaussian"
    assert any("number of rows was public" in text for text in model.guarantee_.assumptions)
    declared = clone(model).set_params(public_rows=700).fit(X, Y)
    assert declared.score(X, Y) > 0.9
    assert not any("number of rows was public" in text for text in declared.guarantee_.assumptions)
    assert any("within a public limit" in text for text in declared.guarantee_.assumptions)
    with pytest.raises(ValueError, match="more rows than public_rows=568"):
        declared.set_params(public_rows=568).fit(X, Y)


def test_the_guarantee() -> None:
    model = DPLogisticRegression(epsilon=2.0, delta=1e-5, group_size=2, C=0.1, classes=[0, 1]).fit(X, Y)
    guarantee = model.guarantee_
    assert isinstance(guarantee, DPGuarantee)
    assert guarantee.epsilon(1e-5) <= 2.0 < guarantee.epsilon(1e-7)
    assert guarantee.epsilon(1e-5, group_size=1) < 2.0
    # A penalised constant feature makes rows longer: R = √2.
    assert guarantee.curve.constants()["problem"]["gradient_bound"] == pytest.approx(2.0**0.5)
    assert guarantee.noise == "rounded_gaussian" and "T13" in guarantee.claims


def test_a_seed_is_named_in_the_guarantee() -> None:
    models = [DPLogisticRegression(C=0.1, random_state=7).fit(X, Y) for _ in range(2)]
    assert np.array_equal(models[0].coef_, models[1].coef_)
    assert models[0].guarantee_.noise == "idealized_gaussian" and "T13" not in models[0].guarantee_.claims
    other = clone(models[0]).set_params(random_state=None)
    assert not np.array_equal(other.fit(X, Y).coef_, other.fit(X, Y).coef_)


def test_declared_classes_need_not_occur() -> None:
    model = DPLogisticRegression(C=0.05, classes=["c", "a", "b"], random_state=1).fit(X, np.where(Y, "a", "b"))
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.coef_.shape == (3, 30)
    only = DPLogisticRegression(C=0.1, classes=[0, 1], random_state=1).fit(X[Y == 1], Y[Y == 1])
    assert only.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"method": "adam"}, ValueError, "method must be one of 'objective', 'output'"),
        ({"data_norm": 0.5}, ValueError, "longer than data_norm"),
        ({"data_norm": -1.0}, ValueError, "data_norm"),
        ({"C": 0.0}, ValueError, "C must be positive"),
        ({"C": 100.0}, ValueError, "strength 0.01 is too small"),
        ({"epsilon": 0.0}, ValueError, "epsilon"),
        ({"delta": 1.5}, ValueError, "delta"),
        ({"group_size": 0}, ValueError, "group_size"),
        ({"fit_intercept": "no"}, TypeError, "fit_intercept"),
        ({"classes": [0, 2]}, ValueError, "a label that classes does not name"),
        ({"method": ["sgd"]}, ValueError, "method must be one of"),
        ({"classes": 2}, TypeError, "classes must be None or a flat sequence"),
        ({"classes": [[0, 1], [1, 2]]}, TypeError, "classes must be None or a flat sequence"),
        ({"delta": 5e-324}, ValueError, "delta=5e-324 is too small"),
        ({"classes": [0, 0]}, ValueError, "at least two different labels"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"public_rows": 600}, ValueError, "public_rows is for method='sgd'"),
        ({"public_rows": 600, "method": "output"}, ValueError, "public_rows is for method='sgd'"),
        ({"public_rows": 600.0, "method": "sgd"}, TypeError, "public_rows must be an integer"),
        ({"epsilon": True}, TypeError, "epsilon"),
        ({"group_size": True}, ValueError, "group_size must be an integer"),
        ({"random_state": "seed"}, TypeError, "random_state"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], word: str) -> None:
    model = DPLogisticRegression(**change)
    with pytest.raises(error, match=word):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("rows", [[["0.123", "secret"]] * 2, [0.123, 0.456], [[0.123j, 0.0]] * 2])
def test_messages_show_no_row(rows: Any) -> None:
    with pytest.raises(ValueError) as caught:
        DPLogisticRegression(classes=[0, 1]).fit(rows, [0, 1])
    assert "123" not in str(caught.value) and "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_classes_taken_from_the_labels_are_an_assumption() -> None:
    inferred, declared = (
        DPLogisticRegression(C=0.1, classes=classes, random_state=1).fit(X, Y).guarantee_ for classes in (None, [0, 1])
    )
    assert any("classes" in text for text in inferred.assumptions)
    assert not any("classes" in text for text in declared.assumptions)


def test_a_numpy_integer_is_a_group_size() -> None:
    model = DPLogisticRegression(C=0.1, group_size=np.int64(2), random_state=1).fit(X, Y)
    assert type(model.guarantee_.group_size) is int


def test_a_refused_fit_leaves_the_model_usable() -> None:
    X, y = np.eye(4, 3), [0, 1, 0, 1]
    model = DPLogisticRegression(C=0.1, epsilon=1.0, delta=1e-6).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="data_norm"):
        model.fit(10.0 * np.eye(4, 2), y)
    assert model.n_features_in_ == 3
    assert np.array_equal(model.predict_proba(X), before)
