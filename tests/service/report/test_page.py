from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import re
from typing import Any

import pytest

from certified.ledger.chain import Head
from certified.service import DeletionStore
from certified.service.report import Facts, collect, to_html
from certified.service.report.history import EMBEDDED, SHOWN
from certified.service.report.numbers import at_most
from certified.service.report.style import DARK, LIGHT
from certified.verification.report import Check, VerificationReport
from tests.service.conftest import IDS, SUBJECTS, Clock
from tests.service.report.conftest import Page

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'`&lt;]]>"


def check_structure(source: str) -> Page:
    """Well formed, self-contained, without script, and named for those who do not see it."""
    page = Page(source)
    tags = [tag for tag, _ in page.elements]
    assert source.startswith("<!doctype html>\n<html ") and tags.count("h1") == tags.count("main") == 1
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"} & set(tags)
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "src"
    ]
    ids = page.attributes("id")
    assert len(set(ids)) == len(ids)
    for address in page.attributes("href"):
        assert (address.startswith("#") and address[1:] in ids) or address.startswith("data:application/json;base64,")
    assert "://" not in source and "url(" not in source and "@import" not in source
    for names in page.attributes("aria-labelledby"):
        assert set(names.split()) <= set(ids)
    for tag, attributes in page.elements:
        if tag in ("section", "svg", "nav") or attributes.get("role") == "region":
            assert attributes.get("aria-labelledby") or attributes.get("aria-label")
        if tag == "svg":
            assert attributes["role"] == "img"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    assert tags.count("caption") == tags.count("table") and tags.count("figure") == tags.count("figcaption")
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    return page


def test_the_page_of_a_used_store(used: DeletionStore, facts: Facts) -> None:
    page = check_structure(to_html(facts))
    assert "4 requests came: 3 done (1 late), 1 pending, 1 overdue." in page.text
    assert "1 request overdue: #4." in page.text and "✓ Verified" in page.text
    assert "Full report, not for publication" in page.text and facts.head is not None
    assert page.text.count(facts.head.digest) == 2


def test_figures_on_the_page_are_those_of_the_certificates(used: DeletionStore, facts: Facts) -> None:
    source = to_html(facts)
    rows = Page(source).table("release")
    assert [row[0] for row in rows] == ["3", "2", "1"]
    for row in rows:
        said = used.certificate(int(row[0])).to_dict()
        shown = [said["event"], str(said["removed_count"]), str(said["added_count"]), str(said["remaining_count"])]
        assert row[2:6] == shown
        assert row[7:9] == [at_most(said["distance_bound"]), said["distance_claim"]] and row[11] == said["digest"]
        assert f'<data value="{said["distance_bound"]!r}">{at_most(said["distance_bound"])}</data>' in source
    last = used.certificate()
    assert f'<data value="{last.noise_std!r}">' in source and ", ".join(last.claims) in source


def test_the_download_holds_the_facts(facts: Facts) -> None:
    (address,) = [a for a in Page(to_html(facts)).attributes("href") if a.startswith("data:")]
    assert json.loads(base64.b64decode(address.partition(",")[2])) == json.loads(json.dumps(facts.to_dict()))


@pytest.mark.parametrize("kind", ["facts", "public"])
def test_no_secret_is_on_the_page(used: DeletionStore, kind: str, request: pytest.FixtureRequest) -> None:
    source = to_html(request.getfixturevalue(kind))
    downloads = re.findall(r"base64,([A-Za-z0-9+/=]+)", source)
    text = source + "".join(base64.b64decode(found).decode() for found in downloads)
    assert len(downloads) == 1
    assert not any(name in text for name in (*IDS, *SUBJECTS, "row-of-person", "subject-0"))
    bundle = used.audit_bundle()
    assert bundle.nonce is not None and bundle.nonce.hex() not in text
    assert not any(repr(float(weight)) in text for weight in (*bundle.weights.ravel(), *bundle.released.ravel()))
    for number in (1, 2, 3):
        certificate = used.certificate(number)
        hidden = [certificate.salt, certificate.rows_commitment, certificate.weights_commitment]
        measured = [certificate.distance_bound, certificate.distance_target, certificate.mu]
        assert not any(secret in text for secret in hidden)
        assert any(repr(figure) in text for figure in measured) == (kind == "facts")
        assert (certificate.to_dict()["digest"] in text) == (kind == "facts")


