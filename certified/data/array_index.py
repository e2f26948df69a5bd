"""Ids and subjects of rows too many for a dictionary: arrays for the rows of a source, a dictionary for later ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.data.index import Id, RowIndex, Slots

Names = npt.NDArray[Any]


class ArrayIndex(RowIndex):
    """A `RowIndex` whose first rows are those of a source, named by their positions or by an array.

    It holds one byte per row beside the arrays of names and, where these do not ascend, twice eight for their order.

    >>> index = ArrayIndex(3, np.array(["b", "a", "c"]))
    >>> index.drop(["a"])
    >>> index.slots(["c", "b"]).tolist(), index.ids, "a" in index
    ([2, 0], ['b', 'c'], False)
    """

    def __init__(self, count: int, ids: Names | None = None, subjects: Names | None = None, next_id: int = 0) -> None:
        self._names = None if ids is None else _Sorted(ids)
        if self._names is not None and self._names.repeats:
            raise ValueError("ids must be unique: every row needs an id of its own")
        largest = count
        if ids is not None:
            largest = int(ids.max()) + 1 if count and ids.dtype.kind in "iu" else 0
        super().__init__(max(next_id, largest))
        self._owners = None if subjects is None else _Sorted(subjects)
        self._present = np.ones(count, dtype=bool)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._present)) + super().__len__()

    def __contains__(self, key: Id) -> bool:
        return super().__contains__(key) or self._first(key) is not None

    @property
    def ids(self) -> list[Id]:
        return [*self.named[self._present].tolist(), *super().ids]

    @property
    def array(self) -> Names:
        return np.array(self.ids, dtype=object) if self._slot else self.named[self._present]

    @property
    def named(self) -> Names:
        """The names of all rows of the source, those of removed rows included."""
        return np.arange(len(self._present)) if self._names is None else self._names.values

    @property
    def given(self) -> Names | None:
        """`named`, or None where names are positions."""
        return None if self._names is None else self._names.values

    @property
    def owners(self) -> Names | None:
        """The subjects of all rows of the source, if any were given."""
        return None if self._owners is None else self._owners.values

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows of the source are in force."""
        return self._present

    @property
    def later(self) -> list[Id]:
        """Ids in force that are not among the source's rows."""
        return super().ids

    def subject(self, key: Id) -> Id | None:
        slot = self._first(key)
        if slot is None or self._owners is None:
            return super().subject(key)
        owner: Id = self._owners.values[slot].item()
        return owner

    def drop(self, ids: Sequence[Id]) -> None:
        later = [key for key in ids if super(ArrayIndex, self).__contains__(key)]
        for key in ids:
            slot = self._first(key)
            if slot is not None:
                self._present[slot] = False
        super().drop(later)

    def drop_first(self, slots: Slots) -> None:
        """Forget rows of the source by their positions."""
        self._present[slots] = False

    def _first(self, key: Id) -> int | None:
        """The position of a row of the source in force, if it has that name."""
        if self._names is not None:
            slots = self._names.places(key)
            slot = int(slots[0]) if len(slots) else None
        else:
            slot = key if isinstance(key, int) and 0 <= key < len(self._present) else None
        return slot if slot is not None and self._present[slot] else None

    def _slot_of(self, key: Id) -> int:
        slot = self._first(key)
        return super()._slot_of(key) if slot is None else slot

    def _members_of(self, subject: Id) -> Collection[Id]:
        later = super()._members_of(subject)
        if self._owners is None:
            return later
        places = self._owners.places(subject)
        return [*self.named[places[self._present[places]]].tolist(), *later]


def as_names(values: Any, name: str, count: int) -> Names | None:
    """Return a copy of an array of integer or string names for so many rows; None stays None.

    Raises:
        TypeError: it is no array of integers or strings.
        ValueError: it has another length.
    """
    if values is None:
        return None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuU":
        raise TypeError(f"{name} of the rows of a source must be a NumPy array of integers or of strings")
    if values.shape != (count,):
        raise ValueError(f"{name} has shape {values.shape}: give one entry for each of the {count} rows")
    return values.copy()


class _Sorted:
    """An array of integers or strings that can be searched."""

    def __init__(self, values: Names) -> None:
        self.values = values
        ascending = bool(np.all(values[:-1] <= values[1:]))
        self._order = None if ascending else np.argsort(values, kind="stable")
        self._sorted = values if self._order is None else values[self._order]

    @property
    def repeats(self) -> bool:
        """Whether a value occurs twice."""
        return bool(np.any(self._sorted[:-1] == self._sorted[1:]))

    def places(self, key: Id) -> Slots:
        """Where ``key`` stands, ascending."""
        if isinstance(key, str) != (self.values.dtype.kind == "U"):
            return np.zeros(0, dtype=np.int64)
        try:
            # Integers of two types would be compared as float64, which holds not all of them.
            name = self.values.dtype.type(key)
        except OverflowError:
            return np.zeros(0, dtype=np.int64)
        left, right = (int(np.searchsorted(self._sorted, name, side)) for side in ("left", "right"))
        # An array of strings takes no notice of trailing NULs.
        right = right if left < right and self._sorted[left].item() == key else left
        return np.arange(left, right) if self._order is None else self._order[left:right]
