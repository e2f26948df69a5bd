"""One-vs-rest with a loss that is not the library's, written as docs/add-a-loss.md says, against exact retraining."""

from __future__ import annotations

import dataclasses
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb
from sklearn.utils.estimator_checks import parametrize_with_checks

from certified import (
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedOneVsRestClassifier,
    DeletionStore,
    verify,
)
from certified.cli import modelfile
from certified.estimators.archive import ModelFormatError
from certified.estimators.persistence import restored, saved
from certified.estimators.saved_model import loads
from certified.losses import LOGISTIC, POISSON, SOFTMAX, SQUARED, HuberisedHinge
from certified.numerics.rounding import UNIT_ROUNDOFF

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HyperbolicHinge:
    """φ(z; t) = (√(1 + u²) − u)/2 with u = t·z: a smooth hinge with polynomial tails, of no class of the library.

    φ' = t·(u/s − 1)/2 and φ'' = 1/(2s³), s = √(1 + u²): |φ'| < 1, φ'' ≤ ½, |φ'''| = (3|u|/s²)·φ'' ≤ 1.5·φ''. The
    derivative is computed as −t/(2s(s + u)) for u ≥ 0 and −t(s − u)/(2s) else: nothing cancels, and at most twelve
    roundings, of which a square root takes part in three, make a relative error below 2⁻⁴⁸. Beyond |u| = 2¹²⁰ terms
    would leave the range of T12: infinity.
    """

    name: str = "hyperbolic_hinge"
    self_concordance: float = 1.5
    derivative_limit: float = 1.0
    curvature_limit: float = 0.5
    evaluation_error: float = 32.0 * UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = False
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        u, s = self._parts(z, target)
        return jnp.where(u > 0.0, 0.5 / (s + jnp.abs(u)), 0.5 * (s + jnp.abs(u)))

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        u, s = self._parts(z, target)
        rise = s + jnp.abs(u)
        return -target * jnp.where(u > 0.0, 0.5 / (s * rise), 0.5 * rise / s)

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        _, s = self._parts(z, target)
        return jnp.square(target) * (0.5 / (s * s * s))

    def ball_derivative(self, z: arb, target: arb) -> arb:
        u = target * z
        return target * (u / (1 + u * u).sqrt() - 1) / 2

    def ball_curvature(self, z: arb, target: arb) -> arb:
        u = target * z
        return target * target / (2 * (1 + u * u).sqrt() ** 3)

    def _parts(self, z: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        u = target * z
        return u, jnp.where(jnp.abs(u) <= 2.0**120, jnp.sqrt(1.0 + u * u), jnp.inf)


MINE = HyperbolicHinge()
rng = np.random.default_rng(17)
X = rng.normal(size=(60, 3))
SCORES = X @ rng.normal(size=(3, 3)) + 0.6 * rng.normal(size=(60, 3))
TWO = np.where(SCORES[:, 0] > 0.1, "yes", "no")
THREE = np.array(["a", "b", "c"])[SCORES.argmax(axis=1)]


def retrained(X: Array, y: npt.NDArray[Any], c: Array, alpha: float) -> tuple[Array, float]:
    """The minimisers for all outputs by a Newton method of its own, and a bound on their joint error.

    Strong convexity in (w, b) holds with the least eigenvalue m of the Hessian near the minimiser; the gradient of
    what Newton found is at rounding level, and twice its norm over m bounds what is left.
    """
    classes = sorted(set(y[c > 0.0].tolist()))
    owners = classes[1:] if len(classes) == 2 else classes
    rows, penalty = np.hstack([X, np.ones((len(X), 1))]), np.append(np.full(X.shape[1], alpha), 0.0)
    columns, error = [], 0.0
    for owner in owners:
        t, w = np.where(y == owner, 1.0, -1.0), np.zeros(rows.shape[1])
        for _ in range(100):
            u = t * (rows @ w)
            s = np.sqrt(1.0 + u * u)
            gradient = rows.T @ (c * t * (u / s - 1.0) / 2.0) + penalty * w
            hessian = (rows.T * (c / (2.0 * s**3))) @ rows + np.diag(penalty)
            value = np.sum(c * (s - u) / 2.0) + 0.5 * np.sum(penalty * w * w)
            step, size = np.linalg.solve(hessian, gradient), 1.0
            while size > 1e-9:
                v = t * (rows @ (w - size * step))
                trial = np.sum(c * (np.sqrt(1.0 + v * v) - v) / 2.0) + 0.5 * np.sum(penalty * (w - size * step) ** 2)
                if trial <= value + 1e-12 * abs(value):
                    break
                size /= 2.0
            w = w - size * step
        columns.append(w)
        error += (2.0 * np.linalg.norm(gradient) / np.linalg.eigvalsh(hessian)[0]) ** 2
    return np.stack(columns, axis=1), math.sqrt(error)


def check(model: CertifiedOneVsRestClassifier, X: Array, y: npt.NDArray[Any], c: Array | None = None) -> None:
    certificate = model.certificate_
    exact, error = retrained(X, y, np.ones(len(y)) if c is None else c, certificate.alpha)
    assert error < 1e-11
    # Frobenius: one distance for all outputs together.
    assert np.linalg.norm(model.audit_bundle().weights - exact) <= certificate.distance_bound + error
    assert certificate.distance_bound <= certificate.distance_target


@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("scaling", ["total", "per_sample"])
def test_requests_keep_to_exact_retraining(y: npt.NDArray[Any], scaling: str) -> None:
    c = np.where(np.arange(60) % 7 == 0, 0.0, np.linspace(0.5, 2.0, 60))
    model = CertifiedOneVsRestClassifier(MINE, C=3.0, l2_scaling=scaling).fit(X[:50], y[:50], sample_weight=c[:50])
    check(model, X[:50], y[:50], c[:50])
    model.remove([1, 2, 30])
    kept = np.setdiff1d(np.arange(50), [1, 2, 30])
    check(model, X[kept], y[kept], c[kept])
    model.add(X[50:], y[50:], sample_weight=c[50:])
    kept = np.append(kept, np.arange(50, 60))
    check(model, X[kept], y[kept], c[kept])
    model.remove(labels=[str(y[0])])
    left = kept[y[kept] != y[0]]
    assert model.classes_.tolist() == sorted(set(y[left].tolist()))
    if len(model.classes_) > 1:
        check(model, X[left], y[left], c[left])
    assert set(model.predict(X).tolist()) <= set(model.classes_.tolist())


def test_the_outputs_share_one_certificate_and_budget() -> None:
    joint = CertifiedOneVsRestClassifier(MINE, C=3.0).fit(X, THREE)
    certificate = joint.certificate_
    assert (certificate.n_outputs, certificate.releases, certificate.loss) == (3, 1, "hyperbolic_hinge")
    assert certificate.distance_claim in ("T2", "T2w")
    alone = CertifiedOneVsRestClassifier(MINE, C=3.0).fit(X, np.where(THREE == "b", 1, 0))
    apart = np.linalg.norm(joint.audit_bundle().weights[:, 1] - alone.audit_bundle().weights[:, 0])
    assert apart <= certificate.distance_bound + alone.certificate_.distance_bound


@pytest.mark.parametrize(
    ("loss", "kind"),
    [(LOGISTIC, CertifiedLogisticRegression()), (HuberisedHinge(0.25), CertifiedLinearSVC(width=0.25))],
)
def test_a_loss_of_the_library_gives_the_same_model_and_is_verified(loss: Any, kind: Any) -> None:
    model, kind = CertifiedOneVsRestClassifier(loss).fit(X, THREE), kind.fit(X, THREE)
    assert np.array_equal(model.audit_bundle().weights, kind.audit_bundle().weights)
    certificate, bundle, kept = model.remove([4, 5]), model.audit_bundle(), model.ids_
    assert not any("author's word" in text for text in certificate.assumptions)
    report = verify(certificate, X[kept], THREE[kept], bundle.weights, released=bundle.released, nonce=bundle.nonce)
    assert report.ok and not report.skipped, str(report)


def test_the_verifier_refuses_a_loss_that_it_does_not_know_by_name() -> None:
    model = CertifiedOneVsRestClassifier(MINE).fit(X, THREE)
    certificate, bundle = model.remove([4]), model.audit_bundle()
    assert any("'hyperbolic_hinge'" in text and "author's word" in text for text in certificate.assumptions)
    report = verify(
        certificate, X[model.ids_], THREE[model.ids_], bundle.weights, released=bundle.released, nonce=bundle.nonce
    )
    assert not report.ok
    assert [check.name for check in report.failures] == ["constants"]
    assert "'hyperbolic_hinge' is unknown to this verifier" in report.failures[0].detail
    assert {check.name for check in report.skipped} == {"distance_bound"}
    # Under the name of a known loss the figures must be those of that loss.
    posing = dataclasses.replace(certificate, loss="logistic", self_concordance=1.0, curvature_limit=0.25)
    report = verify(posing, X[model.ids_], THREE[model.ids_], bundle.weights, nonce=bundle.nonce)
    assert {"claims", "gradient_residual", "distance_bound"} <= {check.name for check in report.failures}


REFUSALS = {
    "no loss": ("logistic", TypeError, "must be an object that satisfies"),
    "a class": (HyperbolicHinge, TypeError, r"not a class: HyperbolicHinge\(\)"),
    "half a loss": (dataclasses.make_dataclass("Half", [], frozen=True)(), TypeError, "lacks name, self_concordance"),
    "coupled": (SOFTMAX, ValueError, "softmax has CertifiedSoftmaxRegression"),
    "numbers": (SQUARED, ValueError, "predicts numbers"),
    "counts": (POISSON, ValueError, "predicts numbers"),
    "poser": (HyperbolicHinge(name="logistic"), ValueError, "of a loss of this library without being it"),
    "anonymous": (HyperbolicHinge(name=" "), ValueError, "must have a name"),
    "two lines": (HyperbolicHinge(name="mine\nproved"), ValueError, "printable"),
    "contradictory": (HyperbolicHinge(curvature_limit=0.4), ValueError, r"loss\.curvature_limit=0\.4 is exceeded"),
    "nan": (HyperbolicHinge(self_concordance=math.nan), ValueError, "loss.self_concordance must be a number"),
    "negative": (HyperbolicHinge(curvature_limit=-1.0), ValueError, "loss.curvature_limit must be a number"),
    "text": (HyperbolicHinge(derivative_limit="1"), ValueError, "loss.derivative_limit"),  # type: ignore[arg-type]
    "boundless": (
        HyperbolicHinge(self_concordance=math.inf, curvature_limit=math.inf),
        ValueError,
        "no bound holds without",
    ),
    "shift": (HyperbolicHinge(evaluation_shift=math.inf), ValueError, "evaluation_shift finite"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_unusable_losses_are_refused(case: str) -> None:
    loss, error, message = REFUSALS[case]
    with pytest.raises(error, match=message):
        CertifiedOneVsRestClassifier(loss).fit(X, THREE)


def test_a_loss_that_cannot_be_hashed_is_refused() -> None:
    unhashable = type("Unhashable", (HyperbolicHinge,), {"__hash__": None})()
    with pytest.raises(TypeError, match="make Unhashable a frozen dataclass"):
        CertifiedOneVsRestClassifier(unhashable).fit(X, THREE)


def test_a_saved_model_needs_its_loss_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.model"
    model = CertifiedOneVsRestClassifier(MINE, class_weight={"a": 2.0}).fit(X, THREE)
    model.save(path)
    again = CertifiedOneVsRestClassifier.load(path, loss=MINE)
    assert again.get_params() == model.get_params()
    kept, c = np.arange(1, 60), np.where(THREE == "a", 2.0, 1.0)
    again.remove([0])
    check(again, X[kept], THREE[kept], c[kept])
    with pytest.raises(ModelFormatError, match=r"loss 'hyperbolic_hinge', which is none of this library: read it by"):
        CertifiedOneVsRestClassifier.load(path)
    with pytest.raises(ValueError, match=r"MODEL: .* holds a model of the loss 'hyperbolic_hinge'"):
        modelfile.load(path)
    with pytest.raises(ValueError, match="give that one"):
        CertifiedOneVsRestClassifier.load(path, loss=LOGISTIC)
    with pytest.raises(TypeError, match=r"model cannot be kept in a store: .*'hyperbolic_hinge'"):
        DeletionStore.init(tmp_path / "mine.store", model)
    assert not (tmp_path / "mine.store").exists()


def test_a_saved_model_of_a_known_loss_needs_nothing() -> None:
    model = CertifiedOneVsRestClassifier(HuberisedHinge(0.25)).fit(X, THREE)
    again = restored(loads(saved(model).secrets()))
    assert isinstance(again, CertifiedOneVsRestClassifier) and again.loss == HuberisedHinge(0.25)
    assert again.remove([3]).distance_claim == "T1"


def test_a_copy_goes_on_deleting() -> None:
    model = CertifiedOneVsRestClassifier(LOGISTIC).fit(X, THREE)
    assert pickle.loads(pickle.dumps(model)).remove([1]).remaining_count == 59


@pytest.mark.slow
@parametrize_with_checks([CertifiedOneVsRestClassifier(MINE)])
def test_scikit_learn_conformance(estimator: Any, check: Any) -> None:
    check(estimator)
