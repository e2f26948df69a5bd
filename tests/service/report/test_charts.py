from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.service.report.charts import MOST_POINTS, WIDTH, Series, described, line_chart
from certified.service.report.facts import RequestFacts
from certified.service.report.markup import Markup
from certified.service.report.timeline import FEW, state, timelines
from tests.service.report.conftest import Page


def check_picture(source: Markup) -> None:
    """Everything drawn is on the canvas, and no two labels of one axis overlap."""
    page = Page(source)
    (canvas,) = page.attributes("viewBox".lower())
    _, _, width, height = map(float, canvas.split())
    labels: dict[float, list[tuple[float, float]]] = {}
    texts = re.findall(r'<text x="([^"]+)" y="([^"]+)" text-anchor="(\w+)"[^>]*>([^<]*)<', source)
    assert texts
    for x, y, anchor, words in texts:
        size = 6.5 * len(words)
        left = float(x) - {"start": 0.0, "middle": size / 2, "end": size}[anchor]
        assert left >= -1.0 and left + size <= width + 1.0 and 0.0 < float(y) <= height, words
        labels.setdefault(float(y), []).append((left, left + size))
    for spans in labels.values():
        ordered = sorted(spans)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ordered)), ordered
    for name, limit in (("x", width), ("y", height), ("cx", width), ("cy", height), ("x2", width), ("y2", height)):
        assert all(-0.2 <= float(found) <= limit + 0.2 for found in re.findall(rf' {name}="([^"]+)"', source))
    for moves in re.findall(r' d="([^"]*)"', source):
        pairs = [tuple(map(float, pair.split())) for pair in re.split("[ML]", moves) if pair]
        assert all(0.0 <= x <= width and 0.0 <= y <= height for x, y in pairs)


def draw(values: list[float | None], limit: float, *, log: bool) -> Markup:
    numbers = list(range(1, len(values) + 1))
    lines = [Series("bound", "main", values), Series("allowed", "limit", [limit] * len(values))]
    return line_chart("key", "Title", "What it shows.", numbers, lines, axis="distance", log=log)


values = st.lists(st.none() | st.floats(0.0, 1e300) | st.just(math.inf), min_size=1, max_size=300)


@given(values, st.floats(1e-12, 1e3))
def test_whatever_is_drawn_is_on_the_canvas(found: list[float | None], limit: float) -> None:
    check_picture(draw(found, limit, log=True))
    check_picture(draw(found, limit, log=False))


@pytest.mark.parametrize("count", [1, 2, 13, 300, 10_000])
def test_from_one_release_to_thousands(count: int) -> None:
    picture = draw([1e-9 * (1 + index % 3) for index in range(count)], 1e-8, log=True)
    check_picture(picture)
    path = re.findall(r' d="([^"]*)"', picture)[0]
    assert len(re.split("[ML]", path)) <= MOST_POINTS + 4
    assert ("<circle" in picture) == (count <= 60)


def test_a_peak_is_drawn_however_many_releases_there_are() -> None:
    found: list[float | None] = [1e-9] * 9_999
    found[4_321] = 1e-2
    heights = re.findall(r"[ML][\d.]+ ([\d.]+)", re.findall(r' d="([^"]*)"', draw(found, 1e-1, log=True))[0])
    assert len({float(height) for height in heights}) == 2


def test_a_gap_breaks_the_line() -> None:
    path = re.findall(r' d="([^"]*)"', draw([1.0, None, 2.0, 3.0], 5.0, log=False))[0]
    assert path.count("M") == 2 and path.count("L") == 1


def test_described_names_the_extremes() -> None:
    assert described([3.0, 1.0, 2.0], [5, 6, 7]) == [(3.0, 5), (1.0, 6), (3.0, 5), (2.0, 7)]


moments = st.floats(0.0, 4e9)
asked = st.builds(
    RequestFacts, number=st.integers(1, 9_999), rows=st.just(1), received=moments, due=moments,
    done=st.none() | moments, release=st.none(),
)  # fmt: skip


@given(st.lists(asked, min_size=1, max_size=FEW + 40), moments)
def test_timelines_are_on_the_canvas(found: list[RequestFacts], now: float) -> None:
    pictures = timelines(found, now)
    assert len(pictures) == (1 if len(found) <= FEW else 2)
    for picture in pictures:
        check_picture(picture)
        assert f'viewBox="0 0 {WIDTH:g} ' in picture


@given(st.lists(asked, min_size=FEW + 1, max_size=FEW + 40), moments)
def test_every_request_is_in_the_bars(found: list[RequestFacts], now: float) -> None:
    words = Page(timelines(found, now)[0]).text
    for name in {state(request, now) for request in found}:
        assert f"{sum(state(request, now) == name for request in found):,} {name}" in words


def test_states() -> None:
    def asked_for(due: float, done: float | None) -> str:
        return state(RequestFacts(1, 1, 0.0, due, done, None), 10.0)

    assert (asked_for(5.0, 4.0), asked_for(5.0, 6.0)) == ("done in time", "done late")
    assert (asked_for(15.0, None), asked_for(5.0, None)) == ("pending", "overdue")
