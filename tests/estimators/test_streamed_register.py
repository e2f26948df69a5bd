"""The register of streamed rows: rows that it holds leave it, also where some are the same, and others do not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.sources import SourceChangedError
from certified.estimators.register import exact_units
from certified.estimators.streamed_register import StreamedRegister, exact_sum, table, tally

ROWS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12)


def digest(number: int) -> bytes:
    # As long as a digest, and never ending in a zero byte, which NumPy strips from the end.
    return bytes([number]) * 31 + b"\x01"


def register(rows: list[tuple[int, bool]]) -> StreamedRegister:
    digests, labels, weights = columns(rows)
    return StreamedRegister(np.sort(table(digests)), tally(labels, weights), exact_sum(weights))


def columns(rows: list[tuple[int, bool]]) -> tuple[list[bytes], list[bool], np.ndarray]:
    return [digest(n) for n, _ in rows], [label for _, label in rows], np.full(len(rows), 0.1)


@given(ROWS, st.data())
def test_what_leaves_and_what_stays_is_a_difference_of_multisets(
    rows: list[tuple[int, bool]], data: st.DataObject
) -> None:
    leaving = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True) if rows else st.just([]))
    after = register(rows).without(*columns([rows[i] for i in leaving]))
    kept = [row for i, row in enumerate(rows) if i not in leaving]
    assert Counter(after.ordered.tolist()) == Counter(digest(n) for n, _ in kept)
    assert after.counts == Counter(label for _, label in kept)
    assert after.exact_weight == exact_units(0.1) * len(kept) == register(kept).exact_weight


@pytest.mark.parametrize("leaving", [[1], [9], [0, 0, 0], [0, 4, 4], [255]])
def test_rows_that_are_not_held_do_not_leave(leaving: list[int]) -> None:
    """Between the rows held, beyond them all, and one more of a kind than there are."""
    before = register([(0, True), (0, False), (4, True)])
    with pytest.raises(SourceChangedError, match="a row to be removed is not what it was"):
        before.without(*columns([(number, True) for number in leaving]))
    assert len(before) == 3 and before.counts == {True: 2, False: 1}


def test_an_empty_register_holds_nothing() -> None:
    with pytest.raises(SourceChangedError):
        register([]).without(*columns([(1, True)]))
    assert len(register([]).without(*columns([]))) == 0
