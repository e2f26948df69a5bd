"""A private model in a file: it predicts as before, names its weights, and holds nothing but what was released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from certified.certificates.commitment import weights_commitment
from certified.certificates.record import CertificateFormatError
from certified.estimators import DPLogisticRegression, PrivateModel
from tests.sealing import sealed

RNG = np.random.default_rng(3)
X = RNG.uniform(-0.5, 0.5, (40, 3))
Y = np.array(["ill", "well"])[(X[:, 0] > 0).astype(int)]


@pytest.fixture(scope="module")
def model() -> DPLogisticRegression:
    return DPLogisticRegression("output", C=0.1, group_size=2, classes=("ill", "well"), random_state=7).fit(X, Y)


def test_the_model_comes_back_to_the_last_bit(model: DPLogisticRegression, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    PrivateModel.of(model).save(path)
    kept = PrivateModel.load(path)
    read = kept.restored()
    assert kept == PrivateModel.of(model) == PrivateModel.of(read)
    for name in ("coef_", "intercept_", "classes_"):
        assert np.array_equal(getattr(read, name), getattr(model, name))
    assert not hasattr(read, "feature_names_in_")
    assert read.guarantee_ == model.guarantee_ and np.array_equal(read.predict_proba(X), model.predict_proba(X))
    assert kept.digest == weights_commitment(b"", np.vstack([model.coef_.T, model.intercept_]))


def test_classes_names_and_no_intercept() -> None:
    rows = pd.DataFrame(X, columns=["a", "b", "c"])
    trained = DPLogisticRegression("output", C=np.float64(0.1), fit_intercept=False).fit(rows, np.arange(40) % 3)
    read = PrivateModel.from_json(PrivateModel.of(trained).to_json()).restored()
    assert read.coef_.shape == (3, 3) and read.intercept_.tolist() == [0.0, 0.0, 0.0]
    assert np.array_equal(read.predict(rows), trained.predict(rows))
    assert read.feature_names_in_.tolist() == ["a", "b", "c"]


def test_no_seed_and_no_row_is_kept(model: DPLogisticRegression) -> None:
    text = PrivateModel.of(model).to_json()
    assert "random_state" not in text
    assert not any(repr(float(value)) in text for value in X.ravel())
    numbers = json.loads(text)["weights"]
    assert np.shape(numbers) == (4, 1) and set(json.loads(text)) == {
        *("params", "classes", "feature_names", "weights", "guarantee", "schema", "digest")
    }


def test_only_fitted_models_are_kept() -> None:
    with pytest.raises(NotFittedError):
        PrivateModel.of(DPLogisticRegression())
    with pytest.raises(TypeError, match="got a LogisticRegression"):
        PrivateModel.of(LogisticRegression())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": 3}, "'weights' must be a list of rows"),
        ({"weights": [1.0]}, "'weights' must be a list of rows"),
        ({"weights": [[1.0], [1.0], [1.0]]}, "'weights' must hold 4 rows of 1 numbers"),
        ({"weights": [[1.0], [1.0], [1.0], [1]]}, "'weights' must hold"),
        ({"weights": [[1.0], [1.0], [1.0], ["inf"]]}, "'weights' must hold"),
        ({"classes": ["ill", "well", "dead"]}, "do not fit the weights"),
        ({"classes": ["ill"]}, "do not fit the weights"),
        ({"classes": [None]}, "'classes' must be of type"),
        ({"feature_names": ["a"]}, "do not fit the weights"),
        ({"params": {}}, "missing or unknown fields: C"),
        ({"guarantee": {}}, "not a record of schema 'certified-dp/1'"),
        ({"guarantee": None}, "not a record of schema 'certified-dp/1'"),
    ],
)
def test_other_files_are_refused(model: DPLogisticRegression, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateFormatError, match=message):
        PrivateModel.from_json(sealed(PrivateModel.of(model), **changes))


def test_an_altered_weight_is_noticed(model: DPLogisticRegression) -> None:
    fields = PrivateModel.of(model).to_dict()
    fields["weights"][0][0] += 1e-9
    with pytest.raises(CertificateFormatError, match="altered"):
        PrivateModel.from_dict(fields)
