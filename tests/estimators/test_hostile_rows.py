"""Rows that are meant to break a request: every answer is a certificate that is confirmed, or a refusal in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from certified import TargetNotReachedError, verify
from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedOneVsRestClassifier,
    CertifiedPoissonRegressor,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
)
from certified.losses import LOGISTIC

Array = npt.NDArray[np.float64]

N = 14
rng = np.random.default_rng(1)
PLAIN = rng.normal(size=(N, 3))
ODD = np.arange(N) % 2 == 1
ROWS = {
    "duplicates": np.repeat(PLAIN[:2], 7, axis=0),
    "collinear": np.outer(PLAIN[:, 0], [1.0, 2.0, -3.0]),
    "separable": np.stack([np.where(ODD, 1.0, -1.0), np.zeros(N), np.ones(N)], axis=1),
    "one huge": np.where(np.arange(N)[:, None] == 0, 1e8, 1.0) * PLAIN,
    "tiny": 1e-9 * PLAIN,
    "zero": np.zeros((N, 3)),
    "mixed": PLAIN * [1e-8, 1.0, 1e5],
    "subnormal": 1e-310 * PLAIN,
}
WEIGHTS = np.where(np.arange(N) % 5 == 4, 0.0, 1.0 + np.arange(N) % 3)

LABELS = {"two": np.where(ODD, "x", "y"), "each its own": np.arange(N)}
NUMBERS = {"huge": 1e12 * PLAIN[:, 0], "several": PLAIN[:, :2]}
COUNTS = {"one count": np.where(np.arange(N) == 8, 1.0, 0.0), "edges": np.where(ODD, 0.0, 1e15)}
AMOUNTS = {"tiny": np.full(N, 1e-15), "edges": np.where(ODD, 1e-15, 1e15)}
KINDS: dict[str, tuple[Any, dict[str, npt.NDArray[Any]]]] = {
    "logistic": (CertifiedLogisticRegression, LABELS),
    "svc": (CertifiedLinearSVC, LABELS),
    "softmax": (CertifiedSoftmaxRegression, LABELS),
    "one-vs-rest": (lambda **options: CertifiedOneVsRestClassifier(LOGISTIC, **options), LABELS),
    "ridge": (CertifiedRidge, NUMBERS),
    "poisson": (CertifiedPoissonRegressor, COUNTS),
    "gamma": (CertifiedGammaRegressor, AMOUNTS),
}


def confirm(model: Any, X: Array, y: npt.NDArray[Any]) -> None:
    kept, bundle = model.ids_.astype(int), model.audit_bundle()
    report = verify(
        model.certificate_, X[kept], y[kept], bundle.weights, sample_weight=WEIGHTS[kept], released=bundle.released,
        nonce=bundle.nonce,
    )  # fmt: skip
    assert report.ok and not report.skipped, str(report)


def attack(make: Any, X: Array, y: npt.NDArray[Any]) -> int:
    """Train and take rows out until none is left; return how many requests were granted."""
    try:
        model = make().fit(X, y, sample_weight=WEIGHTS)
    except TargetNotReachedError:
        return 0
    except ValueError as refusal:
        assert "y is zero in every row" in str(refusal)
        return 0
    confirm(model, X, y)
    granted = 1
    for gone in ([0], [1, 2, 3], [i for i in range(4, N) if i != 8], [8]):
        held = [i for i in gone if i in model.ids_]
        left = np.setdiff1d(model.ids_, held).astype(int)
        try:
            model.remove(held)
        except TargetNotReachedError:
            # What training would grant must be granted.
            if np.any(WEIGHTS[left] > 0.0):
                with pytest.raises((TargetNotReachedError, ValueError)):
                    make().fit(X[left], y[left], sample_weight=WEIGHTS[left])
            continue
        confirm(model, X, y)
        granted += 1
    return granted


@pytest.mark.slow
@pytest.mark.parametrize("noise_std", ["auto", 1.0])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("name", "targets"), [(name, t) for name, (_, table) in KINDS.items() for t in table])
def test_every_request_is_certified_or_refused(name: str, targets: str, rows: str, noise_std: Any) -> None:
    kind, table = KINDS[name]
    granted = attack(lambda: kind(noise_std=noise_std), ROWS[rows], table[targets])
    if rows in ("duplicates", "tiny", "zero") and noise_std == 1.0 and name in ("logistic", "svc", "softmax", "ridge"):
        assert granted >= 1


def test_a_request_is_granted_where_training_would_be() -> None:
    """The first Newton step of this one goes so far that a solver does not come back from there."""
    X, y = ROWS["collinear"], LABELS["each its own"]
    model = CertifiedLogisticRegression().fit(X, y, sample_weight=WEIGHTS)
    model.remove([0])
    model.remove([1, 2, 3])
    assert model.certificate_.distance_bound <= model.certificate_.distance_target
    confirm(model, X, y)


@pytest.mark.parametrize("rows", ["duplicates", "collinear"])
def test_a_gradient_far_below_the_rounding_of_its_terms_is_confirmed(rows: str) -> None:
    """Terms of 10¹² that cancel to 10⁻¹²: the certificate rests on a sum in balls (T12b), and so must its check."""
    X, y = ROWS[rows], NUMBERS["huge"]
    model = CertifiedRidge(noise_std=1.0).fit(X, y, sample_weight=WEIGHTS)
    model.remove([i for i in range(N) if i != 8])
    confirm(model, X, y)
