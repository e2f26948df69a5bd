"""A session whose rows are in memory: a change writes to their slots, and rows that left are overwritten."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests
from certified.certificates.provenance import Provenance
from certified.data.index import Id, RowIndex, UnknownIdError
from certified.data.rows import Rows
from certified.estimators.devices import rows_on
from certified.estimators.encoding import Label
from certified.estimators.register import HeldRegister
from certified.estimators.session import Classes, NewRows, Recipe, Session, Slots
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.removal import initialise

Array = npt.NDArray[np.float64]


@dataclass(repr=False)
class HeldSession(Session[HeldRegister]):
    """A session on rows in memory, each in a slot that is used again once it is free."""

    @classmethod
    def train(
        cls,
        recipe: Recipe,
        budget: ReleaseBudget,
        new: NewRows,
        ids: Sequence[Id],
        subjects: Sequence[Id] | None,
        remarks: tuple[str, ...],
        features: Provenance,
        mesh: Mesh | None,
    ) -> HeldSession:
        """Train on ``new``, on the default device or spread over ``mesh``, release and certify."""
        session = cls(recipe, RowIndex(), HeldRegister.empty(0), os.urandom(32), budget, remarks, features)
        slots = np.arange(len(new), dtype=np.int64)
        register = session._enter(new, slots[:0], slots)
        classes = recipe.encoding.classes(register.counts)
        rows = rows_on(mesh, new.features, recipe.encoding.targets(new.labels, classes), new.weights)
        objective = Objective(recipe.loss, rows, recipe.alpha(register), recipe.fit_intercept)
        state, info = initialise(objective, budget.target)
        session._release("fit", state, info, register, removed=0, added=len(new))
        session.index.put(ids, slots, subjects)
        return session

    def ids_of_labels(self, labels: Sequence[Label]) -> list[Id]:
        if not labels:
            raise ValueError("labels is empty: name at least one label")
        for position, label in enumerate(labels):
            if label in labels[:position]:
                raise ValueError(f"labels names {label!r} twice: name each label once")
            if label is None or label not in self.register.labels:
                raise UnknownIdError(f"labels: no row in force has the label {label!r}")
        held = self.register.labels
        return [key for key in self.index.ids if held[int(self.index.slots([key])[0])] in labels]

    def labels_at(self, slots: Slots) -> list[Label]:
        return [self.register.labels[slot] for slot in slots]

    def weights_at(self, slots: Slots) -> Array:
        return np.asarray(self.register.weights[slots])

    def add(self, new: NewRows, ids: Sequence[Id], subjects: Sequence[Id] | None) -> Certificate:
        self.index.check_new(ids)
        beyond = itertools.count(len(self.register.labels))
        slots = list(itertools.islice(itertools.chain(self.register.free, beyond), len(new)))
        return self._change("add", np.zeros(0, dtype=np.int64), (), new, np.array(slots, np.int64), ids, subjects)

    def correct(self, new: NewRows, ids: Sequence[Id]) -> Certificate:
        slots = self.index.slots(ids)
        return self._change("correct", slots, (), new, slots, (), None)

    def _enter(self, new: NewRows | None, out: Slots, into: Slots) -> HeldRegister:
        if new is None:
            return self.register.changed(out, into, [], np.zeros(0), [])
        digests = row_digests(self.salt, new.features, new.labels, new.weights)
        return self.register.changed(out, into, new.labels, new.weights, digests)

    def _placed(
        self,
        rows: Rows,
        register: HeldRegister,
        new: NewRows | None,
        added: Rows | None,
        into: Slots,
        classes: Classes,
        fresh: bool,
    ) -> Rows:
        if len(register.labels) > rows.length:
            rows = rows.enlarged(len(register.labels) + len(register.labels) // 8)
        if fresh:
            held = register.held
            outputs = self.recipe.encoding.targets([register.labels[slot] for slot in held], classes)
            targets = np.zeros((rows.length, outputs.shape[1]))
            targets[held] = outputs
            rows = rows.with_targets(targets)
        return rows if added is None else rows.place(added, into)

    def _erase(self, gone: Slots) -> None:
        if len(gone):
            objective = replace(self.state.objective, rows=self.state.objective.rows.erase(gone))
            self.state = replace(self.state, objective=objective)
