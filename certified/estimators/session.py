"""One trained model with its rows: the only place that changes state, each request all or nothing.

Where the rows are is for `certified.estimators.held` and `certified.estimators.streamed` to say.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from certified.certificates.certificate import Certificate
from certified.certificates.issue import Event, issue
from certified.certificates.provenance import Provenance
from certified.data.index import Id, RowIndex
from certified.data.rows import Rows
from certified.estimators.encoding import Encoding, Label
from certified.losses import Loss
from certified.privacy.budget import ReleaseBudget
from certified.privacy.noise import idealized_gaussian, release_gaussian
from certified.removal import LedgerState, RemovalState, UpdateInfo, initialise, settled, update
from certified.removal.outputs import select_outputs

Array = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]
Classes = tuple[Label, ...]


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


class Register(Protocol):
    """What is known of the rows in force beside their features."""

    @property
    def counts(self) -> Counter[Label]:
        """Rows of positive weight for each label."""
        ...

    @property
    def total_weight(self) -> float:
        """Σ c_i, correctly rounded."""
        ...

    def __len__(self) -> int: ...

    def commitment(self, nonce: bytes) -> str:
        """The commitment to the rows in force."""
        ...


R = TypeVar("R", bound=Register)


@dataclass(repr=False)
class Session(Generic[R]):
    """Rows in force, their ids, the removal state (secret) and the last release (public)."""

    recipe: Recipe
    index: RowIndex
    register: R
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

    def ids_of_labels(self, labels: Sequence[Label]) -> list[Id]:
        """Ids of all rows in force with one of ``labels``.

        Raises:
            UnknownIdError: no row in force has a label.
        """
        raise NotImplementedError

    def labels_at(self, slots: Slots) -> list[Label]:
        """The labels of rows in force."""
        raise NotImplementedError

    def weights_at(self, slots: Slots) -> Array:
        """The sample weights of rows in force."""
        raise NotImplementedError

    def add(self, new: NewRows, ids: Sequence[Id], subjects: Sequence[Id] | None) -> Certificate:
        """Add rows and release; on any error nothing has changed."""
        raise NotImplementedError

    def correct(self, new: NewRows, ids: Sequence[Id]) -> Certificate:
        """Replace rows, keeping their ids and subjects, and release; on any error nothing has changed."""
        raise NotImplementedError

    def _enter(self, new: NewRows | None, out: Slots, into: Slots) -> R:
        """The register after the change; ``self`` is only read."""
        raise NotImplementedError

    def _placed(
        self,
        rows: Any,
        register: R,
        new: NewRows | None,
        added: Rows | None,
        into: Slots,
        classes: Classes,
        fresh: bool,
    ) -> Rows:
        """``rows`` with the new ones at ``into``, and with ``fresh`` targets for ``classes`` where these changed."""
        raise NotImplementedError

    def _erase(self, gone: Slots) -> None:
        """Overwrite the rows that left, where they are in memory."""
        raise NotImplementedError

    def remove(self, ids: Sequence[Id]) -> Certificate:
        """Delete rows and release; on any error nothing has changed."""
        slots = self.index.slots(ids)
        return self._change("remove", slots, ids, None, slots[:0], (), None)

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
        subjects: Sequence[Id | None] | None,
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
        self._erase(np.setdiff1d(out, into))
        return certificate

    def _move(
        self,
        out: Slots,
        new: NewRows | None,
        into: Slots,
        register: R,
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
        added = None
        if new is not None:
            added = Rows.from_arrays(new.features, encoding.targets(new.labels, classes), new.weights)
        changed = self._placed(rows.without(out), register, new, added, into, classes, carried is None)
        objective = replace(state.objective, rows=changed, alpha=self.recipe.alpha(register))
        if carried is None:
            return initialise(objective, self.budget.target, encoding.start(state.weights, self.classes, classes))
        return update(state, objective, self.budget.target, removed, added)

    def _release(
        self,
        kind: str,
        state: LedgerState,
        info: UpdateInfo,
        register: R,
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
            remaining=len(register),
            classes=_plain(classes),
            rows_commitment=register.commitment(nonce),
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
