"""A store with a history, its facts, and a reader of pages."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from certified.ledger.database import DAY
from certified.service import DeletionStore
from certified.service.report import Facts, collect
from certified.service.report.markup import VOID
from tests.service.conftest import IDS, SUBJECTS, Clock, X, Y


@pytest.fixture
def used(path: Path, clock: Clock) -> Iterator[DeletionStore]:
    """Four requests: two done in time, one done late, one overdue; two releases after the first, one with a score."""
    with DeletionStore.open(path, clock=clock) as store:
        store.request_removal([IDS[0]])
        clock.now += DAY
        store.request_removal(subjects=[SUBJECTS[3]])
        clock.now += DAY
        store.process(holdout=(X, Y))
        store.request_removal([IDS[1]])
        clock.now += 40 * DAY
        store.process()
        store.request_removal([IDS[10], IDS[11]])
        clock.now += 31 * DAY
        yield store


@pytest.fixture
def facts(used: DeletionStore, clock: Clock) -> Facts:
    return collect(used, title="risk.store", now=clock.now)


@pytest.fixture
def public(used: DeletionStore, clock: Clock) -> Facts:
    return collect(used, title="risk.store", public=True, now=clock.now)


class Page(HTMLParser):
    """A page taken apart; what is not well formed is an error."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(source)
        self.close()
        assert not self._open, f"left open: {self._open}"

    @property
    def text(self) -> str:
        return "".join(self.words)

    def attributes(self, name: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(name)) is not None]

    def table(self, first: str) -> list[list[str]]:
        """The rows of the table whose first column is so called."""
        (found,) = [table for table in self.tables if table[0][0] == first]
        return found[1:]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"{tag} closes itself")

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.words.append(data)
        if self.tables and {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data
