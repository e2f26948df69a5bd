"""The parts that every section is built from: headings, tables that scroll, figures with captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from certified.service.report.markup import Markup, element, join


def section(key: str, heading: str, *content: Markup) -> Markup:
    """Return a section that its heading names."""
    return element(
        "section", element("h2", heading, id=f"{key}-heading"), *content, id=key, aria_labelledby=f"{key}-heading"
    )


def paragraph(*content: str | float, style: str | None = None) -> Markup:
    """Return a paragraph."""
    return element("p", *content, class_=style)


def bullets(items: Iterable[str]) -> Markup:
    """Return a list."""
    return element("ul", *(element("li", item) for item in items))


def tiles(entries: Iterable[tuple[str, str, bool]]) -> Markup:
    """Return names with values, at a glance; True marks one that needs attention."""
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value), class_="failed" if bad else None)
          for name, value, bad in entries),
        class_="tiles",
    )  # fmt: skip


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str | float]], *, numbers: Iterable[int] = (),
    digests: Iterable[int] = (), failed: Iterable[int] = (), wide: bool = False,
) -> Markup:  # fmt: skip
    """Return a table whose first column names its rows; it scrolls sideways where it does not fit.

    Args:
        caption: what it shows.
        head: names of the columns.
        rows: cells.
        numbers, digests: columns that hold numbers or digests.
        failed: rows that need attention.
        wide: whether it needs more room than a telephone has.
    """
    styles = {**dict.fromkeys(numbers, "number"), **dict.fromkeys(digests, "digest")}
    bad = set(failed)
    names = [element("th", name, scope="col", class_=styles.get(column)) for column, name in enumerate(head)]
    body = [
        element(
            "tr", *(_cell(cell, column, styles.get(column)) for column, cell in enumerate(row)),
            class_="failed" if index in bad else None,
        )
        for index, row in enumerate(rows)
    ]  # fmt: skip
    grid = element(
        "table", element("caption", caption), element("thead", element("tr", *names)), element("tbody", *body),
        class_="wide" if wide else None,
    )  # fmt: skip
    return scrolling(caption, grid)


def figure(caption: str, picture: Markup, numbers: Markup | None = None) -> Markup:
    """Return a picture with its caption and, below it, its numbers."""
    return element(
        "figure", scrolling(f"Chart: {caption}", picture), element("figcaption", caption), numbers or join([])
    )


def scrolling(name: str, content: Markup) -> Markup:
    """Return content in a frame that the keyboard can scroll."""
    return element("div", content, class_="scroll", role="region", aria_label=name, tabindex="0")


def _cell(content: str | float, column: int, style: str | None) -> Markup:
    if column == 0:
        return element("th", content, scope="row", class_=style)
    return element("td", content, class_=style)
