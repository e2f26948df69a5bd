"""A store of deletion requests around one model: each durable before it is acknowledged, and carried out once.

Why a crash cannot cost privacy: the noise of a release, the state it came from, the budget it spends and its
certificate are committed in one transaction, and nothing is shown before that. A crash before the commit throws away
a release that nobody saw, so drawing fresh noise afterwards changes no distribution; after the commit the same
release is read back, never drawn again (claim T18, part 4).
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from certified.certificates.certificate import Certificate
from certified.data.index import Id, UnknownIdError, as_ids
from certified.estimators.base import AuditBundle, CertifiedEstimator
from certified.estimators.persistence import ModelFormatError, loads, pack, unpack
from certified.ledger.chain import Head
from certified.ledger.database import DAY, Database, StoreDamagedError, StoreError, translated
from certified.ledger.merkle import Proof, RowTree, leaf_digest
from certified.ledger.records import Record, canonical, names_commitment
from certified.service import lease
from certified.service.contents import content_digest, name_text, row_names, row_tree
from certified.service.reports import Outcome, Receipt, Request, Status
from certified.service.verify import verify

if TYPE_CHECKING:
    from certified.verification.report import VerificationReport


def _no_fault(step: str) -> None:
    """Where tests stop the process."""


class DeletionStore:
    """A model, its deletion requests and their log in one file, for any number of processes.

    Make one with `init`, open it with `open`. The log says what happened and when, in commitments only; the file holds
    the rows and the noise-free weights, and is its owner's alone. Guarantee: claim T16 for the releases, T18 for the
    log.

    Example:
        >>> import tempfile, pathlib, numpy as np
        >>> from certified import CertifiedRidge
        >>> X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name) / "risk.store"
        >>> store = DeletionStore.init(path, CertifiedRidge(C=10.0).fit(X, X[:, 0] + 1.0))
        >>> store.request_removal([3, 5]).request
        1
        >>> store.process().certificate.removed_count
        2
        >>> store.status().remaining, store.verify().ok
        (18, True)
        >>> store.close(); folder.cleanup()
    """

    def __init__(self, database: Database, clock: Callable[[], float], fault: Callable[[str], None]) -> None:
        self._database = database
        self._clock = clock
        self._fault = fault

    @classmethod
    def init(
        cls,
        path: str | Path,
        model: CertifiedEstimator,
        *,
        deadline_days: float = 30.0,
        commit_rows: bool = False,
        clock: Callable[[], float] = time.time,
        fault: Callable[[str], None] = _no_fault,
    ) -> DeletionStore:
        """Make a store that takes a fitted model over.

        From now on only the store may release this model: two copies that both release spend one budget twice, and a
        copy elsewhere keeps the rows that the store deletes.

        Args:
            path: a new file.
            model: a fitted estimator with its secrets.
            deadline_days: how long a request may wait.
            commit_rows: whether the log also commits to the set of remaining rows, for `prove`; costs O(n) hashes.
            clock: seconds since 1970.
            fault: called with the name of each step.

        Raises:
            FileExistsError: ``path`` exists.
            TypeError: ``model`` is no estimator of this library.
            RuntimeError: ``model`` was loaded without its secrets.
            ValueError: ``deadline_days`` is not a positive number.
        """
        if not (0.0 < deadline_days < math.inf):
            raise ValueError(f"deadline_days must be positive and finite; got {deadline_days!r}")
        if not isinstance(model, CertifiedEstimator):
            raise TypeError(f"model must be a fitted estimator of this library; got a {type(model).__name__}")
        content = pack(model)

        def fill(database: Database) -> None:
            database.put("store", secrets.token_hex(16))
            database.put("deadline", float(deadline_days) * DAY)
            database.put("row_salt", os.urandom(32) if commit_rows else None)
            database.put("compaction_due", 0)
            database.run_many("INSERT INTO rows VALUES (?, ?)", row_names(content))
            facts = _store_release(database, content, model.certificate_)
            names = {"store": database.get("store"), "deadline_days": float(deadline_days)}
            database.append("init", {**names, **facts}, clock())
            fault("init: before commit")

        return cls(Database.create(Path(path), fill), clock, fault)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        fault: Callable[[str], None] = _no_fault,
    ) -> DeletionStore:
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

    def request_removal(self, ids: Any = None, *, subjects: Any = None) -> Receipt:
        """Record that rows must go; it is on disk when this returns. Nothing is computed yet.

        A row that an earlier request covers may be named again.

        Raises:
            UnknownIdError: a row or subject that is not in force; the message says which by its position only.
            ValueError, TypeError: none or both arguments given, or a name given twice.
            StoreError: the disk is full or the file is held; nothing was recorded.
        """
        if (ids is None) == (subjects is None):
            raise ValueError("give exactly one of ids and subjects")
        kind = "ids" if subjects is None else "subjects"
        names = as_ids(ids if subjects is None else subjects, kind)
        if not names:
            raise ValueError(f"{kind} is empty: name at least one")
        if len(set(names)) != len(names):
            raise ValueError(f"{kind} names one twice: name each once")
        nonce = os.urandom(32)
        commitment, database, now = names_commitment(nonce, {kind: names}), self._database, self._clock()
        with database.transaction():
            claimed = self._claimed(kind, names)
            (number,) = database.one("SELECT COALESCE(MAX(number), 0) + 1 FROM requests") or (1,)
            due = now + database.get("deadline")
            database.run("INSERT INTO requests VALUES (?, ?, ?, ?, NULL)", number, now, due, len(claimed))
            database.run_many("INSERT INTO claims VALUES (?, ?)", ((name, number) for name in claimed))
            content = {"request": number, "rows": len(claimed), "names": commitment, "due": due}
            database.append("request", content, now)
            head = self._head()
            self._fault("request: before commit")
        self._fault("request: after commit")
        return Receipt(number, len(claimed), due, commitment, nonce, head)

    def is_in_force(self, name: Id, *, subject: bool = False) -> bool:
        """Whether some row in force has this id, or belongs to this subject."""
        column = "subject" if subject else "name"
        with self._database.snapshot():
            return self._database.one(f"SELECT 1 FROM rows WHERE {column} = ?", name_text(name)) is not None

    def process(self, *, lease_seconds: float = 600.0) -> Outcome | None:
        """Carry out all pending requests in one release; None if there are none.

        One release for many requests spends less of the budget than one for each, and an observer of the models before
        and after sees one difference of many rows instead of a difference for each.

        Requests that arrive meanwhile wait for the next call. If the model refuses, the requests stay pending, the log
        says that an attempt failed, and the model's error is raised. A compaction that is due is made up for.

        Args:
            lease_seconds: after this time others may start over; what this call computed is then thrown away.

        Raises:
            StoreBusyError: another process is at it.
            TargetNotReachedError: (ε, δ) cannot be certified any more.
            StoreError: the disk is full or the file is held; nothing was changed or shown.
        """
        if not (0.0 < lease_seconds < math.inf):
            raise ValueError(f"lease_seconds must be positive and finite; got {lease_seconds!r}")
        database = self._database
        with database.transaction():
            names = [name for (name,) in database.rows("SELECT DISTINCT name FROM claims ORDER BY name")]
            compaction_due = database.get("compaction_due")
            if names:
                token, content = lease.acquire(database, self._clock(), lease_seconds), database.read_state()
        if not names:
            if compaction_due:
                self._try_to_compact()
            return None
        self._fault("process: lease taken")
        try:
            model = _unpack(content)
            model.remove([json.loads(name) for name in names])
            certificate, content = model.certificate_, pack(model)
            self._fault("process: computed")
            requests = self._commit(token, names, content, certificate)
        except BaseException as error:
            self._give_up(token, error)
            raise
        self._fault("process: after commit")
        return Outcome(requests, certificate, self._try_to_compact())

    def compact(self) -> bool:
        """Rewrite the file so that nothing that was deleted is left in it or beside it.

        Returns:
            False where another process was reading or writing: try again.
        """
        database = self._database
        with translated():
            (last,) = database.one("SELECT MAX(number) FROM ledger") or (0,)
        if not database.vacuum():
            return False
        self._fault("compact: rewritten")
        with database.transaction():
            # A release that came in between is left for the next call.
            if 0 < database.get("compaction_due") <= last:
                database.put("compaction_due", 0)
                database.append("compact", {"through": last}, self._clock())
            self._fault("compact: before commit")
        return database.checkpoint()

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

    def publish(self, path: str | Path) -> None:
        """Write the last release as a public model file; the same numbers each time, so this costs no budget."""
        with self._database.snapshot():
            content = self._database.read_state()
        loads(content).publish(path)

    def audit_bundle(self) -> AuditBundle:
        """Return the secrets that an auditor needs for `certified.verify`; hand them over like the rows themselves."""
        with self._database.snapshot():
            content = self._database.read_state()
        return _unpack(content).audit_bundle()

    def prove(self, row_digest: bytes) -> tuple[str, bytes, Proof]:
        """Return the root in the log, its salt and the proof that a row is or is not in the remaining set.

        Args:
            row_digest: `certificates.commitment.row_digests` of the row under the certificate's salt. Check with
                `ledger.merkle.check` of ``leaf_digest(salt, row_digest)``.

        Raises:
            ValueError: the store was made without ``commit_rows``.
        """
        with self._database.snapshot():
            salt, content = self._database.get("row_salt"), self._database.read_state()
        if salt is None:
            raise ValueError("prove needs a store made with commit_rows=True")
        tree: RowTree = row_tree(content, salt)
        return tree.root, salt, tree.prove(leaf_digest(salt, row_digest))

    def _claimed(self, kind: str, names: Sequence[Id]) -> list[str]:
        """Names of the rows in force that a request covers."""
        query = f"SELECT name FROM rows WHERE {'name' if kind == 'ids' else 'subject'} = ?"
        claimed: list[str] = []
        for position, name in enumerate(names):
            found = [row for (row,) in self._database.rows(query, name_text(name))]
            if not found:
                raise UnknownIdError(
                    f"{kind}: number {position + 1} of the {len(names)} given is not in force: it never was there, or "
                    "has been removed"
                )
            claimed += found
        return claimed

    def _commit(self, token: str, names: list[str], content: bytes, certificate: Certificate) -> tuple[int, ...]:
        """Make a computed release the state, with everything that depends on it, or raise and change nothing."""
        database = self._database
        with database.transaction():
            if not lease.release(database, token):
                raise StoreError("another process took over because this one was too slow: its work counts instead")
            if database.get("row_salt") is not None:
                database.put("row_salt", os.urandom(32))
            facts = _store_release(database, content, certificate)
            database.run_many("DELETE FROM rows WHERE name = ?", ((name,) for name in names))
            database.run_many("DELETE FROM claims WHERE name = ?", ((name,) for name in names))
            done = [
                number
                for (number,) in database.rows(
                    "SELECT number FROM requests WHERE release IS NULL AND number NOT IN (SELECT request FROM claims)"
                )
            ]
            database.run_many(
                "UPDATE requests SET release = ? WHERE number = ?", ((certificate.releases, n) for n in done)
            )
            record = database.append("release", {"requests": done, **facts}, self._clock())
            database.put("compaction_due", record.number)
            self._fault("process: before commit")
        return tuple(done)

    def _try_to_compact(self) -> bool:
        """Compact after a release, which counts whether or not this succeeds: the status says what is left to do."""
        try:
            return self.compact()
        except StoreError:
            return False

    def _give_up(self, token: str, error: BaseException) -> None:
        """Give the lease back; note a refusal of the model, by its kind only."""
        try:
            with self._database.transaction():
                refused = isinstance(error, Exception) and not isinstance(error, StoreError)
                if lease.release(self._database, token) and refused:
                    self._database.append("failed", {"error": type(error).__name__}, self._clock())
        except StoreError:
            return  # The lease runs out by itself, and the error that is under way says more.

    def _head(self) -> Head:
        row = self._database.one("SELECT number, link FROM ledger ORDER BY number DESC LIMIT 1")
        if row is None:
            raise StoreDamagedError("the store has no log: restore it from a backup")
        return Head(self._database.get("store"), row[0] + 1, row[1].hex())


def _store_release(database: Database, content: bytes, certificate: Certificate) -> dict[str, Any]:
    """Write state and certificate; return what the log says of them."""
    database.write_state(content)
    fields = certificate.to_dict()
    database.run("INSERT INTO certificates VALUES (?, ?)", certificate.releases, canonical(fields))
    facts = {
        "release": certificate.releases,
        "certificate": fields["digest"],
        "state": content_digest(content),
        "removed": certificate.removed_count,
        "remaining": certificate.remaining_count,
    }
    salt = database.get("row_salt")
    return facts if salt is None else {**facts, "rows_root": row_tree(content, salt).root}


def _unpack(content: bytes) -> CertifiedEstimator:
    try:
        return unpack(content)
    except ModelFormatError:
        raise StoreDamagedError("the model in the store is damaged: restore the store from a backup") from None