def test_the_public_page_says_so(public: Facts) -> None:
    page = check_structure(to_html(public))
    assert "Public report" in page.text and "not for publication" not in page.text
    assert "4 requests came" in page.text and "1 request overdue." in page.text and "#4" not in page.text
    assert "rows in force." not in page.text and "<svg" not in to_html(public)
    assert [len(row) for row in page.table("release")] == [8, 8, 8]


def test_an_untouched_store(store: DeletionStore, clock: Clock) -> None:
    for public in (False, True):
        page = check_structure(to_html(collect(store, public=public, now=clock.now)))
        assert "No request has been recorded yet." in page.text
    assert "process STORE --holdout DATA" in to_html(collect(store, now=clock.now))


def hostile(value: Any) -> Any:
    """The same facts, saying something else wherever they are text."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, Head | Check | VerificationReport) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    ):
        return dataclasses.replace(
            value, **{field.name: hostile(getattr(value, field.name)) for field in dataclasses.fields(value)}
        )
    return value


@pytest.mark.parametrize("kind", ["facts", "public"])
def test_text_from_the_store_stays_text(kind: str, request: pytest.FixtureRequest) -> None:
    facts = hostile(dataclasses.replace(request.getfixturevalue(kind), refusals=((0.0, "x"),)))
    page = check_structure(to_html(facts))
    assert page.text.count(HOSTILE) > 10
    plain = check_structure(to_html(request.getfixturevalue(kind)))
    same = [tag for tag, _ in plain.elements if tag not in ("p", "time", "strong")]
    assert [tag for tag, _ in page.elements if tag not in ("p", "time", "strong")] == same


def many(facts: Facts, number: int) -> Facts:
    """The same store after many requests and releases, with one bad release among them."""
    request, release = facts.requests[2], facts.releases[2]
    assert release.evidence is not None and request.done is not None
    day = 86_400.0
    releases = []
    for index in range(number):
        bound = 5e-8 if index == number // 3 else release.evidence.distance_bound * (1 + index % 7)
        evidence = dataclasses.replace(release.evidence, distance_bound=bound, score=0.9, scored_rows=10)
        releases.append(dataclasses.replace(release, number=index + 1, evidence=evidence))
    requests = tuple(
        dataclasses.replace(
            request, number=index + 1, received=index * day / 50, due=index * day / 50 + 30 * day,
            done=None if index % 5 == 0 else index * day / 50 + (index % 40) * day,
        )
        for index in range(number)
    )  # fmt: skip
    return dataclasses.replace(facts, requests=requests, releases=tuple(releases), made=number * day / 50 + 45 * day)


@pytest.mark.parametrize("number", [1, 2, 61, 10_000])
def test_one_request_or_ten_thousand(facts: Facts, number: int) -> None:
    source = to_html(many(facts, number))
    page = check_structure(source)
    assert len(source.encode()) < 5_000_000
    assert at_most(5e-8) in page.text  # Thinning keeps the worst.
    assert len(page.table("release")) == min(number, SHOWN)
    if number > EMBEDDED:
        assert f"the latest {EMBEDDED:,} requests and releases" in page.text


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("name", ["ink", "quiet", "main", "limit", "good", "late", "open", "bad"])
def test_colours_are_readable(theme: dict[str, str], name: str) -> None:
    """WCAG 2.1, 1.4.3 (AA): 4.5 to 1."""
    for ground in ("paper", "card"):
        bright, dim = sorted((luminance(theme[name]), luminance(theme[ground])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5
