"""Deleted rows, their names and their secrets are in no byte of any file of the store."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from certified import CertifiedRidge
from certified.service import DeletionStore
from tests.service.conftest import IDS, SUBJECTS, Clock, X, Y

GONE = [2, 3, 9]
KEPT = 12


def needles(row: int) -> list[bytes]:
    """What gives a row away: each of its numbers, as float64 and as text, its id and its subject."""
    numbers = [np.float64(value).tobytes() for value in X[row]] + [json.dumps(float(Y[row])).encode()]
    return [*numbers, IDS[row].encode(), SUBJECTS[row].encode()]


def secrets_of(store: DeletionStore) -> list[bytes]:
    """Secrets of the state in force: noise-free weights, nonce, and the salt of the tree over rows."""
    bundle = store.audit_bundle()
    _, salt, _ = store.prove(bytes(32))
    return [bundle.weights.tobytes(), bundle.nonce.hex().encode(), salt]


def everything(folder: Path) -> bytes:
    return b"\0\0\0".join(file.read_bytes() for file in sorted(folder.iterdir()))


def test_nothing_of_deleted_rows_is_left(store: DeletionStore, path: Path) -> None:
    sought = [needle for row in GONE for needle in needles(row)] + secrets_of(store)
    assert all(needle in everything(path.parent) for needle in sought)
    receipt = store.request_removal(subjects=[SUBJECTS[2]])
    assert receipt.nonce not in everything(path.parent) and receipt.nonce.hex().encode() not in everything(path.parent)
    store.request_removal([IDS[9]])
    outcome = store.process()
    assert outcome is not None and outcome.compacted
    # Row 9 shares its subject with row 8, which remains.
    sought.remove(SUBJECTS[9].encode())
    for _ in range(2):
        content = everything(path.parent)
        assert [needle for needle in sought if needle in content] == []
        assert all(needle in content for needle in needles(KEPT))
        store.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["risk.store"]


def test_a_large_deletion_leaves_no_unused_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(600, 9)), rng.normal(size=600)
    with DeletionStore.init(tmp_path / "large.store", CertifiedRidge().fit(X, y)) as store:
        before = store._database.path.stat().st_size
        store.request_removal(range(3, 600))
        outcome = store.process()
        assert outcome is not None and outcome.compacted
        assert store._database.one("PRAGMA freelist_count") == (0,)
        assert store._database.path.stat().st_size < 0.7 * before
    content = everything(tmp_path)
    assert not any(value.tobytes() in content for value in X[3:].ravel())
    assert all(value.tobytes() in content for value in X[:3].ravel())


def test_traces_that_a_reader_kept_are_known_and_go_later(path: Path, clock: Clock) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    with DeletionStore.open(path, clock=clock) as store:
        store._database.run("PRAGMA busy_timeout = 50")
        store.request_removal([IDS[2]])
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM rows").fetchone()
        outcome = store.process()
        assert outcome is not None and not outcome.compacted
        assert store.status().compaction_due and store.verify().ok
        assert X[2].tobytes() in everything(path.parent)
        assert not store.compact()
        reader.execute("ROLLBACK")
        assert store.process() is None
        assert not store.status().compaction_due and store.verify().ok
        assert X[2].tobytes() not in everything(path.parent)
    reader.close()


def test_the_log_and_every_answer_name_nobody(store: DeletionStore, capsys: pytest.CaptureFixture[str]) -> None:
    receipt = store.request_removal([IDS[2], IDS[9]])
    outcome = store.process()
    assert outcome is not None
    texts = [str(store.log()), repr(receipt), json.dumps(receipt.to_dict()), repr(store.status()), str(store.verify())]
    texts += [repr(outcome), json.dumps(outcome.to_dict()), json.dumps(store.status().to_dict()), repr(store)]
    for text in texts:
        assert not any(IDS[row] in text or SUBJECTS[row] in text for row in (2, 9, KEPT))
        assert not any(json.dumps(float(value)) in text for row in (2, 9, KEPT) for value in (*X[row], Y[row]))
    assert capsys.readouterr() == ("", "")
