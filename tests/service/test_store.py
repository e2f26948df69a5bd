"""What a store promises: requests on disk when acknowledged, carried out once, releases equal to retraining."""

from __future__ import annotations

import hmac
import json
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest

from certified import CertifiedLogisticRegression, CertifiedRidge, TargetNotReachedError, UnknownIdError, verify
from certified.certificates.commitment import row_digests
from certified.estimators.persistence import restored
from certified.estimators.saved_model import loads, released_weights
from certified.ledger.database import StoreDamagedError, StoreError
from certified.ledger.merkle import check, leaf_digest
from certified.service import DeletionStore
from certified.service.lease import StoreBusyError
from tests.service.conftest import COUNT, IDS, SUBJECTS, Clock, X, Y

DAY = 86_400.0


def test_requests_gather_and_one_release_carries_them_out(store: DeletionStore) -> None:
    first = store.request_removal([IDS[3], IDS[5]])
    second = store.request_removal(subjects=[SUBJECTS[10], SUBJECTS[20]])
    assert (first.request, first.rows, second.request, second.rows) == (1, 2, 2, 4)
    assert [request.number for request in store.status().pending] == [1, 2]
    outcome = store.process()
    assert outcome is not None and outcome.requests == (1, 2) and outcome.compacted
    assert outcome.certificate.removed_count == 6 and outcome.certificate.releases == 2
    status = store.status()
    assert (status.pending, status.done, status.remaining) == ((), 2, COUNT - 6)
    assert store.process() is None
    assert [record.kind for record in store.log()] == ["init", "request", "request", "release", "compact"]
    report = store.verify(second.head)
    assert report.ok and not report.skipped, str(report)


def test_a_release_equals_training_without_the_rows(store: DeletionStore, tmp_path: Path) -> None:
    store.request_removal([IDS[0], IDS[7]])
    outcome = store.process()
    assert outcome is not None
    kept = [i for i in range(COUNT) if i not in (0, 7)]
    retrained = CertifiedRidge(C=10.0).fit(X[kept], Y[kept])
    bundle = store.audit_bundle()
    distance = np.linalg.norm(bundle.weights - retrained.audit_bundle().weights)
    assert distance <= outcome.certificate.distance_bound + retrained.certificate_.distance_bound
    report = verify(outcome.certificate, X[kept], Y[kept], bundle.weights, released=bundle.released, nonce=bundle.nonce)
    assert report.ok and not report.skipped, str(report)
    assert outcome.certificate == store.certificate() == store.certificate(2)
    for name in ("a.model", "b.model"):
        store.publish(tmp_path / name)
    assert np.array_equal(released_weights(tmp_path / "a.model"), bundle.released)
    assert np.array_equal(released_weights(tmp_path / "b.model"), bundle.released)
    with pytest.raises(ValueError, match="no release 9"):
        store.certificate(9)


def test_a_row_may_be_requested_twice_and_is_deleted_once(store: DeletionStore) -> None:
    store.request_removal([IDS[4]])
    store.request_removal([IDS[4]])
    store.request_removal(subjects=[SUBJECTS[4]])
    outcome = store.process()
    assert outcome is not None and outcome.requests == (1, 2, 3) and outcome.certificate.removed_count == 2
    with pytest.raises(UnknownIdError, match="has been removed"):
        store.request_removal([IDS[4]])
    assert store.verify().ok


