"""Dense layers from certified estimators: the same predictions, columns by class, types and trees as given."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from flax import nnx
from flax.core import freeze

from certified import (
    CertifiedLogisticRegression,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
    UnknownIdError,
    verify,
)
from certified.features import DenseHead, LinearHead, Provenance
from certified.features.head import ABSENT, columns

Array = npt.NDArray[Any]

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
CENTRES = rng.normal(size=(4, 5))
LABELS = np.array(["ant", "bee", "cat", "dog"])[(X @ CENTRES.T).argmax(axis=1)]
ESTIMATOR = CertifiedLogisticRegression(C=10.0)


def dense(outputs: int, dtype: Any = jnp.float32, bias: bool = True) -> dict[str, Any]:
    layer = nn.Dense(outputs, use_bias=bias, param_dtype=dtype)
    return dict(layer.init(jax.random.key(0), jnp.ones((1, 5)))["params"])


def logits(head: DenseHead, rows: Array = X) -> Array:
    """What the untouched flax layer computes from the head's parameters."""
    params = head.params
    return np.asarray(nn.Dense(params["kernel"].shape[1], use_bias="bias" in params).apply({"params": params}, rows))


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_have_the_estimators_probabilities(outputs: int) -> None:
    y = np.where(LABELS < "c", 0, 1)
    head = DenseHead.fit(dense(outputs), X, y, estimator=ESTIMATOR)
    z = logits(head)
    one = 1.0 / (1.0 + np.exp(-z[:, 0])) if outputs == 1 else np.asarray(jax.nn.softmax(z))[:, 1]
    assert np.allclose(one, head.estimator.predict_proba(X)[:, 1], atol=1e-5)
    w, b = head.estimator.coef_[0], head.estimator.intercept_[0]
    kernel, bias = columns(head.estimator, (0, 1), outputs)
    expected = np.array([w]) if outputs == 1 else np.array([-w / 2, w / 2])
    assert np.array_equal(kernel, expected.T)
    assert np.array_equal(bias, [b] if outputs == 1 else [-b / 2, b / 2])


def test_the_order_of_classes_is_the_order_of_the_outputs() -> None:
    order = ["dog", "ant", "cat", "bee"]
    head = DenseHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR, classes=order)
    winners = np.array(order)[logits(head).argmax(axis=1)]
    assert np.array_equal(winners, head.estimator.predict(X))
    assert np.mean(winners == LABELS) > 0.85
    swapped = DenseHead(head.params, head.estimator, classes=order[::-1])
    assert np.array_equal(swapped.params["kernel"][:, ::-1], head.params["kernel"])
    backwards = DenseHead.fit(dense(1), X, LABELS == "ant", estimator=ESTIMATOR, classes=[True, False])
    assert np.array_equal(backwards.params["kernel"][:, 0], (-backwards.estimator.coef_[0]).astype(np.float32))


def test_a_class_without_rows_leaves_public_constants() -> None:
    head = DenseHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR)
    gone: list[int] = []
    for place, label in ((2, "cat"), (0, "ant"), (1, "bee")):
        head.remove(labels=label)
        gone.append(place)
        assert not np.any(head.params["kernel"][:, gone])
        assert np.array_equal(head.params["bias"][np.array(gone)], np.full(len(gone), ABSENT, np.float32))
        winners = np.array(["ant", "bee", "cat", "dog"])[logits(head).argmax(axis=1)]
        assert np.array_equal(winners, head.estimator.predict(X))
    assert not np.any(head.params["kernel"]) and head.params["bias"][3] == 0.0
    head.add(X[:1], ["cat"])
    assert set(np.array(["ant", "bee", "cat", "dog"])[logits(head).argmax(axis=1)]) == {"cat", "dog"}


@pytest.mark.parametrize(("label", "sign"), [(1, -1.0), (0, 1.0)])
def test_one_output_of_one_class_is_certain(label: int, sign: float) -> None:
    head = DenseHead.fit(dense(1), X, LABELS < "c", estimator=ESTIMATOR)
    head.remove(labels=bool(label))
    assert np.array_equal(logits(head), np.full((60, 1), sign * -ABSENT))


