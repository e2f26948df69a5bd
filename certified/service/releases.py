"""What a store keeps of a release: a model it can read back, its certificate, and its score."""

from __future__ import annotations

import math
from typing import Any

from certified.estimators.archive import ModelFormatError
from certified.estimators.base import CertifiedEstimator
from certified.estimators.persistence import restored, saved
from certified.ledger.database import Database
from certified.ledger.records import canonical
from certified.service.contents import row_tree
from certified.service.held import Held

Holdout = tuple[Any, Any]
"""Rows (X, y) that took no part in training, on which each release is scored."""


def require_readable(model: CertifiedEstimator) -> None:
    """Refuse a model that could be written but not read back: with a loss, or of a class, from elsewhere."""
    try:
        restored(saved(model, rows=False).public)
    except ModelFormatError as error:
        raise TypeError(f"model cannot be kept in a store: it is {error}") from None


def scored(model: CertifiedEstimator, holdout: Holdout | None) -> dict[str, Any]:
    """The released model's accuracy or R² on rows that took no part in training; empty without any.

    Raises:
        ValueError: the rows do not fit the model, or give no score.
    """
    if holdout is None:
        return {}
    X, y = holdout
    score = float(model.score(X, y))
    if not math.isfinite(score):
        raise ValueError("holdout gives no score: it needs at least two rows that differ in their targets")
    return {"score": score, "scored_rows": len(y)}


def store_release(database: Database, held: Held) -> dict[str, Any]:
    """Write state and certificate; return what the log says of them."""
    database.write_state(held.content)
    certificate = held.model.certificate_
    fields = certificate.to_dict()
    database.run("INSERT INTO certificates VALUES (?, ?)", certificate.releases, canonical(fields))
    facts = {
        "release": certificate.releases,
        "certificate": fields["digest"],
        "state": held.digest,
        "names": held.names_digest,
        "removed": certificate.removed_count,
        "remaining": certificate.remaining_count,
    }
    salt = database.get("row_salt")
    return facts if salt is None else {**facts, "rows_root": row_tree(held.digests, salt).root}
