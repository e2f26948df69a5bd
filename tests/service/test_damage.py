"""Files that were cut, flipped or tampered with, and disks that are full: a clear error or a failed check, no loss."""

from __future__ import annotations

import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from certified.ledger.chain import GENESIS, link
from certified.ledger.database import StoreDamagedError, StoreError
from certified.ledger.records import Record
from certified.service import DeletionStore
from certified.verification.report import VerificationReport
from tests.service.conftest import IDS, Clock

TABLES = ("meta", "ledger", "requests", "rows", "claims", "certificates", "state")


@pytest.fixture
def used(path: Path, clock: Clock) -> Path:
    """A store with one release and one pending request."""
    with DeletionStore.open(path, clock=clock) as store:
        store.request_removal([IDS[0]])
        store.process()
        store.request_removal([IDS[1]])
    return path


def contents(path: Path) -> Any:
    connection = sqlite3.connect(path)
    try:
        connection.text_factory = bytes
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def verified(path: Path) -> VerificationReport | None:
    """The report, or None where opening was refused as damaged."""
    try:
        with DeletionStore.open(path) as store:
            return store.verify()
    except StoreDamagedError:
        return None


def check_flips(path: Path, count: int, seed: int) -> None:
    original, expected, rng = path.read_bytes(), contents(path), random.Random(seed)
    assert expected is not None
    noticed = 0
    for _ in range(count):
        content = bytearray(original)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        report = verified(path)
        assert report is None or not report.ok or contents(path) == expected
        noticed += report is None or not report.ok
        for leftover in path.parent.glob(f"{path.name}-*"):
            leftover.unlink()
    assert noticed > count / 8  # The rest fell on unused space.


def test_a_flipped_bit_is_noticed_wherever_it_matters(used: Path) -> None:
    check_flips(used, 200, seed=1)


@pytest.mark.slow
def test_many_flipped_bits_are_noticed(used: Path) -> None:
    check_flips(used, 10_000, seed=2)


def test_a_truncated_file_is_noticed(used: Path) -> None:
    original, expected = used.read_bytes(), contents(used)
    for kept in (0, 50, 100, 4096, 5000, len(original) // 2, len(original) - 4096, len(original) - 1):
        used.write_bytes(original[:kept])
        report = verified(used)
        assert report is None or not report.ok or contents(used) == expected
        for leftover in used.parent.glob(f"{used.name}-*"):
            leftover.unlink()


def tampered(path: Path, statement: str, *values: object) -> VerificationReport:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()
    report = verified(path)
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("chain", "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), '1', '2') AS BLOB) WHERE number = 1"),
        ("chain", "UPDATE ledger SET link = zeroblob(32) WHERE number = 2"),
        ("chain", "DELETE FROM ledger WHERE number = 1"),
        ("chain", "INSERT INTO ledger VALUES (-1, x'00', zeroblob(32))"),
        ("requests", "DELETE FROM ledger WHERE number = (SELECT MAX(number) FROM ledger)"),
        ("requests", "DELETE FROM requests WHERE number = 2"),
        ("requests", "DELETE FROM claims"),
        ("requests", "UPDATE requests SET release = 2"),
        ("requests", "UPDATE requests SET due = due + 1 WHERE number = 2"),
        ("requests", "UPDATE requests SET received = received - 1 WHERE number = 1"),
        ("certificates", "DELETE FROM certificates WHERE release = 1"),
        ("certificates", "UPDATE certificates SET release = 3 WHERE release = 2"),
        ("certificates", "UPDATE certificates SET body = x'ff' WHERE release = 1"),
        ("state", "UPDATE state SET content = zeroblob(10)"),
        ("state", "DELETE FROM state"),
        ("state", "UPDATE rows SET subject = NULL WHERE name = (SELECT MAX(name) FROM rows)"),
        ("state", "DELETE FROM rows WHERE name = (SELECT MAX(name) FROM rows)"),
        ("state", "UPDATE meta SET value = zeroblob(32) WHERE name = 'row_salt'"),
        ("settings", "UPDATE meta SET value = value * 2 WHERE name = 'deadline'"),
        ("settings", "UPDATE meta SET value = 'other' WHERE name = 'store'"),
        ("settings", "UPDATE meta SET value = 1 WHERE name = 'compaction_due'"),
        ("content", "DELETE FROM meta WHERE name = 'deadline'"),
        ("content", "UPDATE state SET content = 7"),
        ("records", "DELETE FROM ledger"),
    ],
)
def test_tampering_is_found(used: Path, check: str, statement: str) -> None:
    report = tampered(used, statement)
    assert check in [failed.name for failed in report.failures], str(report)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER keep AFTER DELETE ON rows BEGIN INSERT INTO claims VALUES (old.name, 1); END",
        "CREATE TABLE copy AS SELECT * FROM rows",
        "DROP INDEX claims_of_request",
        "UPDATE meta SET value = 'certified-store/0' WHERE name = 'format'",
    ],
)
def test_a_store_of_another_shape_is_not_opened(used: Path, statement: str) -> None:
    with sqlite3.connect(used) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreDamagedError, match="not a store of format"):
        DeletionStore.open(used)