@pytest.mark.parametrize("labels", [LABELS, np.where(LABELS < "c", "ant", "dog")])
def test_a_softmax_head_has_the_estimators_probabilities(labels: Array) -> None:
    classes = np.unique(labels).tolist()[::-1]
    head = DenseHead.fit(dense(len(classes)), X, labels, estimator=CertifiedSoftmaxRegression(C=10.0), classes=classes)
    head.remove([3, 4])
    assert head.estimator.coef_.shape == (len(classes), 5)
    assert np.array_equal(head.params["kernel"], head.estimator.coef_[::-1].T.astype(np.float32))
    assert np.allclose(jax.nn.softmax(logits(head)), head.estimator.predict_proba(X)[:, ::-1], atol=1e-5)
    if len(classes) == 2:
        kernel, bias = columns(head.estimator, tuple(classes), 1)
        assert np.array_equal(kernel[:, 0], head.estimator.coef_[0] - head.estimator.coef_[1])
        assert bias[0] == head.estimator.intercept_[0] - head.estimator.intercept_[1]
    head.remove(labels="dog")
    winners = np.array(classes)[logits(head).argmax(axis=1)]
    assert np.array_equal(winners, head.estimator.predict(X))


@pytest.mark.parametrize("targets", [1, 3])
def test_regression(targets: int) -> None:
    y = X @ rng.normal(size=(5, targets)) + 0.5
    head = DenseHead.fit(dense(targets), X, y[:, 0] if targets == 1 else y, estimator=CertifiedRidge(C=100.0))
    head.remove([3])
    assert np.allclose(logits(head).squeeze(), head.estimator.predict(X), atol=1e-4)
    with pytest.raises(ValueError, match=r"2 output\(s\) for"):
        DenseHead.fit(dense(2), X, y[:, 0] if targets == 1 else y, estimator=CertifiedRidge())


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, np.float64])
def test_types_are_those_of_the_given_parameters(dtype: Any) -> None:
    params = {"kernel": np.zeros((5, 2), dtype), "bias": np.zeros(2, dtype)}
    head = DenseHead.fit(params, X, LABELS < "c", estimator=ESTIMATOR)
    kernel, _ = columns(head.estimator, head.classes, 2)
    assert all(value.dtype == np.dtype(dtype) and isinstance(value, jax.Array) for value in head.params.values())
    assert np.array_equal(head.params["kernel"], kernel.astype(dtype))


def test_layers_without_bias_and_frozen_trees() -> None:
    plain = CertifiedLogisticRegression(fit_intercept=False)
    head = DenseHead.fit(freeze(dense(2, bias=False)), X, LABELS < "c", estimator=plain)
    assert set(head.params) == {"kernel"}
    assert np.array_equal(logits(head).argmax(axis=1), head.estimator.predict(X))
    head = DenseHead.fit(dense(2), X, LABELS < "c", estimator=plain)
    assert not np.any(head.params["bias"])


def test_certificates_are_the_estimators_and_are_confirmed() -> None:
    provenance = Provenance.public("encoder", "ab" * 32)
    estimator = CertifiedLogisticRegression(C=10.0, features=provenance)
    head = DenseHead.fit(
        dense(4), X, LABELS, estimator=estimator, ids=[f"r{i}" for i in range(60)], subjects=np.arange(60) % 9
    )
    assert not hasattr(estimator, "coef_"), "the estimator that was given is only a recipe"
    certificate = head.remove(["r5", "r6"])
    assert head.remove(subjects=[4]).removed_total > 3
    certificate = head.correct(["r0"], X[:1] / 2.0, LABELS[:1])
    assert head.certificate is certificate and certificate.provenance == provenance
    secrets, kept = head.estimator.audit_bundle(), [int(i[1:]) for i in head.estimator.ids_]
    rows = np.where(np.arange(60)[:, None] == 0, X / 2.0, X)[kept]
    assert verify(certificate, rows, LABELS[kept], secrets.weights, released=secrets.released, nonce=secrets.nonce).ok
    with pytest.raises(UnknownIdError):
        head.remove(["r5"])


