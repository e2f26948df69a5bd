"""A session whose rows stay in their source: read chunk by chunk, changed beside it, and never in memory as a whole."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests
from certified.certificates.provenance import Provenance
from certified.data.array_index import ArrayIndex
from certified.data.derived_sources import JoinedRows, WithoutRows
from certified.data.index import Id, UnknownIdError
from certified.data.rows import Rows
from certified.data.sources import ArraySource, RowSource
from certified.data.streamed import Outputs, StreamedRows
from certified.estimators.encoding import Encoding, Label
from certified.estimators.session import Classes, NewRows, Recipe, Session, Slots
from certified.estimators.streamed_register import StreamedRegister, exact_sum, table, tally
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.removal import initialise
from certified.solvers import solve

Array = npt.NDArray[np.float64]
Kind = np.dtype[Any]
Check = Callable[[Array, npt.NDArray[Any]], None]
"""Refuses features and targets that an estimator cannot take."""

SAMPLE = 20_000
"""Rows, or 20 per feature where that is more, on which training finds out where to start."""
SAMPLE_TOLERANCE = 1e-3
"""Gradient per row at which the sample has been solved well enough."""


@dataclass(repr=False)
class StreamedSession(Session[StreamedRegister]):
    """A session on rows of a source. Row i has slot i; rows that come later have the slots behind.

    Attributes:
        source: where the rows are.
        kind: the type of its targets, so that labels are what they would be in an array.
    """

    index: ArrayIndex
    source: RowSource = field(init=False)
    kind: Kind = field(init=False)

    @classmethod
    def train(
        cls,
        recipe: Recipe,
        budget: ReleaseBudget,
        source: RowSource,
        index: ArrayIndex,
        remarks: tuple[str, ...],
        features: Provenance,
        check: Check,
        check_largest: Callable[[float], None],
    ) -> StreamedSession:
        """Train on the rows of ``source``, release and certify; the checks see each chunk and the largest target."""
        salt, largest = os.urandom(32), -np.inf

        def checked(features: Array, targets: npt.NDArray[Any]) -> None:
            nonlocal largest
            check(features, targets)
            largest = max(largest, float(np.max(targets.astype(np.float64), initial=-np.inf)))

        kind, rows, register = first_reading(source, recipe.encoding, salt, checked)
        check_largest(largest)
        session = cls(recipe, index, register, salt, budget, remarks, features)
        session.source, session.kind = source, kind
        if not rows.any_in_force:
            raise ValueError("the source has no row of positive weight: at least one row must count")
        rows = rows.encoded(session.outputs(recipe.encoding.classes(register.counts)))
        objective = Objective(recipe.loss, rows, recipe.alpha(register), recipe.fit_intercept)
        state, info = initialise(objective, budget.target, _start(objective, register))
        session._release("fit", state, info, register, removed=0, added=source.length)
        return session

    @property
    def rows(self) -> StreamedRows:
        """The rows in force."""
        rows = self.state.objective.rows
        assert isinstance(rows, StreamedRows)
        return rows

    def outputs(self, classes: Classes) -> Outputs | None:
        """How targets of the source become those of the loss; None where they are the same."""
        encoding, kind = self.recipe.encoding, self.kind
        if not encoding.has_classes:
            return None

        def of(targets: Array) -> Array:
            values, codes = np.unique(targets[:, 0], return_inverse=True)
            return encoding.targets(labels_of(values[:, None], kind), classes)[codes.reshape(-1)]

        return Outputs(encoding.targets([], classes).shape[1], of)

    def rows_in_force(self) -> RowSource:
        """A source of the rows in force, as in the session's own source."""
        kept = WithoutRows(self.source, np.flatnonzero(~self.index.present))
        later = self.index.slots(self.index.later) if self.index.later else np.zeros(0, dtype=np.int64)
        features, targets, weights = self.rows.values(later)
        return JoinedRows(kept, ArraySource(features, targets.astype(self.kind), weights)) if len(later) else kept

    def ids_of_labels(self, labels: Sequence[Label]) -> list[Id]:
        if not labels:
            raise ValueError("labels is empty: name at least one label")
        found: list[Id] = []
        later = self.index.later
        names = dict(zip(self.index.slots(later).tolist(), later, strict=True)) if later else {}
        count = len(self.index.present)
        for position, label in enumerate(labels):
            if label in labels[:position]:
                raise ValueError(f"labels names {label!r} twice: name each label once")
            value = _number(label)
            slots = self.rows.where(value)
            first = slots[slots < count]
            ids = self.index.named[first[self.index.present[first]]].tolist()
            ids += [names[slot] for slot in slots[slots >= count].tolist() if slot in names]
            if not ids:
                raise UnknownIdError(f"labels: no row in force has the label {label!r}")
            found += ids
        return found

    def labels_at(self, slots: Slots) -> list[Label]:
        return labels_of(self.rows.values(slots)[1], self.kind)

    def weights_at(self, slots: Slots) -> Array:
        return np.asarray(self.rows.values(slots)[2])

    def add(self, new: NewRows, ids: Sequence[Id], subjects: Sequence[Id] | None) -> Certificate:
        self.index.check_new(ids)
        nothing = np.zeros(0, dtype=np.int64)
        return self._change("add", nothing, (), self._as_in_source(new), self._behind(len(new)), ids, subjects)

    def correct(self, new: NewRows, ids: Sequence[Id]) -> Certificate:
        slots, subjects = self.index.slots(ids), [self.index.subject(key) for key in ids]
        return self._change("correct", slots, ids, self._as_in_source(new), self._behind(len(new)), ids, subjects)

    def _behind(self, count: int) -> Slots:
        return self.rows.length + np.arange(count)

    def _as_in_source(self, new: NewRows) -> NewRows:
        """The same rows with labels of the type that the source has.

        Raises:
            ValueError, TypeError: it has no such labels.
        """
        labels = labels_of(self.targets(new.labels), self.kind)
        if labels != new.labels:
            raise ValueError(f"y holds labels that the source, whose targets are {self.kind}, could not hold")
        return replace(new, labels=labels)

    def targets(self, labels: Sequence[Label]) -> Array:
        """Labels as targets of the source."""
        return np.array([_number(label) for label in labels], dtype=np.float64).reshape(len(labels), -1)

    def _enter(self, new: NewRows | None, out: Slots, into: Slots) -> StreamedRegister:
        register = self.register
        if len(out):
            features, targets, weights = self.rows.values(out)
            labels = labels_of(targets, self.kind)
            register = register.without(row_digests(self.salt, features, labels, weights), labels, weights)
        if new is not None:
            digests = row_digests(self.salt, new.features, new.labels, new.weights)
            register = register.joined(digests, new.labels, new.weights)
        return register

    def _placed(
        self,
        rows: StreamedRows,
        register: StreamedRegister,
        new: NewRows | None,
        added: Rows | None,
        into: Slots,
        classes: Classes,
        fresh: bool,
    ) -> Rows:
        if new is not None:
            rows = rows.extend(new.features, self.targets(new.labels), new.weights)
        return rows.encoded(self.outputs(classes))

    def _erase(self, gone: Slots) -> None:
        # They are left out of every sum; only whoever owns the files can erase them there.
        pass


