from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certified.cli import dp_files
from certified.cli.dp_fit import Method, fit
from certified.estimators import DPLogisticRegression
from certified.estimators.dp_logistic import METHODS
from tests.cli.conftest import FEATURES, run

GOAL = ("--epsilon", "1", "--delta", "1e-6", "--data-norm", "6", "--C", "0.01")
ROLES = ("--target", "outcome", "--id", "id", "--subject", "person", "--group-size", "2")


def test_the_model_is_that_of_the_library(table: Path, tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "risk.dp"
    result = run("dp", "fit", table, *ROLES, *GOAL, "--classes", "ill,well", "--model", path, "--json")
    assert result.status == 0, result.err
    assert list(result.json) == ["command", "model", "seconds", "guarantee"]
    kept = dp_files.load(path)
    model = kept.restored()
    assert kept.guarantee.to_dict() == result.json["guarantee"]
    assert (kept.classes, kept.feature_names) == (("ill", "well"), FEATURES)
    assert model.get_params() == {
        "method": "objective", "epsilon": 1.0, "delta": 1e-6, "data_norm": 6.0, "C": 0.01, "fit_intercept": True,
        "classes": ["ill", "well"], "group_size": 2, "public_rows": None, "random_state": None,
    }  # fmt: skip
    direct = DPLogisticRegression(**model.get_params()).fit(frame[list(FEATURES)], frame["outcome"])
    assert direct.guarantee_ == kept.guarantee
    assert not np.array_equal(direct.coef_, model.coef_), "each release has noise of its own"
    assert model.predict(frame[list(FEATURES)]).shape == (len(frame),)
    assert [file.name for file in tmp_path.iterdir() if file != table] == ["risk.dp"]


def test_words_and_no_row_in_the_file(tmp_path: Path, frame: pd.DataFrame) -> None:
    data, path = tmp_path / "rows.npz", tmp_path / "risk.dp"
    X = frame[list(FEATURES)].to_numpy()
    np.savez(data, X=X, y=frame["count"].to_numpy(), ids=frame["id"].to_numpy())
    result = run("dp", "fit", data, *GOAL, "--method", "output", "--no-intercept", "--model", path)
    assert result.status == 0, result.err
    assert "Trained with differential privacy by output perturbation" in result.out
    assert "certified dp delete" in " ".join(result.out.split())
    text = path.read_text()
    assert json.loads(text)["params"]["fit_intercept"] is False
    assert not any(repr(float(value)) in text + result.out for value in X.ravel())
    assert any("the classes, taken from the labels" in said for said in dp_files.load(path).guarantee.assumptions)


def test_every_method_and_the_library_defaults_are_offered() -> None:
    assert {method.value for method in Method} == set(METHODS)
    defaults = {name: parameter.default for name, parameter in inspect.signature(fit).parameters.items()}
    expected = DPLogisticRegression().get_params()
    assert defaults["method"].value == expected["method"] and defaults["strength"] == expected["C"]
    assert all(defaults[name] == expected[name] for name in ("classes", "group_size", "public_rows"))
    assert defaults["no_intercept"] is not expected["fit_intercept"]


def test_refusals(table: Path, tmp_path: Path) -> None:
    cases: list[tuple[tuple[str, ...], str]] = [
        ((*ROLES, *GOAL[:4], "--data-norm", "0.5"), "X holds a row longer than data_norm=0.5"),
        ((*ROLES, *GOAL, "--classes", "well,dead"), "y holds a label that classes does not name"),
        ((*ROLES, *GOAL, "--public-rows", "50"), "public_rows is for method='sgd'"),
        ((*ROLES[:6], *GOAL), "--subject: a person has more than --group-size=1 rows"),
        ((*ROLES, *GOAL[:-1], "0"), "C must be positive"),
        (("--target", "none", *GOAL), "--target: rows.csv has no column 'none'"),
    ]
    for options, message in cases:
        result = run("dp", "fit", table, *options, "--model", tmp_path / "risk.dp")
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    assert list(tmp_path.iterdir()) == [table]


def test_weights_are_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    data = tmp_path / "rows.npz"
    np.savez(data, X=frame[list(FEATURES)], y=frame["count"], sample_weight=np.ones(len(frame)))
    result = run("dp", "fit", data, *GOAL, "--model", tmp_path / "risk.dp")
    assert result.status == 2 and "sample_weight is not for private training" in result.err


def test_nothing_is_replaced_unasked(table: Path, private: Path, tmp_path: Path) -> None:
    before = private.read_bytes()
    call = ("dp", "fit", table, *ROLES, *GOAL, "--method", "output", "--model", private)
    assert "add --overwrite to replace it" in run(*call).err
    assert run("dp", "delete", private, "--rows", "1").status == 0
    result = run(*call, "--overwrite")
    assert result.status == 2 and "deletion certificates lie beside" in result.err
    assert private.read_bytes() == before
    (tmp_path / "private.0001.deletion.json").unlink()
    assert run(*call, "--overwrite").status == 0 and private.read_bytes() != before
    (tmp_path / "old.secret.model").write_text("rows")
    result = run(*call[:-1], tmp_path / "old.model", "--overwrite")
    assert result.status == 2 and "is a model of certified fit, with secrets" in result.err


@pytest.mark.slow
def test_steps_from_training_to_verification(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "risk.dp"
    goal = ("--method", "sgd", "--public-rows", "64", "--model", path)
    assert run("dp", "fit", table, *ROLES, *GOAL, *goal).status == 0
    assert dp_files.load(path).params["public_rows"] == 64
    assert run("dp", "delete", path, "--rows", "2").status == 0
    result = run("verify", tmp_path / "risk.0002.deletion.json", "--model", path)
    assert result.status == 0 and result.out.startswith("NOT EXAMINED: privacy")
