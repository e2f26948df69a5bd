"""The written guides stay true: links lead somewhere, and the notation table names code that exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certified.cli.app import app
from certified.removal import published

ROOT = Path(__file__).resolve().parent.parent
GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("proofs/**/*.md")])
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("certified/**/*.py")))


def notation_names() -> list[str]:
    """Identifiers in the code column of the notation table, dotted names split."""
    table = (ROOT / "docs/notation.md").read_text(encoding="utf-8")
    column = re.findall(r"^\|[^|]*\|([^|]*)\|", table, re.MULTILINE)
    code = [span for cell in column for span in re.findall(r"`([^`]+)`", cell)]
    return sorted({name for span in code for name in re.findall(r"[A-Za-z_]\w*", span)})


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(guide: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", guide.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (guide.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("name", notation_names())
def test_notation_names_exist_in_the_code(name: str) -> None:
    assert re.search(rf"\b{name}\b", SOURCE)


def test_every_decision_is_indexed() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in ROOT.glob("docs/decisions/[0-9]*.md"))
    assert records
    assert records == re.findall(r"^\| \[\d+\]\(([^)]+)\)", index, re.MULTILINE)


def test_every_published_mechanism_is_described() -> None:
    text = (ROOT / "docs/mechanisms.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    exported = {name for name in vars(published) if isinstance(getattr(published, name), type)}
    assert described == exported - {"Claim", "Mechanism", "MechanismState"}


def test_the_example_of_mechanisms_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/mechanisms.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(block, {})
    claimed, certified = map(float, re.findall(r"\d\.\de[+-]\d+", capsys.readouterr().out))
    assert 0.0 < certified < claimed


def test_the_examples_of_private_training_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/dp-or-removal.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(python, {})
    (shell,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (_, _, code), *commands = map(shlex.split, shell.splitlines())
    exec(code, {})
    for program, *arguments in commands:
        result = CliRunner().invoke(app, arguments)
        assert (program, result.exit_code) == ("certified", 0), result.output
    assert arguments[0] == "verify" and "deletion.json: confirmed in" in result.output
