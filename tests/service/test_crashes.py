"""The benchmark that kills processes finds nothing wrong at a small size, and would find it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.attack.checks import check_budget, check_requests
from certified.ledger.records import Record
from certified.service import DeletionStore
from certified.service.reports import Receipt
from tests.service.conftest import IDS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_few_crashes_lose_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks.crashes", "--requests", "60", "--crashes", "20", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["crashes"] == sum(kind["times"] for kind in found["killed"]) >= 20
    assert found["requests"] >= 60 and found["unexpected"] == []
    assert [check["wrong"] for check in found["checks"]] == [0] * 14


@pytest.fixture
def receipts(store: DeletionStore) -> list[Receipt]:
    """Three requests, carried out by two releases."""
    made = [store.request_removal([IDS[0]]), store.request_removal([IDS[1], IDS[2]])]
    store.process()
    made.append(store.request_removal([IDS[3]]))
    store.process()
    return made


def wrong(log: list[Record], receipts: list[Receipt]) -> tuple[int, ...]:
    """Requests lost, never done, and carried out twice."""
    return tuple(check.wrong for check in check_requests(log, receipts))


def test_the_benchmark_notices_lost_and_repeated_requests(store: DeletionStore, receipts: list[Receipt]) -> None:
    log = store.log()
    kinds = ["init", "request", "request", "release", "compact", "request", "release", "compact"]
    assert [record.kind for record in log] == kinds
    assert wrong(log, receipts) == wrong(log, receipts[1:]) == (0, 0, 0)
    assert wrong(log[:-2], receipts) == (1, 1, 0)
    assert wrong(log[:5], receipts) == (1, 0, 0)
    assert wrong(log, [*receipts[:2], replace(receipts[2], commitment="00" * 32)]) == (1, 0, 0)
    assert wrong(log, [*receipts, receipts[1]]) == (0, 0, 1)
    again = replace(log[6], content={**log[6].content, "requests": [2, 3]})
    assert wrong([*log[:6], again], receipts) == (0, 0, 1)


def test_the_benchmark_notices_budgets_that_do_not_compose(store: DeletionStore, receipts: list[Receipt]) -> None:
    first, second, third = (store.certificate(release) for release in (1, 2, 3))
    assert check_budget([first, second, third]).wrong == 0
    assert check_budget([first, third]).wrong == 1
    assert check_budget([first, second, replace(third, releases=2)]).wrong == 1
    assert check_budget([first, second, replace(third, mu=0.999 * third.mu)]).wrong == 1
    assert check_budget([first, second, replace(third, mu=1.001 * third.mu)]).wrong == 1