def test_an_nnx_layer_follows_in_place() -> None:
    class Model(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.body, self.head = nnx.Linear(5, 5, rngs=rngs), nnx.Linear(5, 4, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.head(x)

    model = Model(nnx.Rngs(0))
    body = np.asarray(model.body.kernel[...])
    head = LinearHead.fit(model.head, X, LABELS, estimator=ESTIMATOR)
    for request in (
        lambda: head.remove([0, 1]),
        lambda: head.remove(labels="cat"),
        lambda: head.add(X[:1], ["cat"]),
        lambda: head.correct([5], X[:1], ["ant"]),
    ):
        request()
        assert np.array_equal(model.head.kernel[...], head.params["kernel"])
        assert np.array_equal(model.head.bias[...], head.params["bias"])
        assert np.array_equal(np.asarray(model(X)).argmax(axis=1), logits(head).argmax(axis=1))
    assert np.array_equal(model.body.kernel[...], body)
    before = np.asarray(model.head.kernel[...])
    with pytest.raises(UnknownIdError):
        head.remove([0])
    assert np.array_equal(model.head.kernel[...], before)
    bare = nnx.Linear(5, 2, use_bias=False, rngs=nnx.Rngs(0))
    LinearHead.fit(bare, X, LABELS < "c", estimator=CertifiedLogisticRegression(fit_intercept=False))
    assert bare.bias is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: DenseHead.fit(dense(2), X, LABELS, estimator=ESTIMATOR),
            ValueError,
            "classes must be 2 different labels",
        ),
        (
            lambda: DenseHead.fit(dense(5), X, LABELS, estimator=ESTIMATOR),
            ValueError,
            "classes must be 5 different labels",
        ),
        (
            lambda: DenseHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR, classes=["a"] * 4),
            ValueError,
            "4 different labels",
        ),
        (
            lambda: DenseHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR, classes=list("abcd")),
            ValueError,
            "'ant', which is not among",
        ),
        (
            lambda: DenseHead.fit(dense(4), X[:, :3], LABELS, estimator=ESTIMATOR),
            ValueError,
            "kernel takes 5 features, got 3",
        ),
        (
            lambda: DenseHead.fit(dense(4, bias=False), X, LABELS, estimator=ESTIMATOR),
            ValueError,
            "no bias: use .*fit_intercept=False",
        ),
        (lambda: DenseHead.fit({"w": X}, X, LABELS, estimator=ESTIMATOR), ValueError, "params must hold 'kernel'"),
        (lambda: DenseHead.fit(X, X, LABELS, estimator=ESTIMATOR), TypeError, "params must be a mapping"),
        (
            lambda: DenseHead.fit({"kernel": np.ones((5, 2, 2))}, X, LABELS, estimator=ESTIMATOR),
            ValueError,
            "kernel must have shape",
        ),
        (
            lambda: DenseHead.fit({"kernel": np.ones((5, 4)), "bias": np.ones(3)}, X, LABELS, estimator=ESTIMATOR),
            ValueError,
            "bias must have shape",
        ),
        (
            lambda: DenseHead.fit({"kernel": np.ones((5, 4), int), "bias": np.ones(4)}, X, LABELS, estimator=ESTIMATOR),
            TypeError,
            "floating-point",
        ),
        (lambda: DenseHead.fit(dense(4), X, LABELS, estimator="logistic"), TypeError, "estimator must be an estimator"),  # type: ignore[arg-type]
        (lambda: DenseHead(dense(4), ESTIMATOR), TypeError, "fitted estimator"),
        (
            lambda: DenseHead.fit(dense(1), X, X[:, 0], estimator=CertifiedRidge(), classes=["a", "b"]),
            ValueError,
            "classes is for classifiers",
        ),
        (
            lambda: LinearHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR),
            TypeError,
            "layer must be a flax.nnx.Linear",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_label_without_an_output_is_refused_before_anything_changes() -> None:
    head = DenseHead.fit(dense(4), X, LABELS, estimator=ESTIMATOR)
    before = head.certificate
    for request in (lambda: head.add(X[:1], ["eel"]), lambda: head.correct([3], X[:1], ["eel"])):
        with pytest.raises(ValueError, match="'eel', for which the layer has no output"):
            request()
    assert head.certificate is before


def test_a_weight_beyond_the_type_is_an_error() -> None:
    params = {"kernel": np.zeros((1, 1), np.float16), "bias": np.zeros(1, np.float16)}
    head = DenseHead.fit(params, np.array([[0.0], [1e-4]]), [0.0, 1e3], estimator=CertifiedRidge(C=1e12))
    with pytest.raises(OverflowError, match="exceeds float16: use a wider type for the kernel"):
        _ = head.params