def test_the_first_bad_record_is_named(used: Path) -> None:
    report = tampered(used, "UPDATE ledger SET body = x'7b7d' WHERE number >= 2")
    assert [failed.detail for failed in report.failures] == ["the first bad record is number 2"]


def rewrite(path: Path, at: int) -> None:
    """Insert a record at ``at`` and make the whole chain anew, as somebody who can write the file would."""
    connection = sqlite3.connect(path)
    records = [Record.decode(body) for (body,) in connection.execute("SELECT body FROM ledger ORDER BY number")]
    records.insert(at, Record(at, records[at - 1].time, 0.0, "failed", {"error": "ValueError"}))
    connection.execute("DELETE FROM ledger")
    previous = GENESIS
    for number, old in enumerate(records):
        body = Record(number, old.time, old.clock_back, old.kind, old.content).encode()
        previous = link(previous, body)
        connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (number, body, previous))
    connection.commit()
    connection.close()


def test_a_rewritten_log_is_caught_by_an_earlier_head_only(used: Path) -> None:
    with DeletionStore.open(used) as store:
        early = store.export_head()
    rewrite(used, early.size)  # After everything the head covers.
    with DeletionStore.open(used) as store:
        assert store.verify().ok and store.verify(early).ok
    rewrite(used, early.size - 1)
    with DeletionStore.open(used) as store:
        assert store.verify().ok
        (failed,) = store.verify(early).failures
        assert failed.name == "earlier_head" and f"number {early.size - 1}" in failed.detail


def test_a_backup_put_back_is_caught_by_a_later_head(used: Path, clock: Clock) -> None:
    backup = used.read_bytes()
    with DeletionStore.open(used, clock=clock) as store:
        store.process()
        later = store.export_head()
    used.write_bytes(backup)
    with DeletionStore.open(used, clock=clock) as store:
        assert store.verify().ok
        (failed,) = store.verify(later).failures
        assert failed.name == "earlier_head"


def test_a_full_disk_loses_nothing(store: DeletionStore) -> None:
    """SQLite reports a full disk where the file may not get more pages."""
    (pages,) = store._database.one("PRAGMA page_count") or (0,)
    store._database.one(f"PRAGMA max_page_count = {pages}")
    accepted = []
    with pytest.raises(StoreError, match="disk is full"):
        for _ in range(500):
            accepted.append(store.request_removal([IDS[5]]).request)
    assert [request.number for request in store.status().pending] == accepted
    assert store.verify().ok
    store._database.one("PRAGMA max_page_count = 1000000")
    assert store.request_removal([IDS[6]]).request == len(accepted) + 1
    outcome = store.process()
    assert outcome is not None and len(outcome.requests) == len(accepted) + 1


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [100, 5_000, 20_000])
def test_a_write_that_fails_half_way_is_undone(path: Path, clock: Clock, room: int) -> None:
    steps: list[str] = []
    limits: list[Any] = []

    def fail(step: str) -> None:
        steps.append(step)
        if step == "process: computed":
            limits.append(largest_file(path.with_name("risk.store-wal").stat().st_size + room))
            limits[-1].__enter__()

    with DeletionStore.open(path, clock=clock, fault=fail) as store:
        store.request_removal([IDS[5]])
        before = store.export_head()
        try:
            with pytest.raises(StoreError, match=r"nothing was changed|cannot be read or written"):
                store.process()
        finally:
            limits[-1].__exit__(None, None, None)
        assert "process: after commit" not in steps
    clock.now += 601.0
    with DeletionStore.open(path, clock=clock) as store:
        assert store.verify(before).ok and store.status().releases == 1
        outcome = store.process()
        assert outcome is not None and outcome.requests == (1,)
        assert store.verify(before).ok
