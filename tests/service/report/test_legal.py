from __future__ import annotations

import dataclasses
import re

import pytest

from certified.service.report import Facts, to_html
from certified.service.report.legal import provisions
from tests.service.report.conftest import Page

ASKED = (
    "Art. 5(1)(e)", "Art. 5(2)", "Art. 12(3)", "Art. 16", "Art. 17(1)", "Art. 17(3)", "Art. 19", "Art. 24 and 25",
    "Art. 30", "Art. 32", "§ 1798.105", "§ 1798.130", "§ 7022", "§ 7101",
)  # fmt: skip
PROMISES = re.compile(r"\b(complies|compliant|complying|satisf\w+|fulfil\w*|sufficient|guarantees compliance)\b", re.I)


@pytest.mark.parametrize("kind", ["facts", "public"])
def test_every_provision_has_a_figure_and_a_limit(kind: str, request: pytest.FixtureRequest) -> None:
    facts: Facts = request.getfixturevalue(kind)
    rows = provisions(facts)
    assert len(rows) == len(ASKED) and all(asked in row.where for asked, row in zip(ASKED, rows, strict=True))
    for row in rows:
        assert row.wording and row.figure and row.open
        assert not PROMISES.search(f"{row.figure} {row.open}"), row.where
    page = Page(to_html(facts)).text
    assert page.count("Not legal advice.") == 2 and "not that a law is met" in page


def test_figures_are_those_of_the_facts(facts: Facts) -> None:
    said = {row.where: row.figure for row in provisions(facts)}

    def figure(where: str) -> str:
        (found,) = [figure for name, figure in said.items() if where in name]
        return found

    assert "4 rows taken out since training, 20 in force." in figure("5(1)(e)")
    assert "longest 40 days; 1 done late, 1 overdue. 1 request took" in figure("12(3)")
    assert "0 requests took" in figure("1798.130")
    assert "3 requests done, 1 pending, 1 overdue." in figure("17(1)")
    assert "verification passed" in figure("5(2)") and "Requests are due 30 days after receipt." in figure("Art. 30")


def test_the_public_table_leaves_measured_figures_out(public: Facts) -> None:
    text = " ".join(row.figure for row in provisions(public))
    assert "in force" not in text and "from exact retraining" not in text and "(ε, δ)" in text


def test_nothing_is_claimed_where_nothing_can_be_read(facts: Facts) -> None:
    unread = dataclasses.replace(facts, statement=None, releases=(), head=None, traces=None, deadline_days=None)
    text = " ".join(row.figure for row in provisions(unread))
    assert "No certificate can be read." in text and "cannot be read; verification" in text and "unknown" in text
