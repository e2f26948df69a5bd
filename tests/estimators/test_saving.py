"""Saved models: what the public file holds, what the secret file restores, and damaged files."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from certified import CertifiedLogisticRegression, CertifiedRidge, ModelFormatError, verify
from certified.estimators.saved_model import read, released_weights, secret_path

X = np.random.default_rng(3).standard_normal((40, 3))
LABELS = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, "yes", "no")


@pytest.fixture
def model() -> CertifiedLogisticRegression:
    model = CertifiedLogisticRegression(assumptions=["features are public"]).fit(X, LABELS, subjects=np.arange(40) // 4)
    model.remove([1, 2])
    return model


def test_a_loaded_model_goes_on_deleting(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    model.save(tmp_path / "model.npz")
    loaded = CertifiedLogisticRegression.load(tmp_path / "model.npz")
    assert loaded.get_params() == {**model.get_params(), "assumptions": ("features are public",)}
    assert loaded.certificate_ == model.certificate_
    assert np.array_equal(loaded.coef_, model.coef_)
    assert loaded.ids_.tolist() == model.ids_.tolist() and loaded.subjects_ == model.subjects_
    for request in (loaded.release, lambda: loaded.remove(subjects=[5])):
        certificate = request()
        secrets, kept = loaded.audit_bundle(), loaded.ids_
        report = verify(
            certificate, X[kept], LABELS[kept], secrets.weights, released=secrets.released, nonce=secrets.nonce
        )
        assert report.ok, report.failures
    assert certificate.removed_total == 6 and certificate.releases == 4


def test_an_id_that_was_removed_is_not_given_out_again(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    model.remove([39])
    model.save(tmp_path / "model.npz")
    loaded = CertifiedLogisticRegression.load(tmp_path / "model.npz")
    loaded.add(X[:1], LABELS[:1])
    assert loaded.ids_.max() == 40


def test_the_public_file_predicts_and_holds_no_measured_figure(
    model: CertifiedLogisticRegression, tmp_path: Path
) -> None:
    path = tmp_path / "model.npz"
    model.save(path)
    assert stat.S_IMODE(secret_path(path).stat().st_mode) == 0o600
    secret_path(path).unlink()
    statement = read(path).statement
    assert statement["epsilon"] == 1.0
    secret = {"distance_bound", "gradient_residual", "curvature", "row_norm_bound", "salt", "rows_commitment", "mu"}
    assert not secret & set(statement)
    public = CertifiedLogisticRegression.load(path)
    assert np.array_equal(public.predict(X), model.predict(X))
    assert np.array_equal(released_weights(path)[:3].T, model.coef_)
    with pytest.raises(RuntimeError, match="secret file"):
        public.remove([5])


def test_the_secret_file_alone_restores_everything(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    """A crash between both files leaves the newer secret file beside an older public one, or none."""
    path = tmp_path / "model.npz"
    model.save(path)
    path.unlink()
    assert CertifiedLogisticRegression.load(path).certificate_ == model.certificate_


def test_a_link_is_followed(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    """A row that was removed leaves the file that a link leads to, too."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "model.npz", tmp_path / "model.npz"
    model.save(real)
    link.symlink_to(real)
    secret_path(link).symlink_to(secret_path(real))
    first = next(iter(model.ids_))
    model.remove([first])
    model.save(link)
    assert link.is_symlink() and secret_path(link).is_symlink()
    assert first not in CertifiedLogisticRegression.load(real).ids_


def test_a_model_without_rows_survives(tmp_path: Path) -> None:
    model = CertifiedRidge().fit(X, X[:, :2])
    model.remove(model.ids_)
    model.save(tmp_path / "model.npz")
    loaded = CertifiedRidge.load(tmp_path / "model.npz")
    assert loaded.add(X[:3], X[:3, :2]).remaining_count == 3
    assert loaded.coef_.shape == (2, 3)


def test_several_targets_survive(tmp_path: Path) -> None:
    model = CertifiedRidge().fit(X, X[:, :2])
    model.save(tmp_path / "model.npz")
    loaded = CertifiedRidge.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert loaded.remove([0]).n_outputs == 2


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_damaged_files_are_refused(model: CertifiedLogisticRegression, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.npz"
    model.save(path)
    secrets = secret_path(path)
    secrets.write_bytes(secrets.read_bytes()[:cut])
    with pytest.raises(ModelFormatError, match="damaged"):
        CertifiedLogisticRegression.load(path)


def test_flipped_bits_are_noticed(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    model.save(path)
    content = bytearray(secret_path(path).read_bytes())
    content[len(content) // 2] ^= 1
    secret_path(path).write_bytes(content)
    with pytest.raises(ModelFormatError, match="damaged"):
        CertifiedLogisticRegression.load(path)


def test_wrong_files_are_refused(model: CertifiedLogisticRegression, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no saved model"):
        CertifiedLogisticRegression.load(tmp_path / "absent.npz")
    model.save(tmp_path / "model.npz")
    with pytest.raises(ModelFormatError, match="load it with that class"):
        CertifiedRidge.load(tmp_path / "model.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.savez(tmp_path / "list.npz", header=np.frombuffer(b"[]", np.uint8))
    np.save(tmp_path / "array.npy", np.ones(3))
    for name in ("other.npz", "list.npz", "array.npy"):
        with pytest.raises(ModelFormatError, match="not a saved model"):
            CertifiedLogisticRegression.load(tmp_path / name)
