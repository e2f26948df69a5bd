"""Line charts as inline SVG: styled by the page, described in words, readable from one point to many thousands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from certified.service.report.markup import Markup, element
from certified.service.report.scales import Scale, linear, logarithmic, thinned

WIDTH = 760.0
LEFT, RIGHT, TOP, BOTTOM = 94.0, 16.0, 48.0, 46.0
MOST_POINTS = 240
_DOTS = 60
"""With more points than this a line is drawn without dots."""


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        name: what the legend calls it.
        style: its class: "main" for what was measured, "limit" for what it must not exceed.
        values: one for each x; None where there is none.
    """

    name: str
    style: str
    values: Sequence[float | None]


def line_chart(
    key: str, title: str, summary: str, numbers: Sequence[int], lines: Sequence[Series], *, axis: str, log: bool
) -> Markup:
    """Draw lines over release numbers; on a logarithmic axis only positive finite values can be shown.

    Args:
        key: unique on the page; ids are made from it.
        title, summary: what the chart is, and what it shows, for whoever does not see it.
        numbers: release numbers.
        lines: what to draw.
        axis: quantity and unit of the upright axis.
        log: whether that axis is logarithmic.
    """
    height = 278.0
    series = [Series(line.name, line.style, [drawable(value, log) for value in line.values]) for line in lines]
    present = [value for line in series for value in line.values if value is not None]
    upright = (logarithmic if log else linear)(present, height - BOTTOM, TOP)
    along = linear(numbers, LEFT + 8.0, WIDTH - RIGHT - 8.0, whole=True, room=0.0)
    drawn = [part for line in series for part in _line(line, numbers, along, upright)]
    return framed(
        key, title, summary, height, [(line.name, line.style) for line in series],
        [*grid(along, upright, height), *drawn, *axis_names("release", axis, height)],
    )  # fmt: skip


def framed(
    key: str, title: str, summary: str, height: float, legend: Sequence[tuple[str, str]], content: Sequence[Markup]
) -> Markup:
    """Return an SVG with its title, description and legend."""
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", summary, id=f"{key}-desc"),
        *_legend(legend),
        *content,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def grid(along: Scale, upright: Scale | None, height: float, left: float = LEFT) -> list[Markup]:
    """Return ticks with their labels: lines across for the upright axis, marks below for the other."""
    parts = [rule(left, height - BOTTOM, WIDTH - RIGHT, height - BOTTOM, "axis")]
    for value, label in upright.ticks if upright else ():
        y = upright.at(value) if upright else 0.0
        parts += [rule(left, y, WIDTH - RIGHT, y, "grid"), text(left - 8.0, y + 4.0, label, "end")]
    for value, label in along.ticks:
        x = along.at(value)
        parts.append(rule(x, height - BOTTOM, x, height - BOTTOM + 5.0, "axis"))
        anchor = "start" if x < left + 30.0 else "end" if x > WIDTH - RIGHT - 30.0 else "middle"
        parts.append(text(x, height - BOTTOM + 19.0, label, anchor))
    return parts


def axis_names(along: str, upright: str, height: float) -> list[Markup]:
    """Return the names of both axes, with their units."""
    return [
        text((LEFT + WIDTH - RIGHT) / 2.0, height - 6.0, along, "middle", "name"),
        text(4.0, TOP - 12.0, upright, "start", "name"),
    ]


def rule(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=style)


def text(x: float, y: float, content: str, anchor: str, style: str | None = None) -> Markup:
    """Return words at a point."""
    return element("text", content, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_=style)


def dot(x: float, y: float, style: str, radius: float = 3.0) -> Markup:
    """Return a filled circle."""
    return element("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{radius:g}", class_=style)


def bar(x: float, y: float, width: float, height: float, style: str) -> Markup:
    """Return a filled rectangle."""
    return element("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", class_=style)


def _legend(entries: Sequence[tuple[str, str]]) -> list[Markup]:
    """Samples with names, above the plot."""
    parts: list[Markup] = []
    x = LEFT
    for name, style in entries:
        parts += [_sample(x, 12.0, style), text(x + 30.0, 16.0, name, "start")]
        x += 30.0 + 7.0 * len(name) + 18.0
    return parts


def _sample(x: float, y: float, style: str) -> Markup:
    if style.startswith("bar"):
        return bar(x, y - 5.0, 24.0, 10.0, style)
    if style.startswith("dot"):
        return dot(x + 12.0, y, style, 4.0)
    return rule(x, y, x + 24.0, y, style)


def _line(line: Series, numbers: Sequence[int], along: Scale, upright: Scale) -> list[Markup]:
    """One path, broken where there is no value, and dots where there is room for them."""
    indices = thinned(line.values, MOST_POINTS)
    points = [
        None if (value := line.values[index]) is None else (along.at(numbers[index]), upright.at(value))
        for index in indices
    ]
    moves, pen = [], "M"
    for point in points:
        if point is not None:
            moves.append(f"{pen}{point[0]:g} {point[1]:g}")
        pen = "M" if point is None else "L"
    shown = [point for point in points if point is not None]
    parts = [element("path", d="".join(moves), class_=line.style)]
    if line.style == "limit" and len(shown) == 1:
        parts.append(rule(LEFT, shown[0][1], WIDTH - RIGHT, shown[0][1], line.style))
    elif line.style != "limit" and len(shown) <= _DOTS:
        parts += [dot(x, y, f"dot-{line.style}") for x, y in shown]
    return parts


def drawable(value: float | None, log: bool) -> float | None:
    """Return what an axis can show, None for the rest: zero and infinity on a logarithmic one, and monstrous values.

    >>> drawable(0.0, log=True), drawable(0.0, log=False)
    (None, 0.0)
    """
    if value is None or not math.isfinite(value):
        return None
    return value if (1e-300 <= value <= 1e300 if log else abs(value) <= 1e12) else None


def described(values: Sequence[float], numbers: Sequence[int]) -> list[tuple[float, int]]:
    """Return first, least, greatest and last of a series with their releases: the chart in numbers.

    >>> described([2.0, 5.0, 1.0], [7, 8, 9])
    [(2.0, 7), (1.0, 9), (5.0, 8), (1.0, 9)]
    """
    least, greatest = (pick(range(len(values)), key=values.__getitem__) for pick in (min, max))
    return [(values[index], numbers[index]) for index in (0, least, greatest, len(values) - 1)]
