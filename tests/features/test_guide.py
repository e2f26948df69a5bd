"""The guide to frozen features runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "frozen-features.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    assert "remove: 2 rows out, 0 in, 598 remain. (ε, δ) = (1, 1e-06) for 2 release(s)" in capsys.readouterr().out
    assert len(names["cache"]) == 598  # type: ignore[arg-type]
    assert names["logits"].shape == (600, 2)  # type: ignore[attr-defined]
    exec(second, names)
    crude, fine = capsys.readouterr().out.splitlines()
    assert 1.0 < float(fine) < 2.0 and crude.startswith("(2.0, 1.02")
