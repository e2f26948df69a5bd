from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certified.certificates.certificate import Certificate
from certified.cli import modelfile
from certified.estimators import CertifiedLogisticRegression
from tests.cli.conftest import COUNT, FEATURES, ROLES, run

Snapshot = Callable[[], dict[str, str]]


def remaining(model: Path) -> list[object]:
    return modelfile.load(model).ids_.tolist()


def test_remove_reports_and_numbers_certificates(model: Path, tmp_path: Path) -> None:
    result = run("remove", model, "--ids", " 105, 107", "--json")
    assert (result.status, result.json["command"]) == (0, "remove")
    assert result.json["certificate_path"] == str(tmp_path / "risk.0003.certificate.json")
    certificate = Certificate.load(tmp_path / "risk.0003.certificate.json")
    assert certificate.to_dict() == result.json["certificate"]
    counts = (certificate.removed_count, certificate.removed_total, certificate.remaining_count, certificate.releases)
    assert counts == (2, 3, COUNT - 3, 3)
    assert {103, 105, 107}.isdisjoint(remaining(model))


def test_remove_equals_training_without_the_rows(model: Path, frame: pd.DataFrame) -> None:
    """What the commands leave on disk is what training on the remaining rows gives."""
    assert run("remove", model, "--subjects", "P3,P9").status == 0
    kept = frame[(frame["id"] != 103) & ~frame["person"].isin(["P3", "P9"])]
    retrained = CertifiedLogisticRegression(C=10.0).fit(kept[list(FEATURES)], kept["outcome"])
    loaded = modelfile.load(model)
    distance = np.linalg.norm(loaded.audit_bundle().weights - retrained.audit_bundle().weights)
    assert distance <= loaded.certificate_.distance_bound + retrained.certificate_.distance_bound


def test_remove_by_file_subject_and_label(model: Path, tmp_path: Path, frame: pd.DataFrame) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("101\n\n 109 \n")
    assert run("remove", model, "--ids-file", listed).status == 0
    assert run("remove", model, "--subjects", "P10").status == 0
    result = run("remove", model, "--labels", "ill")
    assert result.status == 0
    well = set(frame["id"][frame["outcome"] == "well"])
    assert set(remaining(model)) == well - {101, 103, 109, 120, 121}
    assert Certificate.load(tmp_path / "risk.0005.certificate.json").classes == ("well",)


def test_deleted_values_are_gone_from_both_files(model: Path, frame: pd.DataFrame) -> None:
    value = frame["height"][5]
    secret = model.with_name("risk.secret.model")
    needle = np.float64(value).tobytes()
    assert needle in secret.read_bytes()
    assert run("remove", model, "--ids", "105").status == 0
    assert needle not in secret.read_bytes()
    assert needle not in model.read_bytes()


def test_add_and_correct(model: Path, table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    new, corrected = tmp_path / "new.csv", tmp_path / "corrected.csv"
    rows[3:4].to_csv(new, index=False)
    rows[10:12].assign(height=0.25).to_csv(corrected, index=False)
    assert run("add", model, new, *ROLES, "--json").json["certificate"]["added_count"] == 1
    assert sorted(remaining(model)) == rows["id"].tolist()  # type: ignore[type-var]
    result = run("correct", model, corrected, *ROLES)
    assert result.status == 0
    assert "Corrected 2 rows" in result.out
    expected = rows.assign(height=rows["height"].where(~rows["id"].isin([110, 111]), 0.25))
    retrained = CertifiedLogisticRegression(C=10.0).fit(expected[list(FEATURES)], expected["outcome"])
    loaded = modelfile.load(model)
    distance = np.linalg.norm(loaded.audit_bundle().weights - retrained.audit_bundle().weights)
    assert distance <= loaded.certificate_.distance_bound + retrained.certificate_.distance_bound


def test_rows_without_ids_are_numbered_on(model: Path, table: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    pd.read_csv(table)[:2].drop(columns=["id", "person"]).to_csv(new, index=False)
    assert run("add", model, new, "--target", "outcome").status == 0
    assert set(remaining(model)) == set(range(100, 102 + COUNT)) - {103}


def test_regression_and_archives(tmp_path: Path, frame: pd.DataFrame) -> None:
    data, more, model = tmp_path / "rows.npz", tmp_path / "more.npz", tmp_path / "cost.model"
    X, y = frame[list(FEATURES)].to_numpy(), frame[["cost", "height"]].to_numpy()
    np.savez(data, X=X, y=y, subjects=frame["person"].to_numpy(dtype=str))
    np.savez(more, X=X[:2], y=y[:2], ids=np.array([0, 1]))
    assert run("fit", data, "--model", model, "--loss", "squared").status == 0
    assert run("remove", model, "--ids", "7").status == 0
    assert run("correct", model, more).status == 0
    assert run("remove", model, "--subjects", "P20").status == 0
    assert remaining(model) == [i for i in range(COUNT) if i not in (7, 40, 41)]
    result = run("remove", model, "--labels", "1")
    assert (result.status, "--labels needs a classifier" in result.err) == (2, True)


REFUSALS = {
    "nothing named": (("remove",), "give exactly one of --ids, --ids-file, --subjects, --labels; got none"),
    "named twice": (("remove", "--ids", "101", "--labels", "ill"), "got --ids, --labels"),
    "no id": (("remove", "--ids", " , "), "ids is empty"),
    "unknown id": (("remove", "--ids", "101,999"), "--ids: '999' is not in force"),
    "removed id": (("remove", "--ids", "103"), "--ids: '103' is not in force"),
    "repeated id": (("remove", "--ids", "101,101"), "names 101 twice"),
    "unknown subject": (("remove", "--subjects", "P99"), "--subjects: 'P99' is not in force"),
    "unknown label": (("remove", "--labels", "healthy"), "--labels: 'healthy' is not in force"),
    "no ids file": (("remove", "--ids-file", "none.txt"), "--ids-file: there is no file none.txt"),
    "no data": (("add", "none.csv", *ROLES), "DATA: there is no file none.csv"),
    "no target": (("add", "TABLE"), "--target is missing"),
    "ids in force": (("add", "TABLE", *ROLES), "already in force"),
    "other columns": (
        ("add", "TABLE", "--target", "outcome", "--id", "height", "--subject", "person"),
        "different: height, id",
    ),
    "archive": (("add", "ARCHIVE"), "the model was trained on named columns"),
    "correct without ids": (
        ("correct", "TABLE", "--target", "outcome", "--subject", "person", "--weight", "id"),
        "which rows to correct",
    ),
    "correct a removed row": (("correct", "TABLE", *ROLES), "unknown or already removed id"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing(case: str, model: Path, table: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    archive = tmp_path / "rows.npz"
    np.savez(archive, X=np.ones((2, 3)), y=np.array(["ill", "well"]))
    (command, *options), message = REFUSALS[case]
    paths = {"TABLE": str(table), "ARCHIVE": str(archive)}
    before = snapshot()
    result = run(command, model, *[paths.get(option, option) for option in options])
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert snapshot() == before


def test_a_target_out_of_reach_changes_nothing(model: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    """A row so long that float64 weights cannot be as close to its minimiser as the noise demands."""
    new = tmp_path / "new.csv"
    new.write_text("height,width,depth,outcome\n1e40,-1e40,1e39,ill\n")
    before = snapshot()
    result = run("add", model, new, "--target", "outcome")
    assert result.status == 2
    assert "no distance at most the target" in result.err
    assert snapshot() == before
