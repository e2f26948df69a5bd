"""The secret state in the file: the rows one by one, everything else as one value, and what is derived from both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from certified.data.index import Id
from certified.estimators.snapshot import HeldRows
from certified.ledger.database import Database, StoreDamagedError
from certified.ledger.merkle import RowTree, leaf_digest


def content_digest(content: bytes) -> str:
    """Return SHA-256 of the state; hiding, because the state holds random nonces that nobody else knows."""
    return hashlib.sha256(content).hexdigest()


def name_text(name: Id) -> str:
    """Return an id or subject as JSON, which tells 3 from "3"."""
    return json.dumps(name, ensure_ascii=False)


def write_rows(database: Database, rows: HeldRows) -> None:
    """Put the rows of a new store into it."""

    def records() -> Iterator[tuple[object, ...]]:
        known = zip(rows.ids, rows.subjects, rows.labels, rows.weights.tolist(), rows.features, strict=True)
        for slot, (name, subject, label, weight, x) in enumerate(known):
            owner = None if subject is None else name_text(subject)
            features = np.ascontiguousarray(x, dtype="<f8").tobytes()
            yield slot, name_text(name), owner, json.dumps(label), weight, features

    database.run_many("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", records())


def read_rows(database: Database, n_features: int) -> HeldRows:
    """Return the rows in force.

    Raises:
        StoreDamagedError: they are not what was written.
    """
    names, subjects, labels, weights, features = [], [], [], [], []
    try:
        query = "SELECT name, subject, label, weight, features FROM rows ORDER BY slot"
        for name, subject, label, weight, x in database.rows(query):
            names.append(json.loads(name))
            subjects.append(None if subject is None else json.loads(subject))
            labels.append(json.loads(label))
            weights.append(weight)
            features.append(np.frombuffer(x, dtype="<f8").astype(np.float64))
        stacked = np.stack(features) if features else np.zeros((0, n_features))
        return HeldRows(names, subjects, labels, np.array(weights, dtype=np.float64), stacked.reshape(-1, n_features))
    except (TypeError, ValueError):
        raise StoreDamagedError("the rows in the store are damaged: restore the store from a backup") from None


def erase_rows(database: Database, names: Iterable[str]) -> None:
    """Take rows out of the file, their numbers overwritten in place, inside a transaction; O(d) for each."""
    for name in names:
        found = database.one("SELECT slot FROM rows WHERE name = ?", name)
        if found is not None:
            database.blank("rows", "features", found[0])
            database.run("DELETE FROM rows WHERE slot = ?", found[0])
        database.run("DELETE FROM claims WHERE name = ?", name)


def row_tag(digest: bytes, name: str, subject: str | None) -> bytes:
    """Return what ties a row's digest to its id and subject, given as JSON."""
    return hashlib.sha256(digest + json.dumps([name, subject]).encode()).digest()


def row_tags(rows: HeldRows, salt: bytes) -> list[bytes]:
    """Return the tags of all rows, sorted."""
    known = zip(rows.digests(salt), rows.ids, rows.subjects, strict=True)
    return sorted(
        row_tag(digest, name_text(key), None if who is None else name_text(who)) for digest, key, who in known
    )


def tags_digest(nonce: bytes, tags: Sequence[bytes]) -> str:
    """Return SHA-256(nonce ‖ sorted tags): binding; hiding as long as the nonce, new in each release, is secret."""
    return hashlib.sha256(nonce + b"".join(tags)).hexdigest()


def row_tree(digests: Sequence[bytes], salt: bytes) -> RowTree:
    """Return the tree over the digests of the remaining rows, salted anew for each release (claim T18)."""
    return RowTree(leaf_digest(salt, digest) for digest in digests)
