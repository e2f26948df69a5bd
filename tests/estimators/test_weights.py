"""Sample and class weights, for every estimator: what a weight means, and that deletions keep to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from certified import verify
from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedOneVsRestClassifier,
    CertifiedPoissonRegressor,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
)
from certified.estimators.class_weight import checked, reweighted, times_class_weights
from certified.losses import LOGISTIC

Array = npt.NDArray[np.float64]

N = 24
rng = np.random.default_rng(90)
X = rng.normal(size=(N, 2))
LABELS = np.array(["a", "b", "c"])[(X @ rng.normal(size=(2, 3)) + 0.5 * rng.normal(size=(N, 3))).argmax(axis=1)]
LABELS[:3] = ["a", "b", "c"]
NUMBERS = X @ [1.0, -2.0] + 0.3 * rng.normal(size=N)

CLASSIFIERS: dict[str, Any] = {
    "logistic": CertifiedLogisticRegression,
    "softmax": CertifiedSoftmaxRegression,
    "svc": CertifiedLinearSVC,
    "one-vs-rest": lambda **options: CertifiedOneVsRestClassifier(LOGISTIC, **options),
}
REGRESSORS: dict[str, tuple[Any, Array]] = {
    "ridge": (CertifiedRidge, NUMBERS),
    "poisson": (CertifiedPoissonRegressor, np.floor(np.exp(0.4 * NUMBERS))),
    "gamma": (CertifiedGammaRegressor, np.exp(0.4 * NUMBERS)),
}
KINDS: dict[str, tuple[Any, npt.NDArray[Any]]] = {
    name: (kind, LABELS) for name, kind in CLASSIFIERS.items()
} | REGRESSORS


def apart(first: Any, second: Any) -> float:
    """Distance of two models' noise-free weights in units of what their certificates permit together."""
    bounds = first.certificate_.distance_bound + second.certificate_.distance_bound
    distance = np.linalg.norm(first.audit_bundle().weights - second.audit_bundle().weights)
    return float(distance) / bounds if distance else 0.0


def confirmed(model: Any, X: Array, y: npt.NDArray[Any], c: Array) -> bool:
    kept, bundle = model.ids_, model.audit_bundle()
    report = verify(
        model.certificate_, X[kept], y[kept], bundle.weights, sample_weight=c[kept], released=bundle.released,
        nonce=bundle.nonce,
    )  # fmt: skip
    return report.ok and not report.skipped


@pytest.mark.parametrize("scaling", [pytest.param("total", marks=pytest.mark.slow), "per_sample"])
@pytest.mark.parametrize("name", KINDS)
def test_weight_k_is_k_equal_rows(name: str, scaling: str) -> None:
    """Both are within their bounds of one and the same minimiser, before and after deletions."""
    kind, y = KINDS[name]
    k = np.random.default_rng(3).integers(0, 4, N)
    weighted = kind(C=2.0, l2_scaling=scaling).fit(X, y, sample_weight=k)
    repeated = kind(C=2.0, l2_scaling=scaling).fit(
        np.repeat(X, k, axis=0), np.repeat(y, k), subjects=np.repeat(np.arange(N), k)
    )
    assert weighted.certificate_.alpha == repeated.certificate_.alpha
    assert apart(weighted, repeated) <= 1.0
    gone = np.flatnonzero(k > 1)[:3].tolist()
    weighted.remove(gone)
    repeated.remove(subjects=gone)
    assert weighted.certificate_.classes == repeated.certificate_.classes
    assert apart(weighted, repeated) <= 1.0


