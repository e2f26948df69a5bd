"""What docs/store.md tells a reader to type works as written."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certified.cli.app import app

GUIDE = (Path(__file__).resolve().parents[2] / "docs/store.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "guide.py"
    script.write_text(block("python"), encoding="utf-8")
    assert runpy.run_path(str(script))["receipt"].rows == 2
    assert (tmp_path / "risk.store").exists() and (tmp_path / "risk.model").exists()


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in block("sh").splitlines():
        program, *arguments = shlex.split(line)
        if program == "python":
            subprocess.run([sys.executable, *arguments], check=True)
            continue
        result = CliRunner().invoke(app, arguments)
        assert program == "certified" and result.exit_code == 0, result.output
