from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from certified.service import DeletionStore
from tests.cli.conftest import run


@pytest.fixture
def store(model: Path, tmp_path: Path) -> Path:
    """A store with one request done and one pending."""
    path = tmp_path / "risk.store"
    assert run("store", "init", path, "--model", model).status == 0
    assert run("store", "request", path, "--ids", "105,107").status == 0
    assert run("store", "process", path).status == 0
    assert run("store", "request", path, "--subjects", "P9").status == 0
    return path


def test_the_page_is_written(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    written = run("store", "report", store, "--out", out)
    assert written.status == 0 and "full, not for publication" in written.out and "risk.store: verified" in written.out
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "Deletion report: risk.store" in page
    assert "2 requests came: 1 done (none late), 1 pending, none overdue." in page
    assert str(tmp_path) not in page and "P9" not in page
    assert "1 release came before the store took the model over." in page


def test_the_same_facts_as_json(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    both = run("store", "report", store, "--out", out, "--json")
    assert both.status == 0 and out.exists()
    assert (both.json["command"], both.json["store"], both.json["out"]) == ("report", str(store), str(out))
    assert both.json["ok"] and both.json["timing"]["done"] == 1 and both.json["title"] == "risk.store"
    alone = run("store", "report", store, "--json").json
    assert alone["out"] is None and alone["releases"] == both.json["releases"]
    with DeletionStore.open(store) as opened:
        assert alone["releases"][-1]["distance_bound"] == opened.certificate().distance_bound
        assert alone["head"] == opened.export_head().to_dict()


def test_the_public_page(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "public.html"
    written = run("store", "report", store, "--out", out, "--public")
    assert written.status == 0 and "(public)" in written.out and "Public report" in out.read_text(encoding="utf-8")
    shown = run("store", "report", store, "--json", "--public").json
    assert shown["public"] and shown["requests"] == [] and "distance_bound" not in shown["releases"][-1]


def test_a_head_kept_elsewhere(store: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    head.write_text(run("store", "head", store).out)
    assert run("store", "report", store, "--json", "--head", head).status == 0
    head.write_text(json.dumps(json.loads(head.read_text()) | {"digest": "00" * 32}))
    refused = run("store", "report", store, "--json", "--head", head)
    assert refused.status == 1 and not refused.json["ok"]


def test_a_damaged_store_is_reported_with_status_one(store: Path, tmp_path: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM certificates WHERE release = 3")
    connection.close()
    out = tmp_path / "report.html"
    written = run("store", "report", store, "--out", out)
    assert written.status == 1 and "NOT verified (certificates, read_certificate)" in written.out
    assert "NOT verified. Failed: certificates, read_certificate." in out.read_text(encoding="utf-8")
    assert run("store", "verify", store).status == 1


def test_odd_names_are_escaped(store: Path, tmp_path: Path) -> None:
    odd = store.rename(tmp_path / '"><img src=x onerror=alert(1)>$(id).store')
    out = tmp_path / "report.html"
    assert run("store", "report", odd, "--out", out).status == 0
    page = out.read_text(encoding="utf-8")
    assert "<img" not in page and "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;$(id).store" in page


def test_wrong_calls(store: Path, tmp_path: Path) -> None:
    before = store.read_bytes()
    for arguments, message in (
        ((), "--out report.html"),
        (("--out", store), "is the store itself"),
        (("--json", "--head", tmp_path / "absent.json"), "absent.json"),
    ):
        refused = run("store", "report", store, *arguments)
        assert refused.status == 2 and message in refused.err
    assert run("store", "report", tmp_path / "absent.store", "--json").status == 2
    assert store.read_bytes() == before


def test_help() -> None:
    shown = run("store", "report", "--help")
    assert shown.status == 0 and "--public" in shown.out and "JSON:" in shown.out and "Example" in shown.out
