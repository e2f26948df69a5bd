"""The index of proofs agrees with the proof files, the code and the tests, in both directions.

Everything is read from the syntax tree: nothing of the package is imported.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROOFS = ROOT / "proofs"
PROOF_FILES = sorted(path for path in PROOFS.glob("*.md") if path.name != "README.md")
SOURCES = sorted((ROOT / "certified").rglob("*.py"))

CLAIM = r"T\d+[a-z]?|C-[a-z]+"
ROW = re.compile(rf"^\| \[({CLAIM})\]\(([^)]+)\) \|(.*)\|$", re.MULTILINE)
# "C-contiguous" is English, so constants of losses count only where the word "claim" introduces them.
CITATION = re.compile(r"(?<!\w)T\d+[a-z]?(?!\w)|(?<=claim )C-[a-z]+")
TEXT_TOKENS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Row:
    claim: str
    file: str
    statement: str
    source: str
    symbols: tuple[str, ...]
    tests: tuple[str, ...]


def read_index() -> list[Row]:
    rows = []
    for claim, file, rest in ROW.findall((PROOFS / "README.md").read_text(encoding="utf-8")):
        cells = [cell.strip() for cell in rest.split("|")]
        assert len(cells) == 4, f"proofs/README.md: the row of {claim} has {len(cells) + 1} columns instead of 5"
        statement, source, symbols, tests = cells
        rows.append(Row(claim, file, statement, source, code_spans(symbols), code_spans(tests)))
    return rows


def code_spans(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


INDEX = read_index()
CLAIMS = {row.claim for row in INDEX}
PAIRS = [(row.claim, symbol) for row in INDEX for symbol in row.symbols]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def definition(body: list[ast.stmt], name: str) -> Definition | None:
    found = [node for node in body if isinstance(node, Definition) and node.name == name]
    return found[-1] if found else None


def docstrings(symbol: str) -> list[str]:
    """Docstrings from the module down to the symbol ``module:name`` or ``module:Class.method``."""
    module, _, qualified = symbol.partition(":")
    assert qualified, f"{symbol!r} is not of the form module:name"
    base = ROOT.joinpath(*module.split("."))
    path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
    assert path is not None, f"{symbol}: there is no module {module}"
    node: ast.Module | Definition = parsed(path)
    texts = [ast.get_docstring(node) or ""]
    for name in qualified.split("."):
        inner = definition(node.body, name)
        assert inner is not None, f"{symbol}: {path.relative_to(ROOT)} defines no function or class {name!r}"
        texts.append(ast.get_docstring(inner) or "")
        node = inner
    return texts


def cited_claims(path: Path) -> set[str]:
    """Claim ids in the comments and string literals (docstrings included) of a source file."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {claim for token in tokens if token.type in TEXT_TOKENS for claim in CITATION.findall(token.string)}


def names(claim: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(claim)}(?!\w)", text) is not None


def test_every_proof_is_indexed_once_and_every_row_has_its_proof() -> None:
    listed = sorted(row.file for row in INDEX)
    assert PROOF_FILES, "proofs/ holds no claim"
    assert listed == [path.name for path in PROOF_FILES], "rows of proofs/README.md and files of proofs/ differ"
    assert len(CLAIMS) == len(INDEX), "a claim has two rows in proofs/README.md"


@pytest.mark.parametrize("row", INDEX, ids=lambda row: row.claim)
def test_proof_states_and_proves_its_claim(row: Row) -> None:
    text = (PROOFS / row.file).read_text(encoding="utf-8")
    assert row.file == f"{row.claim}.md" or row.file.startswith(f"{row.claim}-"), f"{row.file} is misnamed"
    assert text.startswith(f"# {row.claim} — "), f"{row.file} must start with '# {row.claim} — title'"
    assert re.search(r"^\*\*Sources?\.\*\*", text, re.MULTILINE), f"{row.file} names no source"
    for heading in ("## Statement", "## Proof"):
        assert f"\n{heading}\n" in text, f"{row.file} has no section '{heading}'"
    assert "\\square$" in text, f"{row.file}: the proof has no end"


@pytest.mark.parametrize("row", INDEX, ids=lambda row: row.claim)
def test_row_is_complete(row: Row) -> None:
    for column in ("statement", "source", "symbols", "tests"):
        assert getattr(row, column), f"proofs/README.md: the row of {row.claim} has no {column}"


@pytest.mark.parametrize("path", [PROOFS / "README.md", *PROOF_FILES], ids=lambda path: path.name)
def test_claims_cited_in_proofs_exist(path: Path) -> None:
    unknown = set(CITATION.findall(path.read_text(encoding="utf-8"))) - CLAIMS
    assert not unknown, f"proofs/{path.name} cites {sorted(unknown)}, which proofs/README.md does not list"


@pytest.mark.parametrize(("claim", "symbol"), PAIRS)
def test_symbol_exists_and_names_its_claim(claim: str, symbol: str) -> None:
    assert any(names(claim, text) for text in docstrings(symbol)), (
        f"neither the docstring of {symbol} nor that of its module names claim {claim}"
    )


@pytest.mark.parametrize(("claim", "test"), [(row.claim, test) for row in INDEX for test in row.tests])
def test_test_exists(claim: str, test: str) -> None:
    file, *qualified = test.split("::")
    path = ROOT / file
    assert path.is_file(), f"{claim}: there is no test file {file}"
    assert qualified and qualified[-1].startswith("test_"), f"{claim}: {test!r} is not of the form file::test_name"
    body = parsed(path).body
    for name in qualified:
        found = definition(body, name)
        assert found is not None, f"{claim}: {file} defines no {name!r}"
        body = found.body


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_claims_cited_in_code_are_indexed(path: Path) -> None:
    unknown = cited_claims(path) - CLAIMS
    assert not unknown, (
        f"{path.relative_to(ROOT)} cites {sorted(unknown)}: prove it in proofs/ and list it in proofs/README.md"
    )
