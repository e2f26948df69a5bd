"""Row ids and subjects against a plain dictionary, and every refusal of a wrong id."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from certified.data.index import Id, RowIndex, UnknownIdError, as_ids

IDS = st.one_of(st.integers(-3, 12), st.sampled_from(["a", "b", "1", ""]))


def index(subjects: list[Id] | None = None) -> RowIndex:
    """Four rows in slots 0 … 3."""
    made = RowIndex()
    made.put([10, "x", -1, 4], np.arange(4), subjects)
    return made


class Index(RuleBasedStateMachine):
    """`RowIndex` against a dictionary from id to (slot, subject)."""

    def __init__(self) -> None:
        super().__init__()
        self.index = RowIndex()
        self.model: dict[Id, tuple[int, Id | None]] = {}

    @rule(ids=st.lists(IDS, min_size=1, max_size=4, unique=True), owner=st.sampled_from([None, "p", "q", 7]))
    def put(self, ids: list[Id], owner: Id | None) -> None:
        if any(key in self.model for key in ids):
            with pytest.raises(ValueError, match="already in force"):
                self.index.check_new(ids)
            return
        self.index.check_new(ids)
        used = {slot for slot, _ in self.model.values()}
        slots = [slot for slot in range(60) if slot not in used][: len(ids)]
        self.index.put(ids, np.array(slots), None if owner is None else [owner] * len(ids))
        self.model |= {key: (slot, owner) for key, slot in zip(ids, slots, strict=True)}

    @rule(ids=st.lists(IDS, min_size=1, max_size=4, unique=True))
    def drop(self, ids: list[Id]) -> None:
        if not all(key in self.model for key in ids):
            with pytest.raises(UnknownIdError):
                self.index.slots(ids)
            return
        assert self.index.slots(ids).tolist() == [self.model[key][0] for key in ids]
        self.index.drop(ids)
        for key in ids:
            del self.model[key]

    @rule(owner=st.sampled_from(["p", "q", 7]))
    def look_up_subject(self, owner: Id) -> None:
        owned = [key for key in self.by_slot if self.model[key][1] == owner]
        if owned:
            assert self.index.ids_of_subjects([owner]) == owned
        else:
            with pytest.raises(UnknownIdError, match="subjects"):
                self.index.ids_of_subjects([owner])

    @property
    def by_slot(self) -> list[Id]:
        return sorted(self.model, key=lambda key: self.model[key][0])

    @invariant()
    def agrees(self) -> None:
        assert self.index.ids == self.by_slot
        assert len(self.index) == len(self.model)
        assert all(key in self.index for key in self.model)
        assert {key: self.index.subject(key) for key in self.model} == {k: s for k, (_, s) in self.model.items()}
        assert self.index.fresh_ids(2) == sorted(self.index.fresh_ids(2))
        assert not any(key in self.model for key in self.index.fresh_ids(3))


TestIndex = Index.TestCase


def test_integers_and_strings_are_different_ids() -> None:
    made = RowIndex()
    made.put([1, "1"], np.array([5, 6]), None)
    assert made.slots(["1", 1]).tolist() == [6, 5]


def test_ids_come_in_the_order_of_their_slots() -> None:
    made = RowIndex()
    made.put(["late", "early"], np.array([9, 2]), None)
    assert made.ids == ["early", "late"]


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([], ValueError, "ids is empty"),
        ([10, 10], ValueError, "ids names 10 twice"),
        ([10, 11, 12], UnknownIdError, r"2 unknown or already removed.*first is 11.*ids_"),
        (["10"], UnknownIdError, "'10'"),
    ],
)
def test_wrong_ids_are_named(ids: list[Id], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        index().slots(ids)


@pytest.mark.parametrize(
    ("subjects", "error", "message"),
    [
        ([], ValueError, "subjects is empty"),
        (["p", "p"], ValueError, "subjects names 'p' twice"),
        (["p", "r"], UnknownIdError, "no row in force belongs to 'r'"),
    ],
)
def test_wrong_subjects_are_named(subjects: list[Id], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        index(["p", "q", "p", "q"]).ids_of_subjects(subjects)


def test_rows_of_several_subjects_come_in_the_order_of_their_slots() -> None:
    assert index(["p", "q", "p", "r"]).ids_of_subjects(["q", "p"]) == [10, "x", -1]


def test_a_new_id_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="ids names 'z' twice"):
        index().check_new(["z", "z"])


def test_an_id_in_force_is_no_new_id() -> None:
    with pytest.raises(ValueError, match=r"'x' is already in force; use correct\(\)"):
        index().check_new(["z", "x"])


def test_a_removed_id_may_come_back() -> None:
    made = index(["p", "q", "p", "q"])
    made.drop(["x"])
    made.check_new(["x"])
    assert made.subject("x") is None
    assert made.ids_of_subjects(["q"]) == [4]


def test_subjects_without_rows_are_forgotten() -> None:
    made = index(["p", "q", "p", "q"])
    made.drop([10, -1])
    with pytest.raises(UnknownIdError):
        made.ids_of_subjects(["p"])
    made.drop(["x", 4])
    assert made.ids == []
    with pytest.raises(UnknownIdError):
        made.ids_of_subjects(["q"])


def test_fresh_ids_follow_the_largest_integer() -> None:
    assert index().fresh_ids(2) == [11, 12]
    assert RowIndex().fresh_ids(1) == [0]


def test_unknown_ids_are_a_key_error_with_a_plain_message() -> None:
    with pytest.raises(KeyError) as caught:
        index().slots([99])
    assert str(caught.value).startswith("ids holds 1 unknown")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (3, [3]),
        ("a", ["a"]),
        (np.int64(3), [3]),
        (np.array([3, 1]), [3, 1]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, "a"], dtype=object), [1, "a"]),
        ([np.int8(3), np.str_("a")], [3, "a"]),
        ((k for k in (1, 2)), [1, 2]),
        (range(2), [0, 1]),
    ],
)
def test_ids_become_plain_integers_and_strings(values: Any, expected: list[Id]) -> None:
    ids = as_ids(values, "ids")
    assert ids == expected
    assert [type(key) for key in ids] == [type(key) for key in expected]


def test_a_single_id_may_be_an_array_without_dimension() -> None:
    assert as_ids(np.array(5), "ids") == [5]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (True, "bool"),
        ([True], "bool"),
        (np.array([True]), "bool"),
        (1.0, "float"),
        ([1.0], "float"),
        (np.array([1.0]), "float"),
        ([None], "NoneType"),
        (np.array([[1, 2]]), "list"),
        (b"ab", "bytes"),
    ],
)
def test_other_ids_are_refused(values: Any, found: str) -> None:
    with pytest.raises(TypeError, match=f"subjects must be .*integers or strings; got a {found}"):
        as_ids(values, "subjects")


@given(count=st.integers(0, 5), wanted=st.integers(0, 5))
def test_there_must_be_one_id_for_each_row(count: int, wanted: int) -> None:
    if count == wanted:
        assert as_ids(range(count), "ids", wanted) == list(range(count))
    else:
        with pytest.raises(ValueError, match=f"ids has {count} entries for {wanted} rows"):
            as_ids(range(count), "ids", wanted)
