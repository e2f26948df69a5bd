"""The model of a store in memory, with what its file and its log are to say of it. All of it is secret."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from certified.estimators.base import CertifiedEstimator
from certified.estimators.persistence import saved
from certified.estimators.snapshot import HeldRows
from certified.service.contents import content_digest, name_text, row_tag, row_tags, tags_digest


@dataclass(repr=False)
class Held:
    """A model that can delete, the sorted tags of its rows, and its state without rows as bytes.

    Attributes:
        model: the model; only `remove` may change it.
        tags: `row_tag` of each row in force, sorted.
        content: the state without rows.
        digest: SHA-256 of it.
    """

    model: CertifiedEstimator
    tags: list[bytes]
    content: bytes
    digest: str

    @classmethod
    def of(cls, model: CertifiedEstimator, rows: HeldRows) -> Held:
        """Take up a model with these rows in force."""
        content = saved(model, rows=False).secrets()
        return cls(model, row_tags(rows, model._open().salt), content, content_digest(content))

    @property
    def digests(self) -> Sequence[bytes]:
        """The commitment digests of the rows in force."""
        ordered: Sequence[bytes] = self.model._open().register.ordered
        return ordered

    @property
    def names_digest(self) -> str:
        """What binds the log to the ids and subjects of the rows in force."""
        return tags_digest(self.model._open().nonce, self.tags)

    def remove(self, names: Sequence[str]) -> None:
        """Delete the rows with these ids, given as JSON, and release; on any error nothing has changed."""
        session, ids = self.model._open(), [json.loads(name) for name in names]
        gone = []
        for key, slot in zip(ids, session.index.slots(ids).tolist(), strict=True):
            digest, subject = session.register.digests[slot], session.index.subject(key)
            assert digest is not None
            gone.append(row_tag(digest, name_text(key), None if subject is None else name_text(subject)))
        self.model.remove(ids)
        for tag in gone:
            del self.tags[bisect_left(self.tags, tag)]
        self.content = saved(self.model, rows=False).secrets()
        self.digest = content_digest(self.content)
