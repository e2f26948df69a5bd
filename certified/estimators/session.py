"""One trained model with its rows: the only place that changes state, each request all or nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests, rows_commitment
from certified.certificates.issue import Event, issue
from certified.data.index import Id, RowIndex, UnknownIdError
from certified.data.rows import Rows
from certified.estimators.encoding import Encoding, Label
from certified.losses import Loss
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.privacy.noise import idealized_gaussian, release_gaussian
from certified.removal import RemovalState, UpdateInfo, initialise, update
from certified.removal.outputs import select_outputs

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """The training problem and its release: everything that retraining on the remaining rows would share.

    Attributes:
        loss: pointwise loss.
        encoding: labels → targets.
        fit_intercept: whether there is an unpenalised intercept.
        l2_scaling: "total" (α = l2_strength) or "per_sample" (α = l2_strength·Σc_i).
        l2_strength: λ.
        seed: None for exact noise from the operating system; an integer for seeded idealised noise.
    """

    loss: Loss
    encoding: Encoding
    fit_intercept: bool
    l2_scaling: str
    l2_strength: float
    seed: int | None

    def alpha(self, weights: Array) -> float:
        """Total L2 strength for these sample weights; the sum is correctly rounded, so its order does not matter."""
        if self.l2_scaling == "per_sample":
            return self.l2_strength * math.fsum(weights.tolist())
        return self.l2_strength


@dataclass(frozen=True, repr=False)
class NewRows:
    """Validated rows that enter: features (n, d), labels, sample weights (n,)."""

    features: Array
    labels: list[Label]
    weights: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(repr=False)
class Session:
    """Rows in force, their ids, the removal state (secret) and the last release (public)."""

    recipe: Recipe
    budget: ReleaseBudget
    index: RowIndex
    labels: list[Label | None]
    digests: list[bytes | None]
    classes: tuple[Label, ...]
    state: RemovalState
    salt: bytes
    nonce: bytes
    released: Array
    certificate: Certificate
    info: UpdateInfo
    removed_total: int = 0
    remarks: tuple[str, ...] = field(default=())

    @classmethod
    def train(
        cls,
        recipe: Recipe,
        budget: ReleaseBudget,
        new: NewRows,
        ids: Sequence[Id],
        subjects: Sequence[Id] | None,
        remarks: tuple[str, ...],
    ) -> Session:
        """Train on ``new``, release and certify."""
        classes = recipe.encoding.classes(new.labels, new.weights)
        rows = Rows.from_arrays(new.features, recipe.encoding.targets(new.labels, classes), new.weights)
        objective = Objective(recipe.loss, rows, recipe.alpha(new.weights), recipe.fit_intercept)
        state, info = initialise(objective, budget.target)
        index = RowIndex()
        index.put(ids, np.arange(len(new), dtype=np.int64), subjects)
        salt = os.urandom(32)
        spare = [None] * (rows.slots - len(new))
        session = cls.__new__(cls)
        session.recipe, session.budget, session.index, session.salt = recipe, budget, index, salt
        session.labels = [*new.labels, *spare]
        session.digests = [*row_digests(salt, new.features, new.labels, new.weights), *spare]
        session.removed_total, session.remarks = 0, remarks
        session._release("fit", state, info, classes, removed=0, added=len(new), digests=session.digests)
        return session

    def ids_of_labels(self, labels: Sequence[Label]) -> list[Id]:
        """Ids of all rows in force with one of ``labels``.

        Raises:
            UnknownIdError: no row in force has a label.
        """
        for label in labels:
            if label not in self.labels:
                raise UnknownIdError(f"labels: no row in force has the label {label!r}")
        slots = {slot for slot, label in enumerate(self.labels) if label in labels}
        return [key for key in self.index.ids if int(self.index.slots([key])[0]) in slots]

    def remove(self, ids: Sequence[Id]) -> Certificate:
        """Delete rows and release; on any error nothing has changed."""
        slots = self.index.slots(ids)
        return self._change("remove", slots, ids, None, slots[:0], (), None)

    def add(self, new: NewRows, ids: Sequence[Id], subjects: Sequence[Id] | None) -> Certificate:
        """Add rows and release; on any error nothing has changed."""
        self.index.check_new(ids)
        free = [slot for slot, digest in enumerate(self.digests) if digest is None]
        slots = (free + list(range(len(self.digests), len(self.digests) + len(new))))[: len(new)]
        return self._change("add", np.zeros(0, dtype=np.int64), (), new, np.array(slots, np.int64), ids, subjects)

    def correct(self, new: NewRows, ids: Sequence[Id]) -> Certificate:
        """Replace rows, keeping their ids and subjects, and release; on any error nothing has changed."""
        slots = self.index.slots(ids)
        return self._change("correct", slots, (), new, slots, (), None)

    def release(self) -> Certificate:
        """Release the same state once more with fresh noise."""
        info = UpdateInfo(0, 0, relinearised=False)
        return self._release("release", self.state, info, self.classes, removed=0, added=0, digests=self.digests)

    def _change(
        self,
        kind: str,
        out: npt.NDArray[np.int64],
        forgotten: Sequence[Id],
        new: NewRows | None,
        into: npt.NDArray[np.int64],
        ids: Sequence[Id],
        subjects: Sequence[Id] | None,
    ) -> Certificate:
        """Take the rows at ``out`` out, put ``new`` at ``into``; compute everything first, commit last."""
        weights = np.asarray(self.state.objective.rows.weights).reshape(-1).copy()
        needed = int(into.max(initial=-1)) + 1
        spare = max(0, needed - len(weights))
        weights, labels, digests = (
            np.pad(weights, (0, spare)),
            self.labels + [None] * spare,
            self.digests + [None] * spare,
        )
        weights[out] = 0.0
        for slot in out:
            labels[slot], digests[slot] = None, None
        if new is not None:
            weights[into] = new.weights
            fresh = row_digests(self.salt, new.features, new.labels, new.weights)
            for position, slot in enumerate(into):
                labels[slot], digests[slot] = new.labels[position], fresh[position]
        held = [slot for slot, digest in enumerate(digests) if digest is not None]
        classes = self.recipe.encoding.classes([labels[s] for s in held], weights[held])
        state, info = self._move(out, new, into, labels, weights, classes)
        grown = state.objective.rows.slots - len(labels)
        labels, digests = labels + [None] * grown, digests + [None] * grown
        added = 0 if new is None else len(new)
        certificate = self._release(kind, state, info, classes, removed=len(out), added=added, digests=digests)
        self.labels, self.digests = labels, digests
        self.index.drop(forgotten)
        self.index.put(ids, into[: len(ids)], subjects)
        gone = np.setdiff1d(out, into)
        if len(gone):
            objective = replace(self.state.objective, rows=self.state.objective.rows.erase(gone))
            self.state = replace(self.state, objective=objective)
        return certificate

    def _move(
        self,
        out: npt.NDArray[np.int64],
        new: NewRows | None,
        into: npt.NDArray[np.int64],
        labels: list[Label | None],
        weights: Array,
        classes: tuple[Label, ...],
    ) -> tuple[RemovalState, UpdateInfo]:
        """Compute the state after the change; ``self`` is only read."""
        encoding, state = self.recipe.encoding, self.state
        carried: list[int] | None = list(range(state.objective.shape[1]))
        if classes != self.classes:
            carried = encoding.carried_outputs(self.classes, classes)
            if carried is not None:
                state = select_outputs(state, carried)
        rows = state.objective.rows
        removed = rows.take(out) if len(out) else None
        changed = rows.without(out)
        if len(weights) > rows.slots:
            changed = changed.enlarged(len(weights) + len(weights) // 8)
        added = None
        if new is not None:
            added = Rows.from_arrays(new.features, encoding.targets(new.labels, classes), new.weights)
            if carried is None:
                changed = changed.with_targets(np.zeros((changed.slots, added.n_outputs)))
            changed = changed.place(added, into)
        alpha = self.recipe.alpha(weights)
        if carried is None:
            held = [slot for slot, label in enumerate(labels) if label is not None]
            outputs = encoding.targets([labels[slot] for slot in held], classes)
            targets = np.zeros((changed.slots, outputs.shape[1]))
            targets[held] = outputs
            objective = replace(state.objective, rows=changed.with_targets(targets), alpha=alpha)
            return initialise(objective, self.budget.target)
        objective = replace(state.objective, rows=changed, alpha=alpha)
        return update(state, objective, self.budget.target, removed, added)

    def _release(
        self,
        kind: str,
        state: RemovalState,
        info: UpdateInfo,
        classes: tuple[Label, ...],
        *,
        removed: int,
        added: int,
        digests: Sequence[bytes | None],
    ) -> Certificate:
        """Draw fresh noise, certify, and only then commit state, release and budget."""
        if self.recipe.seed is None:
            noise, released = "rounded_gaussian", release_gaussian(state.weights, self.budget.noise_std)
        else:
            sequence = np.random.SeedSequence([self.recipe.seed, self.budget.releases])
            seed = int(sequence.generate_state(1, np.uint64)[0])
            noise, released = (
                "idealized_gaussian",
                idealized_gaussian(state.weights, self.budget.noise_std, seed),
            )
        nonce = os.urandom(32)
        held = [digest for digest in digests if digest is not None]
        event = Event(
            kind, removed, added, self.removed_total + removed, len(held), _plain(classes), rows_commitment(held),
            self.salt, self.remarks,
        )  # fmt: skip
        certificate = issue(
            event,
            state.objective,
            state.bound,
            self.budget,
            l2_scaling=self.recipe.l2_scaling,
            l2_strength=self.recipe.l2_strength,
            noise=noise,
            released=released,
            weights=state.weights,
            nonce=nonce,
        )
        self.budget = self.budget.spend(state.bound.value)
        self.state, self.info, self.classes = state, info, classes
        self.released, self.nonce, self.certificate = released, nonce, certificate
        self.removed_total += removed
        return certificate


def _plain(classes: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(c.item() if isinstance(c, np.generic) else c for c in classes)
