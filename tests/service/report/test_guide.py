"""What docs/report.md shows is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import run

GUIDE = (Path(__file__).resolve().parents[3] / "docs/report.md").read_text(encoding="utf-8")


def test_the_example_and_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(example, {})
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    commands = re.findall(r"^    certified (store report .*)$", GUIDE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        result = run(*command.replace("clinic.store", "risk.store").split())
        assert result.status == 0, result.err
