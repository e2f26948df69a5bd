from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from certified.ledger.database import DAY
from certified.service.report.facts import Facts, RequestFacts, Timing, month_after

moments = st.floats(0.0, 1e9)
requests = st.builds(
    RequestFacts,
    number=st.integers(1, 100),
    rows=st.integers(1, 5),
    received=moments,
    due=moments,
    done=st.none() | moments,
    release=st.just(1),
)


@given(st.lists(requests, max_size=30), moments)
def test_timing_agrees_with_counting(found: list[RequestFacts], now: float) -> None:
    timing = Timing.of(tuple(found), now)
    done = [r for r in found if r.done is not None]
    assert timing.received == len(found) == timing.done + timing.pending
    assert timing.done_late == len([r for r in done if r.done is not None and r.done > r.due])
    assert timing.overdue == len([r for r in found if r.done is None and now > r.due])
    taken = [r.done - r.received for r in done if r.done is not None]
    if taken:
        quantiles = np.quantile(taken, [0.5, 0.95, 1.0], method="inverted_cdf")
        assert [timing.median, timing.most, timing.longest] == quantiles.tolist()
    else:
        assert timing.median is timing.most is timing.longest is None
    assert timing.beyond_45_days == sum((now if r.done is None else r.done) > r.received + 45 * DAY for r in found)


def test_a_month_is_a_month_of_the_calendar() -> None:
    def after(*start: int) -> tuple[int, int, int]:
        found = datetime.fromtimestamp(month_after(datetime(*start, tzinfo=UTC).timestamp()), UTC)  # type: ignore[misc]
        return found.year, found.month, found.day

    assert after(2026, 1, 15) == (2026, 2, 15)
    assert after(2026, 1, 31) == (2026, 2, 28)
    assert after(2028, 1, 31) == (2028, 2, 29)
    assert after(2026, 12, 31) == (2027, 1, 31)


def test_a_month_late_is_counted(facts: Facts) -> None:
    assert (facts.timing.beyond_month, facts.timing.beyond_45_days) == (1, 0)  # 31 days of December are one month.
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for days, late in ((31.0, 0), (31.1, 1)):
        request = RequestFacts(1, 1, start, start, start + days * DAY, 1)
        assert Timing.of((request,), start).beyond_month == late


def test_the_latest_are_kept(facts: Facts) -> None:
    assert [r["number"] for r in facts.to_dict(1)["requests"]] == [4]
    assert [r["number"] for r in facts.to_dict(1)["releases"]] == [3]
    assert len(facts.to_dict()["requests"]) == 4
