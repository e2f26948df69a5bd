"""The regressor against scikit-learn's, with one and several targets, and with no row left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import Ridge

from certified.estimators import CertifiedRidge
from tests.estimators.reference import Reference, Row, table

Array = npt.NDArray[np.float64]

SMALL = 1e-9
rng = np.random.default_rng(60)
FEATURES = rng.normal(size=(48, 3))
TARGET = FEATURES @ [1.0, -2.0, 0.5] + 3.0 + rng.normal(size=48)
TARGETS = np.stack([TARGET, rng.normal(size=48), -0.5 * TARGET], axis=1)
SOME = rng.choice([0.0, 0.5, 1.0, 4.0], size=48)


@pytest.mark.parametrize("y", [TARGET, TARGETS, TARGETS[:, :1]], ids=["one", "three", "column"])
@pytest.mark.parametrize("weights", [None, SOME], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_it_agrees_with_scikit_learn(y: Array, weights: Array | None, fit_intercept: bool) -> None:
    model = CertifiedRidge(C=0.5, fit_intercept=fit_intercept, noise_std=SMALL).fit(FEATURES, y, sample_weight=weights)
    other = Ridge(alpha=2.0, fit_intercept=fit_intercept, solver="cholesky").fit(FEATURES, y, sample_weight=weights)
    assert np.allclose(model.coef_, other.coef_, rtol=0.0, atol=1e-6)
    assert np.allclose(model.intercept_, other.intercept_, rtol=0.0, atol=1e-6)
    # scikit-learn's Ridge drops the axis of a single column; targets keep their shape here.
    assert np.allclose(model.predict(FEATURES), other.predict(FEATURES).reshape(y.shape), rtol=0.0, atol=1e-6)
    assert model.predict(FEATURES).shape == y.shape
    assert np.shape(model.coef_) == ((3,) if y.ndim == 1 else (y.shape[1], 3))
    assert np.shape(model.intercept_) == (() if y.ndim == 1 else (y.shape[1],))
    assert model.score(FEATURES, y) == pytest.approx(other.score(FEATURES, y), abs=1e-6)


@pytest.mark.parametrize("C", [1e-8, 1e-3, 1e3, 1e8])
def test_every_strength_agrees_with_scikit_learn(C: float) -> None:
    model = CertifiedRidge(C=C, noise_std=SMALL).fit(FEATURES, TARGET)
    other = Ridge(alpha=1.0 / C, solver="cholesky").fit(FEATURES, TARGET)
    assert np.allclose(model.coef_, other.coef_, rtol=0.0, atol=1e-6)
    assert np.allclose(model.intercept_, other.intercept_, rtol=0.0, atol=1e-6)


def test_per_sample_strength_is_the_strength_times_the_total_weight() -> None:
    model = CertifiedRidge(C=20.0, l2_scaling="per_sample", noise_std=SMALL).fit(FEATURES, TARGET, SOME)
    model.remove(list(range(20)))
    other = Ridge(alpha=SOME[20:].sum() / 20.0).fit(FEATURES[20:], TARGET[20:], SOME[20:])
    assert np.allclose(model.coef_, other.coef_, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("y", [TARGET, TARGETS], ids=["one", "three"])
def test_requests_keep_to_exact_retraining(y: Array) -> None:
    reference = Reference.fitted(CertifiedRidge(), table(FEATURES[:20], y[:20]))
    reference.remove([0, 7, 8])
    reference.add({f"new {i}": row for i, row in table(FEATURES[20:24], y[20:24]).items()})
    reference.correct({3: table(FEATURES[40:41], y[40:41])[0]})
    reference.release()
    assert reference.model.coef_.shape == (*y.shape[1:], 3)
    assert reference.model.certificate_.classes == ()


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_without_rows_the_release_is_noise_around_zero(fit_intercept: bool) -> None:
    rows = table(FEATURES[:10], TARGETS[:10])
    reference = Reference.fitted(CertifiedRidge(fit_intercept=fit_intercept), rows)
    certificate = reference.remove(list(rows))
    assert certificate.distance_bound == 0.0
    assert not reference.model.audit_bundle().weights.any()
    assert np.max(np.abs(reference.model.coef_)) < 10.0 * certificate.noise_std
    reference.add(rows)
    assert reference.model.coef_.shape == (3, 3)


def test_more_features_than_rows() -> None:
    wide = rng.normal(size=(5, 12))
    reference = Reference.fitted(CertifiedRidge(), table(wide, TARGET[:5]))
    reference.remove([2])
    other = Ridge(alpha=1.0).fit(wide[[0, 1, 3, 4]], TARGET[[0, 1, 3, 4]])
    assert np.allclose(reference.model.audit_bundle().weights[:12, 0], other.coef_, atol=1e-10)


def test_rows_of_one_target_value_can_be_removed_by_it() -> None:
    rows = table(FEATURES[:10], np.where(np.arange(10) < 3, 2.5, TARGET[:10]))
    reference = Reference.fitted(CertifiedRidge(), rows)
    reference.remove([0, 1, 2], labels=2.5)


def test_signed_zero_targets_have_their_own_commitment() -> None:
    """A row's digest depends on that row alone: −0.0 is written as −0.0 in whatever company."""
    rows = {i: Row((float(i), 1.0), y) for i, y in enumerate([0.0, -0.0, 1.0])}
    reference = Reference.fitted(CertifiedRidge(), rows)
    reference.add({"alone": Row((5.0, 5.0), -0.0)})


def test_deleted_targets_are_forgotten() -> None:
    model = CertifiedRidge().fit(FEATURES, TARGETS)
    model.remove([4, 5])
    remembered = repr(vars(model._session.register))
    for target in TARGETS[[4, 5]].ravel():
        assert repr(float(target)) not in remembered
    assert repr(float(TARGETS[6, 0])) in remembered
