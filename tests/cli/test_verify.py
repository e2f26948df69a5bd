from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certified.accounting import SubsampledGaussian
from certified.certificates.certificate import Certificate
from certified.certificates.deletion import DeletionCertificate
from certified.cli import modelfile
from certified.dp.sampled import SampledCurve
from certified.estimators import PrivateModel
from certified.estimators.saved_model import secret_path
from tests.certificates.test_certificate import CERTIFICATE
from tests.cli.conftest import FEATURES, ROLES, run


@pytest.fixture
def certificate(model: Path) -> Path:
    """The certificate of the deletion that `model` has behind it."""
    return model.with_name("risk.0002.certificate.json")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_fit_remove_verify(tmp_path: Path, frame: pd.DataFrame, suffix: str, loss: str) -> None:
    data, model = tmp_path / f"rows.{suffix}", tmp_path / "my.model"
    target, unused = ("outcome", "cost") if loss == "logistic" else ("cost", "outcome")
    chosen = frame.drop(columns=unused)
    roles = ["--target", target, "--id", "id", "--subject", "person", "--weight", "count"]
    if suffix == "npz":
        arrays = {"X": list(FEATURES), "ids": "id", "sample_weight": "count"}
        words = {"y": chosen[target].tolist(), "subjects": chosen["person"].tolist()}
        np.savez(data, **words, **{name: chosen[columns].to_numpy() for name, columns in arrays.items()})
        roles = []
    elif suffix == "csv":
        chosen.to_csv(data, index=False)
    else:
        chosen.to_parquet(data)
    assert run("fit", data, *roles, "--model", model, "--loss", loss, "--json").status == 0
    assert run("remove", model, "--ids", "101,120", "--json").status == 0
    verify = ("verify", tmp_path / "my.0002.certificate.json", data, *roles, "--model", model, "--json")
    complete = run(*verify)
    assert (complete.status, complete.json["ok"]) == (1, False)
    result = run(*verify, "--without-ids", "101,120")
    assert (result.status, result.json["ok"]) == (0, True)
    assert list(result.json) == ["command", "certificate_path", "seconds", "complete", "ok", "checks"]
    assert result.json["complete"] is True
    assert {check["passed"] for check in result.json["checks"]} == {True}


def test_words(model: Path, certificate: Path, table: Path) -> None:
    result = run("verify", certificate, table, *ROLES, "--model", model, "--without-ids", "103")
    assert result.status == 0
    assert "risk.0002.certificate.json: confirmed in" in result.out
    result = run("verify", certificate, table, *ROLES, "--model", model)
    assert result.status == 1
    assert "NOT confirmed" in result.out
    assert "FAIL" in result.out


def failures(model: Path, certificate: Path, table: Path) -> list[str]:
    """Names of the failed checks on the remaining rows; none only with exit status 0."""
    result = run("verify", certificate, table, *ROLES, "--model", model, "--without-ids", "103", "--json")
    failed = [check["name"] for check in result.json["checks"] if check["passed"] is False]
    assert result.status == (1 if failed else 0)
    return failed


def test_an_altered_certificate_fails(model: Path, certificate: Path, table: Path) -> None:
    text = certificate.read_text()
    certificate.write_text(text.replace('"removed_count": 1', '"removed_count": 2'))
    assert failures(model, certificate, table) == ["certificate_format"]
    certificate.write_text("not JSON")
    assert failures(model, certificate, table) == ["certificate_format"]


def test_a_forged_certificate_fails(model: Path, certificate: Path, table: Path) -> None:
    genuine = Certificate.load(certificate)
    assert failures(model, certificate, table) == []
    dataclasses.replace(genuine, epsilon=0.0).save(certificate)
    assert failures(model, certificate, table)


def test_another_public_model_fails(model: Path, certificate: Path, table: Path) -> None:
    with np.load(model) as archive:
        arrays = dict(archive)
    arrays["released"] = arrays["released"] + 1e-6
    with model.open("wb") as file:
        np.savez(file, **arrays)
    assert "released_commitment" in failures(model, certificate, table)


def test_an_older_certificate_fails(model: Path, certificate: Path, table: Path) -> None:
    assert run("remove", model, "--ids", "105").status == 0
    assert "weights_commitment" in failures(model, certificate, table)


