"""The example of the guide runs and shows what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from certified import audit

GUIDE = (Path(__file__).resolve().parents[2] / "docs/audits.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(block, {})
    proved, exact = map(float, re.findall(r"\d\.\d+", capsys.readouterr().out))
    assert 0.0 < proved < exact <= 1.0


def test_every_function_in_the_table_exists() -> None:
    names = re.findall(r"^\| [^|]+\| ((?:`\w+`(?:, )?)+) \|", GUIDE, re.MULTILINE)
    assert len(names) == 6
    assert all(hasattr(audit, name) for cell in names for name in re.findall(r"`(\w+)`", cell))
