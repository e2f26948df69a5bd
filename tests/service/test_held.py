"""The model that a store keeps in memory is the one in its file, whoever wrote that."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from certified import verify
from certified.estimators.snapshot import HeldRows
from certified.service import DeletionStore
from certified.service.contents import read_rows, row_tags
from certified.service.held import Held
from tests.service.conftest import COUNT, IDS, SUBJECTS, Clock, X, Y


def current(store: DeletionStore) -> HeldRows:
    return read_rows(store._database, X.shape[1])


def test_the_model_is_read_once_and_then_kept(store: DeletionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    original = DeletionStore._saved

    def counting(self: DeletionStore, *, rows: bool = True) -> object:
        reads.append(rows)
        return original(self, rows=rows)

    monkeypatch.setattr(DeletionStore, "_saved", counting)
    for row in range(5):
        store.request_removal([IDS[row]])
        assert store.process(compact=False) is not None
    assert reads == [True]
    assert store.verify().ok, str(store.verify())


def test_memory_gives_way_to_what_another_process_wrote(path: Path, clock: Clock) -> None:
    with DeletionStore.open(path, clock=clock) as here, DeletionStore.open(path, clock=clock) as there:
        for row, store in enumerate((here, here, there, here, there, there)):
            store.request_removal([IDS[row]])
            outcome = store.process(compact=False)
            assert outcome is not None and outcome.certificate.remaining_count == COUNT - row - 1
            assert outcome.certificate.releases == row + 2
            assert store.verify().ok, str(store.verify())
        bundle = here.audit_bundle()
        report = verify(here.certificate(), X[6:], Y[6:], bundle.weights, released=bundle.released, nonce=bundle.nonce)
        assert report.ok and not report.skipped, str(report)


def test_a_failed_commit_leaves_no_model_in_memory(path: Path, clock: Clock) -> None:
    def fail(step: str) -> None:
        if step == "process: before commit" and failing:
            raise InterruptedError

    failing = True
    with DeletionStore.open(path, clock=clock, fault=fail) as store:
        store.request_removal([IDS[0]])
        with pytest.raises(InterruptedError):
            store.process()
        assert store.certificate().releases == 1 and store._held is None
        failing = False
        outcome = store.process()
        assert outcome is not None and outcome.certificate.releases == 2
        assert store.verify().ok


def test_tags_follow_the_rows(store: DeletionStore) -> None:
    store.request_removal(subjects=[SUBJECTS[2]])
    store.request_removal([IDS[20]])
    store.process()
    held = store._held
    assert isinstance(held, Held)
    assert held.tags == row_tags(current(store), held.model._open().salt)
    assert len(held.tags) == COUNT - 3


def test_every_row_may_go(store: DeletionStore) -> None:
    store.request_removal(IDS[:-1])
    store.process()
    store.request_removal(IDS[-1:])
    outcome = store.process()
    assert outcome is not None and outcome.certificate.remaining_count == 0
    assert store.verify().ok and store.status().remaining == 0
    assert store.process() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rows SET name = CASE slot WHEN 3 THEN '\"x\"' ELSE name END",
        "UPDATE rows SET subject = NULL WHERE slot = 3",
        "UPDATE rows SET subject = (SELECT subject FROM rows WHERE slot = 9) WHERE slot = 3",
        "UPDATE rows SET weight = 2.0 WHERE slot = 3",
        "UPDATE rows SET label = '0.5' WHERE slot = 3",
        "UPDATE rows SET features = (SELECT features FROM rows WHERE slot = 9) WHERE slot = 3",
        "DELETE FROM rows WHERE slot = 3",
        "INSERT INTO rows SELECT 99, '\"new\"', subject, label, weight, features FROM rows WHERE slot = 3",
    ],
)
def test_an_altered_row_is_found(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
    with DeletionStore.open(path) as store:
        assert {check.name for check in store.verify().failures} == {"state"}


def test_names_that_change_rows_are_found(path: Path) -> None:
    """The rows and the names are as before, but one name now stands for another row."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE rows SET name = 'kept' WHERE slot = 3")
        connection.execute("UPDATE rows SET name = (SELECT name FROM rows WHERE slot = 9) || 'y' WHERE slot = 3")
        connection.execute("UPDATE rows SET name = ? WHERE slot = 9", (f'"{IDS[3]}"',))
        connection.execute("UPDATE rows SET name = ? WHERE slot = 3", (f'"{IDS[9]}"',))
    connection.close()
    with DeletionStore.open(path) as store:
        assert sorted(current(store).ids) == sorted(map(str, IDS))
        assert {check.name for check in store.verify().failures} == {"state"}


def test_rows_come_back_as_they_were(store: DeletionStore) -> None:
    rows = current(store)
    assert np.array_equal(rows.features, X) and rows.labels == Y.tolist()
    assert (rows.ids, rows.subjects) == (IDS, SUBJECTS)
    assert "row-of" not in repr(rows)
