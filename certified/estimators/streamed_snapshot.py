"""What a session on streamed rows consists of between processes: everything but the rows of its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests
from certified.data.array_index import ArrayIndex, Names
from certified.data.sources import RowSource, SourceChangedError
from certified.estimators.session import Recipe
from certified.estimators.snapshot import HeldRows, resume
from certified.estimators.streamed import StreamedSession, first_reading, labels_of
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class StreamedPart:
    """Which rows of a source are in force, how to know them again, and the rows that came later. A secret.

    Attributes:
        present: (n,) which rows of the source are in force.
        checksums: (n,) of the rows of the source.
        names, owners: (n,) ids and subjects; None for positions, and for no subjects.
        later: the rows in force that came later.
    """

    present: npt.NDArray[np.bool_]
    checksums: npt.NDArray[np.uint32]
    names: Names | None
    owners: Names | None
    later: HeldRows

    @classmethod
    def of(cls, session: StreamedSession) -> StreamedPart:
        """What is to be kept of a session."""
        index, rows = session.index, session.rows
        ids = index.later
        features, targets, weights = rows.values(index.slots(ids) if ids else np.zeros(0, dtype=np.int64))
        subjects = [index.subject(key) for key in ids]
        later = HeldRows(ids, subjects, labels_of(targets, session.kind), weights, features)
        return cls(index.present, rows.checksums, index.given, index.owners, later)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name."""
        named = {"names": self.names, "owners": self.owners}
        kept = {"present": self.present, "checksums": self.checksums}
        return kept | {name: array for name, array in named.items() if array is not None}

    def within(self, source: RowSource) -> StreamedPart:
        """The same for ``source``: the one it was, or that with the removed rows left out.

        Raises:
            SourceChangedError: it has another number of rows.
        """
        if source.length == len(self.present):
            return self
        if source.length != np.count_nonzero(self.present):
            raise SourceChangedError(
                f"rows: the source has {source.length} rows; this model was trained on {len(self.present)}, of which "
                f"{np.count_nonzero(self.present)} are in force: give the source with all of either"
            )
        kept = self.present
        names = np.flatnonzero(kept) if self.names is None else self.names[kept]
        owners = None if self.owners is None else self.owners[kept]
        return replace(self, present=kept[kept], checksums=self.checksums[kept], names=names, owners=owners)


def restore_streamed(
    recipe: Recipe, facts: dict[str, Any], part: StreamedPart, weights: Array, released: Array, source: RowSource
) -> StreamedSession:
    """Return the session that `snapshot.facts_of` and `StreamedPart.of` describe, on the rows of ``source``.

    That these are the rows in force is proved by their commitment, and that each is in its place by its checksum.

    Raises:
        SourceChangedError: they are not.
    """
    certificate, salt, part = (
        Certificate.from_dict(facts["certificate"]),
        bytes.fromhex(facts["salt"]),
        part.within(source),
    )
    recipe = replace(recipe, seed=facts["seed"])
    kind, rows, register = first_reading(source, recipe.encoding, salt, lambda features, targets: None, part.present)
    index = ArrayIndex(source.length, part.names, part.owners, facts["next_id"])
    index.drop_first(np.flatnonzero(~part.present))
    remarks, features = tuple(facts["remarks"]), certificate.provenance
    session = StreamedSession(recipe, index, register, salt, ReleaseBudget(**facts["budget"]), remarks, features)
    session.source, session.kind = source, kind
    later, in_place = part.later, np.array_equal(rows.checksums[part.present], part.checksums[part.present])
    rows = rows.without(np.flatnonzero(~part.present))
    if later.ids:
        labels = later.plain_labels
        session.register = register.joined(
            row_digests(salt, later.features, labels, later.weights), labels, later.weights
        )
        index.put(later.ids, rows.length + np.arange(len(later.ids)), later.subjects)
        rows = rows.extend(later.features, session.targets(labels), later.weights)
    nonce = bytes.fromhex(facts["nonce"])
    if not in_place or session.register.commitment(nonce) != certificate.rows_commitment:
        raise SourceChangedError("rows: the source does not hold the rows that this model was trained on; restore them")
    rows = rows.encoded(session.outputs(certificate.classes))
    resume(session, Objective(recipe.loss, rows, facts["alpha"], recipe.fit_intercept), facts, weights, released)
    return session
