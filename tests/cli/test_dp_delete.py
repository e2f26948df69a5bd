from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from certified.certificates.deletion import DeletionCertificate
from certified.cli import dp_files
from certified.dp import certify_deletion, verify_deletion
from tests.cli.conftest import run

Snapshot = Callable[[], dict[str, str]]


def test_the_certificate_is_that_of_the_library(private: Path, snapshot: Snapshot) -> None:
    before, held = snapshot(), dp_files.load(private)
    result = run("dp", "delete", private, "--rows", "1", "--json")
    assert result.status == 0
    assert list(result.json) == ["command", "model", "certificate_path", "certificate"]
    path = private.with_name("private.0001.deletion.json")
    assert result.json["certificate_path"] == str(path)
    certificate = DeletionCertificate.load(path)
    assert certificate.to_dict() == result.json["certificate"]
    assert certificate == certify_deletion(held.guarantee, 1, 1.0, 1e-6, model=held.array())
    assert verify_deletion(certificate, released=held.array(), guarantee=held.guarantee.to_dict()).complete
    after = snapshot()
    assert after.pop(path.name) and after == before, "the model stays as it is, and nothing else is left behind"


def test_requests_add_up_until_the_limit(private: Path, snapshot: Snapshot) -> None:
    first = run("dp", "delete", private, "--rows", "1")
    assert first.status == 0 and "Deleted 1 of 1 row since the training, certified" in first.out
    second = run("dp", "delete", private, "--rows", "1")
    assert second.status == 0 and "Deleted 1 of 2 rows since the training, certified" in second.out
    assert "0 more within" in second.out
    before = snapshot()
    beyond = run("dp", "delete", private, "--rows", "1")
    assert (beyond.status, beyond.out) == (1, "")
    assert "deleted=3 rows exceed" in beyond.err and "train again on the remaining rows" in beyond.err
    assert "nothing was counted" in beyond.err and snapshot() == before
    wider = run("dp", "delete", private, "--rows", "1", "--epsilon", "3", "--json")
    assert wider.json["certificate"]["deleted_total"] == 3 and wider.json["certificate"]["epsilon_limit"] == 3.0


def test_a_tighter_promise(private: Path) -> None:
    assert run("dp", "delete", private, "--rows", "1", "--epsilon", "0.1").status == 1
    assert run("dp", "delete", private, "--rows", "1", "--delta", "1e-300").status == 1


def test_a_request_whose_certificate_could_not_be_written_is_not_counted(
    private: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()

    def full(certificate: DeletionCertificate, path: Path) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(DeletionCertificate, "save", full)
        result = run("dp", "delete", private, "--rows", "1")
    assert (result.status, result.out) == (2, "") and "no space left" in result.err
    assert snapshot() == before
    assert run("dp", "delete", private, "--rows", "1", "--json").json["certificate"]["deleted_total"] == 1


def test_certificates_that_do_not_count_this_model_are_refused(
    private: Path, tmp_path: Path, snapshot: Snapshot
) -> None:
    assert run("dp", "delete", private, "--rows", "1").status == 0
    path = tmp_path / "private.0001.deletion.json"
    genuine = DeletionCertificate.load(path)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: path.write_text(path.read_text().replace('"block": 1', '"block": 2')), "was altered"),
        (lambda: dataclasses.replace(genuine, model="0" * 64).save(path), "is of another model"),
        (lambda: path.rename(tmp_path / "private.0007.deletion.json"), "is for 1 rows: give it its own name back"),
    ]
    for alter, message in cases:
        alter()
        before = snapshot()
        result = run("dp", "delete", private, "--rows", "1")
        assert (result.status, result.out) == (2, "") and message in result.err
        assert snapshot() == before
        genuine.save(path)


def test_a_link_a_copy_and_a_new_name_start_no_new_count(private: Path, tmp_path: Path) -> None:
    def total(model: Path) -> int:
        return int(
            run("dp", "delete", model, "--rows", "1", "--epsilon", "9", "--json").json["certificate"]["deleted_total"]
        )

    assert total(private) == 1
    (tmp_path / "elsewhere").mkdir()
    links = [tmp_path / "link.dp", tmp_path / "elsewhere" / "link.dp"]
    for number, link in enumerate(links, 2):
        link.symlink_to(private)
        assert total(link) == number, "certificates are beside the file itself"
    copy = tmp_path / "copy.dp"
    copy.write_bytes(private.read_bytes())
    assert total(copy) == 4
    assert total(private.rename(tmp_path / "renamed.dp")) == 5
    assert sorted(dp_files.certificates(private)) == [1, 2, 3]


def test_names_with_wildcards_and_neighbours(private: Path, tmp_path: Path) -> None:
    odd = private.rename(tmp_path / "ri[s]k.*.dp")
    (tmp_path / "other.0009.deletion.json").write_text("of another model")
    assert run("dp", "delete", odd, "--rows", "1").status == 0
    assert run("dp", "delete", odd, "--rows", "1", "--json").json["certificate"]["deleted_total"] == 2
    assert sorted(dp_files.certificates(odd)) == [1, 2]


def test_bad_requests(private: Path, snapshot: Snapshot) -> None:
    before = snapshot()
    cases = {
        ("--rows", "0"): "--rows",
        ("--rows", "-1"): "--rows",
        ("--rows", "1000001"): "--rows",
        ("--rows", "1", "--epsilon", "nan"): "epsilon",
        ("--rows", "1", "--epsilon", "inf"): "epsilon must be positive and finite",
        ("--rows", "1", "--delta", "1"): "delta must lie strictly between 0 and 1",
    }
    for options, message in cases.items():
        result = run("dp", "delete", private, *options)
        assert (result.status, result.out) == (2, "") and message in result.err
    assert snapshot() == before


def test_wrong_files(private: Path, tmp_path: Path) -> None:
    genuine = private.read_text()
    cases = {
        "binary": (b"PK\x03\x04\xff\xfe", "no UTF-8 text"),
        "words": (b"not JSON", "not JSON"),
        "other": (b'{"schema": "certified-removal/1"}', "not a record of schema 'certified-dp-model/1'"),
        "altered": (genuine.replace('"noise_std": 10.0', '"noise_std": 99.0').encode(), "the record was altered"),
        "twice": (re.sub(r'("schema": "certified-dp-model/1")', r"\1, \1", genuine).encode(), "is there twice"),
        "nan": (genuine.replace("10.0", "NaN").encode(), "NaN is no number"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        result = run("dp", "delete", path, "--rows", "1")
        assert (result.status, result.out) == (2, ""), name
        assert f"MODEL: {path} is no model of certified dp fit" in result.err and message in result.err, name
    result = run("dp", "delete", tmp_path / "none.dp", "--rows", "1")
    assert result.status == 2 and "MODEL: there is no file" in result.err


def test_one_command_at_a_time(private: Path) -> None:
    private.with_name(f".{private.name}.staging").mkdir()
    result = run("dp", "delete", private, "--rows", "1")
    assert result.status == 2 and "another command is changing private.dp" in result.err
    assert dp_files.certificates(private) == {}
