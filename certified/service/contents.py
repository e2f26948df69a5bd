"""What is derived from the secret state: its digest, the names of its rows, and the tree over them."""

from __future__ import annotations

import hashlib
import json

from certified.data.index import Id
from certified.estimators.persistence import loads
from certified.ledger.merkle import RowTree, leaf_digest


def content_digest(content: bytes) -> str:
    """Return SHA-256 of the state; hiding, because the state holds random nonces that nobody else knows."""
    return hashlib.sha256(content).hexdigest()


def name_text(name: Id) -> str:
    """Return an id or subject as JSON, which tells 3 from "3"."""
    return json.dumps(name, ensure_ascii=False)


def row_names(content: bytes) -> list[tuple[str, str | None]]:
    """Return the id and the subject of each row in force, as JSON."""
    secret = loads(content).secret
    assert secret is not None
    pairs = zip(secret["ids"], secret["subjects"], strict=True)
    return [(name_text(key), None if subject is None else name_text(subject)) for key, subject in pairs]


def row_tree(content: bytes, salt: bytes) -> RowTree:
    """Return the tree over the digests of the remaining rows, salted anew for each release (claim T18)."""
    return RowTree(leaf_digest(salt, digest) for digest in loads(content).row_digests())
