"""What ``certified demo`` does: train, delete, certify, compare with retraining, verify, and try to cheat."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import linearise
from certified.bounds.distance import assess, sharpen
from certified.bounds.exact_gradient import exact_gradient
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import weights_commitment
from certified.data.loaders import LoadedData, load_breast_cancer, load_digits, load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.estimators import CertifiedLogisticRegression
from certified.estimators.encoding import OneVsRest
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_delta
from certified.solvers import solve
from certified.verification.verify import VerificationReport, verify

Array = npt.NDArray[np.float64]
Say = Callable[[str], None]

EXACT_REFERENCE_WORK = 3_000_000
"""Up to this many products n·p·K the exact retraining is itself certified in ball arithmetic, far below float64."""
SKLEARN_TOLERANCES = {"scikit-learn": 1e-4, "scikit-learn, tol=1e-10": 1e-10}
"""Retraining as most people do it, and as exact as it goes."""


@dataclass(frozen=True)
class Request:
    """A deletion: what to call it, and the arguments of ``remove``."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A data set with the model and the requests that suit it.

    Attributes:
        data: rows and held-out rows.
        C: inverse L2 strength.
        subjects: to whom each training row belongs.
        requests: the deletions, one after the other.
    """

    data: LoadedData
    C: float
    subjects: list[int]
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Retraining:
    """Training again on the remaining rows.

    Attributes:
        seconds: time it took.
        distance: distance of its weights to the exact minimiser.
    """

    seconds: float
    distance: float


@dataclass(frozen=True)
class Deletion:
    """One request and how it compares with exact retraining.

    Attributes:
        name: what was deleted.
        certificate: what the library certifies.
        first_seconds: time of the first request of this shape, compilation included.
        seconds: time of the identical request afterwards.
        passes: data passes.
        true_distance: measured distance of the noise-free weights to exact retraining.
        reference_distance: certified distance of the measured "exact retraining" to the exact minimiser.
        kept_distance: distance of the weights before the request to exact retraining: what doing nothing would leave.
        accuracy_before, accuracy_after: held-out accuracy of the released models on the classes in force.
        retrained_accuracy: the same of exact retraining.
        retrainings: what training again costs.
        report: the independent verification of the certificate.
    """

    name: str
    certificate: Certificate
    first_seconds: float
    seconds: float
    passes: int
    true_distance: float
    reference_distance: float
    kept_distance: float
    accuracy_before: float
    accuracy_after: float
    retrained_accuracy: float
    retrainings: Mapping[str, Retraining]
    report: VerificationReport


@dataclass(frozen=True)
class Cheat:
    """A forged certificate, or one that does not fit what it comes with, and what the verifier says."""

    name: str
    report: VerificationReport


@dataclass(frozen=True)
class Story:
    """Everything the demo shows."""

    data: LoadedData
    training: Certificate
    training_seconds: float
    deletions: tuple[Deletion, ...]
    cheats: tuple[Cheat, ...]
    model: CertifiedLogisticRegression


def scenario(name: str, data_dir: Path | None, seed: int) -> Scenario:
    """The data set ``name`` with requests whose rows ``seed`` picks."""
    if name == "digits":
        data, C, batch = load_digits(), 1.0, 50
    elif name == "breast-cancer":
        data, C, batch = load_breast_cancer(unit_rows=True), 100.0, 25
    else:
        data, batch = load_mnist_3_vs_8(data_dir=data_dir), 100
        C = 1000.0 / len(data.y_train)
    rng, n = np.random.default_rng(seed), len(data.y_train)
    subjects = rng.integers(0, n // 20, n)
    eights, theirs = data.y_train == 8, subjects == 0
    if name == "digits":
        others, last = ~eights, Request(f"all {np.sum(eights)} eights", {"labels": [8]})
    else:
        others, last = ~theirs, Request(f"a person's {np.sum(theirs)}", {"subjects": [0]})
    ids = rng.permutation(np.flatnonzero(others))[: batch + 1].tolist()
    requests = (Request("one row", {"ids": ids[:1]}), Request(f"{batch} rows", {"ids": ids[1:]}), last)
    return Scenario(data, C, subjects.tolist(), requests)


def tell(plan: Scenario, say: Say) -> Story:
    """Run the whole story; ``say`` is told what is going on."""
    say("rehearsing: the first request of each kind compiles")
    first_seconds = _rehearse(plan)
    say("training")
    start = time.perf_counter()
    model = _train(plan)
    training_seconds = time.perf_counter() - start
    training, deletions = model.certificate_, []
    untouched = model.audit_bundle().weights
    for request, first in zip(plan.requests, first_seconds, strict=True):
        deletions.append(_delete(plan, model, request, first, say))
    say("trying to cheat")
    cheats = _cheats(plan, model, untouched)
    return Story(plan.data, training, training_seconds, tuple(deletions), cheats, model)


def _train(plan: Scenario) -> CertifiedLogisticRegression:
    return CertifiedLogisticRegression(C=plan.C).fit(plan.data.X_train, plan.data.y_train, subjects=plan.subjects)


def _rehearse(plan: Scenario) -> list[float]:
    """Seconds of each request in a fresh process, on a model that is thrown away."""
    model, seconds = _train(plan), []
    for request in plan.requests:
        start = time.perf_counter()
        model.remove(**request.arguments)
        seconds.append(time.perf_counter() - start)
    return seconds


def _delete(
    plan: Scenario, model: CertifiedLogisticRegression, request: Request, first_seconds: float, say: Say
) -> Deletion:
    """Delete on a warm machine, then measure what only an experiment can know: the distance to exact retraining."""
    before, classes_before = model.audit_bundle().weights, model.classes_
    predicted_before = model.predict(plan.data.X_test)
    say(f"deleting {request.name}")
    start = time.perf_counter()
    certificate = model.remove(**request.arguments)
    seconds = time.perf_counter() - start
    say(f"{request.name}: solving the remaining problem again, from zero")
    X, y = _in_force(plan, model)
    reference = _retrain(X, y, 1.0 / plan.C)
    retrainings = {"this library": Retraining(reference.seconds, reference.distance)}
    for name, tolerance in SKLEARN_TOLERANCES.items():
        say(f"{request.name}: retraining with {name}")
        retrainings[name] = _retrain_sklearn(X, y, plan.C, tolerance, reference.weights)
    say(f"{request.name}: verifying the certificate from the remaining rows")
    bundle = model.audit_bundle()
    report = verify(certificate, X, y, bundle.weights, released=bundle.released, nonce=bundle.nonce)
    kept = _surviving_heads(before, classes_before, model.classes_)
    return Deletion(
        name=request.name,
        certificate=certificate,
        first_seconds=first_seconds,
        seconds=seconds,
        passes=model.update_info_.passes,
        true_distance=float(np.linalg.norm(bundle.weights - reference.weights)),
        reference_distance=reference.distance,
        kept_distance=float(np.linalg.norm(kept - reference.weights)),
        accuracy_before=_accuracy(plan, predicted_before, model.classes_),
        accuracy_after=_accuracy(plan, model.predict(plan.data.X_test), model.classes_),
        retrained_accuracy=_accuracy(plan, _predict(plan, reference.weights, model.classes_), model.classes_),
        retrainings=retrainings,
        report=report,
    )


@dataclass(frozen=True, repr=False)
class _Reference:
    weights: Array
    distance: float
    seconds: float


def _retrain(X: Array, y: npt.NDArray[Any], alpha: float) -> _Reference:
    """Minimise on the remaining rows from zero, without any knowledge of the deleted ones, and certify the result."""
    classes, weights = tuple(np.unique(y).tolist()), np.ones(len(y))
    rows = Rows.from_arrays(X, OneVsRest().targets(y.tolist(), classes), weights)
    objective = Objective(LOGISTIC, rows, alpha, fit_intercept=True)
    solve(objective)  # compiles
    start = time.perf_counter()
    solution = solve(objective)
    seconds = time.perf_counter() - start
    exact = len(y) * objective.shape[0] * objective.shape[1] <= EXACT_REFERENCE_WORK
    gradient = exact_gradient(objective, solution.weights) if exact else None
    rough, enclosure = assess(objective, solution.weights, gradient)
    bound = sharpen(objective, solution.weights, rough, enclosure, linearise(objective, solution.weights))
    return _Reference(solution.weights, bound.value, seconds)


def _retrain_sklearn(X: Array, y: npt.NDArray[Any], C: float, tolerance: float, reference: Array) -> Retraining:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    plain = LogisticRegression(C=C, tol=tolerance, max_iter=100_000)
    many = len(np.unique(y)) > 2
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = (OneVsRestClassifier(plain) if many else plain).fit(X, y)
    seconds = time.perf_counter() - start
    heads = fitted.estimators_ if many else [fitted]
    weights = np.stack([np.append(head.coef_[0], head.intercept_[0]) for head in heads], axis=1)
    return Retraining(seconds, float(np.linalg.norm(weights - reference)))


def _cheats(plan: Scenario, model: CertifiedLogisticRegression, old_weights: Array) -> tuple[Cheat, ...]:
    """Three attempts; the forger recomputes every digest and count, so that only the content can give him away."""
    X, y = _in_force(plan, model)
    bundle, certificate = model.audit_bundle(), model.certificate_
    truth = gaussian_delta(epsilon=0.0, sensitivity=certificate.mu, noise_std=1.0)
    better = dataclasses.replace(certificate, epsilon=0.0, delta=truth / 2.0)
    kept = _surviving_heads(old_weights, np.unique(plan.data.y_train), model.classes_)
    idle = dataclasses.replace(certificate, weights_commitment=weights_commitment(bundle.nonce, kept))
    deleted = np.setdiff1d(np.arange(len(plan.data.y_train)), model.ids_)
    swapped = [next(int(i) for i in deleted if plan.data.y_train[i] in model.classes_), *model.ids_[1:].tolist()]
    attempts: tuple[tuple[str, Certificate, Array, npt.NDArray[Any], Array], ...] = (
        ("more privacy claimed", better, X, y, bundle.weights),
        ("weights not updated", idle, X, y, kept),
        ("a deleted row put back", certificate, plan.data.X_train[swapped], plan.data.y_train[swapped],
         bundle.weights),
    )  # fmt: skip
    return tuple(
        Cheat(name, verify(forged, rows, labels, weights, released=bundle.released, nonce=bundle.nonce))
        for name, forged, rows, labels, weights in attempts
    )


def _surviving_heads(weights: Array, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> Array:
    """The columns of one-vs-rest ``weights`` whose classes are still in force; two classes share one column."""
    return weights if len(before) == 2 else weights[:, np.isin(before, after)]


def _in_force(plan: Scenario, model: CertifiedLogisticRegression) -> tuple[Array, npt.NDArray[Any]]:
    return plan.data.X_train[model.ids_], plan.data.y_train[model.ids_]


def _predict(plan: Scenario, weights: Array, classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Classes of the held-out rows by noise-free weights."""
    scores = plan.data.X_test @ weights[:-1] + weights[-1]
    winners = (scores[:, 0] > 0).astype(np.intp) if len(classes) == 2 else scores.argmax(axis=1)
    return np.asarray(classes[winners])


def _accuracy(plan: Scenario, predicted: npt.NDArray[Any], classes: npt.NDArray[Any]) -> float:
    """Share of right answers on the held-out rows of the classes in force."""
    known = np.isin(plan.data.y_test, classes)
    return float(np.mean(predicted[known] == plan.data.y_test[known]))
