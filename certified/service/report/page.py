"""The page as a whole: one file that loads nothing and needs no script."""

from __future__ import annotations

from certified.service.report import assurance, headline, history
from certified.service.report.facts import Facts
from certified.service.report.markup import Markup, element
from certified.service.report.numbers import instant
from certified.service.report.style import style

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Should anything ever slip through unescaped, the browser is told not to run or load it."""
_CONTENTS = (
    ("summary", "Summary"),
    ("requests", "Requests"),
    ("releases", "Releases"),
    ("certificates", "Certificates"),
    ("guarantee", "Guarantee"),
    ("checks", "Verification"),
    ("law", "Law"),
    ("provenance", "Provenance"),
)


def to_html(facts: Facts) -> str:
    """Return the page: valid on its own, in light and dark, on screens and on paper (claims T16, T18).

    Whatever comes from the store is escaped.
    """
    title = f"Deletion report: {facts.title}"
    links = (element("li", element("a", name, href=f"#{key}")) for key, name in _CONTENTS)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(style())),
    )
    body = element(
        "body",
        element("a", "Skip to the report", href="#summary", class_="skip"),
        element(
            "header",
            element("h1", title),
            element("p", "As of ", instant(facts.made), " UTC", class_="quiet"),
            headline.kind(facts),
            element("nav", element("ul", *links), aria_label="Sections"),
        ),
        element(
            "main",
            headline.headline(facts),
            history.requests(facts),
            history.releases(facts),
            history.certificates(facts),
            assurance.guarantee(facts),
            assurance.checks(facts),
            assurance.law(facts),
            assurance.provenance(facts),
        ),
        element("footer", f"certified-removal {facts.library_version}. Not legal advice."),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"
