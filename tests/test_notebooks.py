"""The notebooks run from a clean start, say what they promise, and use public names only."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from certified.data import available

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
PUBLIC_MODULES = {
    *("certified", "certified.audit", "certified.data", "certified.dp", "certified.features"),
    *("certified.losses", "certified.plots", "certified.privacy"),
}


def read(path: Path) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_without_outputs(path: Path) -> None:
    cells = code_cells(read(path))
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_public_names(path: Path) -> None:
    lines = "\n".join(cell.source for cell in code_cells(read(path))).splitlines()
    tree = ast.parse("\n".join(line for line in lines if not line.startswith("%")))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {m for m in modules if m and m.partition(".")[0] == "certified"} <= PUBLIC_MODULES
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in attributes if name.startswith("_")}


def executed(stem: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Run a notebook in an empty folder; return what it printed and how many pictures it drew."""
    # The kernel imports the package that the tests import, wherever it runs.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry or os.getcwd() for entry in sys.path))
    (path,) = (path for path in NOTEBOOKS if path.stem == stem)
    notebook = read(path)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    images = [o for cell in code_cells(notebook) for o in cell.outputs if "image/png" in o.get("data", {})]
    assert list(folder.iterdir()) == []
    return "\n".join(printed(cell) for cell in code_cells(notebook)), len(images)


def test_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, pictures = executed("01_quickstart", tmp_path, monkeypatch)

    # Deletions are as near to retraining as certified, and the models without noise are told from untouched ones.
    assert "within the bound: True" in text
    distances = {
        name: float(re.search(rf"{name}:\s+([-+.e\d]+)", text)[1])  # type: ignore[index]
        for name in ("deleted model to retrained model", "without any deletion it would be")
    }
    assert distances["deleted model to retrained model"] < 1e-7 < 1e-2 < distances["without any deletion it would be"]
    # The difference of the releases is the noise's: its norm is χ-distributed with 31 degrees of freedom.
    apart, explained = map(float, re.search(r"apart by (\S+); noise alone explains (\S+)", text).groups())  # type: ignore[union-attr]
    assert 0.2 < apart / explained < 2.5

    # Add, correct and remove lead back to the same rows.
    assert "the same rows in force as before: True" in text
    # The genuine certificate is confirmed in full, every forgery is caught.
    assert re.search(r"certificate confirmed: \d+ checks passed, 0 failed, 0 not examined", text)
    verdicts = re.findall(r"confirmed: (\w+) \| failed: \[(.*)\]", text)
    assert [verdict for verdict, _ in verdicts] == ["False"] * 3
    reasons = ("distance_bound", "rows_commitment", "weights_commitment")
    for expected, (_, failed) in zip(reasons, verdicts, strict=True):
        assert f"'{expected}'" in failed
    assert "the record was altered" in text
    # Refusals name what would help.
    assert "already removed" in text
    assert "noise_std" in text
    assert "secret file" in text

    assert pictures == 2


def test_bounds_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, pictures = executed("03_bounds_compared", tmp_path, monkeypatch)
    assert pictures == 3
    assert "no bound is below the measured residual" in text
    # Sharper bounds are sharper, and polishing leaves nearly nothing of the residual.
    ratios = [list(map(float, line.replace(",", "").split()[3:])) for line in re.findall(r"^ +0\.?\d*.*$", text, re.M)]
    assert len(ratios) == 8
    assert all(worst > corollary > rows > 1.0 for worst, corollary, _, rows in ratios)
    polished = re.findall(r"^ +\d+ +(\S+e\S+) +(\S+e\S+) +(\S+e\S+) +(\S+e\S+)$", text, re.M)
    assert len(polished) == 10
    for newton, residual, distance, target in (map(float, figures) for figures in polished):
        assert residual < 1e-3 * newton
        assert distance <= target


