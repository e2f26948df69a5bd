from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from certified.cli import modelfile
from certified.estimators import CertifiedRidge
from certified.estimators.saved_model import secret_path
from tests.cli.conftest import ROLES, run

Snapshot = Callable[[], dict[str, str]]


def test_staging_is_exclusive_private_and_temporary(tmp_path: Path) -> None:
    model = tmp_path / "risk.model"
    with modelfile.staging(model) as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
        with pytest.raises(RuntimeError, match=r"another command is changing risk\.model"), modelfile.staging(model):
            pass
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match="does not exist: create it first"):  # noqa: SIM117
        with modelfile.staging(tmp_path / "none" / "risk.model"):
            pass


def test_a_failing_write_leaves_everything_as_it_was(model: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    before = snapshot()
    # The certificate comes last, when both model files are already replaced.
    result = run("remove", model, "--ids", "105", "--certificate", folder)
    assert result.status == 2
    assert "is a folder: name a file" in result.err
    assert snapshot() == before
    assert run("remove", model, "--ids", "105").status == 0


def test_a_certificate_never_replaces_the_model(model: Path, snapshot: Snapshot) -> None:
    before = snapshot()
    for target in (model, secret_path(model), model.parent / "." / model.name):
        result = run("remove", model, "--ids", "105", "--certificate", target)
        assert (result.status, snapshot()) == (2, before)
        assert "--certificate" in result.err


def test_a_failing_first_write_leaves_nothing(table: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    before = snapshot()
    options = ("--target", "outcome", "--id", "id", "--subject", "person", "--certificate", folder)
    assert run("fit", table, "--model", tmp_path / "new.model", *options).status == 2
    assert snapshot() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_changes_nothing(model: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    before = snapshot()
    tmp_path.chmod(0o500)
    try:
        result = run("remove", model, "--ids", "105")
    finally:
        tmp_path.chmod(0o700)
    assert result.status == 2
    assert snapshot() == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_killed_command_changes_nothing_and_says_how_to_go_on(
    model: Path, tmp_path: Path, snapshot: Snapshot
) -> None:
    before = snapshot()
    arguments = ["certified", "remove", str(model), "--ids", "105"]
    call = f"import sys; sys.argv = {arguments}; from certified.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.DEVNULL)
    staging = tmp_path / ".risk.model.staging"
    while not staging.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert snapshot() == before
    result = run("remove", model, "--ids", "105")
    assert result.status == 2
    assert str(staging) in result.err
    shutil.rmtree(staging)
    assert run("remove", model, "--ids", "105").status == 0


def test_loading_needs_the_secrets_of_a_known_model(model: Path, tmp_path: Path) -> None:
    assert modelfile.load(model).certificate_.event == "remove"
    secret_path(model).unlink()
    with pytest.raises(RuntimeError, match=r"the secret file .* is needed"):
        modelfile.load(model)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        modelfile.load(tmp_path / "none.model")


def test_what_is_no_model_is_said_to_be_none(table: Path) -> None:
    with pytest.raises(ValueError, match=r"MODEL: .* is no model of certified fit .*by certified dp delete"):
        modelfile.load(table)


def test_unknown_estimators_are_refused(tmp_path: Path) -> None:
    class Other(CertifiedRidge):
        pass

    X = np.arange(8.0).reshape(4, 2)
    Other().fit(X, X[:, 0]).save(tmp_path / "other.model")
    with pytest.raises(ValueError, match="an estimator 'Other' that this version does not know"):
        modelfile.load(tmp_path / "other.model")


def test_a_model_never_replaces_the_rows(table: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    rows, link = table.rename(tmp_path / "rows.secret.csv"), tmp_path / "link.csv"
    link.symlink_to(rows)
    before = snapshot()
    private = ("dp", "fit", rows, *ROLES, "--epsilon", "1", "--delta", "1e-6", "--data-norm", "9")
    for arguments in (("fit", rows, *ROLES), private):
        for model in (rows, link, tmp_path / "rows.csv"):
            result = run(*arguments, "--model", model, "--overwrite")
            assert (result.status, result.out) == (2, "") and "the file of the rows, would be replaced" in result.err
    assert snapshot() == before


@pytest.mark.parametrize("secret_too", [False, True])
def test_rows_leave_the_file_that_a_link_leads_to(model: Path, tmp_path: Path, secret_too: bool) -> None:
    """Had the link been replaced, the file behind it would have kept the row."""
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "current.model"
    link.symlink_to(model)
    if secret_too:
        secret_path(link).symlink_to(secret_path(model))
    assert run("remove", link, "--ids", "101").status == 0
    assert link.is_symlink() and not model.is_symlink()
    for path in (link, model):
        assert 101 not in modelfile.load(modelfile.located(path)).ids_
    assert {path.name for path in link.parent.iterdir()} == {
        link.name,
        *([secret_path(link).name] if secret_too else []),
    }


def test_a_linked_secret_file_is_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    secret = tmp_path / "vault" / "kept.secret"
    shutil.move(secret_path(model), secret)
    secret_path(model).symlink_to(secret)
    assert run("remove", model, "--ids", "101").status == 0
    assert secret_path(model).is_symlink()
    assert 101 not in modelfile.load(model).ids_
