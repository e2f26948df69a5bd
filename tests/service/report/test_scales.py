from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.service.report.scales import Scale, calendar, linear, logarithmic, thinned

finite = st.floats(-1e12, 1e12)
positive = st.floats(1e-300, 1e300)
times = st.floats(0.0, 2.5e11)


def check(scale: Scale, values: list[float]) -> None:
    """Everything lies on the axis, in its order, and ticks are few, distinct and where they say."""
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places) and scale.start - 0.1 <= places[0] <= places[-1] <= scale.end + 0.1
    labels = [label for _, label in scale.ticks]
    assert len(set(labels)) == len(labels) <= 12
    assert all(scale.start - 0.1 <= scale.at(mark) <= scale.end + 0.1 for mark, _ in scale.ticks)


@given(st.lists(finite, min_size=1, max_size=20))
def test_linear_axes(values: list[float]) -> None:
    scale = linear(values, 0.0, 1000.0)
    check(scale, values)
    assert len(scale.ticks) >= 2


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=20))
def test_axes_of_whole_numbers(values: list[int]) -> None:
    scale = linear(values, 0.0, 1000.0, whole=True, room=0.0)
    check(scale, [float(value) for value in values])
    assert all("." not in label and mark == int(mark) for mark, label in scale.ticks)
    assert scale.ticks


@given(st.lists(positive, min_size=1, max_size=20))
def test_logarithmic_axes(values: list[float]) -> None:
    scale = logarithmic(values, 0.0, 1000.0)
    check(scale, values)
    assert len(scale.ticks) >= 2


@given(st.lists(times, min_size=1, max_size=20))
def test_axes_of_time(values: list[float]) -> None:
    scale = calendar(values, 0.0, 1000.0)
    check(scale, values)


def test_hours_and_seconds() -> None:
    assert [label for _, label in calendar([0.0, 30.0], 0.0, 1.0).ticks][:2] == ["00:00:00", "00:00:05"]
    assert [label for _, label in calendar([0.0, 60000.0], 0.0, 1.0).ticks][:2] == ["01-01 00:00", "01-01 03:00"]


@given(st.lists(st.none() | finite, max_size=2000), st.integers(2, 100))
def test_thinning_keeps_the_extremes_and_the_ends(values: list[float | None], most: int) -> None:
    kept = thinned(values, most)
    assert kept == sorted(set(kept)) and len(kept) <= max(most + 3, 0)
    present = [value for value in values if value is not None]
    if present:
        shown = [found for index in kept if (found := values[index]) is not None]
        assert (min(shown), max(shown)) == (min(present), max(present))
        assert {0, len(values) - 1} <= set(kept)


@pytest.mark.parametrize("most", [2, 10])
def test_few_are_not_thinned(most: int) -> None:
    assert thinned([1.0, None], most) == [0, 1]
