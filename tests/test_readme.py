"""Whatever the guides tell a reader to type works as written."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certified import CertifiedLogisticRegression, verify
from certified.cli.app import app
from certified.data import load_breast_cancer

ROOT = Path(__file__).resolve().parent.parent
GUIDES = ("README.md", "docs/verify.md")
MAKE_TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def blocks(guide: str, language: str) -> list[str]:
    """Code blocks of a guide, without the indentation of the list that they may stand in."""
    text = (ROOT / guide).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def commands(guide: str) -> list[list[str]]:
    lines = "\n".join(blocks(guide, "sh")).splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


@pytest.mark.parametrize("guide", GUIDES)
def test_python_blocks_run(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "guide.py"
    script.write_text("\n".join(blocks(guide, "python")), encoding="utf-8")
    names = runpy.run_path(str(script))
    assert names["report"].ok
    assert not names["report"].skipped
    assert (tmp_path / "certificate.json").exists()


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_run(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = []
    for command in commands(guide):
        match command:
            case ["certified", *arguments]:
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, result.output
                done.append(arguments[0])
            case ["python", *arguments]:
                subprocess.run([sys.executable, *arguments], check=True)
            case ["make", target]:
                assert target in MAKE_TARGETS
            case _:
                assert command[:2] == ["git", "clone"]
    assert done[:3] == ["fit", "remove", "verify"]


def test_every_check_is_explained() -> None:
    section = (ROOT / "docs/verify.md").read_text(encoding="utf-8").partition("## What is checked")[2]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    explained = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    data = load_breast_cancer(unit_rows=True)
    model = CertifiedLogisticRegression().fit(data.X_train, data.y_train)
    bundle = model.audit_bundle()
    report = verify(
        model.certificate_, data.X_train, data.y_train, bundle.weights, released=bundle.released, nonce=bundle.nonce
    )
    assert sorted(explained) == sorted(check.name for check in report.checks)


def test_every_benchmark_is_listed() -> None:
    listed = re.findall(r"python -m benchmarks\.(\w+)", (ROOT / "benchmarks/README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
