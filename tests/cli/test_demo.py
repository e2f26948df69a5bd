from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from certified.certificates.certificate import Certificate
from certified.cli.story import scenario
from tests.cli.conftest import run


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """The demo on the small data set, as JSON."""
    out = tmp_path_factory.mktemp("demo")
    result = run("demo", "--data", "breast-cancer", "--out", out, "--seed", "3", "--json")
    assert result.status == 0
    return result.json, out


def test_every_deletion_is_certified_true_and_verified(told: tuple[dict[str, object], Path]) -> None:
    record = json.loads(json.dumps(told[0]))
    assert [d["name"] for d in record["deletions"]][:2] == ["one row", "25 rows"]
    for deletion in record["deletions"]:
        assert deletion["verified"]
        assert deletion["true_distance"] <= deletion["certified_distance"] + deletion["true_distance_error"]
        assert deletion["true_distance_error"] < 1e-10
        assert deletion["kept_distance"] > 1e4 * deletion["certified_distance"]
        assert deletion["accuracy_after"] == pytest.approx(deletion["accuracy_retrained"], abs=0.01)
        assert deletion["removed"] == deletion["certificate"]["removed_count"]
        assert set(deletion["retraining"]) == {"this library", "scikit-learn", "scikit-learn, tol=1e-10"}
        assert deletion["retraining"]["scikit-learn, tol=1e-10"]["distance"] < 0.1


def test_every_cheat_is_caught_by_the_check_it_should_be(told: tuple[dict[str, object], Path]) -> None:
    cheats = {c["name"]: c for c in json.loads(json.dumps(told[0]))["cheats"]}
    assert all(cheat["caught"] for cheat in cheats.values())
    assert "privacy" in cheats["more privacy claimed"]["failures"]
    assert {"gradient_residual", "distance_bound"} <= set(cheats["weights not updated"]["failures"])
    assert "rows_commitment" in cheats["a deleted row put back"]["failures"]
    assert "row_count" not in cheats["a deleted row put back"]["failures"]


def test_files(told: tuple[dict[str, object], Path]) -> None:
    record, out = told
    assert sorted(str(path) for path in out.iterdir()) == sorted(record["files"])  # type: ignore[call-overload]
    for release in range(1, 5):
        assert Certificate.load(out / f"demo.{release:04d}.certificate.json").releases == release
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_the_seed_picks_the_rows() -> None:
    first, again, other = (scenario("digits", None, seed) for seed in (0, 0, 1))
    assert first.requests == again.requests
    assert first.requests != other.requests
    assert first.requests[-1].arguments == {"labels": [8]}


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "breast-cancer"])
def test_words_in_a_fresh_process(data: str, tmp_path: Path) -> None:
    arguments = ["certified", "demo", "--data", data, "--out", str(tmp_path)]
    call = f"import sys; sys.argv = {arguments}; from certified.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert "NOT CAUGHT" not in result.stdout
    assert result.stdout.count("confirmed in") == 3
    assert result.stdout.count("rejected:") == 3
    assert (tmp_path / "demo.png").exists()
