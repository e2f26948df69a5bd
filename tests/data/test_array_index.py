"""The index in arrays answers as the index in dictionaries does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.array_index import ArrayIndex, as_names
from certified.data.index import RowIndex, UnknownIdError

NAMES: dict[str, list[Any]] = {
    "positions": list(range(8)),
    "integers": [7, -3, 12, 5, 0, 99, 4, 1],
    "strings": ["b", "a", "zz", "", "y", "Ω", "c", "d"],
}
OWNERS = ["u", "v", "u", "w", "v", "u", "x", "w"]


def answers(index: RowIndex, probes: list[Any]) -> list[Any]:
    """Everything an index says about some ids and subjects, errors included."""
    said: list[Any] = [len(index), index.ids, index.array.tolist(), index.next_id, index.fresh_ids(2)]
    for key in probes:
        said += [key in index, index.subject(key)]
        for ask in (lambda k: index.slots([k]).tolist(), lambda k: index.check_new([k])):
            try:
                said.append(ask(key))
            except (UnknownIdError, ValueError) as error:
                said.append(str(error))
    for owner in [*"uvwxyz", "new"]:
        try:
            said.append(index.ids_of_subjects([owner]))
        except UnknownIdError as error:
            said.append(str(error))
    return said


def test_names_that_another_type_cannot_tell_apart() -> None:
    large = 2**53
    unsigned = ArrayIndex(2, np.array([large, large + 1], dtype=np.uint64))
    assert unsigned.slots([large]).tolist() == [0] and unsigned.slots([large + 1]).tolist() == [1]
    assert -1 not in unsigned and 2**64 not in unsigned
    assert 2**63 not in ArrayIndex(1, np.array([2**63 - 1]))
    assert 256 not in ArrayIndex(1, np.array([0], dtype=np.uint8))
    assert "a\0" not in ArrayIndex(2, np.array(["a", "b"]))


def test_names_are_what_they_were_when_they_were_given() -> None:
    given_names = np.array([10, 11, 12])
    index = ArrayIndex(3, as_names(given_names, "ids", 3))
    given_names -= 1
    assert index.slots([11]).tolist() == [1] and 9 not in index


@pytest.mark.parametrize("kind", NAMES)
@given(changes=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=8))
def test_it_follows_the_dictionary(kind: str, changes: list[tuple[bool, int]]) -> None:
    names = NAMES[kind]
    plain = RowIndex()
    plain.put(names, np.arange(8), OWNERS)
    found = ArrayIndex(8, None if kind == "positions" else np.array(names), np.array(OWNERS))
    slot = 8
    for leaves, number in changes:
        if leaves and len(plain):
            key = plain.ids[number % len(plain)]
            for index in (plain, found):
                index.drop([key])
        else:
            key = plain.fresh_ids(1)[0] if number % 2 else f"later {slot}"
            for index in (plain, found):
                index.put([key], np.array([slot]), ["new"] if number % 3 else None)
            slot += 1
    probes = [*names, "missing", 1000, *(f"later {i}" for i in range(8, 12)), *plain.fresh_ids(1)]
    assert answers(found, probes) == answers(plain, probes)


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="ids must be unique"):
        ArrayIndex(3, np.array([1, 2, 1]))
    with pytest.raises(TypeError, match="NumPy array of integers or of strings"):
        as_names([1, 2], "ids", 2)
    with pytest.raises(TypeError, match="NumPy array of integers or of strings"):
        as_names(np.array([1.0, 2.0]), "ids", 2)
    with pytest.raises(ValueError, match="one entry for each of the 3 rows"):
        as_names(np.arange(2), "ids", 3)
    assert as_names(None, "ids", 3) is None
