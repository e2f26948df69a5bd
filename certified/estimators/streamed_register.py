"""What is known of rows that are not in memory: their digests, how many there are of each label, and their weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.certificates.commitment import Label, table_commitment
from certified.data.sources import SourceChangedError
from certified.estimators.register import UNITS, exact_units

Array = npt.NDArray[np.float64]
Digests = npt.NDArray[np.bytes_]


@dataclass(frozen=True, repr=False)
class StreamedRegister:
    """32 bytes for each row in force. A secret, like the rows.

    Attributes:
        ordered: the digests in force (n,), sorted, of type ``S32``.
        classes: rows of positive weight for each label; None where labels are numbers.
        exact_weight: the sum of the sample weights in units of 2⁻¹⁰⁷⁴, in which every float64 is whole.
    """

    ordered: Digests
    classes: Counter[Label] | None
    exact_weight: int

    def __len__(self) -> int:
        return len(self.ordered)

    @property
    def counts(self) -> Counter[Label]:
        """Rows of positive weight for each label; none where labels are numbers."""
        return Counter() if self.classes is None else self.classes

    @property
    def total_weight(self) -> float:
        """Σ c_i, correctly rounded."""
        return self.exact_weight / UNITS

    def commitment(self, nonce: bytes) -> str:
        """The commitment to the rows in force."""
        return table_commitment(nonce, self.ordered)

    def without(self, digests: Sequence[bytes], labels: Sequence[Label], weights: Array) -> StreamedRegister:
        """Return the register without rows that it holds.

        Raises:
            SourceChangedError: it does not hold one of them, so the source gave another row than before.
        """
        leaving = np.sort(table(digests))
        # Of rows that are the same, as many leave as are named.
        places = np.searchsorted(self.ordered, leaving) + np.arange(len(leaving))
        places -= np.searchsorted(leaving, leaving)
        if not np.array_equal(self.ordered[places[places < len(self)]], leaving):
            raise SourceChangedError(
                "source: a row to be removed is not what it was when the rows were opened; restore it, or fit again"
            )
        classes = None if self.classes is None else self.classes - tally(labels, weights)
        return StreamedRegister(np.delete(self.ordered, places), classes, self.exact_weight - exact_sum(weights))

    def joined(self, digests: Sequence[bytes], labels: Sequence[Label], weights: Array) -> StreamedRegister:
        """Return the register with further rows."""
        coming = np.sort(table(digests))
        ordered = np.insert(self.ordered, np.searchsorted(self.ordered, coming), coming)
        classes = None if self.classes is None else self.classes + tally(labels, weights)
        return StreamedRegister(ordered, classes, self.exact_weight + exact_sum(weights))


def table(digests: Sequence[bytes]) -> Digests:
    """Digests as an array."""
    return np.frombuffer(b"".join(digests), dtype="S32")


def tally(labels: Sequence[Label], weights: Array) -> Counter[Label]:
    """Rows of positive weight for each label."""
    return Counter(label for label, weight in zip(labels, weights.tolist(), strict=True) if weight > 0.0)


def exact_sum(weights: Array) -> int:
    """The exact sum of weights in units of 2⁻¹⁰⁷⁴; few of them differ."""
    values, counts = np.unique(weights, return_counts=True)
    return sum(exact_units(value) * count for value, count in zip(values.tolist(), counts.tolist(), strict=True))