def test_wrong_calls(model: Path, certificate: Path, table: Path, tmp_path: Path) -> None:
    cases = [
        (("verify", tmp_path / "none.json", table, *ROLES, "--model", model), "CERT: there is no file"),
        (("verify", certificate, tmp_path / "none.csv", *ROLES, "--model", model), "DATA: there is no file"),
        (("verify", certificate, table, *ROLES, "--model", tmp_path / "none.model"), "MODEL: there is no file"),
        (("verify", certificate, table, *ROLES, "--model", model, "--without-ids", "9"), "--without-ids: '9'"),
        (
            ("verify", certificate, table, "--target", "outcome", "--id", "id", "--model", model),
            "columns person do not",
        ),
    ]
    for arguments, message in cases:
        result = run(*arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    secret_path(model).unlink()
    result = run("verify", certificate, table, *ROLES, "--model", model)
    assert (result.status, "secret file" in result.err) == (2, True)


def test_output_holds_no_secret(model: Path, certificate: Path, table: Path) -> None:
    """Neither noise-free weights nor the nonce appear, and no value of a row."""
    secrets = modelfile.load(model).audit_bundle()
    results = [
        run("verify", certificate, table, *ROLES, "--model", model, "--without-ids", "103", "--json"),
        run("verify", certificate, table, *ROLES, "--model", model),
    ]
    for result in results:
        printed = result.out + result.err
        assert secrets.nonce.hex() not in printed
        assert not any(repr(float(value)) in printed for value in secrets.weights.ravel())
    assert json.loads(certificate.read_text())["salt"] not in results[0].out


@pytest.fixture
def deletion(private: Path) -> Path:
    """The certificate of two rows deleted from `private`."""
    assert run("dp", "delete", private, "--rows", "2").status == 0
    return private.with_name("private.0002.deletion.json")


def test_a_deletion_from_a_private_model(private: Path, deletion: Path) -> None:
    result = run("verify", deletion, "--model", private, "--json")
    assert (result.status, result.json["ok"], result.json["complete"]) == (0, True, True)
    assert [check["name"] for check in result.json["checks"]] == [
        *("record", "statements", "claims", "privacy", "deletions_left", "model", "guarantee")
    ]
    assert "private.0002.deletion.json: confirmed in" in run("verify", deletion, "--model", private).out


def refused(private: Path, deletion: Path) -> list[str]:
    result = run("verify", deletion, "--model", private, "--json")
    failed = [check["name"] for check in result.json["checks"] if check["passed"] is False]
    assert result.status == (1 if failed else 0)
    return failed


def test_forged_deletions_fail(private: Path, deletion: Path) -> None:
    genuine = DeletionCertificate.load(deletion)
    quiet = genuine.constants | {"noise_std": 1000.0}
    for changes, failed in (
        ({"epsilon": 0.5 * genuine.epsilon}, ["privacy"]),
        ({"deletions_left": 1}, ["deletions_left"]),
        ({"constants": quiet, "epsilon": 0.5 * genuine.epsilon}, ["guarantee"]),
        ({"model": "0" * 64}, ["model"]),
    ):
        dataclasses.replace(genuine, **changes).save(deletion)
        assert refused(private, deletion) == failed
    genuine.save(deletion)
    deletion.write_text(deletion.read_text().replace('"deleted_total": 2', '"deleted_total": 1'))
    assert refused(private, deletion) == ["certificate_format"]


def test_what_was_not_examined_is_said_first(private: Path, deletion: Path) -> None:
    genuine, model = DeletionCertificate.load(deletion), PrivateModel.load(private)
    steps = SampledCurve((SubsampledGaussian(50.0, 0.5, 20),), 0.0)
    guarantee = dataclasses.replace(model.guarantee, curve=steps, mechanism="DP-SGD")
    dataclasses.replace(model, guarantee=guarantee).save(private)
    issued = {"claims": tuple(sorted({*guarantee.claims, "T10", "T17c"})), "constants": steps.constants()}
    dataclasses.replace(genuine, mechanism="DP-SGD", **issued).save(deletion)
    result = run("verify", deletion, "--model", private)
    assert result.status == 0
    assert result.out.startswith("NOT EXAMINED: privacy: whether δ(")
    assert result.out.splitlines()[-1].startswith("private.0002.deletion.json: confirmed as far as examined")
    found = run("verify", deletion, "--model", private, "--json").json
    assert (found["ok"], found["complete"]) == (True, False)


def test_rows_are_for_removals_only(private: Path, deletion: Path, tmp_path: Path) -> None:
    removal = tmp_path / "risk.0002.certificate.json"
    CERTIFICATE.save(removal)
    cases = [
        (("verify", deletion, removal, "--model", private), "deletions from a private model need no rows"),
        (("verify", deletion, "--model", private, "--without-ids", "3"), "need no rows"),
        (("verify", deletion, "--model", removal), "is no model of certified dp fit"),
        (("verify", removal, "--model", private), "DATA is missing: risk.0002.certificate.json is checked against"),
    ]
    for arguments, message in cases:
        result = run(*arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err
