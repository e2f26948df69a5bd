"""What happened: requests over time, figures over releases, and the certificates."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence

from certified.service.report.charts import Series, described, drawable, line_chart
from certified.service.report.facts import Evidence, Facts, ReleaseFacts
from certified.service.report.layout import bullets, figure, paragraph, section, table
from certified.service.report.markup import Markup, element, join
from certified.service.report.numbers import about, at_least, at_most, count, exactly, instant, span
from certified.service.report.numbers import figure as number
from certified.service.report.timeline import FEW, timelines

SHOWN = 100
"""Certificates in the table."""
EMBEDDED = 1_000
"""Requests and releases in the data that the page carries."""
_NAMED = 200
"""Overdue requests that are named."""


def requests(facts: Facts) -> Markup:
    """Return the section on requests."""
    timing = facts.timing
    if not timing.received:
        return section("requests", "Requests", paragraph("No request has been recorded yet."))
    times = [("median", timing.median), ("95 % within", timing.most), ("longest", timing.longest)]
    rows = [(name, "—" if time is None else number(time, span(time))) for name, time in times]
    caption = f"Time from receipt to completion, over {count(timing.done, 'request')} done"
    content = [table(caption, ("figure", "time"), rows), _overdue(facts), _clock(facts)]
    if facts.requests:
        few = len(facts.requests) <= FEW
        words = (
            ["Each request from receipt to completion. The upright mark of each row is its deadline."]
            if few
            else [
                "Requests by the period in which they came, and what became of them.",
                "Time to completion by the period in which requests came: range and median. The dashed line is the "
                "deadline.",
            ]
        )
        pictures = timelines(facts.requests, facts.made)
        content += [figure(caption, picture) for caption, picture in zip(words, pictures, strict=True)]
    if facts.refusals:
        time, error = facts.refusals[-1]
        tries = count(len(facts.refusals), "attempt")
        words_ = [
            f"The model refused {tries}, last at ",
            instant(time),
            f" UTC ({error}). The requests stayed pending.",
        ]
        content.append(paragraph(*words_))
    return section("requests", "Requests", *content)


def releases(facts: Facts) -> Markup:
    """Return the section of charts over releases."""
    known = [(release, release.evidence) for release in facts.releases if release.evidence is not None]
    if facts.public:
        hidden = (
            "Distance bounds, μ, rows in force and held-out scores are measured on rows: they are in the full report."
        )
        return section("releases", "Releases", paragraph(hidden))
    if not known:
        return section("releases", "Releases", paragraph("No certificate can be read."))
    evidence = [found for _, found in known]
    numbers = [release.number for release, _ in known]
    return section(
        "releases", "Releases",
        element("h3", "Distance from exact retraining"), _distance(numbers, evidence),
        element("h3", "Budget spent"), _budget(facts, numbers, evidence),
        element("h3", "Rows in force"), _rows(numbers, evidence),
        element("h3", "Held-out score of the released model"), _score(numbers, evidence),
    )  # fmt: skip


def certificates(facts: Facts) -> Markup:
    """Return the section with the latest certificates, and the data of the page as a download."""
    if not facts.releases:
        return section("certificates", "Certificates", paragraph("No certificate can be read."), _download(facts))
    latest = facts.releases[: -SHOWN - 1 : -1]
    which = "All" if len(latest) == len(facts.releases) else f"The latest {len(latest):,} of"
    caption = f"{which} {count(len(facts.releases), 'certificate')}, newest first."
    first = facts.releases[0].number
    earlier = f" {count(first - 1, 'release')} came before the store took the model over." if first > 1 else ""
    head: tuple[str, ...] = ("release", "time (UTC)", "event", "rows out", "rows in")
    if facts.public:
        grid = table(
            caption + earlier, (*head, "ε", "δ", "σ"), [(*_plain(release), *_terms(release)) for release in latest],
            numbers=(3, 4, 5, 6, 7),
        )  # fmt: skip
    else:
        columns = (*head, "remaining", "requests", "bound", "claim", "ε", "δ", "digest")
        cells = [(*_plain(r), *_measured(r.evidence), *_terms(r)[:2], _digest(r.evidence)) for r in latest]
        grid = table(
            caption + earlier, columns, cells, numbers=(3, 4, 5, 6, 7, 9, 10), digests=(11,), wide=True
        )  # fmt: skip
    note = paragraph(
        "Bounds are rounded up. The certificates themselves hold salts, which this page does not show: the operator "
        "hands them to auditors with store publish --certificate, or with DeletionStore.certificate(release).",
        style="quiet",
    )
    return section("certificates", "Certificates", grid, note, _download(facts))


def _overdue(facts: Facts) -> Markup:
    if not facts.timing.overdue:
        return paragraph("No request is overdue.")
    if facts.public:
        return paragraph(element("strong", f"{count(facts.timing.overdue, 'request')} overdue."))
    names = ", ".join(f"#{request.number}" for request in facts.overdue[:_NAMED])
    more = f" and {len(facts.overdue) - _NAMED:,} more" if len(facts.overdue) > _NAMED else ""
    return paragraph(element("strong", f"{count(facts.timing.overdue, 'request')} overdue: "), f"{names}{more}.")


def _clock(facts: Facts) -> Markup:
    if not facts.clock_back:
        return join([])
    times = count(facts.clock_back, "time")
    return paragraph(
        f"The clock of the store went back {times}. Numbers give the order; times, durations and deadlines are only as "
        "right as the clock.",
        style="note",
    )


def _distance(numbers: Sequence[int], evidence: Sequence[Evidence]) -> Markup:
    bounds, targets = [found.distance_bound for found in evidence], [found.distance_target for found in evidence]
    caption = (
        "Certified bound on the distance of the noise-free weights from exact retraining, and the distance allowed."
    )
    lines = [Series("bound", "main", bounds), Series("allowed", "limit", targets)]
    return _chart("distance", caption, numbers, lines, "distance, units of the weights (log scale)", at_most)


def _budget(facts: Facts, numbers: Sequence[int], evidence: Sequence[Evidence]) -> Markup:
    delta = exactly(facts.releases[-1].delta)
    caption = f"Gaussian parameter μ composed over all releases so far, and the largest that ε allows at δ = {delta}."
    lines = [
        Series("μ spent", "main", [found.mu for found in evidence]),
        Series("μ allowed", "limit", [found.mu_limit for found in evidence]),
    ]
    words = []
    if facts.spent_epsilon is not None:
        spent, limit = at_most(facts.spent_epsilon), exactly(facts.releases[-1].epsilon)
        words.append(f"In ε: all releases together have spent at most {spent} of ε = {limit}, at δ = {delta}.")
    if facts.best_test is not None:
        words.append(
            "With both worlds equally likely, the best test that anybody can devise names the right one with "
            f"probability at most {at_most(facts.best_test, 6)}. One half is guessing."
        )
    picture = _chart("budget", caption, numbers, lines, "μ, a pure number (log scale)", at_most)
    return join([picture, bullets(words) if words else ""])


def _rows(numbers: Sequence[int], evidence: Sequence[Evidence]) -> Markup:
    caption = "Rows that the model rests on after each release."
    lines = [Series("rows in force", "main", [float(found.remaining) for found in evidence])]
    return _chart("rows", caption, numbers, lines, "rows", lambda value: f"{value:,.0f}", log=False)


def _score(numbers: Sequence[int], evidence: Sequence[Evidence]) -> Markup:
    scores = [found.score for found in evidence]
    scored = [found.scored_rows for found in evidence if found.score is not None and found.scored_rows is not None]
    if all(score is None for score in scores):
        return paragraph(
            "No held-out score was recorded. To have one with each release, process requests with ",
            element("code", "certified store process STORE --holdout DATA"),
            "; it is the accuracy or R² of the released model on rows that were never trained on.",
        )
    rows = f" on {min(scored):,} to {max(scored):,} rows" if scored and min(scored) < max(scored) else ""
    rows = f" on {count(scored[0], 'row')}" if scored and not rows else rows
    caption = f"Accuracy or R² of the released model, noise included,{rows or ' on rows'} that were never trained on."
    return _chart("score", caption, numbers, [Series("score", "main", scores)], "score", about, log=False)


def _chart(
    key: str,
    caption: str,
    numbers: Sequence[int],
    lines: Sequence[Series],
    axis: str,
    words: Callable[[float], str],
    *,
    log: bool = True,
) -> Markup:
    """The picture of some series, with first, least, greatest and last of each in a table."""
    given = [value for line in lines for value in line.values if value is not None]
    drawn = [value for value in given if drawable(value, log) is not None]
    if not drawn:
        return paragraph(f"{caption} Every value is zero or infinite: there is nothing to draw.")
    rows, shown = [], []
    for line in lines:
        present = [(value, release) for value, release in zip(line.values, numbers, strict=True) if value is not None]
        values, places = [value for value, _ in present], [release for _, release in present]
        rounded = at_least if line.style == "limit" else words
        if present:
            marks = described(values, places)
            rows.append((line.name, *(join([number(v, rounded(v)), f" (release {r:,})"]) for v, r in marks)))
            shown.append(f"{line.name}: last {rounded(values[-1])} at release {places[-1]}")
    table_ = table("In numbers", ("series", "first", "least", "greatest", "last"), rows)
    hidden = len(given) - len(drawn)
    note = f" {count(hidden, 'value')} at zero or infinity cannot be drawn." if hidden else ""
    picture = line_chart(key, caption, f"{'; '.join(shown)}.{note}", numbers, lines, axis=axis, log=log)
    return figure(caption + note, picture, table_)


def _plain(release: ReleaseFacts) -> tuple[str, ...]:
    """The cells that both reports have."""
    when = instant(release.time)
    return (f"{release.number:,}", when, release.event, f"{release.removed:,}", f"{release.added:,}")


def _terms(release: ReleaseFacts) -> tuple[str, str, str]:
    noise = number(release.noise_std, at_least(release.noise_std))
    return exactly(release.epsilon), exactly(release.delta), noise


def _measured(evidence: Evidence | None) -> tuple[str, ...]:
    if evidence is None:
        return ("", "", "", "")
    bound = number(evidence.distance_bound, at_most(evidence.distance_bound))
    return (f"{evidence.remaining:,}", f"{evidence.requests:,}", bound, evidence.distance_claim)


def _digest(evidence: Evidence | None) -> Markup:
    return element("code", "" if evidence is None else evidence.digest)


def _download(facts: Facts) -> Markup:
    """The figures of the page as a link that holds them."""
    text = json.dumps(facts.to_dict(EMBEDDED), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    address = "data:application/json;base64," + base64.b64encode(text.encode()).decode()
    limit = f"the latest {EMBEDDED:,} requests and releases" if _too_many(facts) else "all requests and releases"
    link = element("a", "The figures of this page as JSON", href=address, download="report.json")
    rest = f" ({limit}); the option --json prints all of them."
    return paragraph(link, rest, style="screen")


def _too_many(facts: Facts) -> bool:
    return max(len(facts.requests), len(facts.releases)) > EMBEDDED
