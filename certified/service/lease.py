"""The processing lease: one process computes at a time, and one that was killed holds nobody up for long.

The lease saves work; soundness does not rest on it. What a process computed is committed only if it still holds the
lease that it started with, whatever the clocks say.
"""

from __future__ import annotations

import os
import secrets
import socket

from certified.ledger.database import Database, StoreError


class StoreBusyError(StoreError):
    """Another process is carrying out the requests."""


def acquire(database: Database, now: float, seconds: float) -> str:
    """Take the lease inside a transaction; return its token.

    Raises:
        StoreBusyError: another process that is alive holds it.
    """
    host, process = socket.gethostname(), os.getpid()
    if is_held(database, now):
        holder, other = database.one("SELECT host, process FROM lease") or (host, process)
        if holder != host or _alive(other):
            raise StoreBusyError("another process is carrying out the requests: wait until it is done")
    token = secrets.token_hex(16)
    database.run("DELETE FROM lease")
    database.run("INSERT INTO lease VALUES (?, ?, ?, ?, ?)", token, host, process, now, now + seconds)
    return token


def release(database: Database, token: str) -> bool:
    """Give the lease back inside a transaction; False where another process took it over."""
    return database.run("DELETE FROM lease WHERE token = ?", token) == 1


def is_held(database: Database, now: float) -> bool:
    """Whether some process holds a lease that has not run out; one from the future was taken by a wrong clock."""
    return database.one("SELECT 1 FROM lease WHERE since <= ? AND ? < until", now, now) is not None


def _alive(process: int) -> bool:
    """Whether a process of this machine exists; where the system cannot tell, it may."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
