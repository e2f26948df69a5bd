"""A store of deletion requests around one model: each durable before it is acknowledged, and carried out once.

Why a crash cannot cost privacy: the noise of a release, the state it came from, the budget it spends and its
certificate are committed in one transaction, and nothing is shown before that. A crash before the commit throws away
a release that nobody saw, so drawing fresh noise afterwards changes no distribution; after the commit the same
release is read back, never drawn again (claim T18, part 4).
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from certified.data.index import Id, UnknownIdError, as_ids
from certified.estimators.base import CertifiedEstimator
from certified.estimators.snapshot import HeldRows
from certified.ledger.database import DAY, Database, StoreError, translated
from certified.ledger.records import names_commitment
from certified.service import lease
from certified.service.contents import content_digest, erase_rows, name_text, write_rows
from certified.service.held import Held
from certified.service.reader import StoreReader, _no_fault, _restored
from certified.service.releases import Holdout, require_readable, scored, store_release
from certified.service.reports import Outcome, Receipt

_OVERTAKEN = "another process took over because this one was too slow: its work counts instead"


class DeletionStore(StoreReader):
    """A model, its deletion requests and their log in one file, for any number of processes.

    Make one with `init`, open it with `open`. The log says what happened and when, in commitments only; the file holds
    the rows and the noise-free weights, and is its owner's alone. Guarantee: claim T16 for the releases, T18 for the
    log. The model stays in memory between calls, so that a request costs what its rows cost.

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

    _held: Held | None = None
    """The model in memory."""

    @classmethod
    def init(
        cls,
        path: str | Path,
        model: CertifiedEstimator,
        *,
        deadline_days: float = 30.0,
        batch_days: float = 0.0,
        commit_rows: bool = False,
        holdout: Holdout | None = None,
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
            batch_days: how long requests gather, from the first one on, before `process` carries them out together.
            commit_rows: whether the log also commits to the set of remaining rows, for `prove`; costs O(n) hashes.
            holdout: rows (X, y) to score the first release on; the score enters the log.
            clock: seconds since 1970.
            fault: called with the name of each step.

        Raises:
            FileExistsError: ``path`` exists.
            TypeError: ``model`` or its loss is none of this library: the store could not read it back.
            RuntimeError: ``model`` was loaded without its secrets.
            ValueError: ``deadline_days``, ``batch_days`` or ``holdout`` is unusable.
        """
        if not (0.0 < deadline_days < math.inf):
            raise ValueError(f"deadline_days must be positive and finite; got {deadline_days!r}")
        if not (0.0 <= batch_days < deadline_days):
            raise ValueError(f"batch_days must not be negative and be below deadline_days; got {batch_days!r}")
        if not isinstance(model, CertifiedEstimator):
            raise TypeError(f"model must be a fitted estimator of this library; got a {type(model).__name__}")
        require_readable(model)
        rows, score = HeldRows.of(model._open()), scored(model, holdout)
        held = Held.of(model, rows)

        def fill(database: Database) -> None:
            database.put("store", secrets.token_hex(16))
            database.put("deadline", float(deadline_days) * DAY)
            database.put("batch_window", float(batch_days) * DAY)
            database.put("row_salt", os.urandom(32) if commit_rows else None)
            database.put("compaction_due", 0)
            write_rows(database, rows)
            facts = store_release(database, held)
            names = {"store": database.get("store"), "deadline_days": float(deadline_days)}
            database.append("init", {**names, "batch_days": float(batch_days), **facts, **score}, clock())
            fault("init: before commit")

        return cls(Database.create(Path(path), fill), clock, fault)

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

    def process(
        self,
        *,
        early: bool = False,
        compact: bool = True,
        holdout: Holdout | None = None,
        lease_seconds: float = 600.0,
    ) -> Outcome | None:
        """Carry out all pending requests in one release; None if there are none, or they still gather.

        One release for many requests spends less of the budget than one for each, and an observer of the models before
        and after sees one difference of many rows instead of a difference for each.

        Requests that arrive meanwhile wait for the next call. If the model refuses, the requests stay pending, the log
        says that an attempt failed, and the model's error is raised. A compaction that is due is made up for.

        Args:
            early: whether to carry requests out before the batch window ends.
            compact: whether to rewrite the file afterwards; without it traces may be left until `compact`, and a
                request costs what its rows cost instead of what the file costs.
            holdout: rows (X, y) to score the release on; the score enters the log.
            lease_seconds: after this time others may start over; what this call computed is then thrown away.

        Raises:
            StoreBusyError: another process is at it.
            TargetNotReachedError: (ε, δ) cannot be certified any more.
            StoreError: the disk is full or the file is held; nothing was changed or shown.
            ValueError: ``lease_seconds`` or ``holdout`` is unusable.
        """
        if not (0.0 < lease_seconds < math.inf):
            raise ValueError(f"lease_seconds must be positive and finite; got {lease_seconds!r}")
        if holdout is not None:
            scored(self.published_model(), holdout)
        database = self._database
        with database.transaction():
            names = [name for (name,) in database.rows("SELECT DISTINCT name FROM claims ORDER BY name")]
            compaction_due = database.get("compaction_due")
            ready = bool(names) and (early or not self._gathering())
            if ready:
                token = lease.acquire(database, self._clock(), lease_seconds)
                digest = content_digest(database.read_state())
        if not ready:
            if compaction_due and compact:
                self._clean_up(rewrite=True)
            return None
        self._fault("process: lease taken")
        try:
            held = self._recalled(digest)
            held.remove(names)
            score = scored(held.model, holdout)
            self._fault("process: computed")
            requests = self._commit(token, names, held, score)
        except BaseException as error:
            self._give_up(token, error)
            raise
        self._held = held
        self._fault("process: after commit")
        return Outcome(requests, held.model.certificate_, self._clean_up(rewrite=compact))

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

    def _gathering(self) -> bool:
        """Whether the pending requests still wait for others; without a window none does, whatever the clock says."""
        due = self._release_due()
        return self._database.get("batch_window") > 0.0 and due is not None and self._clock() < due

    def _recalled(self, digest: str) -> Held:
        """The model whose state has this digest: from memory, or read anew where another process went on."""
        held, self._held = self._held, None
        if held is not None and held.digest == digest:
            return held
        read = self._saved()
        with translated():
            if content_digest(self._database.read_state()) != digest:
                raise StoreError(_OVERTAKEN)
        assert read.rows is not None
        return Held.of(_restored(read), read.rows)

    def _commit(self, token: str, names: list[str], held: Held, score: dict[str, Any]) -> tuple[int, ...]:
        """Make a computed release the state, with everything that depends on it, or raise and change nothing."""
        database, release = self._database, held.model.certificate_.releases
        with database.transaction():
            if not lease.release(database, token):
                raise StoreError(_OVERTAKEN)
            if database.get("row_salt") is not None:
                database.put("row_salt", os.urandom(32))
            facts = store_release(database, held)
            erase_rows(database, names)
            done = [
                number
                for (number,) in database.rows(
                    "SELECT number FROM requests WHERE release IS NULL AND number NOT IN (SELECT request FROM claims)"
                )
            ]
            database.run_many("UPDATE requests SET release = ? WHERE number = ?", ((release, n) for n in done))
            record = database.append("release", {"requests": done, **facts, **score}, self._clock())
            database.put("compaction_due", record.number)
            self._fault("process: before commit")
        return tuple(done)

    def _clean_up(self, *, rewrite: bool) -> bool:
        """Compact after a release, or only empty the write-ahead log; return whether no trace is left.

        The release counts whether or not this succeeds: the status says what is left to do.
        """
        try:
            if rewrite:
                return self.compact()
            self._database.checkpoint()
        except StoreError:
            return False
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
