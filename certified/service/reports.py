"""What a store answers: receipts, outcomes and its status. No id, subject, row or weight is in them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from certified.certificates.certificate import Certificate
from certified.ledger.chain import Head
from certified.ledger.records import iso


@dataclass(frozen=True, repr=False)
class Receipt:
    """The acknowledgement of a request, for whoever asked; the store keeps no copy of the nonce.

    Attributes:
        request: number of the request.
        rows: how many rows in force it covers.
        due: when it must be done by, seconds since 1970.
        commitment: what the log says of the names: `ledger.records.names_commitment` of the nonce and the names.
        nonce: 32 random bytes that open the commitment.
        head: the log, the request included.
    """

    request: int
    rows: int
    due: float
    commitment: str
    nonce: bytes
    head: Head

    def __repr__(self) -> str:
        return f"Receipt(request={self.request}, rows={self.rows})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "request": self.request,
            "rows": self.rows,
            "due": iso(self.due),
            "commitment": self.commitment,
            "nonce": self.nonce.hex(),
            "head": self.head.to_dict(),
        }


@dataclass(frozen=True)
class Outcome:
    """One release that carried out requests.

    Attributes:
        requests: numbers of the requests that are done.
        certificate: certificate of the release.
        compacted: whether every trace of the rows has left the files; otherwise call ``compact`` again.
    """

    requests: tuple[int, ...]
    certificate: Certificate
    compacted: bool

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "requests": list(self.requests),
            "compacted": self.compacted,
            "certificate": self.certificate.to_dict(),
        }


@dataclass(frozen=True)
class Request:
    """A request that is not done yet.

    Attributes:
        number: its number.
        rows: rows it covered when it came.
        received, due: seconds since 1970.
        overdue: whether it should be done by now.
    """

    number: int
    rows: int
    received: float
    due: float
    overdue: bool

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, times in ISO 8601."""
        return {**dataclasses.asdict(self), "received": iso(self.received), "due": iso(self.due)}


@dataclass(frozen=True)
class Status:
    """What is to be done.

    Attributes:
        pending: requests that are not done, in the order they came.
        done: number of requests done.
        remaining: rows in force.
        releases: number of releases so far.
        release_due: when the pending requests are to be carried out together, seconds since 1970; None without any.
        processing: whether some process holds the lease.
        compaction_due: whether traces of deleted rows may be left in the files: call ``compact``.
        clock_back: seconds by which the clock is behind the log; 0 when all is well.
        head: the log.
    """

    pending: tuple[Request, ...]
    done: int
    remaining: int
    releases: int
    release_due: float | None
    processing: bool
    compaction_due: bool
    clock_back: float
    head: Head

    @property
    def overdue(self) -> tuple[Request, ...]:
        """Requests that should be done by now."""
        return tuple(request for request in self.pending if request.overdue)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **plain,
            "release_due": None if self.release_due is None else iso(self.release_due),
            "pending": [request.to_dict() for request in self.pending],
            "overdue": [request.number for request in self.overdue],
            "head": self.head.to_dict(),
        }