def test_everything_may_be_deleted(store: DeletionStore) -> None:
    store.request_removal(IDS)
    outcome = store.process()
    assert outcome is not None and outcome.certificate.remaining_count == 0
    assert store.verify().ok and store.status().remaining == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "exactly one"),
        ({"ids": [IDS[0]], "subjects": [SUBJECTS[0]]}, ValueError, "exactly one"),
        ({"ids": []}, ValueError, "ids is empty"),
        ({"subjects": []}, ValueError, "subjects is empty"),
        ({"ids": [IDS[0], IDS[0]]}, ValueError, "ids names one twice"),
        ({"ids": [1.5]}, TypeError, "integers or strings"),
        ({"ids": [IDS[0], "no-such-row"]}, UnknownIdError, "ids: number 2 of the 2"),
        ({"subjects": ["no-such-row"]}, UnknownIdError, "subjects: number 1 of the 1"),
    ],
)
def test_bad_requests_change_nothing_and_name_nobody(
    store: DeletionStore, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    before = store.status()
    with pytest.raises(error, match=message) as raised:
        store.request_removal(**arguments)
    assert "no-such-row" not in str(raised.value) and IDS[0] not in str(raised.value)
    assert store.status() == before and store.verify().ok


def test_deadlines_are_visible(store: DeletionStore, clock: Clock) -> None:
    store.request_removal([IDS[0]])
    clock.now += 29 * DAY
    store.request_removal([IDS[1]])
    assert store.status().overdue == ()
    clock.now += 2 * DAY
    (late,) = store.status().overdue
    assert late.number == 1 and late.to_dict()["due"] == "2023-12-14T22:13:20+00:00"
    store.process()
    assert store.status().overdue == ()


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deadline_is_a_positive_time(tmp_path: Path, trained: bytes, days: float) -> None:
    with pytest.raises(ValueError, match="deadline_days"):
        DeletionStore.init(tmp_path / "s", restored(loads(trained)), deadline_days=days)
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_goes_back_is_noted_and_breaks_nothing(store: DeletionStore, clock: Clock) -> None:
    store.request_removal([IDS[0]])
    clock.now -= 1000.0
    assert store.status().clock_back == 1000.0
    store.request_removal([IDS[1]])
    outcome = store.process()
    assert outcome is not None and outcome.requests == (1, 2)
    records = store.log()
    assert [record.number for record in records] == list(range(len(records)))
    assert [record.clock_back for record in records] == [0.0, 0.0, 1000.0, 0.0, 0.0]
    (noted,) = [check for check in store.verify().checks if check.name == "clock"]
    assert noted.passed and "first at record 2" in noted.detail


def test_receipts_open_what_the_log_says(store: DeletionStore) -> None:
    receipt = store.request_removal([IDS[2]])
    text = b"certified-removal names\0" + json.dumps({"ids": [IDS[2]]}, separators=(",", ":")).encode()
    assert hmac.digest(receipt.nonce, text, "sha256").hex() == receipt.commitment == store.log()[1].content["names"]
    assert receipt.nonce.hex() not in repr(receipt)
    assert receipt.head == store.export_head()


def test_remaining_rows_are_proved_present_and_deleted_ones_absent(store: DeletionStore) -> None:
    store.request_removal([IDS[6]])
    outcome = store.process()
    assert outcome is not None
    digests = row_digests(bytes.fromhex(outcome.certificate.salt), X, Y.tolist(), np.ones(COUNT))
    for position, digest in enumerate(digests):
        root, salt, proof = store.prove(digest)
        assert root == store.log()[2].content["rows_root"]
        assert check(root, leaf_digest(salt, digest), proof) is (position != 6)


def test_without_commitment_to_rows_there_is_no_proof(tmp_path: Path, trained: bytes) -> None:
    with DeletionStore.init(tmp_path / "plain.store", restored(loads(trained))) as store:
        assert "rows_root" not in store.log()[0].content
        with pytest.raises(ValueError, match="commit_rows=True"):
            store.prove(bytes(32))


def test_a_refusal_keeps_the_requests_and_is_logged(
    store: DeletionStore, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.request_removal([IDS[0]])

    def refuse(*_: object) -> None:
        raise TargetNotReachedError(1.0, 0.5)

    with monkeypatch.context() as patch:
        patch.setattr("certified.estimators.session.update", refuse)
        with pytest.raises(TargetNotReachedError):
            store.process()
    assert store.log()[-1].content == {"error": "TargetNotReachedError"}
    assert len(store.status().pending) == 1 and not store.status().processing
    assert store.verify().ok and store.process() is not None


def test_one_process_computes_at_a_time(store: DeletionStore, path: Path, clock: Clock) -> None:
    store.request_removal([IDS[0]])
    seen: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "process: lease taken":
            with DeletionStore.open(path, clock=clock) as other:
                with pytest.raises(StoreBusyError, match="another process"):
                    other.process()
                assert other.status().processing
                seen.append(str(other.request_removal([IDS[1]]).request))

    with DeletionStore.open(path, clock=clock, fault=meanwhile) as slow:
        outcome = slow.process()
    assert outcome is not None and outcome.requests == (1,) and seen == ["2"]
    assert [request.number for request in store.status().pending] == [2]
    assert store.verify().ok


@pytest.mark.parametrize("moment", ["process: lease taken", "process: computed"])
def test_whoever_was_too_slow_commits_nothing(store: DeletionStore, path: Path, clock: Clock, moment: str) -> None:
    store.request_removal([IDS[0]])

    def overtake(step: str) -> None:
        if step == moment:
            clock.now += 601.0
            with DeletionStore.open(path, clock=clock) as other:
                outcome = other.process()
                assert outcome is not None and outcome.requests == (1,)

    with (
        DeletionStore.open(path, clock=clock, fault=overtake) as slow,
        pytest.raises(StoreError, match="too slow"),
    ):
        slow.process()
    assert [record.kind for record in store.log()].count("release") == 1
    assert store.status().releases == 2 and store.verify().ok


def test_the_file_is_its_owners_alone(store: DeletionStore, path: Path, clock: Clock) -> None:
    store.request_removal([IDS[0]])
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["risk.store", "risk.store-shm", "risk.store-wal"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        DeletionStore.open(path)


def test_every_write_is_durable_and_every_deletion_overwrites(store: DeletionStore) -> None:
    settings = {"synchronous": 2, "secure_delete": 1, "journal_mode": "wal", "temp_store": 2}
    assert {name: store._database.one(f"PRAGMA {name}") for name in settings} == {
        name: (value,) for name, value in settings.items()
    }


def test_a_release_during_a_compaction_is_compacted_later(store: DeletionStore, path: Path, clock: Clock) -> None:
    store.request_removal([IDS[0]])

    def interrupted(step: str) -> None:
        if step == "compact: rewritten":
            raise InterruptedError

    def meanwhile(step: str) -> None:
        if step == "compact: rewritten":
            with DeletionStore.open(path, clock=clock, fault=interrupted) as other:
                other.request_removal([IDS[1]])
                with pytest.raises(InterruptedError):
                    other.process()

    with DeletionStore.open(path, clock=clock, fault=interrupted) as first, pytest.raises(InterruptedError):
        first.process()
    with DeletionStore.open(path, clock=clock, fault=meanwhile) as second:
        second.compact()
    assert store.status().compaction_due and store.verify().ok
    assert store.compact() and not store.status().compaction_due and store.verify().ok
    size = store.status().head.size
    assert store.compact() and store.status().head.size == size


def test_a_lease_from_the_future_holds_nobody_up(store: DeletionStore, path: Path, clock: Clock) -> None:
    """A holder that is alive but took its lease by a clock that was ahead: work may be repeated, never lost."""
    store.request_removal([IDS[0]])

    def set_right(step: str) -> None:
        if step == "process: computed":
            clock.now -= 1e6
            with DeletionStore.open(path, clock=clock) as other:
                assert other.process() is not None

    with (
        DeletionStore.open(path, clock=clock, fault=set_right) as wrong,
        pytest.raises(StoreError, match="too slow"),
    ):
        wrong.process()
    assert store.status().releases == 2 and store.verify().ok


def test_bad_arguments_are_named(store: DeletionStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lease_seconds"):
        store.process(lease_seconds=0.0)
    with pytest.raises(TypeError, match="model must be a fitted estimator"):
        DeletionStore.init(tmp_path / "new.store", object())  # type: ignore[arg-type]
    store.publish(tmp_path / "public.model")
    with pytest.raises(RuntimeError, match="secret file"):
        DeletionStore.init(tmp_path / "new.store", CertifiedRidge.load(tmp_path / "public.model"))
    assert not (tmp_path / "new.store").exists()


def test_a_store_is_never_made_over_something_else(path: Path, trained: bytes) -> None:
    content = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists already"):
        DeletionStore.init(path, restored(loads(trained)))
    assert path.read_bytes() == content
    beside = path.with_name(".other.store.init")
    beside.touch()
    with pytest.raises(FileExistsError, match="delete the files"):
        DeletionStore.init(path.with_name("other.store"), restored(loads(trained)))


def test_other_files_are_no_stores(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no store absent"):
        DeletionStore.open(tmp_path / "absent")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE meta (name, value)")
    other.chmod(0o600)
    with pytest.raises(StoreDamagedError, match="not a store"):
        DeletionStore.open(other)
    text = tmp_path / "text"
    text.write_text("certified " * 100)
    text.chmod(0o600)
    with pytest.raises(StoreDamagedError, match="not an intact store"):
        DeletionStore.open(text)


def test_a_classifier_loses_a_class(tmp_path: Path) -> None:
    labels = ["a", "b"] * 11 + ["c", "c"]
    model = CertifiedLogisticRegression(C=10.0).fit(X, labels, ids=range(COUNT))
    with DeletionStore.init(tmp_path / "s", model) as store:
        store.request_removal([22, 23])
        outcome = store.process()
        assert outcome is not None and outcome.certificate.classes == ("a", "b")
        assert store.verify().ok


@pytest.mark.parametrize("name", ["clinic[1].store", "*.store"])
def test_any_file_name_leaves_only_the_store(tmp_path: Path, trained: bytes, name: str) -> None:
    other = tmp_path / ".other.store.init"
    other.write_bytes(b"of another process")
    DeletionStore.init(tmp_path / name, restored(loads(trained))).close()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, other.name])
