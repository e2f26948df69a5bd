"""Checking a store: the file, the chain, and that the log agrees with everything it speaks of."""

from __future__ import annotations

from collections.abc import Iterator

from certified.certificates.certificate import Certificate, CertificateFormatError
from certified.certificates.commitment import rows_commitment
from certified.estimators.saved_model import loads
from certified.ledger.chain import Head, first_bad_index
from certified.ledger.database import DAY, Database, StoreDamagedError
from certified.ledger.records import Record, RecordFormatError
from certified.service.contents import content_digest, read_rows, row_tags, row_tree, tags_digest
from certified.verification.report import Check, VerificationReport


def verify(database: Database, earlier: Head | None) -> VerificationReport:
    """Return every check of a store; errors of damaged content become failed checks (claim T18)."""
    damage = database.damage()
    checks = [Check("file", damage is None, damage or "SQLite finds the file consistent")]
    try:
        with database.snapshot():
            checks += _checks(database, earlier)
    except (StoreDamagedError, RecordFormatError) as error:
        checks.append(Check("content", False, str(error)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        checks.append(Check("content", False, "the store holds values that it never writes"))
    return VerificationReport(tuple(checks))


def _checks(database: Database, earlier: Head | None) -> Iterator[Check]:
    bad = first_bad_index(database.entries())
    yield Check("chain", bad is None, "every record follows from the one before" if bad is None else _first(bad))
    yield _continues(database, earlier)
    if bad is not None:
        return
    records = [Record.decode(body) for _, body, _ in database.entries()]
    wrong = next((record.number for index, record in enumerate(records) if record.number != index), None)
    count = f"{len(records)} records"
    yield Check("records", wrong is None and bool(records), count if wrong is None else _first(wrong))
    yield _settings(database, records)
    yield _clock(records)
    yield _requests(database, records)
    yield _certificates(database, records)
    yield _state(database, records)


def _continues(database: Database, earlier: Head | None) -> Check:
    if earlier is None:
        return Check("earlier_head", None, "no head given: a log rewritten as a whole would not be noticed")
    if earlier.store != database.get("store"):
        return Check("earlier_head", False, "the head is that of another store")
    bad = first_bad_index(database.entries(), earlier)
    if bad is None:
        return Check("earlier_head", True, f"the log continues the one of {earlier.size} records")
    return Check("earlier_head", False, f"the log is not the one of {earlier.size} records: {_first(bad)}")


def _clock(records: list[Record]) -> Check:
    back = [record.number for record in records if record.clock_back > 0.0]
    if not back:
        return Check("clock", True, "the clock never went back")
    times = f"{len(back)} time(s), first at record {back[0]}"
    return Check("clock", True, f"the clock went back {times}; the order is that of the numbers")


def _settings(database: Database, records: list[Record]) -> Check:
    """What the store goes by is what the log says: its name, its deadline, and whether a compaction is due."""
    first = records[0].content
    due = 0
    for record in records:
        if record.kind == "release":
            due = record.number
        elif record.kind == "compact" and record.content["through"] >= due:
            due = 0
    expected = (first["store"], first["deadline_days"] * DAY, first["batch_days"] * DAY, due)
    agree = tuple(database.get(name) for name in ("store", "deadline", "batch_window", "compaction_due")) == expected
    return Check("settings", agree, "those of the log" if agree else "they differ from what the log says of them")


def _requests(database: Database, records: list[Record]) -> Check:
    """Every request in the log is pending with its rows, or done by the release that says so."""
    done: dict[int, int] = {}
    asked: dict[int, tuple[float, float, int]] = {}
    for record in records:
        if record.kind == "request":
            asked[record.content["request"]] = (record.time, record.content["due"], record.content["rows"])
        elif record.kind == "release":
            done |= dict.fromkeys(record.content["requests"], record.content["release"])
    table = set(database.rows("SELECT number, received, due, rows, release FROM requests"))
    agree = table == {(number, *facts, done.get(number)) for number, facts in asked.items()}
    claims = {number for (number,) in database.rows("SELECT DISTINCT request FROM claims")}
    orphan = database.one("SELECT 1 FROM claims WHERE name NOT IN (SELECT name FROM rows)")
    agree = agree and claims == asked.keys() - done.keys() and orphan is None
    counts = f"{len(asked)} requests, {len(asked) - len(done)} pending"
    return Check("requests", agree, counts if agree else "the requests differ from what the log says of them")


def _certificates(database: Database, records: list[Record]) -> Check:
    logged = {r.content["release"]: r.content["certificate"] for r in records if r.kind in ("init", "release")}
    stored: dict[int, str] = {}
    for release, body in database.rows("SELECT release, body FROM certificates"):
        try:
            stored[release] = Certificate.from_json(body.decode()).to_dict()["digest"]
        except (CertificateFormatError, UnicodeDecodeError, AttributeError):
            return Check("certificates", False, f"the certificate of release {release} was altered")
    agree = stored == logged
    return Check("certificates", agree, f"{len(stored)} certificates" if agree else "not those that the log names")


def _state(database: Database, records: list[Record]) -> Check:
    """The secret state is that of the last release, and the rows are those that its certificate commits to."""
    last = [record.content for record in records if record.kind in ("init", "release")][-1]
    content = database.read_state()
    if content_digest(content) != last["state"]:
        return Check("state", False, "the model is not the one of the last release in the log")
    core = loads(content)
    assert core.facts is not None
    rows = read_rows(database, core.fitted["n_features"])
    salt, nonce = (bytes.fromhex(core.facts[name]) for name in ("salt", "nonce"))
    digests = rows.digests(salt)
    same_rows = rows_commitment(nonce, digests) == core.facts["certificate"]["rows_commitment"]
    same_names = tags_digest(nonce, row_tags(rows, salt)) == last["names"]
    tree_salt = database.get("row_salt")
    same_root = tree_salt is None or row_tree(digests, tree_salt).root == last["rows_root"]
    agree = same_rows and same_names and same_root and len(digests) == last["remaining"]
    return Check("state", agree, f"{len(digests)} rows in force" if agree else "the rows differ from the model's")


def _first(index: int) -> str:
    return f"the first bad record is number {index}"