@pytest.mark.skipif(not available("sst2"), reason="the features of SST-2 are not there: see the README")
def test_frozen_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, pictures = executed("04_frozen_features", tmp_path, monkeypatch)
    assert pictures == 3

    # Text: accurate, verified, as near to retraining as certified, and its origin is said.
    assert "the public extractor 'all-MiniLM-L6-v2, mean-pooled'" in text
    scores = [float(score) for score in re.findall(r"^held-out accuracy (\S+)%$", text, re.MULTILINE)]
    assert len(scores) == 2 and min(scores) > 75.0
    assert "verified: True | features: public | rows left: 2399" in text
    assert "within the bound: True" in text

    # Images: order does not matter, deleted rows leave the cache, and a class that is gone leaves constants.
    assert "the same bits in another order: True" in text
    assert "features forgotten: 50" in text
    assert "column of the class that is gone: False -10000.0" in text
    before, after, without = map(float, re.search(r"accuracy: (\S+)%, (\S+)%, without nines (\S+)%", text).groups())  # type: ignore[union-attr]
    assert before > 90.0 and after > 90.0 and 60.0 < without < after

    # The three meanings of a certificate.
    assert "HEAD ONLY" in text
    assert "network and head together: (inf, 1.0)" in text
    epsilon, delta = map(float, re.search(r"network and head: \((\S+), (\S+)\)", text).groups())  # type: ignore[union-attr]
    assert epsilon == 2.0 and 1e-6 < delta < 1.1e-6
    assert "the exact curve is never above: True" in text


def test_dp_or_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFIED_NOTEBOOK_ROWS", "400")
    text, pictures = executed("05_dp_or_removal", tmp_path, monkeypatch)
    assert pictures == 2
    # Removal is flat, in ε and in deletions; objective perturbation says where no noise is enough.
    scores = re.findall(
        r"^(certified removal|objective perturbation|output perturbation|DP-SGD) +(\S+)% +(\S+)%$", text, re.M
    )
    assert len(scores) == 8
    assert all(min(float(first), float(last)) > 80.0 for name, first, last in scores if name == "certified removal")
    assert [last for name, _, last in scores if name == "objective perturbation"][1] == "nan"
    # Deletions add up in ε until none is left; every certificate is confirmed, the model is the same one.
    deletions = re.findall(r"^(\d+) deleted: ε = (\S+), (\d+) left, checked: (\w+)$", text, re.MULTILINE)
    assert [int(left) for _, _, left, _ in deletions] == list(range(len(deletions) - 1, -1, -1))
    epsilons = [float(epsilon) for _, epsilon, _, _ in deletions]
    assert epsilons == sorted(epsilons) and 0.99 < epsilons[0] <= 1.0 and epsilons[-1] <= 4.0
    assert {checked for *_, checked in deletions} == {"True"}
    assert "the model before is the model after: True" in text
    assert f"refused: deleted={len(deletions) + 1} rows exceed" in text
    # The advice depends on the observer.
    first = re.findall(r"^(?:\{'observer.*|20 deletions.*)\n+  (.*?) +meets: (\w+)", text, re.MULTILINE)
    assert [meets for _, meets in first] == ["True", "False", "True", "True"]
    assert first[0][0] == "certified removal" and first[3][0] == "train again"


def test_the_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry or os.getcwd() for entry in sys.path))
    (path,) = (path for path in NOTEBOOKS if path.stem == "02_the_gap")
    notebook = read(path)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    text = "\n".join(printed(cell) for cell in code_cells(notebook))

    # The claim, the truth and their proofs, of the measured residual and of corollary 1.
    assert "claimed: epsilon = 0.9176, delta = 0.0001" in text
    assert max(map(float, re.search(r"this epsilon: (\S+) and (\S+)", text).groups())) > 0.0768  # type: ignore[union-attr]
    assert re.findall(r"^proved: .*: (\w+)$", text, re.MULTILINE) == ["True"] * 3
    # Random problems: a tight residual is mostly wrong, corollary 1 rarely, theorem 1 corrected never.
    false = {
        name: (int(claims), int(wrong))
        for name, claims, wrong in re.findall(r"^(\S.*?) +(\d+) claims, +(\d+) false", text, re.MULTILINE)
    }
    assert false["supremum"][1] > 0.4 * false["supremum"][0] > 50
    assert false["corollary 1"][1] < 0.2 * false["corollary 1"][0]
    assert false["theorem 1 corrected"][1] == 0
    assert float(re.search(r"search: .* true delta (\S+)", text)[1]) > 1e-5  # type: ignore[index]
    assert re.findall(r"within the claim: (\w+)", text) == ["True"] * 3
    assert sum("image/png" in o.get("data", {}) for cell in code_cells(notebook) for o in cell.outputs) == 2
    assert list(tmp_path.iterdir()) == []
