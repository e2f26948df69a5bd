"""Requests that gather for a common release, and releases that are scored on held-out rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from certified.estimators.persistence import restored
from certified.estimators.saved_model import loads
from certified.ledger.database import DAY, Database, StoreError
from certified.service import DeletionStore
from tests.service.conftest import COUNT, IDS, Clock, X, Y


@pytest.fixture
def weekly(tmp_path: Path, trained: bytes, clock: Clock) -> DeletionStore:
    return DeletionStore.init(tmp_path / "w.store", restored(loads(trained)), batch_days=7, clock=clock)


def test_requests_gather_from_the_first_on(weekly: DeletionStore, clock: Clock) -> None:
    assert weekly.status().release_due is None and weekly.process() is None
    first = clock.now
    weekly.request_removal([IDS[0]])
    clock.now += 6.9 * DAY
    weekly.request_removal([IDS[1]])
    assert weekly.status().release_due == first + 7 * DAY
    assert weekly.process() is None and len(weekly.status().pending) == 2
    clock.now = first + 7 * DAY
    outcome = weekly.process()
    assert outcome is not None and outcome.requests == (1, 2)
    assert weekly.verify().ok and weekly.status().release_due is None


def test_a_request_can_be_carried_out_early(weekly: DeletionStore) -> None:
    weekly.request_removal([IDS[0]])
    assert weekly.process() is None
    outcome = weekly.process(early=True)
    assert outcome is not None and outcome.requests == (1,)


def test_without_a_window_a_wrong_clock_delays_nothing(store: DeletionStore, clock: Clock) -> None:
    store.request_removal([IDS[0]])
    clock.now -= 100 * DAY
    assert store.process() is not None


@pytest.mark.parametrize("days", [-1.0, 30.0, np.inf, np.nan])
def test_the_window_ends_before_the_deadline(days: float, tmp_path: Path, trained: bytes) -> None:
    with pytest.raises(ValueError, match="batch_days"):
        DeletionStore.init(tmp_path / "s", restored(loads(trained)), batch_days=days)
    assert list(tmp_path.iterdir()) == []


def test_an_altered_window_is_found(weekly: DeletionStore) -> None:
    with weekly._database.transaction():
        weekly._database.put("batch_window", 0.0)
    assert {check.name for check in weekly.verify().failures} == {"settings"}


def test_releases_are_scored(tmp_path: Path, trained: bytes, clock: Clock) -> None:
    held_out = X[:6] + 0.1, Y[:6]
    model = restored(loads(trained))
    with DeletionStore.init(tmp_path / "s.store", model, holdout=held_out, clock=clock) as store:
        store.request_removal([IDS[0]])
        store.process(holdout=held_out)
        assert store.verify().ok
        init, release = [record.content for record in store.log() if record.kind in ("init", "release")]
    assert (init["score"], init["scored_rows"]) == (model.score(*held_out), 6)
    assert release["score"] != init["score"] and release["scored_rows"] == 6


def test_the_score_is_that_of_the_released_model(store: DeletionStore) -> None:
    held_out = X[:6] + 0.1, Y[:6]
    store.request_removal([IDS[0]])
    store.process(compact=False, holdout=held_out)
    content = store.log()[-1].content
    assert content["score"] == store.published_model().score(*held_out) and content["scored_rows"] == 6
    store.request_removal([IDS[1]])
    store.process(compact=False)
    assert "score" not in store.log()[-1].content


@pytest.mark.parametrize("held_out", [(X[:5, :2], Y[:5]), (X[:5], Y[:4]), (X[:1], Y[:1])])
def test_unfit_held_out_rows_are_refused_before_anything_happens(
    store: DeletionStore, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    store.request_removal([IDS[0]])
    with pytest.raises(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        store.process(holdout=held_out)
    assert [record.kind for record in store.log()] == ["init", "request"]
    assert store.status().remaining == COUNT and store.certificate().releases == 1
    assert store.process() is not None


def test_a_quick_release_leaves_the_rewriting_for_later(store: DeletionStore, path: Path) -> None:
    store.request_removal([IDS[2]])
    outcome = store.process(compact=False)
    assert outcome is not None and not outcome.compacted and store.status().compaction_due
    # Overwritten in place and the write-ahead log emptied: the numbers are gone even so.
    assert X[2].tobytes() not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert store.process() is None and not store.status().compaction_due
    assert store.verify().ok


@pytest.mark.parametrize("compact", [True, False])
def test_a_release_counts_even_if_nothing_can_be_cleaned_up(
    store: DeletionStore, compact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Database) -> bool:
        raise StoreError("the disk is full")

    store.request_removal([IDS[2]])
    with monkeypatch.context() as patched:
        patched.setattr(Database, "checkpoint", full)
        outcome = store.process(compact=compact)
    assert outcome is not None and outcome.requests == (1,) and not outcome.compacted
    assert store.certificate().releases == 2 and store.verify().ok


def test_a_published_model_holds_no_secret(store: DeletionStore) -> None:
    model = store.published_model()
    assert np.array_equal(model.coef_, store.audit_bundle().released.ravel()[: X.shape[1]])
    with pytest.raises(RuntimeError, match="secret file"):
        model.audit_bundle()
