"""HTML and SVG from plain values: whatever is not `Markup` already is escaped, wherever it came from."""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = frozenset({"br", "col", "meta"})
"""Elements that have no end tag."""


class Markup(str):
    """Text that is HTML already: made by `element`, never from what a store says."""

    __slots__ = ()


def element(tag: str, /, *children: str | float, **attributes: str | float | None) -> Markup:
    """Return one element; children and attribute values are escaped unless they are `Markup`.

    Attributes are named as in Python: ``class_`` is class, ``aria_label`` is aria-label; None leaves one out.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    shown = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{shown}>" if tag in VOID else f"<{tag}{shown}>{join(children)}</{tag}>")


def join(parts: Iterable[str | float], between: str = "") -> Markup:
    """Return the parts one after the other, escaped unless they are `Markup`.

    >>> join(["a & b", element("b", "c")], " ")
    'a &amp; b <b>c</b>'
    """
    return Markup(between.join(part if isinstance(part, Markup) else html.escape(str(part)) for part in parts))
