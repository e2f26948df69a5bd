from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.ledger.chain import GENESIS, Head, link
from certified.ledger.database import DAY
from certified.ledger.records import Record
from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon
from certified.service import DeletionStore
from certified.service.report import Facts, collect, to_html
from certified.service.report.collect import _History
from tests.service.conftest import IDS, SUBJECTS, Clock
from tests.service.report.conftest import Page


def test_figures_are_those_of_the_certificates(used: DeletionStore, facts: Facts) -> None:
    assert [release.number for release in facts.releases] == [1, 2, 3]
    for release in facts.releases:
        certificate, evidence = used.certificate(release.number), release.evidence
        assert evidence is not None
        said = certificate.to_dict()
        assert (release.event, release.removed, release.added) == (
            said["event"],
            said["removed_count"],
            said["added_count"],
        )
        assert (release.epsilon, release.delta, release.noise_std) == (
            said["epsilon"],
            said["delta"],
            said["noise_std"],
        )
        assert (evidence.digest, evidence.remaining, evidence.mu) == (
            said["digest"],
            said["remaining_count"],
            said["mu"],
        )
        assert (evidence.distance_bound, evidence.distance_target) == (said["distance_bound"], said["distance_target"])
        assert (evidence.distance_claim, list(evidence.claims)) == (said["distance_claim"], said["claims"])
        assert evidence.mu_limit is not None and evidence.mu <= evidence.mu_limit
        assert gaussian_delta(release.epsilon, evidence.mu_limit, 1.0) <= release.delta
    last = used.certificate()
    assert facts.statement == last.statement()
    assert facts.spent_epsilon == gaussian_epsilon(last.delta, last.mu, 1.0) <= last.epsilon
    assert facts.best_test is not None and 0.5 <= facts.best_test < 0.75


def test_requests_are_those_of_the_log(facts: Facts, clock: Clock) -> None:
    timing = facts.timing
    assert (timing.received, timing.done, timing.pending, timing.done_late, timing.overdue) == (4, 3, 1, 1, 1)
    assert (timing.median, timing.most, timing.longest) == (2 * DAY, 40 * DAY, 40 * DAY)
    assert [(r.number, r.rows, r.release, r.late(clock.now)) for r in facts.requests] == [
        (1, 1, 2, False), (2, 2, 2, False), (3, 1, 3, True), (4, 2, None, True),
    ]  # fmt: skip
    assert [request.number for request in facts.overdue] == [4]
    assert facts.deadline_days == 30.0 and facts.traces is False and facts.checks.ok


def test_scores_are_there_where_they_were_recorded(used: DeletionStore, facts: Facts) -> None:
    scores = [release.evidence.score for release in facts.releases if release.evidence]
    logged = [record.content.get("score") for record in used.log() if record.kind in ("init", "release")]
    assert scores == logged and scores[0] is scores[2] is None and scores[1] is not None


def test_a_public_report_holds_nothing_measured(used: DeletionStore, public: Facts, facts: Facts) -> None:
    text = json.dumps(public.to_dict())
    for release in facts.releases:
        certificate = used.certificate(release.number)
        allowed = certificate.statement()
        hidden = {name: value for name, value in certificate.to_dict().items() if name not in allowed}
        for name in ("distance_bound", "distance_target", "mu", "gradient_residual", "curvature", "digest", "salt"):
            assert json.dumps(hidden[name]) not in text
        assert not {"remaining", "mu", "claims", "digest", "score", "distance_bound"} & release_keys(public)
    assert public.requests == public.overdue == public.refusals == ()
    assert public.spent_epsilon is public.best_test is None
    assert all(not check.detail for check in public.checks.checks)
    assert public.timing == facts.timing and public.checks.ok


def release_keys(facts: Facts) -> set[str]:
    return {key for release in facts.to_dict()["releases"] for key in release}


def test_a_head_kept_elsewhere_is_used(used: DeletionStore, clock: Clock) -> None:
    head = used.export_head()
    assert "continues the head that was kept elsewhere" in to_html(collect(used, earlier=head, now=clock.now))
    other = Head(head.store, head.size, "00" * 32)
    forged = collect(used, earlier=other, now=clock.now)
    assert [check.name for check in forged.checks.failures] == ["earlier_head"]


