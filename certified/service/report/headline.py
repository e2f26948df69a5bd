"""The top of the page: whether the store verifies, what was asked, what is guaranteed, in two minutes."""

from __future__ import annotations

from certified.service.report.facts import Facts
from certified.service.report.layout import paragraph, section, tiles
from certified.service.report.markup import Markup, element, join
from certified.service.report.numbers import at_least, at_most, count, exactly, figure, instant, span


def kind(facts: Facts) -> Markup:
    """Return which of the two reports this is, and for whom."""
    if facts.public:
        return paragraph(
            element("strong", "Public report. "),
            "Of each certificate it holds only the settings that are true whatever the rows are (the certificate’s "
            "statement), of the requests only how many there were and how long they took. Whether these may be "
            "published is for the controller to decide.",
            style="kind",
        )
    return paragraph(
        element("strong", "Full report, not for publication. "),
        "Measured figures (distance bound, μ, rows in force, held-out score) and digests are evidence for engineers, "
        "data-protection officers and auditors. The guarantee covers the released weights, not a publication of these "
        "figures; the option --public leaves them out.",
        style="kind",
    )


def headline(facts: Facts) -> Markup:
    """Return the summary."""
    timing = facts.timing
    asked = (
        "No request has been recorded yet."
        if not timing.received
        else f"{count(timing.received, 'request')} came: {timing.done:,} done ({_none(timing.done_late)} late), "
        f"{_none(timing.pending)} pending, {_none(timing.overdue)} overdue."
    )
    return section(
        "summary", "Summary", _verdict(facts), paragraph(asked, style="lead"), _guarantee(facts), _tiles(facts)
    )


def _verdict(facts: Facts) -> Markup:
    failed = list(dict.fromkeys(check.name for check in facts.checks.failures))
    if failed:
        names = ", ".join(failed)
        return paragraph(
            f"✗ NOT verified. Failed: {names}. Figures below are what could be read, and are not to be relied on.",
            style="verdict failed",
        )
    kept = any(check.name == "earlier_head" and check.passed for check in facts.checks.checks)
    more = (
        "the log continues the head that was kept elsewhere."
        if kept
        else "no head kept elsewhere was given, so a log rewritten as a whole would not have been noticed."
    )
    return paragraph(f"✓ Verified: file, chain, requests, certificates and model agree; {more}", style="verdict")


def _guarantee(facts: Facts) -> Markup:
    if facts.statement is None or not facts.releases:
        return paragraph("No certificate can be read, so nothing is stated about the guarantee in force.")
    last = facts.releases[-1]
    parts = [
        "The guarantee in force: ",
        element("strong", f"(ε, δ) = ({exactly(last.epsilon)}, {exactly(last.delta)})"),
        f" over {_releases(last.number)}, with Gaussian noise of σ = ",
        figure(last.noise_std, at_least(last.noise_std)),
        " on every weight. ",
    ]
    if last.evidence is not None:
        parts += [
            "The noise-free weights are at most ",
            figure(last.evidence.distance_bound, at_most(last.evidence.distance_bound)),
            f" (Euclidean norm over all weights) from exact retraining on the {count(last.evidence.remaining, 'row')} "
            f"in force. It rests on the claims {', '.join(last.evidence.claims)}.",
        ]
    warning = ""
    if facts.statement["noise"] != "rounded_gaussian":
        warning = paragraph(
            element("strong", "For experiments only: "),
            "the noise of the last release came from a seeded generator, so the guarantee speaks of an idealisation of "
            "it.",
            style="note",
        )
    return join([paragraph(*parts), warning])


def _tiles(facts: Facts) -> Markup:
    timing = facts.timing
    chain = next((check.passed for check in facts.checks.checks if check.name == "chain"), None)
    traces = {None: "unknown", False: "none left", True: "may be left: run store compact"}[facts.traces]
    entries: list[tuple[str, str, bool]] = [
        ("Requests done", f"{timing.done:,} of {timing.received:,}", False),
        ("Pending", f"{timing.pending:,}", False),
        ("Overdue", f"{timing.overdue:,}", timing.overdue > 0),
        ("Done late", f"{timing.done_late:,}", timing.done_late > 0),
        ("Median time", "—" if timing.median is None else span(timing.median), False),
        ("Log chain", {None: "not checked", True: "intact", False: "BROKEN"}[chain], chain is False),
        ("Traces of deleted rows", traces, facts.traces is not False),
    ]
    if facts.since is not None:
        entries.append(("First record (UTC)", instant(facts.since), False))
    if facts.head is not None:
        entries.append(("Log", count(facts.head.size, "record"), False))
    return join([tiles(entries), _head(facts)])


def _head(facts: Facts) -> Markup:
    if facts.head is None:
        return join([])
    return paragraph("Head of the log: ", element("code", str(facts.head.digest)))


def _none(number: int) -> str:
    return f"{number:,}" if number else "none"


def _releases(number: int) -> str:
    return "1 release" if number == 1 else f"all {number:,} releases together"
