from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from certified.service.report.markup import Markup, element, join
from tests.service.report.conftest import Page


@given(st.text(), st.text())
def test_whatever_is_said_stays_text(words: str, value: str) -> None:
    source = element("p", words, title=value)
    assert html.unescape(source.removeprefix(f'<p title="{html.escape(value)}">').removesuffix("</p>")) == words
    assert source.count("<") == 2 and source.count(">") == 2 and source.count('"') == 2


def test_markup_is_not_escaped_again_and_text_beside_it_is() -> None:
    assert element("p", element("b", "1 < 2"), " & ", 3) == "<p><b>1 &lt; 2</b> &amp; 3</p>"
    assert join(["<", Markup("<br>")]) == "&lt;<br>"


def test_attributes() -> None:
    assert element("meta", http_equiv="X", class_=None, name="a") == '<meta http-equiv="X" name="a">'


def test_a_joined_string_is_text_again() -> None:
    assert element("p", element("b", "x") + "<") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;</p>"  # Only `join` keeps markup.


def test_the_reader_of_pages_objects() -> None:
    for broken in ("<p>", "<b><i></b></i>", "<p/>", '<p a="1" a="2"></p>'):
        try:
            Page(broken)
        except AssertionError:
            continue
        raise AssertionError(f"accepted {broken}")
