"""Softmax regression: predictions, deletions against exact retraining, classes that come and go, verification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from certified import CertifiedSoftmaxRegression, verify

Array = npt.NDArray[np.float64]

rng = np.random.default_rng(12)
X = rng.normal(size=(60, 3))
Y = np.array(["ash", "birch", "cedar", "date"])[(X @ rng.normal(size=(3, 4)) + rng.normal(size=(60, 4))).argmax(axis=1)]


def retrained(X: Array, y: npt.NDArray[Any], c: Array, alpha: float, intercept: bool) -> tuple[Array, float]:
    """The exact minimiser by an independent solver, and a bound on its own distance (strong convexity)."""
    classes = sorted(set(y.tolist()))
    T = (y[:, None] == np.array(classes)[None, :]).astype(float)
    Z = np.hstack([X, np.ones((len(X), 1))]) if intercept else X
    p, K = Z.shape[1], len(classes)

    def objective(w: Array) -> tuple[float, Array]:
        W = w.reshape(p, K)
        z = Z @ W
        top = z.max(axis=1, keepdims=True)
        e = np.exp(z - top)
        total = e.sum(axis=1, keepdims=True)
        value = np.sum(c * (np.log(total[:, 0]) + top[:, 0] - np.sum(T * z, axis=1))) + alpha / 2 * w @ w
        return float(value), (Z.T @ (c[:, None] * (e / total - T)) + alpha * W).ravel()

    def hessian(w: Array) -> Array:
        z = Z @ w.reshape(p, K)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        q = e / e.sum(axis=1, keepdims=True)
        total = alpha * np.eye(p * K)
        for x, weight, share in zip(Z, c, q, strict=True):
            total += weight * np.kron(np.outer(x, x), np.diag(share) - np.outer(share, share))
        return np.asarray(total)

    w = minimize(objective, np.zeros(p * K), jac=True, method="L-BFGS-B").x
    for _ in range(5):
        w = w - np.linalg.solve(hessian(w), objective(w)[1])
    return w.reshape(p, K), float(np.linalg.norm(objective(w)[1])) / alpha


def check(model: CertifiedSoftmaxRegression, kept: Array, y: npt.NDArray[Any], c: Array | None = None) -> None:
    c = np.ones(len(kept)) if c is None else c
    certificate, bundle = model.certificate_, model.audit_bundle()
    exact, error = retrained(kept, y, c, certificate.alpha, certificate.fit_intercept)
    assert np.linalg.norm(bundle.weights - exact) <= certificate.distance_bound + error
    report = verify(certificate, kept, y, bundle.weights, sample_weight=c, released=bundle.released, nonce=bundle.nonce)
    assert report.ok and not report.skipped, str(report)


@settings(max_examples=15)
@given(
    removed=st.sets(st.integers(0, 59), min_size=1, max_size=25),
    C=st.sampled_from([0.1, 1.0, 100.0]),
    intercept=st.booleans(),
    scaling=st.sampled_from(["total", "per_sample"]),
)
def test_deletions_come_within_their_bound_of_retraining(
    removed: set[int], C: float, intercept: bool, scaling: str
) -> None:
    model = CertifiedSoftmaxRegression(C=C, fit_intercept=intercept, l2_scaling=scaling).fit(X, Y)
    kept = np.array([i for i in range(60) if i not in removed])
    certificate = model.remove(sorted(removed))
    assert certificate.distance_bound <= certificate.distance_target
    assert certificate.distance_claim in ("T1", "T2")
    check(model, X[kept], Y[kept])


def test_it_is_scikit_learns_model() -> None:
    model = CertifiedSoftmaxRegression(C=3.0, fit_intercept=False).fit(X, Y)
    peer = LogisticRegression(C=3.0, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(X, Y)
    assert np.allclose(model.coef_, peer.coef_, atol=1e-5)
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert np.allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    assert model.score(X, Y) == peer.score(X, Y)


def test_two_classes() -> None:
    y = np.where(Y < "c", "low", "up")
    model = CertifiedSoftmaxRegression(C=2.0).fit(X, y)
    assert model.coef_.shape == (2, 3) and model.decision_function(X).shape == (60,)
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert np.array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    model.remove([0])
    check(model, X[1:], y[1:])


def test_classes_leave_and_come() -> None:
    model = CertifiedSoftmaxRegression(C=5.0).fit(X, Y)
    model.remove(labels=["birch"])
    kept = Y != "birch"
    assert model.classes_.tolist() == ["ash", "cedar", "date"] and model.coef_.shape == (3, 3)
    check(model, X[kept], Y[kept])
    model.add(X[:2] + 1.0, ["elm", "birch"])
    assert model.classes_.tolist() == ["ash", "birch", "cedar", "date", "elm"]
    check(model, np.vstack([X[kept], X[:2] + 1.0]), np.append(Y[kept], ["elm", "birch"]))
    model.remove(labels=["ash", "birch", "date", "elm"])
    assert model.coef_.shape == (0, 3) and set(model.predict(X)) == {"cedar"}
    assert np.all(model.predict_proba(X) == 1.0) and model.certificate_.distance_claim == "T0"
    model.remove(labels=["cedar"])
    assert model.certificate_.remaining_count == 0


@pytest.mark.parametrize("by", ["add", "correct"])
def test_a_single_class_gains_a_second(by: str) -> None:
    model = CertifiedSoftmaxRegression(noise_std=1.0, delta=1e-3).fit(X[:6], np.zeros(6, dtype=int))
    if by == "add":
        model.add(X[6:12], np.ones(6, dtype=int))
        kept, y = X[:12], np.repeat([0, 1], 6)
    else:
        model.correct([0], X[:1], [1])
        kept, y = X[:6], np.array([1, 0, 0, 0, 0, 0])
    assert model.classes_.tolist() == [0, 1] and model.coef_.shape == (2, 3)
    check(model, kept, y)


def test_weights_count() -> None:
    c = np.where(np.arange(60) % 5 == 0, 0.0, np.linspace(0.5, 2.0, 60))
    model = CertifiedSoftmaxRegression(C=1.0).fit(X, Y, sample_weight=c)
    model.remove([1, 2])
    check(model, X[np.r_[0, 3:60]], Y[np.r_[0, 3:60]], c[np.r_[0, 3:60]])


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_scales(scale: float) -> None:
    model = CertifiedSoftmaxRegression(C=1.0 / scale**2, fit_intercept=False, noise_std=1.0 / scale).fit(scale * X, Y)
    model.remove([0, 7])
    kept = np.delete(np.arange(60), [0, 7])
    check(model, scale * X[kept], Y[kept])


def test_it_can_be_saved_and_goes_on(tmp_path: Path) -> None:
    model = CertifiedSoftmaxRegression(C=1.0).fit(X, Y)
    model.remove([5])
    model.save(tmp_path / "trees.model")
    again = CertifiedSoftmaxRegression.load(tmp_path / "trees.model")
    assert np.array_equal(again.predict(X), model.predict(X))
    again.remove([6])
    kept = np.delete(np.arange(60), [5, 6])
    check(again, X[kept], Y[kept])


def test_a_forged_certificate_is_refuted() -> None:
    model = CertifiedSoftmaxRegression(C=1.0).fit(X, Y)
    bundle = model.audit_bundle()
    moved = bundle.weights + 1e-3
    report = verify(model.certificate_, X, Y, moved, nonce=bundle.nonce)
    assert {"gradient_residual", "distance_bound"} <= {check.name for check in report.failures}
