from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.derived_sources import JoinedRows, WatchedRows, WithoutRows
from certified.data.sources import ArraySource, RowSource
from certified.estimators import CertifiedLogisticRegression

N = 12
X, Y, C = np.arange(2.0 * N).reshape(N, 2), np.arange(N), np.arange(N) / 2.0


def check(source: RowSource, kept: list[int], start: int, stop: int) -> None:
    assert isinstance(source, RowSource)
    assert (source.length, source.n_features, source.n_outputs) == (len(kept), 2, 1)
    features, targets, weights = source.read(start, stop)
    rows = kept[start:stop]
    np.testing.assert_array_equal(features, X[rows])
    np.testing.assert_array_equal(targets, Y[rows][:, None])
    np.testing.assert_array_equal(weights, C[rows])
    assert targets.dtype == Y.dtype


@given(st.lists(st.integers(0, N - 1)), st.data())
def test_rows_left_out(gone: list[int], data: st.DataObject) -> None:
    kept = [row for row in range(N) if row not in gone]
    start = data.draw(st.integers(0, len(kept)))
    check(WithoutRows(ArraySource(X, Y, C), gone), kept, start, data.draw(st.integers(start, len(kept))))


@given(st.data())
def test_rows_watched(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, N))
    stop = data.draw(st.integers(start, N))
    seen: list[tuple[int, int]] = []
    check(WatchedRows(ArraySource(X, Y, C), lambda *reached: seen.append(reached)), list(range(N)), start, stop)
    assert seen == [(stop, N)]


def test_every_pass_of_a_training_is_watched() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 2))
    source = ArraySource(features, (features[:, 0] > 0.0).astype(float))
    seen: list[tuple[int, int]] = []
    model = CertifiedLogisticRegression(noise_std=1e-3).fit(WatchedRows(source, lambda *reached: seen.append(reached)))
    assert seen.count((600, 600)) >= model.update_info_.passes > 0


@given(st.lists(st.integers(0, N), max_size=3), st.data())
def test_rows_joined(cuts: list[int], data: st.DataObject) -> None:
    edges = [0, *sorted(cuts), N]
    parts = [ArraySource(X[a:b], Y[a:b], C[a:b]) for a, b in pairwise(edges)]
    start = data.draw(st.integers(0, N))
    check(JoinedRows(*parts), list(range(N)), start, data.draw(st.integers(start, N)))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="positions must lie between 0 and 11"):
        WithoutRows(ArraySource(X, Y), [12])
    with pytest.raises(ValueError, match="at least one"):
        JoinedRows()
    with pytest.raises(ValueError, match="same numbers of features"):
        JoinedRows(ArraySource(X, Y), ArraySource(X[:, :1], Y))
    with pytest.raises(TypeError, match="progress must be a function of"):
        WatchedRows(ArraySource(X, Y), None)  # type: ignore[arg-type]


def test_repr_shows_no_data() -> None:
    assert repr(WithoutRows(ArraySource(X, Y), [1])) == "WithoutRows(rows=11, features=2, outputs=1)"
    assert repr(JoinedRows(ArraySource(X, Y))) == "JoinedRows(rows=12, features=2, outputs=1)"
