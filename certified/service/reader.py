"""Reading a store: what is pending, what happened, whether it all agrees, and what may be handed out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from certified.certificates.certificate import Certificate
from certified.data.index import Id
from certified.estimators.archive import ModelFormatError
from certified.estimators.base import AuditBundle, CertifiedEstimator
from certified.estimators.persistence import restored
from certified.estimators.saved_model import SavedModel, loads
from certified.ledger.chain import Head
from certified.ledger.database import Database, StoreDamagedError, translated
from certified.ledger.merkle import Proof, leaf_digest
from certified.ledger.records import Record
from certified.service import lease
from certified.service.contents import name_text, read_rows, row_tree
from certified.service.reports import Request, Status
from certified.service.verify import verify

if TYPE_CHECKING:
    from certified.verification.report import VerificationReport


def _no_fault(step: str) -> None:
    """Where tests stop the process."""


class StoreReader:
    """The questions that a store answers; none of them changes it."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, fault: Callable[[str], None] = _no_fault
    ) -> None:
        self._database = database
        self._clock = clock
        self._fault = fault

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        fault: Callable[[str], None] = _no_fault,
    ) -> Self:
        """Open a store; whatever a killed process left undone is undone or can go on.

        Raises:
            FileNotFoundError, PermissionError: there is none, or others may read it.
            StoreDamagedError: the file is not a store.
        """
        return cls(Database(Path(path)), clock, fault)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_in_force(self, name: Id, *, subject: bool = False) -> bool:
        """Whether some row in force has this id, or belongs to this subject."""
        column = "subject" if subject else "name"
        with self._database.snapshot():
            return self._database.one(f"SELECT 1 FROM rows WHERE {column} = ?", name_text(name)) is not None

    def status(self) -> Status:
        """Return what is pending, until when, and whether anything needs attention."""
        database, now = self._database, self._clock()
        with database.snapshot():
            waiting = database.rows("SELECT number, rows, received, due FROM requests WHERE release IS NULL")
            pending = tuple(Request(n, rows, received, due, overdue=now > due) for n, rows, received, due in waiting)
            (done,) = database.one("SELECT COUNT(*) FROM requests WHERE release IS NOT NULL") or (0,)
            (remaining,) = database.one("SELECT COUNT(*) FROM rows") or (0,)
            (releases,) = database.one("SELECT MAX(release) FROM certificates") or (0,)
            head = self._head()
            (*_, (_, body, _)) = database.entries(head.size - 1)
            return Status(
                pending=pending,
                done=done,
                remaining=remaining,
                releases=releases,
                release_due=self._release_due(),
                processing=lease.is_held(database, now),
                compaction_due=bool(database.get("compaction_due")),
                clock_back=max(0.0, Record.decode(body).time - now),
                head=head,
            )

    def log(self, start: int = 0) -> list[Record]:
        """Return the records of the log from number ``start`` on."""
        with self._database.snapshot():
            return [Record.decode(body) for _, body, _ in self._database.entries(start)]

    def verify(self, earlier: Head | None = None) -> VerificationReport:
        """Check the file, the chain and that log, requests, certificates and model agree.

        Args:
            earlier: a head exported before and kept elsewhere; without one, a log that was rewritten as a whole, or cut
                at its end, cannot be told from an honest one (claim T18).
        """
        return verify(self._database, earlier)

    def export_head(self) -> Head:
        """Return what stands for the log now; keep it where nobody who can write the store can change it."""
        with self._database.snapshot():
            return self._head()

    def certificate(self, release: int | None = None) -> Certificate:
        """Return the certificate of a release, by default the last.

        Raises:
            ValueError: there is no such release in the store.
        """
        which = "ORDER BY release DESC LIMIT 1" if release is None else "WHERE release = ?"
        with translated():
            row = self._database.one(f"SELECT body FROM certificates {which}", *([] if release is None else [release]))
        if row is None:
            raise ValueError(f"release: the store has no release {release}")
        return Certificate.from_json(row[0].decode())

    def published_model(self) -> CertifiedEstimator:
        """Return the last release as a model that predicts; it holds no secret."""
        return _restored(self._saved(rows=False).public)

    def publish(self, path: str | Path) -> None:
        """Write the last release as a public model file; the same numbers each time, so this costs no budget."""
        self._saved(rows=False).publish(path)

    def audit_bundle(self) -> AuditBundle:
        """Return the secrets that an auditor needs for `certified.verify`; hand them over like the rows themselves."""
        saved = self._saved(rows=False)
        assert saved.weights is not None and saved.facts is not None
        return AuditBundle(saved.weights, saved.released, bytes.fromhex(saved.facts["nonce"]))

    def prove(self, row_digest: bytes) -> tuple[str, bytes, Proof]:
        """Return the root in the log, its salt and the proof that a row is or is not in the remaining set.

        Args:
            row_digest: `certificates.commitment.row_digests` of the row under the certificate's salt. Check with
                `ledger.merkle.check` of ``leaf_digest(salt, row_digest)``.

        Raises:
            ValueError: the store was made without ``commit_rows``.
        """
        with self._database.snapshot():
            salt, saved = self._database.get("row_salt"), self._read()
        if salt is None:
            raise ValueError("prove needs a store made with commit_rows=True")
        assert saved.rows is not None and saved.facts is not None
        tree = row_tree(saved.rows.digests(bytes.fromhex(saved.facts["salt"])), salt)
        return tree.root, salt, tree.prove(leaf_digest(salt, row_digest))

    def _saved(self, *, rows: bool = True) -> SavedModel:
        with self._database.snapshot():
            return self._read(rows=rows)

    def _read(self, *, rows: bool = True) -> SavedModel:
        """The model in the file, inside a transaction or snapshot."""
        try:
            core = loads(self._database.read_state())
            held = read_rows(self._database, core.fitted["n_features"]) if rows else None
        except (ModelFormatError, KeyError):
            raise StoreDamagedError(_DAMAGED) from None
        if core.facts is None or core.weights is None:
            raise StoreDamagedError(_DAMAGED)
        return core.with_rows(held)

    def _release_due(self) -> float | None:
        """When the pending requests are to be carried out: when the first of them has waited for the batch window."""
        (first,) = self._database.one("SELECT MIN(received) FROM requests WHERE release IS NULL") or (None,)
        if first is None:
            return None
        return float(first) + float(self._database.get("batch_window"))

    def _head(self) -> Head:
        row = self._database.one("SELECT number, link FROM ledger ORDER BY number DESC LIMIT 1")
        if row is None:
            raise StoreDamagedError("the store has no log: restore it from a backup")
        return Head(self._database.get("store"), row[0] + 1, row[1].hex())


_DAMAGED = "the model in the store is damaged: restore the store from a backup"


def _restored(saved: SavedModel) -> CertifiedEstimator:
    try:
        return restored(saved)
    except ModelFormatError:
        raise StoreDamagedError(_DAMAGED) from None
