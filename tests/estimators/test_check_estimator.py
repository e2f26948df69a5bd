"""scikit-learn's own conformance checks, all of them, and the tools that estimators are used with."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedPoissonRegressor,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
)
from tests.estimators.reference import Model, snapshot

Array = npt.NDArray[np.float64]

rng = np.random.default_rng(30)
FEATURES = rng.normal(size=(48, 2))
TARGETS = FEATURES @ [1.0, -2.0] + 0.5
CLASSES = np.where(TARGETS > 0.5, "yes", "no")
POSITIVE = np.exp(TARGETS)
KINDS = (
    CertifiedLogisticRegression,
    CertifiedRidge,
    CertifiedLinearSVC,
    CertifiedPoissonRegressor,
    CertifiedGammaRegressor,
    CertifiedSoftmaxRegression,
)


def both() -> list[tuple[Model, npt.NDArray[Any]]]:
    targets = (CLASSES, TARGETS, CLASSES, POSITIVE, POSITIVE, CLASSES)
    return [(kind(), y) for kind, y in zip(KINDS, targets, strict=True)]


@parametrize_with_checks([kind() for kind in KINDS[:2]])
def test_scikit_learn_conformance(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([kind() for kind in KINDS[2:]])
def test_scikit_learn_conformance_of_the_other_losses(estimator: Any, check: Any) -> None:
    """They differ from the first two in their loss and in which targets they take."""
    check(estimator)


@pytest.mark.slow
def test_scikit_learn_conformance_of_array_api_input() -> None:
    """The one check that needs a setting from before scipy is imported, and is skipped without it."""
    code = (
        "from sklearn.utils.estimator_checks import estimator_checks_generator as checks\n"
        "import certified.estimators as e\n"
        "from certified.losses import LOGISTIC\n"
        "combinator = e.CertifiedOneVsRestClassifier\n"
        "named = [v for k, v in vars(e).items() if k.startswith('Certified')]\n"
        "kinds = [v(LOGISTIC) if v is combinator else v() for v in named]\n"
        "name = lambda check: getattr(check, 'func', check).__name__\n"
        "pairs = [p for e in kinds for p in checks(e)]\n"
        "chosen = [(e, c) for e, c in pairs if name(c) == 'check_array_api_input']\n"
        "print([c(e) for e, c in chosen])"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert set(ast.literal_eval(done.stdout)) <= {None}


def test_kinds() -> None:
    assert is_classifier(CertifiedLogisticRegression())
    assert is_regressor(CertifiedRidge())
    assert is_classifier(CertifiedLinearSVC())
    assert is_regressor(CertifiedPoissonRegressor()) and is_regressor(CertifiedGammaRegressor())


@pytest.mark.parametrize(("model", "y"), both())
def test_a_clone_has_the_parameters_and_nothing_else(model: Model, y: npt.NDArray[Any]) -> None:
    model = clone(model).set_params(C=3.0, epsilon=0.5, max_releases=7, norm_bound=10.0, random_state=1)
    copy = clone(model.fit(FEATURES, y))
    assert copy.get_params() == model.get_params()
    assert set(vars(copy)) == set(model.get_params())


@pytest.mark.parametrize(("model", "y"), both())
def test_a_pipeline_fits_predicts_and_deletes(model: Model, y: npt.NDArray[Any]) -> None:
    pipeline = make_pipeline(Normalizer(), model).fit(FEATURES, y)
    alone = clone(model).fit(Normalizer().transform(FEATURES), y)
    assert pipeline.score(FEATURES, y) == pytest.approx(alone.score(Normalizer().transform(FEATURES), y), abs=1e-3)
    assert pipeline[-1].remove([0, 1]).remaining_count == 46
    assert len(pipeline.predict(FEATURES)) == 48


def test_grid_search_finds_the_better_strength() -> None:
    search = GridSearchCV(CertifiedRidge(), {"C": [1e-6, 1e3]}, cv=3).fit(FEATURES, TARGETS)
    assert search.best_params_ == {"C": 1e3}
    assert search.best_score_ > 0.99
    assert search.best_estimator_.remove([5]).removed_count == 1


@pytest.mark.parametrize(("model", "y"), both())
def test_cross_validation(model: Model, y: npt.NDArray[Any]) -> None:
    assert np.min(cross_val_score(model.set_params(C=100.0), FEATURES, y, cv=3)) > 0.9
    assert cross_val_predict(model, FEATURES, y, cv=3).shape == (48,)


def test_sample_weights_are_routed_by_name() -> None:
    weights = np.where(np.arange(48) < 24, 1.0, 0.0)
    pipeline = make_pipeline(Normalizer(), CertifiedRidge(noise_std=1e-9))
    pipeline.fit(FEATURES, TARGETS, certifiedridge__sample_weight=weights)
    half = clone(pipeline).fit(FEATURES[:24], TARGETS[:24])
    assert np.allclose(pipeline[-1].coef_, half[-1].coef_, atol=1e-7)


def test_a_ridge_for_each_target_is_a_joint_ridge() -> None:
    y = np.stack([TARGETS, -TARGETS], axis=1)
    apart = MultiOutputRegressor(CertifiedRidge(noise_std=1e-9)).fit(FEATURES, y)
    joint = CertifiedRidge(noise_std=1e-9).fit(FEATURES, y)
    assert np.allclose(apart.predict(FEATURES), joint.predict(FEATURES), atol=1e-6)


@pytest.mark.parametrize(("model", "y"), both())
def test_feature_names_are_kept_and_checked(model: Model, y: npt.NDArray[Any]) -> None:
    frame = pd.DataFrame(FEATURES, columns=["left", "right"])
    model.fit(frame, y)
    assert model.feature_names_in_.tolist() == ["left", "right"]
    model.remove([0])
    model.add(frame.iloc[:1], y[:1])
    model.correct([1], frame.iloc[1:2], y[1:2])
    assert model.feature_names_in_.tolist() == ["left", "right"]
    before = snapshot(vars(model))
    with pytest.raises(ValueError, match="feature names"):
        model.add(frame[["right", "left"]].iloc[:1], y[:1])
    assert snapshot(vars(model)) == before


@pytest.mark.parametrize(("model", "y"), both())
def test_a_pickled_model_goes_on_deleting(model: Model, y: npt.NDArray[Any]) -> None:
    model.fit(FEATURES, y, subjects=np.arange(48) % 5)
    model.remove([3])
    copy = pickle.loads(pickle.dumps(model))
    bundles = [one.audit_bundle() for one in (model, copy)]
    assert np.array_equal(bundles[0].weights, bundles[1].weights) and bundles[0].nonce == bundles[1].nonce
    assert (copy.certificate_, copy.ids_.tolist()) == (model.certificate_, model.ids_.tolist())
    assert np.array_equal(copy.predict(FEATURES), model.predict(FEATURES))
    here, there = model.remove(subjects=2), copy.remove(subjects=2)
    assert here.rows_commitment != there.rows_commitment, "each release hides its rows under a nonce of its own"
    assert model._session.register.ordered == copy._session.register.ordered
    # The copy's ledger is anchored anew, so both come near the same minimiser, each within its bound.
    apart = np.linalg.norm(model.audit_bundle().weights - copy.audit_bundle().weights)
    assert apart <= here.distance_bound + there.distance_bound
    assert not np.array_equal(model.coef_, copy.coef_), "two copies must not share their noise"


@pytest.mark.parametrize("request_", ["remove", "add", "correct", "release", "predict", "ids_", "update_info_"])
@pytest.mark.parametrize(("model", "y"), both())
def test_an_unfitted_model_says_so(model: Model, y: npt.NDArray[Any], request_: str) -> None:
    arguments = {
        "remove": ([0],),
        "add": (FEATURES[:1], y[:1]),
        "correct": ([0], FEATURES[:1], y[:1]),
        "release": (),
        "predict": (FEATURES,),
    }
    with pytest.raises(NotFittedError):
        getattr(model, request_)(*arguments[request_])
