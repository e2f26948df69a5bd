"""Labels, sample weights and digests of rows in memory, slot by slot; a change makes a new register."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.certificates.commitment import Label, rows_commitment

Array = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]

UNITS = 1 << 1074
"""Units in one."""


@dataclass(frozen=True, repr=False)
class HeldRegister:
    """What the model knows of each slot beside its features. A secret, like the rows.

    Attributes:
        labels: label of each slot, None where the slot is free.
        weights: (slots,) sample weights, 0 where the slot is free.
        digests: commitment digest of each slot.
        ordered: the digests in force, sorted.
        counts: rows of positive weight for each label.
        exact_weight: the sum of the sample weights in units of 2⁻¹⁰⁷⁴, in which every float64 is whole.
    """

    labels: list[Label | None]
    weights: Array
    digests: list[bytes | None]
    ordered: list[bytes]
    counts: Counter[Label]
    exact_weight: int = 0

    @classmethod
    def empty(cls, slots: int) -> HeldRegister:
        """A register of free slots."""
        return cls([None] * slots, np.zeros(slots), [None] * slots, [], Counter())

    def __len__(self) -> int:
        return len(self.ordered)

    def commitment(self, nonce: bytes) -> str:
        """The commitment to the rows in force."""
        return rows_commitment(nonce, self.ordered)

    @property
    def total_weight(self) -> float:
        """Σ c_i, correctly rounded."""
        return self.exact_weight / UNITS

    @property
    def free(self) -> Iterable[int]:
        """Slots without a row, in order."""
        return (slot for slot, digest in enumerate(self.digests) if digest is None)

    @property
    def held(self) -> list[int]:
        """Slots with a row, in order."""
        return [slot for slot, digest in enumerate(self.digests) if digest is not None]

    def changed(
        self, out: Slots, into: Slots, labels: Sequence[Label], weights: Array, digests: Sequence[bytes]
    ) -> HeldRegister:
        """Return the register with the slots ``out`` freed and then the slots ``into`` filled."""
        spare = max(0, int(into.max(initial=-1)) + 1 - len(self.labels))
        after = HeldRegister(
            self.labels + [None] * spare,
            np.pad(self.weights, (0, spare)),
            self.digests + [None] * spare,
            self.ordered.copy(),
            self.counts.copy(),
            self.exact_weight
            + sum(map(exact_units, weights.tolist()))
            - sum(map(exact_units, self.weights[out].tolist())),
        )
        for slot in out.tolist():
            after._free(slot)
        many = len(into) > 64
        for slot, label, weight, digest in zip(into.tolist(), labels, weights.tolist(), digests, strict=True):
            after.labels[slot], after.weights[slot], after.digests[slot] = label, weight, digest
            after.counts[label] += weight > 0.0
            if many:
                after.ordered.append(digest)
            else:
                insort(after.ordered, digest)
        if many:
            after.ordered.sort()
        return after

    def _free(self, slot: int) -> None:
        label, digest = self.labels[slot], self.digests[slot]
        assert label is not None and digest is not None
        del self.ordered[bisect_left(self.ordered, digest)]
        self.counts[label] -= bool(self.weights[slot] > 0.0)
        if self.counts[label] == 0:
            del self.counts[label]
        self.labels[slot], self.weights[slot], self.digests[slot] = None, 0.0, None


def exact_units(weight: float) -> int:
    """A weight in units of 2⁻¹⁰⁷⁴."""
    numerator, denominator = weight.as_integer_ratio()
    return numerator * (UNITS // denominator)