def first_reading(
    source: RowSource, encoding: Encoding, salt: bytes, check: Check, present: npt.NDArray[np.bool_] | None = None
) -> tuple[Kind, StreamedRows, StreamedRegister]:
    """Read all rows once: the type of their targets, the rows to stream, and the register of those present.

    Args:
        source: where the rows are.
        encoding: whether labels are classes.
        salt: of the digests.
        check: sees the features and targets of each chunk.
        present: (n,) which rows are in force; all by default.
    """
    targets = np.asarray(source.read(0, min(1, source.length))[1])
    kind = targets.dtype if encoding.has_classes else np.dtype(np.float64)
    digests, classes, weight, done = np.zeros(source.length, dtype="S32"), Counter[Label](), 0, 0

    def observe(start: int, parts: tuple[Array, Array, Array]) -> None:
        nonlocal weight, done
        if present is not None:
            kept = present[start : start + len(parts[0])]
            parts = parts[0][kept], parts[1][kept], parts[2][kept]
        features, targets, weights = parts
        with np.errstate(invalid="ignore"):
            kept_whole = np.array_equal(targets.astype(kind), targets)
        if not kept_whole:
            raise TypeError(f"the source holds targets that its first, of type {kind}, could not be: use one type")
        check(features, targets.astype(kind))
        labels = labels_of(targets, kind)
        digests[done : done + len(labels)] = table(row_digests(salt, features, labels, weights))
        done += len(labels)
        weight += exact_sum(weights)
        if encoding.has_classes:
            classes.update(tally(labels, weights))

    rows = StreamedRows.open(source, observe=observe)
    ordered = digests[:done]
    ordered.sort()
    return kind, rows, StreamedRegister(ordered, classes if encoding.has_classes else None, weight)


def labels_of(targets: Array, kind: Kind) -> list[Label]:
    """Targets (k, K₀) of a source as the labels that an array of that type holds; tuples for several targets."""
    values = targets.astype(kind)
    return list(values[:, 0].tolist()) if values.shape[1] == 1 else [tuple(row) for row in values.tolist()]


def _number(label: Label) -> Any:
    if isinstance(label, str):
        raise TypeError(f"labels of streamed rows are numbers, as the targets of their source; got {label!r}")
    return label


def _start(objective: Objective, register: StreamedRegister) -> Array | None:
    """Weights to start from, found on a sample of the rows spread evenly; None where that would not pay."""
    rows = objective.rows
    assert isinstance(rows, StreamedRows)
    size = max(SAMPLE, 20 * rows.n_features)
    if rows.length < 4 * size or objective.is_degenerate:
        return None
    sample = rows.take(np.linspace(0, rows.length - 1, size).astype(np.int64))
    weight = float(np.sum(np.asarray(sample.weights)))
    if not weight > 0.0:
        return None
    part = replace(objective, rows=sample, alpha=objective.alpha * weight / register.total_weight)
    return solve(part, tolerance=SAMPLE_TOLERANCE * size).weights
