"""What the log says: records of plain values in canonical JSON. Names of people and rows enter as commitments only."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NAMES_TAG = b"certified-removal names\0"


class RecordFormatError(ValueError):
    """The bytes are not a record in its one canonical form."""


@dataclass(frozen=True)
class Record:
    """One entry of the log. Its number gives its place; its time is what the clock said, which may be wrong.

    Attributes:
        number: 0, 1, 2, …: the order of the log.
        time: seconds since 1970 (UTC) by the clock of the machine.
        clock_back: seconds by which that clock was behind the record before; 0 where it ran forward.
        kind: what happened.
        content: JSON values that say what; no row, weight, id or subject.
    """

    number: int
    time: float
    clock_back: float
    kind: str
    content: dict[str, Any]

    @property
    def instant(self) -> str:
        """The time in ISO 8601, UTC."""
        return iso(self.time)

    def encode(self) -> bytes:
        """Return the canonical JSON of the record."""
        return canonical(
            {
                "clock_back": self.clock_back,
                "content": self.content,
                "kind": self.kind,
                "number": self.number,
                "time": self.time,
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> Record:
        """Read a record.

        Raises:
            RecordFormatError: anything but what `encode` writes, byte for byte.

        >>> Record.decode(Record(0, 0.0, 0.0, "init", {"rows": 3}).encode()).content
        {'rows': 3}
        """
        try:
            fields = json.loads(body)
            record = cls(**fields)
            intact = canonical(fields) == body
        except (ValueError, TypeError, RecursionError):
            raise RecordFormatError("a record of the log is not canonical JSON of its fields") from None
        kinds = {"number": int, "time": float, "clock_back": float, "kind": str, "content": dict}
        if not intact or any(type(getattr(record, name)) is not kind for name, kind in kinds.items()):
            raise RecordFormatError("a record of the log is not canonical JSON of its fields")
        return record


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, shortest floats, UTF-8.

    >>> canonical({"b": 1.0, "a": ["ü", None]}).decode()
    '{"a":["ü",null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def names_commitment(nonce: bytes, names: Any) -> str:
    """Return HMAC-SHA256(nonce, names): binding; hiding as long as the random nonce is known to its owner alone.

    Args:
        nonce: 32 random bytes, handed to whoever asked and kept nowhere else.
        names: JSON values that say what was asked for.

    >>> len(names_commitment(bytes(32), {"ids": [3, "a"]}))
    64
    """
    return hmac.new(nonce, NAMES_TAG + canonical(names), hashlib.sha256).hexdigest()
