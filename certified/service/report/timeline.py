"""Requests over time: one bar each while there are few, how many and how long in each period when there are many."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from certified.ledger.database import DAY
from certified.service.report.charts import LEFT, RIGHT, TOP, WIDTH, axis_names, bar, dot, framed, grid, rule, text
from certified.service.report.facts import RequestFacts
from certified.service.report.markup import Markup
from certified.service.report.numbers import count
from certified.service.report.scales import Scale, calendar, linear

FEW = 60
"""Up to so many requests get a bar each."""
_PERIODS = 48
_ROW = 13.0
_PANEL = 150.0
_UNITS = ((DAY, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_STYLES = {"done in time": "bar-done", "done late": "bar-late", "pending": "bar-open", "overdue": "bar-over"}


def timelines(requests: Sequence[RequestFacts], now: float) -> list[Markup]:
    """Return the pictures of at least one request, as of ``now``, seconds since 1970."""
    if len(requests) <= FEW:
        return [_bars(requests, now)]
    ends = [now if request.done is None else request.done for request in requests]
    along = calendar([request.received for request in requests] + ends, LEFT, WIDTH - RIGHT)
    width = (along.high - along.low) / _PERIODS
    periods: list[list[RequestFacts]] = [[] for _ in range(_PERIODS)]
    for request in requests:
        periods[min(_PERIODS - 1, int((request.received - along.low) / width))].append(request)
    return [_arrivals(periods, along, width, now), _durations(periods, along, width, now)]


def state(request: RequestFacts, now: float) -> str:
    """Return what became of a request, in the words of the legend."""
    if request.done is None:
        return "overdue" if request.late(now) else "pending"
    return "done late" if request.late(now) else "done in time"


def _bars(requests: Sequence[RequestFacts], now: float) -> Markup:
    """From receipt to completion, or to now where there is none, with the deadline as a mark."""
    height = TOP + _ROW * len(requests) + 56.0
    times = [time for r in requests for time in (r.received, r.due, now if r.done is None else r.done)]
    along = calendar(times, LEFT + 4.0, WIDTH - RIGHT - 4.0)
    content = grid(along, None, height)
    for index, request in enumerate(requests):
        y = TOP + _ROW * index
        found = state(request, now)
        start, end = sorted((along.at(request.received), along.at(now if request.done is None else request.done)))
        content.append(text(LEFT - 8.0, y + 9.0, f"#{request.number}", "end"))
        content.append(bar(start, y + 2.0, max(end - start, 3.0), 8.0, _STYLES[found]))
        due = along.at(request.due)
        content.append(rule(due, y + 0.5, due, y + 11.5, "deadline"))
    counts = Counter(state(request, now) for request in requests)
    legend = [*((name, style) for name, style in _STYLES.items() if name in counts), ("deadline", "deadline")]
    if counts["pending"] + counts["overdue"]:
        content.append(rule(along.at(now), TOP - 4.0, along.at(now), height - 46.0, "now"))
        legend.append(("now", "now"))
    content += axis_names("time (UTC)", "request", height)
    summary = f"{count(len(requests), 'request')}: {_listed(counts)}. One bar each."
    return framed("timeline", "Requests from receipt to completion", summary, height, legend, content)


def _arrivals(periods: Sequence[Sequence[RequestFacts]], along: Scale, width: float, now: float) -> Markup:
    """How many requests came in each period, stacked by what became of them."""
    height = TOP + _PANEL + 46.0
    upright = linear([0.0, *map(len, periods)], TOP + _PANEL, TOP, whole=True, room=0.0)
    content = grid(along, upright, height)
    for index, requests in enumerate(periods):
        counts, base = Counter(state(request, now) for request in requests), 0
        left, right = along.at(along.low + index * width), along.at(along.low + (index + 1) * width)
        for name, style in _STYLES.items():
            low, high = upright.at(base), upright.at(base + counts[name])
            base += counts[name]
            if counts[name]:
                content.append(bar(left + 0.5, high, right - left - 1.0, max(low - high, 1.0), style))
    content += axis_names("received (UTC)", "requests in each period", height)
    total = Counter(state(request, now) for requests in periods for request in requests)
    shown = [(name, style) for name, style in _STYLES.items() if name in total]
    return framed("arrivals", "Requests received over time", f"{_listed(total)}.", height, shown, content)


def _durations(periods: Sequence[Sequence[RequestFacts]], along: Scale, width: float, now: float) -> Markup:
    """How long the requests of each period took, or have been waiting: range and median, against the deadline."""
    height = TOP + _PANEL + 46.0
    taken = [[((now if r.done is None else r.done) - r.received) for r in requests] for requests in periods]
    allowed = [r.due - r.received for requests in periods for r in requests]
    longest = max(*(abs(time) for times in taken for time in times), *allowed)
    unit, name = next(((unit, name) for unit, name in _UNITS if longest >= unit), _UNITS[-1])
    upright = linear([0.0, *(t / unit for times in taken for t in times), max(allowed) / unit], TOP + _PANEL, TOP)
    content = grid(along, upright, height)
    for index, times in enumerate(taken):
        if times:
            x = along.at(along.low + (index + 0.5) * width)
            content.append(rule(x, upright.at(min(times) / unit), x, upright.at(max(times) / unit), "range"))
            content.append(dot(x, upright.at(statistics.median(times) / unit), "dot-main"))
    for limit in {min(allowed), max(allowed)}:
        y = upright.at(limit / unit)
        content.append(rule(LEFT, y, WIDTH - RIGHT, y, "limit"))
    content += axis_names("received (UTC)", f"{name} until done, or until now", height)
    summary = "Shortest, median and longest time of the requests received in each period; pending ones count until now."
    legend = [("range", "range"), ("median", "dot-main"), ("deadline", "limit")]
    return framed("durations", "Time to completion over time", summary, height, legend, content)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in _STYLES if counts[name])
