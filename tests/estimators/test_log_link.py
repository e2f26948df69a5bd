"""Poisson and gamma regression against scikit-learn's, and against exact retraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from certified import verify
from certified.estimators import CertifiedGammaRegressor, CertifiedLinearSVC, CertifiedPoissonRegressor
from certified.estimators.persistence import restored, saved
from certified.estimators.saved_model import loads
from certified.removal import TargetNotReachedError
from tests.estimators.reference import Model, Reference, table

Array = npt.NDArray[np.float64]

rng = np.random.default_rng(80)
FEATURES = rng.normal(size=(60, 3))
MEAN = np.exp(FEATURES @ [0.5, -0.4, 0.1] + 0.3)
COUNTS, AMOUNTS = rng.poisson(MEAN).astype(np.float64), rng.gamma(2.0, MEAN / 2.0)
SOME = rng.choice([0.0, 0.5, 1.0, 4.0], size=60)
PAIRS = [(CertifiedPoissonRegressor, PoissonRegressor, COUNTS), (CertifiedGammaRegressor, GammaRegressor, AMOUNTS)]


@pytest.mark.parametrize(("kind", "other", "y"), PAIRS)
@pytest.mark.parametrize("weights", [None, SOME], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_they_agree_with_scikit_learn(kind: Any, other: Any, y: Array, weights: Any, fit_intercept: bool) -> None:
    model = kind(C=1.0 / 0.3, l2_scaling="per_sample", fit_intercept=fit_intercept, noise_std=1e-9)
    theirs = other(alpha=0.3, fit_intercept=fit_intercept, tol=1e-10, max_iter=10_000)
    for fitted in (model, theirs):
        fitted.fit(FEATURES, y, sample_weight=weights)
    assert np.allclose(model.coef_, theirs.coef_, rtol=0.0, atol=1e-6)
    assert model.intercept_ == pytest.approx(theirs.intercept_, abs=1e-6)
    assert np.allclose(model.predict(FEATURES), theirs.predict(FEATURES), rtol=1e-5)
    assert model.score(FEATURES, y, weights) == pytest.approx(theirs.score(FEATURES, y, weights), abs=1e-6)


@pytest.mark.parametrize(("kind", "other", "y"), PAIRS)
def test_total_strength_is_alpha_times_the_number_of_rows(kind: Any, other: Any, y: Array) -> None:
    model = kind(C=1.0 / (0.1 * 60), noise_std=1e-9).fit(FEATURES, y)
    assert np.allclose(model.coef_, other(alpha=0.1, tol=1e-10, max_iter=10_000).fit(FEATURES, y).coef_, atol=1e-6)


@pytest.mark.parametrize(("kind", "other", "y"), PAIRS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_requests_keep_to_exact_retraining(kind: Any, other: Any, y: Array, fit_intercept: bool) -> None:
    reference = Reference.fitted(kind(fit_intercept=fit_intercept), table(FEATURES[:30], y[:30], SOME[:30]))
    reference.remove([0, 7, 8])
    reference.add({f"new {i}": row for i, row in table(FEATURES[30:36], y[30:36]).items()})
    reference.correct({3: table(FEATURES[40:41], y[40:41])[0]})
    reference.release()
    reference.remove([key for key in reference.rows if key != 3])
    reference.remove([3])
    assert reference.model.certificate_.distance_claim == "T0"


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (CertifiedPoissonRegressor(), COUNTS),
        (CertifiedGammaRegressor(), AMOUNTS),
        (CertifiedLinearSVC(width=0.25), np.where(COUNTS > 1.0, "many", "few")),
    ],
)
def test_saved_models_go_on_deleting_and_their_certificates_hold(model: Model, y: Array, tmp_path: Path) -> None:
    model.fit(FEATURES, y)
    model.save(tmp_path / "model.npz")
    for loaded in (type(model).load(tmp_path / "model.npz"), restored(loads(saved(model).secrets()))):
        assert type(loaded) is type(model) and loaded.get_params() == model.get_params()
        certificate, kept = loaded.remove([1, 2, 30]), loaded.ids_
        secrets = loaded.audit_bundle()
        report = verify(certificate, FEATURES[kept], y[kept], secrets.weights, released=secrets.released,
                        nonce=secrets.nonce)  # fmt: skip
        assert report.ok and not report.skipped, str(report)


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e9, 1e13])
@pytest.mark.parametrize(("kind", "other", "y"), PAIRS)
def test_targets_of_any_permitted_size(kind: Any, other: Any, y: Array, scale: float) -> None:
    """Rescaling y moves the intercept by its logarithm; certificates of tiny counts need more noise."""
    model = kind(noise_std=1.0).fit(FEATURES, y * scale)
    assert model.certificate_.distance_bound <= model.certificate_.distance_target
    assert model.intercept_ == pytest.approx(np.log(scale), abs=8.0)


@pytest.mark.parametrize(("kind", "other", "y"), PAIRS)
def test_a_new_row_may_overflow_at_the_weights_so_far(kind: Any, other: Any, y: Array) -> None:
    """e^z is infinite for it before the model has adapted; retraining from zero finds the minimiser all the same."""
    reference = Reference.fitted(kind(C=1e-3), table(FEATURES[:12], y[:12]))
    for i, sign in enumerate((1.0, -1.0)):
        reference.add({f"far {i}": table(np.array([[0.0, sign * 1e4, 0.0]]), np.ones(1))[0]})
        reference.remove([f"far {i}"])


def test_losing_the_last_count_is_refused_and_changes_nothing() -> None:
    model = CertifiedPoissonRegressor().fit(FEATURES[:6], [3.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    before = model.certificate_
    with pytest.raises(TargetNotReachedError):
        model.remove([0])
    assert model.certificate_ is before and model.remove([1]).remaining_count == 5
