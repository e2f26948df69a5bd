"""The one file of a store: an SQLite database that is durable before it answers and overwrites what it forgets.

Everything that touches the disk is here. One transaction is one step: what is inside happens as a whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from certified.ledger.chain import GENESIS, link
from certified.ledger.records import Record

FORMAT = "certified-store/1"
DAY = 86_400.0

_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE ledger (number INTEGER PRIMARY KEY, body BLOB NOT NULL, link BLOB NOT NULL)",
    "CREATE TABLE requests (number INTEGER PRIMARY KEY, received REAL NOT NULL, due REAL NOT NULL,"
    " rows INTEGER NOT NULL, release INTEGER)",
    "CREATE TABLE rows (slot INTEGER PRIMARY KEY, name TEXT NOT NULL, subject TEXT, label TEXT NOT NULL,"
    " weight REAL NOT NULL, features BLOB NOT NULL)",
    "CREATE UNIQUE INDEX rows_by_name ON rows (name)",
    "CREATE INDEX rows_of_subject ON rows (subject)",
    "CREATE TABLE claims (name TEXT, request INTEGER, PRIMARY KEY (name, request)) WITHOUT ROWID",
    "CREATE INDEX claims_of_request ON claims (request)",
    "CREATE TABLE certificates (release INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE state (only INTEGER PRIMARY KEY CHECK (only = 1), content BLOB NOT NULL)",
    "CREATE TABLE lease (token TEXT NOT NULL, host TEXT NOT NULL, process INTEGER NOT NULL,"
    " since REAL NOT NULL, until REAL NOT NULL)",
)


class StoreError(RuntimeError):
    """The store could not do what was asked; nothing was changed."""


class StoreDamagedError(StoreError):
    """The file is not a store, or was damaged."""


class Database:
    """An open store file. Use one for each thread.

    Args:
        path: the file; it must be its owner's alone.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: others may read it.
        StoreDamagedError: not a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_owner(path)
        self._connection = _connect(path)
        try:
            with translated():
                # A table declared otherwise, or a trigger, would change what statements mean.
                declared = {sql for (sql,) in self.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
                if declared != set(_SCHEMA) or self.get("format") != FORMAT:
                    raise StoreDamagedError(f"the file is not a store of format {FORMAT!r}")
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, fill: Callable[[Database], None]) -> Database:
        """Make a store that appears under its name only when it is complete.

        Raises:
            FileExistsError: something is there already, or an attempt was killed.
        """
        if path.exists():
            raise FileExistsError(f"{path.name} exists already: name a new file")
        prepared = path.with_name(f".{path.name}.init")
        try:
            os.close(os.open(prepared, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise FileExistsError(
                f"{path.name} is being made by another process; if none is running, one was killed: delete the files "
                f"{prepared.name}*, which may hold rows, and try again"
            ) from None
        try:
            with closing(_connect(prepared)) as connection, translated():
                connection.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
                connection.execute("COMMIT")
            with closing(cls(prepared)) as database:
                with database.transaction():
                    fill(database)
                if not database.checkpoint():
                    raise StoreError(f"{prepared.name} is in use: no other program may open it")
            try:
                os.link(prepared, path)
            except FileExistsError:
                raise FileExistsError(f"{path.name} exists already: name a new file") from None
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                prepared.with_name(prepared.name + suffix).unlink(missing_ok=True)
        _sync_folder(path.parent)
        return cls(path)

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the file for writing; durable at the end, undone on any error.

        Raises:
            StoreError: the disk is full, or another process held the file for too long.
        """
        with translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read several things as of one moment, while others may write."""
        with translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def run(self, statement: str, *values: Any) -> int:
        """Execute one statement; return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def run_many(self, statement: str, values: Any) -> None:
        """Execute one statement for each tuple of values."""
        self._connection.executemany(statement, values)

    def rows(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        yield from self._connection.execute(statement, values)

    def one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, if there is one."""
        row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
        return row

    def get(self, name: str) -> Any:
        """Return a setting."""
        row = self.one("SELECT value FROM meta WHERE name = ?", name)
        if row is None:
            raise StoreDamagedError(f"the store lacks its setting {name!r}")
        return row[0]

    def put(self, name: str, value: Any) -> None:
        """Set a setting."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def append(self, kind: str, content: dict[str, Any], now: float) -> Record:
        """Append a record to the log and return it; a clock that went back is noted."""
        last = self.one("SELECT number, body, link FROM ledger ORDER BY number DESC LIMIT 1")
        number, previous, back = 0, GENESIS, 0.0
        if last is not None:
            number, previous = last[0] + 1, last[2]
            back = max(0.0, Record.decode(last[1]).time - now)
        record = Record(number, now, back, kind, content)
        body = record.encode()
        self.run("INSERT INTO ledger VALUES (?, ?, ?)", number, body, link(previous, body))
        return record

    def entries(self, start: int = -(2**63)) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (number, body, link) of the log, in order."""
        for number, body, digest in self.rows("SELECT * FROM ledger WHERE number >= ? ORDER BY number", start):
            yield number, _bytes(body), _bytes(digest)

    def write_state(self, content: bytes) -> None:
        """Replace the state."""
        self.run("INSERT OR REPLACE INTO state VALUES (1, ?)", content)

    def read_state(self) -> bytes:
        """Return the state."""
        return b"".join(_bytes(content) for (content,) in self.rows("SELECT content FROM state"))

    def blank(self, table: str, column: str, row: int) -> None:
        """Overwrite a value with zeros where it lies, which copies of a page made on deletion could otherwise keep."""
        with self._connection.blobopen(table, column, row) as blob:
            blob.write(bytes(len(blob)))

    def damage(self) -> str | None:
        """Return what SQLite finds wrong with the file, or None."""
        with translated():
            (first, *_) = self.rows("PRAGMA integrity_check(1)")
        return None if first == ("ok",) else "SQLite finds the file inconsistent"

    def checkpoint(self) -> bool:
        """Move everything into the main file and empty the log beside it; False where a reader was in the way."""
        with translated():
            row = self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        return row is not None and row[0] == 0

    def vacuum(self) -> bool:
        """Write the file anew without anything that was deleted; False where another process was in the way."""
        try:
            self._connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return False
            with translated():
                raise
        return self.checkpoint()


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into those of the store; their messages show no content."""
    try:
        yield
    except UnicodeDecodeError:
        raise StoreDamagedError("the file is not an intact store (text): restore it from a backup") from None
    except sqlite3.ProgrammingError:
        raise  # A closed store, or one used by two threads: the caller's mistake, not the file's.
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StoreError("the disk is full: nothing was changed; make room and try again") from None
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreError("another process holds the store: nothing was changed; try again") from None
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
            raise StoreError(f"the file cannot be read or written ({error.sqlite_errorname})") from None
        raise StoreDamagedError(
            f"the file is not an intact store ({type(error).__name__}): restore it from a backup"
        ) from None


def _connect(path: Path) -> sqlite3.Connection:
    """Open with every write durable, deleted content overwritten, and nothing in temporary files."""
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=rw", uri=True, timeout=30.0, isolation_level=None)
    try:
        with translated():
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_owner(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no store {path.name}")
    if os.name == "posix":
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise PermissionError(f"{path.name} holds rows and must be its owner's alone: chmod 600 it")


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise StoreDamagedError("the store holds a value of the wrong type: restore it from a backup")
    return value