def test_refusals_and_clocks_that_go_back(store: DeletionStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    store.request_removal([IDS[0]])
    clock.now -= 7 * DAY
    with monkeypatch.context() as patch:
        patch.setattr("certified.service.held.Held.remove", refuse)
        with pytest.raises(ValueError, match="no"):
            store.process()
    store.process()
    facts = collect(store, now=clock.now)
    assert facts.refusals == ((clock.now, "ValueError"),) and facts.clock_back == 1
    assert facts.timing.longest == -7 * DAY
    page = Page(to_html(facts)).text
    assert "The model refused 1 attempt" in page and "went back 1 time" in page and "−7 days" in page


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("chain", "UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), '1', '2') AS BLOB) WHERE number = 1"),
        ("chain", "UPDATE ledger SET body = x'7b7d' WHERE number = 1"),
        ("read_log", "UPDATE ledger SET body = 'text' WHERE number = 1"),
        ("requests", "DELETE FROM requests WHERE number = 2"),
        ("certificates", "DELETE FROM certificates WHERE release = 1"),
        ("certificates", "DELETE FROM certificates"),
        ("certificates", "UPDATE certificates SET body = x'ff' WHERE release = 3"),
        ("read_certificate", "UPDATE certificates SET body = 7 WHERE release = 3"),
        ("state", "UPDATE state SET content = zeroblob(10)"),
        ("state", "DELETE FROM state"),
        ("content", "UPDATE state SET content = 7"),
        ("content", "DELETE FROM meta WHERE name = 'deadline'"),
        ("records", "DELETE FROM ledger"),
        ("read_head", "DELETE FROM meta WHERE name = 'store'"),
        ("read_status", "UPDATE ledger SET body = x'7b7d' WHERE number = (SELECT MAX(number) FROM ledger)"),
        ("read_status", "UPDATE requests SET received = 'soon', due = 'never' WHERE release IS NULL"),
    ],
)
@pytest.mark.parametrize("public", [False, True])
def test_damage_is_reported_and_the_page_is_written(
    used: DeletionStore, path: Path, clock: Clock, check: str, statement: str, public: bool
) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()
    facts = collect(used, public=public, now=clock.now)
    assert check in [failed.name for failed in facts.checks.failures], facts.checks
    page = Page(to_html(facts)).text
    assert "NOT verified" in page and check in page and "✓" not in page
    json.dumps(facts.to_dict(), allow_nan=False)


def test_a_verification_that_is_not_confirmed_is_never_called_verified(used: DeletionStore, clock: Clock) -> None:
    """A failed report is false, which must not make it count as none."""
    head = used.export_head()
    facts = collect(used, earlier=Head("another", head.size, head.digest), now=clock.now)
    assert {check.name for check in facts.checks.checks} > {"chain", "state"} and not facts.checks.ok


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
names = st.sampled_from(
    ["release", "remaining", "certificate", "requests", "score", "scored_rows", "request", "rows", "due", "error",
     "deadline_days", "store"]
)  # fmt: skip
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
records = st.builds(
    Record,
    number=st.integers(-5, 10**9),
    time=st.floats(allow_nan=False, allow_infinity=False),
    clock_back=st.floats(0.0, 1e9),
    kind=st.sampled_from(["init", "release", "request", "failed", "compact", "other"]),
    content=st.dictionaries(names, anything, max_size=12),
)


@given(st.lists(records, max_size=8))
def test_whatever_the_log_says_is_understood_or_counted(found: list[Record]) -> None:
    history = _History(found)
    assert all(type(request.number) is int and request.due >= 0.0 for request in history.requests)
    assert all(type(error) is str for _, error in history.refusals)
    assert len(history.problems) <= 1


def test_a_forged_log_with_an_intact_chain_is_read_as_text(used: DeletionStore, path: Path, clock: Clock) -> None:
    """Whoever can write the file can make a consistent log; what it says must still not become markup."""
    hostile = "<script>alert(1)</script>"
    bodies = [record.encode() for record in used.log()]
    bodies.append(Record(len(bodies), clock.now, 0.0, "failed", {"error": hostile}).encode())
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM ledger")
        previous = GENESIS
        for number, body in enumerate(bodies):
            previous = link(previous, body)
            connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (number, body, previous))
    connection.close()
    facts = collect(used, title=hostile, now=clock.now)
    source = to_html(facts)
    assert facts.refusals == ((clock.now, hostile),) and hostile not in source
    page = Page(source)
    assert page.text.count(hostile) >= 2 and "script" not in {tag for tag, _ in page.elements}


def test_no_secret_is_in_the_facts(used: DeletionStore, facts: Facts) -> None:
    text = json.dumps(facts.to_dict())
    assert not any(name in text for name in (*IDS, *SUBJECTS, "row-of-person", "subject-0"))
    for release in facts.releases:
        certificate = used.certificate(release.number)
        secrets = (certificate.salt, certificate.rows_commitment, certificate.weights_commitment)
        assert not any(secret in text for secret in secrets)
