"""The hash chain over records: what changed first, and whether the log continues an earlier one (claim T18)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from certified.ledger.records import canonical

HEAD_SCHEMA = "certified-ledger-head/1"
GENESIS = bytes(32)
_TAG = b"certified-removal ledger/1\0"


class HeadFormatError(ValueError):
    """The text is not the head of a log."""


@dataclass(frozen=True)
class Head:
    """What stands for a whole log: whoever keeps it can tell later whether the log was rewritten (claim T18).

    Attributes:
        store: random name of the log.
        size: number of records.
        digest: the last link of the chain, hexadecimal.
    """

    store: str
    size: int
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"schema": HEAD_SCHEMA, **asdict(self)}

    def message(self) -> bytes:
        """Return the bytes to sign."""
        return canonical(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Head:
        """Read a head; further fields, such as a signature, are ignored.

        Raises:
            HeadFormatError: not a head.

        >>> Head.from_json('{"schema": "certified-ledger-head/1", "store": "a", "size": 1, "digest": "00"}').size
        1
        """
        try:
            fields = json.loads(text)
        except ValueError:
            raise HeadFormatError("the head is not JSON") from None
        if not isinstance(fields, dict) or fields.get("schema") != HEAD_SCHEMA:
            raise HeadFormatError(f"the head is not of schema {HEAD_SCHEMA!r}")
        store, size, digest = (fields.get(name) for name in ("store", "size", "digest"))
        if type(store) is not str or type(size) is not int or type(digest) is not str or size < 1:
            raise HeadFormatError("the head must have the fields store, size (at least 1) and digest")
        return cls(store, size, digest)


def link(previous: bytes, body: bytes) -> bytes:
    """Return SHA-256(tag ‖ previous ‖ body), the link after ``previous`` (32 bytes).

    >>> link(GENESIS, b"{}") != link(link(GENESIS, b"{}"), b"{}")
    True
    """
    return hashlib.sha256(_TAG + previous + body).digest()


def first_bad_index(entries: Iterable[tuple[int, bytes, bytes]], earlier: Head | None = None) -> int | None:
    """Return the index of the first entry that breaks the chain, or None (claim T18).

    Every entry before that index is consistent. With ``earlier``, a log that was rewritten as a whole is found as well:
    the index is then that of the last entry the earlier head covers, or the length of the log where entries are missing
    at its end.

    Args:
        entries: (number, body, link) in order.
        earlier: a head that was exported before and kept elsewhere.

    >>> bodies = [b"a", b"b"]
    >>> first = link(GENESIS, b"a")
    >>> first_bad_index([(0, b"a", first), (1, b"b", link(first, b"b"))]) is None
    True
    >>> first_bad_index([(0, b"a", first), (1, b"x", link(first, b"b"))])
    1
    """
    previous, count = GENESIS, 0
    for index, (number, body, digest) in enumerate(entries):
        expected = link(previous, body)
        if number != index or digest != expected:
            return index
        if earlier is not None and index == earlier.size - 1 and expected.hex() != earlier.digest:
            return index
        previous, count = expected, index + 1
    if earlier is not None and count < earlier.size:
        return count
    return None