@settings(max_examples=5)
@given(
    weights=st.lists(st.sampled_from([0.0, 1e-3, 0.5, 1.0, 3.0, 100.0]), min_size=N, max_size=N),
    removed=st.sets(st.integers(3, N - 1), min_size=4, max_size=4),
)
@pytest.mark.parametrize("name", KINDS)
def test_deleting_weighted_rows_is_training_without_them(name: str, weights: list[float], removed: set[int]) -> None:
    kind, y = KINDS[name]
    c = np.array([1.0] * 3 + weights[3:])
    model = kind().fit(X, y, sample_weight=c)
    model.remove(sorted(removed))
    kept = model.ids_
    retrained = kind().fit(X[kept], y[kept], sample_weight=c[kept])
    assert model.certificate_.classes == retrained.certificate_.classes
    assert apart(model, retrained) <= 1.0
    assert model.certificate_.distance_bound <= model.certificate_.distance_target


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 0.3, "b": 2, "c": np.float64(1.5)},
        pytest.param({"a": 5.0}, marks=pytest.mark.slow),
        pytest.param({"c": 0.0, "z": 2.0, "a": 1, "b": 1}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_class_weights_are_sample_weights(name: str, weights: dict[str, float]) -> None:
    """The products are those of scikit-learn, and the verifier takes them as sample weights."""
    c = np.linspace(0.4, 1.7, N)
    products = c * np.array([float(weights.get(label, 1.0)) for label in LABELS])
    given_ = CLASSIFIERS[name](class_weight=weights).fit(X, LABELS, sample_weight=c)
    alike = CLASSIFIERS[name]().fit(X, LABELS, sample_weight=products)
    assert np.array_equal(given_.row_weights(LABELS, c), products)
    assert np.array_equal(given_.audit_bundle().weights, alike.audit_bundle().weights)
    for model in (given_, alike):
        model.remove([5, 7])
        model.add(X[5:6], LABELS[5:6], sample_weight=c[5:6] if model is given_ else products[5:6], ids=[5])
    assert apart(given_, alike) <= 1.0
    assert confirmed(given_, X, LABELS, products)


def test_class_weights_are_those_of_scikit_learn() -> None:
    y, weights = np.where(LABELS == "a", 0, 1), {0: 6.0, 1: 0.5}
    model = CertifiedLogisticRegression(class_weight=weights, noise_std=1e-7).fit(X, y)
    peer = LogisticRegression(class_weight=weights, tol=1e-10, max_iter=10_000).fit(X, y)
    assert np.allclose(model.coef_, peer.coef_, atol=1e-5)
    assert np.array_equal(model.row_weights(y), compute_sample_weight(weights, y))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_correcting_a_label_takes_its_class_weight_along(name: str) -> None:
    weights, y = {"a": 5.0, "b": 2.0}, LABELS.copy()
    model = CLASSIFIERS[name](class_weight=weights).fit(X, y)
    y[4] = "b" if y[4] != "b" else "a"
    model.correct([4], X[4:5], y[4:5])
    model.correct([6], X[6:7] + 1.0, y[6:7])
    moved = X.copy()
    moved[6] += 1.0
    assert confirmed(model, moved, y, model.row_weights(y))


def test_a_weighted_row_keeps_its_weight_bit_for_bit_or_asks_for_it() -> None:
    third = 1.0 / 3.0
    model = CertifiedLogisticRegression(class_weight={"a": 0.1, "b": 0.7, "c": 0.1}).fit(X, LABELS, sample_weight=third)
    before, label = model.certificate_, LABELS[4]
    other = "b" if label != "b" else "a"
    with pytest.raises(ValueError, match="sample_weight is needed: a corrected label changes the class weight"):
        model.correct([4], X[4:5], [other])
    assert model.certificate_ is before
    model.correct([4], X[4:5] + 1.0, [label])
    moved, y = X.copy(), LABELS.copy()
    moved[4] += 1.0
    assert confirmed(model, moved, y, model.row_weights(y, third))
    model.correct([4], X[4:5], [other], sample_weight=[third])
    y[4] = other
    assert confirmed(model, X, y, model.row_weights(y, third))


def test_zero_weighted_rows_ask_for_a_weight_where_their_label_changes() -> None:
    with pytest.raises(ValueError, match="sample_weight is needed"):
        reweighted({"a": 0.0}, ["a"], ["b"], np.zeros(1))
    assert reweighted({"a": 0.0, "b": 0.0}, ["a"], ["b"], np.zeros(1)).tolist() == [0.0]


def test_class_weights_survive_saving_with_the_type_of_their_labels(tmp_path: Path) -> None:
    y = np.where(LABELS == "a", 1, 0)
    model = CertifiedLinearSVC(class_weight={1: 4.0, np.int64(0): np.float32(0.5)}).fit(X, y)
    model.save(tmp_path / "weighted.model")
    again = CertifiedLinearSVC.load(tmp_path / "weighted.model")
    assert again.class_weight == {1: 4.0, 0: 0.5} and again.width == model.width
    again.remove([0])
    assert confirmed(again, X, y, model.row_weights(y))


BAD: dict[str, tuple[Any, Any, str]] = {
    "balanced": ("balanced", ValueError, "every deletion would change the weight of every row: give numbers"),
    "text": ("heavy", TypeError, "class_weight must be None or map labels to numbers; got a str"),
    "list": ([1.0, 2.0], TypeError, "must be None or map labels"),
    "words": ({"a": "5"}, TypeError, "must map labels to numbers; got '5' for 'a'"),
    "truth": ({"a": True}, TypeError, "must map labels to numbers"),
    "negative": ({"a": -1.0}, ValueError, "finite weights of at least zero; got -1.0 for 'a'"),
    "nan": ({"a": math.nan}, ValueError, "finite weights"),
    "infinite": ({"a": math.inf}, ValueError, "finite weights"),
    "subnormal": ({"a": 1e-310}, ValueError, "finite weights"),
    "slip": ({"a": 2.0, "d": 3.0}, ValueError, r"class_weight names labels that no row has: \['d'\]"),
    "all zero": ({"a": 0, "b": 0, "c": 0}, ValueError, "zero for every row"),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_class_weights_are_refused(case: str) -> None:
    weights, error, message = BAD[case]
    with pytest.raises(error, match=message):
        CertifiedSoftmaxRegression(class_weight=weights).fit(X, LABELS)


@pytest.mark.parametrize(("weight", "c"), [(1e-200, 1e-200), (1e50, 1e50)])
def test_products_out_of_range_are_refused(weight: float, c: float) -> None:
    with pytest.raises(ValueError, match="class_weight times sample_weight must be 0 or lie between"):
        times_class_weights({"a": weight}, ["a"], np.array([c]))


def test_no_class_weights_are_no_weights() -> None:
    assert checked(None) == checked({}) == {}
    assert times_class_weights(None, ["a"], np.array([1e-5])).tolist() == [1e-5]


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressions_have_sample_weights_alone(name: str) -> None:
    kind, y = REGRESSORS[name]
    model = kind().fit(X, y, sample_weight=2.0)
    assert "class_weight" not in model.get_params()
    assert model.row_weights(y, 2.0).tolist() == [2.0] * N
