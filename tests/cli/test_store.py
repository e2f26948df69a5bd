from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from certified.certificates.certificate import Certificate
from certified.estimators import CertifiedLogisticRegression
from certified.ledger.records import names_commitment
from tests.cli.conftest import COUNT, ROLES, run


@pytest.fixture
def store(model: Path, tmp_path: Path) -> Path:
    """A store that took `model` over: one of its rows is deleted already."""
    path = tmp_path / "risk.store"
    assert run("store", "init", path, "--model", model).status == 0
    return path


def test_init_takes_the_secrets_over(store: Path, model: Path) -> None:
    assert not model.with_name("risk.secret.model").exists() and model.exists()
    status = run("store", "status", store, "--json").json
    assert (status["command"], status["remaining"], status["releases"]) == ("status", COUNT - 1, 2)
    assert status["pending"] == [] and status["head"]["size"] == 1
    again = run("store", "init", store, "--model", model)
    assert again.status == 2 and "put it back" in again.err


def test_from_request_to_published_model(store: Path, tmp_path: Path) -> None:
    receipt = run("store", "request", store, "--ids", "105, 107", "--json").json
    assert (receipt["request"], receipt["rows"]) == (1, 2)
    assert receipt["commitment"] == names_commitment(bytes.fromhex(receipt["nonce"]), {"ids": [105, 107]})
    listed = tmp_path / "ids.txt"
    listed.write_text("109\n\n110\n")
    assert run("store", "request", store, "--ids-file", listed).status == 0
    by_subject = run("store", "request", store, "--subjects", "P3", "--json").json
    assert (by_subject["request"], by_subject["rows"]) == (3, 2)
    pending = run("store", "status", store).out
    assert "request 1" in pending and "due" in pending and "105" not in pending and "P3" not in pending
    outcome = run("store", "process", store, "--json").json["outcome"]
    assert outcome["requests"] == [1, 2, 3] and outcome["compacted"]
    assert outcome["certificate"]["removed_count"] == 5  # Row 107 is also one of P3's.
    published, certificate = tmp_path / "public.model", tmp_path / "c.json"
    result = run("store", "publish", store, published, "--certificate", certificate, "--json")
    assert result.json["certificate_path"] == str(certificate)
    assert Certificate.load(certificate).to_dict() == outcome["certificate"]
    model = CertifiedLogisticRegression.load(published)
    assert np.all(np.isfinite(model.coef_))
    with pytest.raises(RuntimeError, match="secret file"):
        model.release()


def test_in_words(store: Path) -> None:
    assert "Nothing is pending" in run("store", "process", store).out
    recorded = run("store", "request", store, "--ids", "105").out
    assert "Request 1 recorded" in recorded and "nonce" in recorded
    done = run("store", "process", store).out
    assert "Requests done: 1" in done and "none left" in done
    assert "No trace" in run("store", "compact", store).out
    assert run("store", "compact", store, "--json").json == {
        "command": "compact",
        "store": str(store),
        "compacted": True,
    }
    assert run("store", "process", store, "--json").json["outcome"] is None
    assert [line.split()[2] for line in run("store", "log", store).out.splitlines()] == [
        "init", "request", "release", "compact",
    ]  # fmt: skip
    records = run("store", "log", store, "--start", "2", "--json").json["records"]
    assert [record["kind"] for record in records] == ["release", "compact"]
    assert "confirmed" in run("store", "verify", store).out


def test_heads_are_signed_and_checked(store: Path, tmp_path: Path) -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private, public, kept = tmp_path / "key.pem", tmp_path / "key.pub.pem", tmp_path / "head.json"
    key = ed25519.Ed25519PrivateKey.generate()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    run("store", "request", store, "--ids", "105")
    kept.write_text(run("store", "head", store, "--key", private).out)
    run("store", "process", store)
    verified = run("store", "verify", store, "--head", kept, "--public-key", public, "--json")
    assert verified.status == 0 and verified.json["ok"]
    assert all(check["passed"] for check in verified.json["checks"])
    unsigned = tmp_path / "unsigned.json"
    unsigned.write_text(run("store", "head", store).out)
    assert run("store", "verify", store, "--head", unsigned).status == 0
    refused = run("store", "verify", store, "--head", unsigned, "--public-key", public)
    assert refused.status == 1 and "NOT confirmed" in refused.out
    other = json.loads(kept.read_text()) | {"digest": "00" * 32}
    kept.write_text(json.dumps(other))
    assert run("store", "verify", store, "--head", kept).status == 1
    assert run("store", "verify", store, "--public-key", public).status == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["request"], "exactly one of --ids"),
        (["request", "--ids", "1", "--subjects", "P3"], "exactly one of --ids"),
        (["request", "--ids", ""], "ids is empty"),
        (["request", "--ids", "9999"], "not in force"),
        (["request", "--ids-file", "absent.txt"], "no file absent.txt"),
    ],
)
def test_wrong_requests_change_nothing(store: Path, arguments: list[str], message: str) -> None:
    before = run("store", "status", store, "--json").out
    refused = run("store", arguments[0], store, *arguments[1:])
    assert refused.status == 2 and message in refused.err and "9999" not in refused.err
    assert run("store", "status", store, "--json").out == before


def test_there_must_be_a_store(tmp_path: Path) -> None:
    refused = run("store", "status", tmp_path / "absent.store")
    assert refused.status == 2 and "no store absent.store" in refused.err


def test_the_command_line_starts_light() -> None:
    report = "import certified.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "sqlite3", "cryptography"} & set(loaded)


def test_requests_gather_and_releases_are_scored(model: Path, table: Path, tmp_path: Path) -> None:
    store, columns = tmp_path / "weekly.store", ("--holdout", table, *ROLES)
    made = run("store", "init", store, "--model", model, "--batch-days", "7", *columns, "--json")
    assert made.status == 0, made.err
    run("store", "request", store, "--ids", "105")
    waiting = run("store", "process", store)
    assert "gather until" in waiting.out and "--early" in waiting.out
    due = run("store", "status", store, "--json").json["release_due"]
    assert due is not None and due in waiting.out
    done = run("store", "process", store, "--early", "--no-compact", *columns, "--json").json
    assert done["outcome"]["requests"] == [1] and not done["outcome"]["compacted"] and done["release_due"] is None
    records = run("store", "log", store, "--json").json["records"]
    assert [record["content"].get("scored_rows") for record in records] == [COUNT, None, COUNT]


def test_columns_need_held_out_rows(store: Path) -> None:
    refused = run("store", "process", store, "--target", "outcome")
    assert refused.status == 2 and "--holdout" in refused.err
