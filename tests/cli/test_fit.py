from __future__ import annotations

import inspect
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certified.certificates.certificate import Certificate
from certified.cli import modelfile
from certified.cli.fit import fit
from certified.estimators import CertifiedLogisticRegression, CertifiedRidge
from certified.estimators.saved_model import secret_path
from tests.cli.conftest import COUNT, FEATURES, ROLES, run


def test_files_and_json(table: Path, tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "risk.model"
    result = run("fit", table, *ROLES, "--model", path, "--json")
    assert result.status == 0
    assert list(result.json) == ["command", "model", "secret", "certificate_path", "seconds", "update", "certificate"]
    assert set(result.json["update"]) == {"passes", "steps", "relinearised", "route", "reason"}
    assert result.json["certificate_path"] == str(tmp_path / "risk.0001.certificate.json")
    certificate = Certificate.load(tmp_path / "risk.0001.certificate.json")
    assert certificate.to_dict() == result.json["certificate"]
    assert (certificate.event, certificate.remaining_count, certificate.classes) == ("fit", COUNT, ("ill", "well"))
    assert stat.S_IMODE(secret_path(path).stat().st_mode) == 0o600
    model = modelfile.load(path)
    assert isinstance(model, CertifiedLogisticRegression)
    assert model.ids_.tolist() == frame["id"].tolist()
    assert list(model.feature_names_in_) == list(FEATURES)


def test_words(table: Path, tmp_path: Path) -> None:
    result = run("fit", table, *ROLES, "--model", tmp_path / "risk.model")
    assert result.status == 0
    assert f"Trained on {COUNT} rows; {COUNT} rows in force, certified" in result.out
    assert "ε = 1, δ = 1e-06" in result.out


def test_options_reach_the_estimator(frame: pd.DataFrame, tmp_path: Path) -> None:
    table, path = tmp_path / "rows.csv", tmp_path / "cost.model"
    frame.drop(columns=["outcome", "person", "id"]).to_csv(table, index=False)
    options = (
        *("--loss", "squared", "--target", "cost", "--weight", "count", "--C", "2.5", "--epsilon", "0.5"),
        *("--delta", "1e-7", "--noise-std", "0.01", "--no-intercept", "--l2-scaling", "per_sample"),
        *(
            "--max-releases",
            "7",
            "--norm-bound",
            "50",
            "--assumption",
            "rows are public",
            "--certificate",
            tmp_path / "mine.json",
        ),
    )
    assert run("fit", table, "--model", path, *options).status == 0
    model = modelfile.load(path)
    assert isinstance(model, CertifiedRidge)
    assert model.get_params() == {
        "C": 2.5, "epsilon": 0.5, "delta": 1e-7, "noise_std": 0.01, "fit_intercept": False,
        "l2_scaling": "per_sample", "max_releases": 7, "norm_bound": 50.0, "random_state": None,
        "assumptions": ("rows are public",), "features": None,
    }  # fmt: skip
    certificate = Certificate.load(tmp_path / "mine.json")
    assert "rows are public" in certificate.assumptions
    assert certificate.alpha == pytest.approx(frame["count"].sum() / 2.5)
    direct = CertifiedRidge(**model.get_params())
    direct.fit(frame[list(FEATURES)], frame["cost"], sample_weight=frame["count"])
    assert np.allclose(model.audit_bundle().weights, direct.audit_bundle().weights, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("estimator", [CertifiedLogisticRegression, CertifiedRidge])
def test_defaults_are_those_of_the_estimators(estimator: type) -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(fit).parameters.items()}
    expected = estimator().get_params()
    assert {
        "C": defaults["strength"],
        "fit_intercept": not defaults["no_intercept"],
        "random_state": None,
        "assumptions": (),
        "features": None,
    } == {name: expected.pop(name) for name in ("C", "fit_intercept", "random_state", "assumptions", "features")}
    assert {name: defaults[name] for name in expected} == expected


def test_an_existing_model_is_kept_unless_asked(
    model: Path, table: Path, snapshot: Callable[[], dict[str, str]]
) -> None:
    before = snapshot()
    result = run("fit", table, *ROLES, "--model", model)
    assert (result.status, snapshot()) == (2, before)
    assert "add --overwrite" in result.err
    public = model.read_bytes()
    model.unlink()
    assert run("fit", table, *ROLES, "--model", model).status == 2, "the secret file alone is a model, too"
    model.write_bytes(public)
    assert run("fit", table, *ROLES, "--model", model, "--overwrite").status == 0
    assert modelfile.load(model).certificate_.removed_total == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--C", "-1"), "C must be positive"),
        (("--noise-std", "much"), '--noise-std must be a positive number or "auto"'),
        (("--noise-std", "0"), "noise_std must be positive"),
        (("--delta", "1.5"), "delta must be below 1"),
        (("--max-releases", "0"), "max_releases must be a positive integer"),
        (("--norm-bound", "0.001"), "declare a larger norm_bound"),
        (("--weight", "person"), "the column 'person' already has another role"),
        (("--noise-std", "1e-16"), "no distance at most the target"),
        (("--loss", "squared"), "the columns outcome do not hold numbers"),
    ],
)
def test_refusals_write_nothing(
    table: Path, tmp_path: Path, snapshot: Callable[[], dict[str, str]], options: tuple[str, ...], message: str
) -> None:
    before = snapshot()
    result = run("fit", table, *ROLES, "--model", tmp_path / "new.model", *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert snapshot() == before


def test_repeated_ids_are_refused(table: Path, tmp_path: Path) -> None:
    result = run("fit", table, "--target", "outcome", "--id", "person", "--model", tmp_path / "new.model")
    assert result.status == 2
    assert "ids must be unique" in result.err
