"""What a report says, as plain figures. What a public report must not say is not in its facts to begin with."""

from __future__ import annotations

import dataclasses
import math
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from certified.ledger.chain import Head
from certified.ledger.database import DAY
from certified.ledger.records import iso
from certified.verification.report import VerificationReport

SCHEMA = "certified-store-report/1"


@dataclass(frozen=True)
class RequestFacts:
    """One request of the log.

    Attributes:
        number: its number.
        rows: rows it covered when it came.
        received, due: seconds since 1970.
        done: when the release that carried it out was committed; None while pending.
        release: number of that release.
    """

    number: int
    rows: int
    received: float
    due: float
    done: float | None
    release: int | None

    def late(self, now: float) -> bool:
        """Whether it was done after its deadline, or is pending beyond it."""
        return (now if self.done is None else self.done) > self.due

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, times in ISO 8601."""
        done = None if self.done is None else iso(self.done)
        return {**dataclasses.asdict(self), "received": iso(self.received), "due": iso(self.due), "done": done}


@dataclass(frozen=True)
class Timing:
    """How long requests took.

    Attributes:
        received, done, pending: numbers of requests.
        done_late, overdue: requests done after their deadline; pending beyond it.
        median, most, longest: seconds from receipt to completion over the requests done; ``most`` is the shortest time
            within which at least 95 % were done. None where nothing is done.
        beyond_month: requests that took, or have been pending for, more than one calendar month (UTC).
        beyond_45_days: the same for 45 days.
    """

    received: int
    done: int
    pending: int
    done_late: int
    overdue: int
    median: float | None
    most: float | None
    longest: float | None
    beyond_month: int
    beyond_45_days: int

    @classmethod
    def of(cls, requests: tuple[RequestFacts, ...], now: float) -> Timing:
        """Return the figures of ``requests`` as of ``now``, seconds since 1970."""
        times = sorted(request.done - request.received for request in requests if request.done is not None)
        late = [request for request in requests if request.late(now)]
        ends = [(request.received, now if request.done is None else request.done) for request in requests]
        return cls(
            received=len(requests),
            done=len(times),
            pending=len(requests) - len(times),
            done_late=sum(request.done is not None for request in late),
            overdue=sum(request.done is None for request in late),
            median=_quantile(times, 0.5),
            most=_quantile(times, 0.95),
            longest=times[-1] if times else None,
            beyond_month=sum(end > month_after(start) for start, end in ends),
            beyond_45_days=sum(end > start + 45.0 * DAY for start, end in ends),
        )


@dataclass(frozen=True)
class Evidence:
    """What auditors may see of a release, and the public may not.

    Attributes:
        digest: digest of the certificate, as in the log.
        requests: how many requests the release carried out.
        remaining: rows in force afterwards.
        distance_bound, distance_target, distance_claim, mu, claims: as in the certificate.
        mu_limit: the largest μ that (ε, δ) permit.
        score, scored_rows: accuracy or R² of the released model on that many held-out rows; None where not recorded.
    """

    digest: str
    requests: int
    remaining: int
    distance_bound: float
    distance_target: float
    distance_claim: str
    mu: float
    mu_limit: float | None
    claims: tuple[str, ...]
    score: float | None
    scored_rows: int | None


@dataclass(frozen=True)
class ReleaseFacts:
    """One release. Without ``evidence`` it holds when it was, and fields of `Certificate.statement` alone.

    Attributes:
        number: how many releases it composes, itself included.
        time: when it was committed, seconds since 1970.
        event, epsilon, delta, noise_std, removed, added: as in the certificate.
        evidence: None in a public report.
    """

    number: int
    time: float
    event: str
    epsilon: float
    delta: float
    noise_std: float
    removed: int
    added: int
    evidence: Evidence | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, the evidence among them."""
        fields = {**dataclasses.asdict(self), "time": iso(self.time)}
        evidence = fields.pop("evidence") or {}
        return {key: _plain(value) for key, value in {**fields, **evidence}.items()}


@dataclass(frozen=True)
class Facts:
    """Everything on the page.

    Attributes:
        title: what the reader calls the store, such as the name of its file.
        name: its random name in the log; None where it cannot be read.
        made: when the report was made, seconds since 1970.
        library_version: version of the library that made it.
        public: whether this is the public report.
        checks: the verification, and whether everything could be read.
        head: the log; None where it cannot be read.
        since: time of the first record.
        deadline_days: how long a request may wait.
        timing: how long requests took.
        requests: all of them; empty in a public report.
        releases: those whose certificates could be read.
        statement: `Certificate.statement` of the last release.
        spent_epsilon: the ε that the composed μ implies at the certificate's δ; None in a public report.
        best_test: how often the best test tells both worlds apart, at most; one half is guessing. None as before.
        refusals: time and kind of the attempts that the model refused; empty in a public report.
        traces: whether traces of deleted rows may be left in the files; None where unknown.
        clock_back: how often the clock went back.
    """

    title: str
    name: str | None
    made: float
    library_version: str
    public: bool
    checks: VerificationReport
    head: Head | None
    since: float | None
    deadline_days: float | None
    timing: Timing
    requests: tuple[RequestFacts, ...]
    releases: tuple[ReleaseFacts, ...]
    statement: dict[str, Any] | None
    spent_epsilon: float | None
    best_test: float | None
    refusals: tuple[tuple[float, str], ...]
    traces: bool | None
    clock_back: int

    @property
    def overdue(self) -> tuple[RequestFacts, ...]:
        """Pending requests beyond their deadline; empty in a public report."""
        return tuple(request for request in self.requests if request.done is None and request.late(self.made))

    def to_dict(self, latest: int | None = None) -> dict[str, Any]:
        """Return JSON values; ``latest`` keeps only so many requests and releases."""
        start = 0 if latest is None else -latest
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            "schema": SCHEMA,
            **{key: _plain(value) for key, value in plain.items()},
            "made": iso(self.made),
            "checks": self.checks.to_dict()["checks"],
            "head": None if self.head is None else self.head.to_dict(),
            "since": None if self.since is None else iso(self.since),
            "timing": dataclasses.asdict(self.timing),
            "requests": [request.to_dict() for request in self.requests[start:]],
            "releases": [release.to_dict() for release in self.releases[start:]],
            "refusals": [{"time": iso(time), "error": error} for time, error in self.refusals],
        }


def month_after(seconds: float) -> float:
    """Return the time one calendar month later (UTC), on the last day where the month is too short.

    >>> iso(month_after(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()))
    '2026-02-28T12:00:00+00:00'
    """
    time = datetime.fromtimestamp(seconds, UTC)
    year, month = time.year + time.month // 12, time.month % 12 + 1
    return time.replace(year=year, month=month, day=min(time.day, monthrange(year, month)[1])).timestamp()


def _quantile(times: list[float], share: float) -> float | None:
    """The least of the sorted times within which at least this share lies."""
    return times[math.ceil(share * len(times)) - 1] if times else None


def _plain(value: Any) -> Any:
    """JSON has no infinity; it is written as a string, as in certificates."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
