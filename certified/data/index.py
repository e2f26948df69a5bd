"""Stable row ids and subjects: which slot of the row store holds whose row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Id = int | str
Slots = npt.NDArray[np.int64]


class UnknownIdError(KeyError):
    """An id or subject that no row in force carries."""

    def __str__(self) -> str:
        return str(self.args[0])


class RowIndex:
    """Maps ids and subjects to slots. Queries never change it; `put` and `drop` commit a change already checked."""

    def __init__(self, next_id: int = 0) -> None:
        self._slot: dict[Id, int] = {}
        self._subject: dict[Id, Id] = {}
        self._members: dict[Id, set[Id]] = {}
        self._next = next_id

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, key: Id) -> bool:
        return key in self._slot

    @property
    def ids(self) -> list[Id]:
        """Ids in force, in the order of their slots."""
        return sorted(self._slot, key=self._slot.__getitem__)

    @property
    def array(self) -> npt.NDArray[Any]:
        """`ids` as an array."""
        ids = self.ids
        return np.array(ids, dtype=None if len({type(key) for key in ids}) <= 1 else object)

    @property
    def next_id(self) -> int:
        """The first integer above every integer id that was ever in force: ids are never used twice."""
        return self._next

    def subject(self, key: Id) -> Id | None:
        """The subject of a row, if it has one."""
        return self._subject.get(key)

    def slots(self, ids: Sequence[Id]) -> Slots:
        """Return the slots of ``ids``.

        Raises:
            UnknownIdError: an id is not in force (never was, or was removed).
            ValueError: no id, or one given twice.
        """
        if not ids:
            raise ValueError("ids is empty: name at least one row")
        repeated = _first_repeated(ids)
        if repeated is not None:
            raise ValueError(f"ids names {repeated!r} twice: name each row once")
        unknown = [key for key in ids if key not in self]
        if unknown:
            raise UnknownIdError(
                f"ids holds {len(unknown)} unknown or already removed id(s), the first is {unknown[0]!r}: "
                "see the ids_ attribute for the rows in force"
            )
        return np.array([self._slot_of(key) for key in ids], dtype=np.int64)

    def ids_of_subjects(self, subjects: Sequence[Id]) -> list[Id]:
        """Return the ids of all rows of ``subjects``; errors as for `slots`."""
        if not subjects:
            raise ValueError("subjects is empty: name at least one subject")
        repeated = _first_repeated(subjects)
        if repeated is not None:
            raise ValueError(f"subjects names {repeated!r} twice: name each subject once")
        for subject in subjects:
            if not self._members_of(subject):
                raise UnknownIdError(f"subjects: no row in force belongs to {subject!r}")
        return sorted((k for s in subjects for k in self._members_of(s)), key=self._slot_of)

    def check_new(self, ids: Sequence[Id]) -> None:
        """Raise ValueError if an id is repeated or already in force."""
        repeated = _first_repeated(ids)
        if repeated is not None:
            raise ValueError(f"ids names {repeated!r} twice: every row needs an id of its own")
        for key in ids:
            if key in self:
                raise ValueError(f"ids: {key!r} is already in force; use correct() to change that row")

    def fresh_ids(self, count: int) -> list[Id]:
        """Return ``count`` integer ids above every integer id that was ever in force."""
        return list(range(self._next, self._next + count))

    def put(self, ids: Sequence[Id], slots: Slots, subjects: Sequence[Id | None] | None) -> None:
        """Register checked ids at their slots; None is the subject of a row without one."""
        for key, slot in zip(ids, slots.tolist(), strict=True):
            self._slot[key] = slot
            if isinstance(key, int):
                self._next = max(self._next, key + 1)
        for key, subject in zip(ids, subjects or (), strict=subjects is not None):
            if subject is not None:
                self._subject[key] = subject
                self._members.setdefault(subject, set()).add(key)

    def drop(self, ids: Sequence[Id]) -> None:
        """Forget checked ids and the subjects that have no row left."""
        for key in ids:
            del self._slot[key]
            subject = self._subject.pop(key, None)
            if subject is not None:
                self._members[subject].discard(key)
                if not self._members[subject]:
                    del self._members[subject]

    def _slot_of(self, key: Id) -> int:
        return self._slot[key]

    def _members_of(self, subject: Id) -> Collection[Id]:
        return self._members.get(subject, ())


def as_ids(values: Any, name: str, count: int | None = None) -> list[Id]:
    """Return ids or subjects as plain integers and strings.

    Raises:
        TypeError: a value is neither an integer nor a string.
        ValueError: not ``count`` of them.
    """
    if isinstance(values, np.ndarray) and values.ndim == 0:
        values = values.item()
    if isinstance(values, str | int | np.integer):
        values = [values]
    array = values.tolist() if isinstance(values, np.ndarray) else list(_iterable(values, name))
    ids = [v.item() if isinstance(v, np.generic) else v for v in array]
    for value in ids:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError(f"{name} must be integers or strings; got a {type(value).__name__}")
    if count is not None and len(ids) != count:
        raise ValueError(f"{name} has {len(ids)} entries for {count} rows: give one for each row")
    return ids


def _iterable(values: Any, name: str) -> Iterable[Any]:
    if not isinstance(values, Iterable) or isinstance(values, bytes | bytearray | memoryview):
        raise TypeError(f"{name} must be a sequence of integers or strings; got a {type(values).__name__}")
    return values


def _first_repeated(ids: Sequence[Id]) -> Id | None:
    seen: set[Id] = set()
    for key in ids:
        if key in seen:
            return key
        seen.add(key)
    return None
