"""One trained model with its rows: the only place that changes state, each request all or nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests, rows_commitment
from certified.certificates.issue import Event, issue
from certified.certificates.provenance import Provenance
from certified.data.index import Id, RowIndex, UnknownIdError
from certified.data.rows import Rows
from certified.estimators.encoding import Encoding, Label
from certified.estimators.register import Register, Slots
from certified.losses import Loss
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.privacy.noise import idealized_gaussian, release_gaussian
from certified.removal import LedgerState, RemovalState, UpdateInfo, initialise, settled, update
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

    def alpha(self, register: Register) -> float:
        """Total L2 strength for the rows in force; the sum of weights is correctly rounded, whatever its order."""
        return self.l2_strength * register.total_weight if self.l2_scaling == "per_sample" else self.l2_strength


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
    index: RowIndex
    register: Register
    salt: bytes
    budget: ReleaseBudget
    remarks: tuple[str, ...]
    features: Provenance
    classes: tuple[Label, ...] = field(init=False)
    state: LedgerState = field(init=False)
    info: UpdateInfo = field(init=False)
    nonce: bytes = field(init=False)
    released: Array = field(init=False)
    certificate: Certificate = field(init=False)
    removed_total: int = 0

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
    ) -> Session:
        """Train on ``new``, release and certify."""
        session = cls(recipe, RowIndex(), Register.empty(0), os.urandom(32), budget, remarks, features)
        slots = np.arange(len(new), dtype=np.int64)
        register = session._enter(new, slots[:0], slots)
        classes = recipe.encoding.classes(register.counts)
        rows = Rows.from_arrays(new.features, recipe.encoding.targets(new.labels, classes), new.weights)
        objective = Objective(recipe.loss, rows, recipe.alpha(register), recipe.fit_intercept)
        state, info = initialise(objective, budget.target)
        session._release("fit", state, info, register, removed=0, added=len(new))
        session.index.put(ids, slots, subjects)
        return session

    def ids_of_labels(self, labels: Sequence[Label]) -> list[Id]:
        """Ids of all rows in force with one of ``labels``.

        Raises:
            UnknownIdError: no row in force has a label.
        """
        if not labels:
            raise ValueError("labels is empty: name at least one label")
        for position, label in enumerate(labels):
            if label in labels[:position]:
                raise ValueError(f"labels names {label!r} twice: name each label once")
            if label is None or label not in self.register.labels:
                raise UnknownIdError(f"labels: no row in force has the label {label!r}")
        held = self.register.labels
        return [key for key in self.index.ids if held[int(self.index.slots([key])[0])] in labels]

    def remove(self, ids: Sequence[Id]) -> Certificate:
        """Delete rows and release; on any error nothing has changed."""
        slots = self.index.slots(ids)
        return self._change("remove", slots, ids, None, slots[:0], (), None)

    def add(self, new: NewRows, ids: Sequence[Id], subjects: Sequence[Id] | None) -> Certificate:
        """Add rows and release; on any error nothing has changed."""
        self.index.check_new(ids)
        beyond = itertools.count(len(self.register.labels))
        slots = list(itertools.islice(itertools.chain(self.register.free, beyond), len(new)))
        return self._change("add", np.zeros(0, dtype=np.int64), (), new, np.array(slots, np.int64), ids, subjects)

    def correct(self, new: NewRows, ids: Sequence[Id]) -> Certificate:
        """Replace rows, keeping their ids and subjects, and release; on any error nothing has changed."""
        slots = self.index.slots(ids)
        return self._change("correct", slots, (), new, slots, (), None)

    def release(self) -> Certificate:
        """Release the same state once more with fresh noise, polished where the budget left demands it."""
        state, info, target = self.state, UpdateInfo(0, 0, relinearised=False), self.budget.target
        if state.bound.value > target:
            state, info = update(state, state.objective, target)
        return self._release("release", state, info, self.register, removed=0, added=0)

    def _change(
        self,
        kind: str,
        out: Slots,
        forgotten: Sequence[Id],
        new: NewRows | None,
        into: Slots,
        ids: Sequence[Id],
        subjects: Sequence[Id] | None,
    ) -> Certificate:
        """Take the rows at ``out`` out, put ``new`` at ``into``; compute everything first, commit last."""
        if new is not None:
            # 1, 1.0 and True are one label: the rows keep the form in force, so that their digests do too.
            known = {label: label for label in self.classes}
            new = replace(new, labels=[known.get(label, label) for label in new.labels])
        register = self._enter(new, out, into)
        state, info = self._move(out, new, into, register)
        state = settled(state)
        added = 0 if new is None else len(new)
        certificate = self._release(kind, state, info, register, removed=len(out), added=added)
        self.index.drop(forgotten)
        self.index.put(ids, into[: len(ids)], subjects)
        gone = np.setdiff1d(out, into)
        if len(gone):
            objective = replace(self.state.objective, rows=self.state.objective.rows.erase(gone))
            self.state = replace(self.state, objective=objective)
        return certificate

    def _enter(self, new: NewRows | None, out: Slots, into: Slots) -> Register:
        """The register after the change; ``self`` is only read."""
        if new is None:
            return self.register.changed(out, into, [], np.zeros(0), [])
        digests = row_digests(self.salt, new.features, new.labels, new.weights)
        return self.register.changed(out, into, new.labels, new.weights, digests)

    def _move(
        self,
        out: Slots,
        new: NewRows | None,
        into: Slots,
        register: Register,
    ) -> tuple[LedgerState, UpdateInfo]:
        """Compute the state after the change; ``self`` is only read."""
        encoding = self.recipe.encoding
        state: RemovalState = self.state
        classes = encoding.classes(register.counts)
        carried: list[int] | None = list(range(state.objective.shape[1]))
        if classes != self.classes:
            carried = encoding.carried_outputs(self.classes, classes)
            if carried is not None:
                state = select_outputs(state, carried)
        rows = state.objective.rows
        removed = rows.take(out) if len(out) else None
        changed = rows.without(out)
        if len(register.labels) > rows.slots:
            changed = changed.enlarged(len(register.labels) + len(register.labels) // 8)
        added = None
        if new is not None:
            added = Rows.from_arrays(new.features, encoding.targets(new.labels, classes), new.weights)
            if carried is None:
                changed = changed.with_targets(np.zeros((changed.slots, added.n_outputs)))
            changed = changed.place(added, into)
        alpha = self.recipe.alpha(register)
        if carried is None:
            held = register.held
            outputs = encoding.targets([register.labels[slot] for slot in held], classes)
            targets = np.zeros((changed.slots, outputs.shape[1]))
            targets[held] = outputs
            objective = replace(state.objective, rows=changed.with_targets(targets), alpha=alpha)
            return initialise(objective, self.budget.target, encoding.start(state.weights, self.classes, classes))
        objective = replace(state.objective, rows=changed, alpha=alpha)
        return update(state, objective, self.budget.target, removed, added)

    def _release(
        self,
        kind: str,
        state: LedgerState,
        info: UpdateInfo,
        register: Register,
        *,
        removed: int,
        added: int,
    ) -> Certificate:
        """Draw fresh noise, certify, and only then commit state, release and budget."""
        sigma = self.budget.noise_std
        if self.recipe.seed is None:
            noise, released = "rounded_gaussian", release_gaussian(state.weights, sigma)
        else:
            sequence = np.random.SeedSequence([self.recipe.seed, self.budget.releases])
            seed = int(sequence.generate_state(1, np.uint64)[0])
            noise, released = "idealized_gaussian", idealized_gaussian(state.weights, sigma, seed)
        nonce = os.urandom(32)
        classes = self.recipe.encoding.classes(register.counts)
        event = Event(
            kind=kind,
            removed=removed,
            added=added,
            removed_total=self.removed_total + removed,
            remaining=len(register.ordered),
            classes=_plain(classes),
            rows_commitment=rows_commitment(nonce, register.ordered),
            salt=self.salt,
            assumptions=self.remarks,
            features=self.features,
        )
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
        self.state, self.info, self.register, self.classes = state, info, register, classes
        self.released, self.nonce, self.certificate = released, nonce, certificate
        self.removed_total += removed
        return certificate


def _plain(classes: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(c.item() if isinstance(c, np.generic) else c for c in classes)
