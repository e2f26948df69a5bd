"""The support vector classifier against scikit-learn's, and against exact retraining."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from certified.estimators import CertifiedLinearSVC
from certified.losses.huberised_hinge import HINGE_WIDTHS
from tests.estimators.reference import Reference, table

rng = np.random.default_rng(70)
FEATURES = rng.normal(size=(60, 3))
SCORES = FEATURES @ rng.normal(size=(3, 3)) + 0.7 * rng.normal(size=(60, 3))
TWO = np.where(SCORES[:, 0] > 0.2, "yes", "no")
THREE = np.array(["a", "b", "c"])[SCORES.argmax(axis=1)]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_a_narrow_bend_agrees_with_scikit_learn(y: np.ndarray, fit_intercept: bool) -> None:
    """|φ − hinge| ≤ h/2, so with strong convexity ½α‖w − w'‖² ≤ Σc·h/2 at worst; here it is far closer."""
    model = CertifiedLinearSVC(C=0.5, width=2.0**-10, fit_intercept=fit_intercept, noise_std=1e-7).fit(FEATURES, y)
    other = LinearSVC(loss="hinge", C=0.5, fit_intercept=fit_intercept, tol=1e-8, max_iter=10**6).fit(FEATURES, y)
    assert np.allclose(model.coef_, other.coef_, rtol=0.0, atol=5e-3)
    assert np.allclose(model.intercept_, other.intercept_, rtol=0.0, atol=5e-3)
    assert np.mean(model.predict(FEATURES) == other.predict(FEATURES)) >= 0.98


@pytest.mark.parametrize(
    ("y", "width"),
    [
        (TWO, HINGE_WIDTHS[-1]),
        (THREE, HINGE_WIDTHS[0]),
        *(pytest.param(TWO, width, marks=pytest.mark.slow) for width in HINGE_WIDTHS[:-1]),
        *(pytest.param(THREE, width, marks=pytest.mark.slow) for width in HINGE_WIDTHS[1:]),
    ],
)
def test_requests_keep_to_exact_retraining(y: np.ndarray, width: float) -> None:
    reference = Reference.fitted(CertifiedLinearSVC(width=width), table(FEATURES[:30], y[:30]))
    reference.remove([0, 7, 8])
    reference.add({f"new {i}": row for i, row in table(FEATURES[30:36], y[30:36]).items()})
    reference.correct({3: table(FEATURES[40:41], y[40:41])[0]})
    reference.release()
    assert {certificate.distance_claim for certificate in reference.seen} == {"T1"}


def test_a_class_may_leave() -> None:
    reference = Reference.fitted(CertifiedLinearSVC(), table(FEATURES[:30], THREE[:30]))
    for label in ("c", "a"):
        gone = [key for key, row in reference.rows.items() if row.label == label]
        reference.remove(gone)
    assert reference.model.predict(FEATURES[:2]).tolist() == ["b", "b"]


def test_the_width_is_part_of_the_certificate() -> None:
    certificates = [CertifiedLinearSVC(width=w).fit(FEATURES, TWO).certificate_ for w in (1, 0.25)]
    assert [c.loss for c in certificates] == ["huberised_hinge/1.0", "huberised_hinge/0.25"]
    assert [c.curvature_limit for c in certificates] == [1.0, 4.0]
