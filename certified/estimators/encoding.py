"""From labels to outputs: which classes are in force, and the targets of each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Label = Any


class Encoding(Protocol):
    """How labels become targets (n, K) of a separable loss.

    Attributes:
        has_classes: whether labels are classes, so that their counts matter, or numbers.
    """

    has_classes: ClassVar[bool]

    def classes(self, counts: Mapping[Label, int]) -> tuple[Label, ...]:
        """The labels with a row of positive weight, sorted; empty for regression."""
        ...

    def targets(self, labels: Sequence[Label], classes: tuple[Label, ...]) -> Array:
        """Targets (n, K)."""
        ...

    def carried_outputs(self, before: tuple[Label, ...], after: tuple[Label, ...]) -> list[int] | None:
        """Output columns to keep when classes only left, in their new order; None if outputs must be solved anew."""
        ...

    def start(self, weights: Array, before: tuple[Label, ...], after: tuple[Label, ...]) -> Array | None:
        """Where to start when outputs must be solved anew, from the weights before; None for zero."""
        ...


class OneVsRest:
    """±1 targets: one output for two classes (the second is +1), one per class beyond, none for a single class."""

    has_classes: ClassVar[bool] = True

    def classes(self, counts: Mapping[Label, int]) -> tuple[Label, ...]:
        try:
            return tuple(sorted(label for label, count in counts.items() if count > 0))
        except TypeError:
            raise TypeError("y mixes labels that cannot be ordered, such as text and numbers: use one kind") from None

    def targets(self, labels: Sequence[Label], classes: tuple[Label, ...]) -> Array:
        column = {label: k for k, label in enumerate(classes)}
        codes = np.array([column.get(label, -1) for label in labels], dtype=np.int64)
        positive = _positives(classes)
        return np.where(codes[:, None] == np.array(positive, dtype=np.int64)[None, :], 1.0, -1.0)

    def carried_outputs(self, before: tuple[Label, ...], after: tuple[Label, ...]) -> list[int] | None:
        if not set(after) <= set(before):
            return None
        owners = [before[k] for k in _positives(before)]
        wanted = [after[k] for k in _positives(after)]
        return [owners.index(label) for label in wanted] if set(wanted) <= set(owners) else None

    def start(self, weights: Array, before: tuple[Label, ...], after: tuple[Label, ...]) -> Array | None:
        return None


class OneHot:
    """0/1 targets for a coupled loss: one output per class, none for a single class."""

    has_classes: ClassVar[bool] = True

    def classes(self, counts: Mapping[Label, int]) -> tuple[Label, ...]:
        return OneVsRest().classes(counts)

    def targets(self, labels: Sequence[Label], classes: tuple[Label, ...]) -> Array:
        outputs = classes if len(classes) > 1 else ()
        column = {label: k for k, label in enumerate(classes)}
        codes = np.array([column.get(label, -1) for label in labels], dtype=np.int64)
        return np.where(codes[:, None] == np.arange(len(outputs))[None, :], 1.0, 0.0)

    def carried_outputs(self, before: tuple[Label, ...], after: tuple[Label, ...]) -> list[int] | None:
        return list(range(len(before))) if before == after else None

    def start(self, weights: Array, before: tuple[Label, ...], after: tuple[Label, ...]) -> Array | None:
        if not (weights.shape[1] == len(before) > 1 and len(after) > 1):
            return None
        columns = [weights[:, before.index(label)] if label in before else np.zeros(len(weights)) for label in after]
        return np.stack(columns, axis=1)


class RealTargets:
    """Real targets: one output per target column."""

    has_classes: ClassVar[bool] = False

    def classes(self, counts: Mapping[Label, int]) -> tuple[Label, ...]:
        return ()

    def targets(self, labels: Sequence[Label], classes: tuple[Label, ...]) -> Array:
        return np.array(labels, dtype=np.float64).reshape(len(labels), -1)

    def carried_outputs(self, before: tuple[Label, ...], after: tuple[Label, ...]) -> list[int] | None:
        return None

    def start(self, weights: Array, before: tuple[Label, ...], after: tuple[Label, ...]) -> Array | None:
        return None


def _positives(classes: tuple[Label, ...]) -> list[int]:
    """Index of the class that is +1 in each output."""
    if len(classes) < 2:
        return []
    return [1] if len(classes) == 2 else list(range(len(classes)))
