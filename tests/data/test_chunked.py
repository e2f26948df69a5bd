"""What is checked of the rows that a source returns, and where positions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.chunked import Chunked, checked, checksum, row_checksums
from certified.data.rows import norm_bounds
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows

Array = npt.NDArray[np.float64]


def arrays(n: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), rng.choice([0.0, 1.0, 2.0], n)


def test_norms_are_upper_bounds_of_rows_that_count() -> None:
    parts = arrays(20)
    np.testing.assert_array_equal(checked(parts, "here"), np.where(parts[2] > 0.0, norm_bounds(parts[0]), 0.0))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_changed_bit_changes_the_checksums(part: int) -> None:
    parts = arrays(20)
    for place in range(parts[part].size):
        before, rows_before = checksum(parts), row_checksums(parts)
        flat = parts[part].reshape(-1).view(np.uint64)
        flat[place] ^= np.uint64(1) << np.uint64(3 * place % 64)
        assert checksum(parts) != before
        changed = np.flatnonzero(row_checksums(parts) != rows_before)
        assert changed.tolist() == [place * 20 // parts[part].size]


@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 7), st.data())
def test_located(n: int, size: int, added: int, data: st.DataObject) -> None:
    """Every position is found once, in a chunk of the source or behind it, ascending within its chunk."""
    empty = np.zeros(n, dtype=np.uint32)
    contents = Chunked(ArraySource(*arrays(n)), size, n + added, np.ones(n), empty, (0,) * -(-n // size), n, {})
    wanted = data.draw(st.lists(st.integers(0, n + added - 1), max_size=9)) if n + added else []
    positions = np.array(wanted, dtype=np.int64)
    seen = []
    for chunk, rows, places in contents.located(positions):
        assert 0 <= chunk < contents.count
        assert np.all(np.diff(rows) >= 0) and rows.max() < size
        own = chunk < len(contents.checksums)
        start = chunk * size if own else n + (chunk - len(contents.checksums)) * size
        np.testing.assert_array_equal(start + rows, positions[places])
        assert np.all((positions[places] < n) == own)
        seen.extend(places.tolist())
    assert sorted(seen) == list(range(len(wanted)))


@pytest.mark.parametrize(
    ("part", "entry", "message"),
    [
        (0, np.nan, "features must be finite .* rows 7 to 13"),
        (0, -np.inf, "features must be finite"),
        (0, 1e61, "features must be .* at most 1e\\+60"),
        (0, 1e300, "features must be .* at most 1e\\+60"),
        (1, np.nan, "targets must be finite"),
        (2, np.inf, "weights must be finite"),
        (2, -1.0, "weights must be 0 or at least"),
        (2, 5e-324, "weights must be 0 or at least"),
    ],
)
def test_inadmissible_numbers(part: int, entry: float, message: str) -> None:
    parts = [array.copy() for array in arrays(20)]
    parts[part][8] = entry
    with pytest.raises(ValueError, match=message) as caught:
        StreamedRows.open(ArraySource(*parts), 7)
    assert str(parts[0][8, 1]) not in str(caught.value)


def test_the_largest_numbers_are_admissible() -> None:
    rows = StreamedRows.open(ArraySource(np.full((2, 3), 1e60), np.full(2, -1e60), np.full(2, 1e60)))
    assert rows.in_force == 2


@dataclass
class Lying:
    """A source whose parts are not what it promises."""

    parts: tuple[Array, ...]
    length: int = 2
    n_features: int = 3
    n_outputs: int = 1

    def read(self, start: int, stop: int) -> tuple[Array, ...]:
        return self.parts


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ((np.ones((2, 2)), np.ones((2, 1)), np.ones(2)), ValueError, "features of shape"),
        ((np.ones((1, 3)), np.ones((1, 1)), np.ones(1)), ValueError, "features of shape .1, 3."),
        ((np.ones((2, 3)), np.ones(2), np.ones(2)), ValueError, "targets of shape"),
        ((np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 1))), ValueError, "weights of shape"),
        ((np.ones((2, 3)), np.ones((2, 1))), ValueError, "features, targets and weights, got 2"),
        ((np.ones((2, 3), complex), np.ones((2, 1)), np.ones(2)), TypeError, "features of type complex128"),
        ((np.ones((2, 3)), np.full((2, 1), "a"), np.ones(2)), TypeError, "targets of type"),
    ],
)
def test_sources_that_break_their_word(parts: tuple[Array, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        StreamedRows.open(Lying(parts))
