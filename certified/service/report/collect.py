"""Reading a store through its public methods. What cannot be read becomes a failed check, never a crash."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar

from certified.certificates.certificate import Certificate
from certified.ledger.chain import Head
from certified.ledger.database import StoreDamagedError
from certified.ledger.records import Record, RecordFormatError
from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon, gaussian_mu
from certified.service.reader import StoreReader
from certified.service.report.facts import Evidence, Facts, ReleaseFacts, RequestFacts, Timing
from certified.verification.report import Check, VerificationReport
from certified.version import __version__

Read = TypeVar("Read")

_LAST_TIME = 253_370_764_800.0
"""The year 9999, after which there is no date to print."""
_DAMAGE = (StoreDamagedError, RecordFormatError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def collect(
    store: StoreReader,
    *,
    title: str = "deletion store",
    public: bool = False,
    earlier: Head | None = None,
    now: float | None = None,
) -> Facts:
    """Return the facts of a store, as of its present head (claims T16, T18).

    No id, subject, row, weight, nonce or salt is in them, and of digests and commitments none but those of the log and
    of `Certificate.statement`. A public report holds nothing measured: of each certificate only what `statement`
    allows, of the requests only how many there were and how long they took, of the checks only their outcome.

    Args:
        store: an open store; a damaged one gives failed checks.
        title: what readers call the store.
        public: whether to leave out what is meant for auditors.
        earlier: a head kept elsewhere, to verify against.
        now: seconds since 1970, by default the clock of this machine.

    Raises:
        StoreError: the file cannot be read at the moment, though it may be intact.
    """
    reader = _Reader(store)
    now = time.time() if now is None else now
    head = reader.attempt("head", store.export_head)
    records = reader.attempt("log", store.log) or []
    records = records if head is None else records[: head.size]
    history = _History(records)
    certificates = [(number, reader.certificate(number)) for number in history.releases]
    known = [(history.releases[number], found) for number, found in certificates if found is not None]
    facts_of = (reader.attempt("certificates", partial(_release, *entry)) for entry in known)
    releases = tuple(fact for fact in facts_of if fact is not None)
    last = known[-1][1] if known else None
    status = reader.attempt("status", store.status)
    verified = reader.attempt("verification", lambda: store.verify(earlier))
    checks = [*(() if verified is None else verified.checks), *reader.problems, *history.problems]
    requests = history.requests
    facts = Facts(
        title=title,
        name=None if head is None else str(head.store),
        made=now,
        library_version=__version__,
        public=public,
        checks=VerificationReport(tuple(checks)),
        head=head,
        since=history.since,
        deadline_days=history.deadline_days,
        timing=Timing.of(requests, now),
        requests=requests,
        releases=releases,
        statement=None if last is None else last.statement(),
        spent_epsilon=None if last is None else reader.attempt("certificates", partial(_spent, last)),
        best_test=None if last is None else reader.attempt("certificates", partial(_best_test, last)),
        refusals=tuple(history.refusals),
        traces=None if status is None else status.compaction_due,
        clock_back=history.clock_back,
    )
    return _published(facts) if public else facts


def _published(facts: Facts) -> Facts:
    """Leave out what was measured on the rows, and what tells one request from another."""
    return replace(
        facts,
        checks=VerificationReport(tuple(Check(check.name, check.passed, "") for check in facts.checks.checks)),
        requests=(),
        releases=tuple(replace(release, evidence=None) for release in facts.releases),
        spent_epsilon=None,
        best_test=None,
        refusals=(),
    )


class _Reader:
    """Calls that may meet damage, and the checks that they failed."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self.problems: list[Check] = []

    def attempt(self, name: str, read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except _DAMAGE as error:
            detail = str(error) if isinstance(error, StoreDamagedError | RecordFormatError) else "damaged content"
            failed = Check(f"read_{name}", False, detail)
            if failed not in self.problems:
                self.problems.append(failed)
            return None

    def certificate(self, release: int) -> Certificate | None:
        try:
            return self._store.certificate(release)
        except _DAMAGE:
            detail = f"the certificate of release {release} is missing or was altered"
            self.problems.append(Check("read_certificate", False, detail))
            return None


class _Release:
    """What the log says of a release, checked for type."""

    def __init__(self, record: Record) -> None:
        content = record.content
        self.number, self.remaining = _whole(content["release"]), _whole(content["remaining"])
        self.time, self.digest = _time(record.time), _text(content["certificate"])
        self.requests = [_whole(number) for number in content.get("requests", [])]
        self.score = None if content.get("score") is None else _real(content["score"])
        self.scored_rows = None if content.get("scored_rows") is None else _whole(content["scored_rows"])


class _History:
    """The log, read record by record; records that say what the store never writes are counted as damaged."""

    def __init__(self, records: list[Record]) -> None:
        self.since: float | None = None
        self.deadline_days: float | None = None
        self.releases: dict[int, _Release] = {}
        self.refusals: list[tuple[float, str]] = []
        self.problems: list[Check] = []
        self._requests: dict[int, RequestFacts] = {}
        bad = [record.number for record in records if not self._understands(record)]
        if bad:
            detail = f"{len(bad)} record(s) say what the store never writes, first number {bad[0]}"
            self.problems.append(Check("read_records", False, detail))
        self.requests = tuple(self._requests[number] for number in sorted(self._requests))
        self.clock_back = sum(record.clock_back > 0.0 for record in records)

    def _understands(self, record: Record) -> bool:
        try:
            self._read(record)
        except _DAMAGE:
            return False
        return True

    def _read(self, record: Record) -> None:
        content, when = record.content, _time(record.time)
        self.since = when if self.since is None else self.since
        if record.kind == "init":
            self.deadline_days = _real(content["deadline_days"])
        if record.kind in ("init", "release"):
            release = _Release(record)
            done = [self._requests[number] for number in release.requests]
            self.releases[release.number] = release
            for request in done:
                self._requests[request.number] = replace(request, done=when, release=release.number)
        elif record.kind == "request":
            number, rows, due = _whole(content["request"]), _whole(content["rows"]), _time(content["due"])
            self._requests[number] = RequestFacts(number, rows, when, due, None, None)
        elif record.kind == "failed":
            self.refusals.append((when, _text(content["error"])))


def _release(logged: _Release, certificate: Certificate) -> ReleaseFacts:
    return ReleaseFacts(
        number=certificate.releases,
        time=logged.time,
        event=certificate.event,
        epsilon=certificate.epsilon,
        delta=certificate.delta,
        noise_std=certificate.noise_std,
        removed=certificate.removed_count,
        added=certificate.added_count,
        evidence=Evidence(
            digest=logged.digest,
            requests=len(logged.requests),
            remaining=certificate.remaining_count,
            distance_bound=certificate.distance_bound,
            distance_target=certificate.distance_target,
            distance_claim=certificate.distance_claim,
            mu=certificate.mu,
            mu_limit=_mu_limit(certificate.epsilon, certificate.delta),
            claims=certificate.claims,
            score=logged.score,
            scored_rows=logged.scored_rows,
        ),
    )


@lru_cache(maxsize=16)
def _mu_limit(epsilon: float, delta: float) -> float:
    return gaussian_mu(epsilon, delta)


def _spent(certificate: Certificate) -> float:
    return gaussian_epsilon(certificate.delta, certificate.mu, 1.0)


def _best_test(certificate: Certificate) -> float:
    """(1 + δ₀)/2, rounded up: no test names the right world more often, both being equally likely (claim T3)."""
    return math.nextafter((1.0 + gaussian_delta(0.0, certificate.mu, 1.0)) / 2.0, math.inf)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise TypeError("not a count")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError("not a number")
    return float(value)


def _time(value: Any) -> float:
    seconds = _real(value)
    if not 0.0 <= seconds < _LAST_TIME:
        raise ValueError("not a time")
    return seconds


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("not a text")
    return value
