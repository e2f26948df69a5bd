"""The chain against what happens to stored logs: single bytes, lost and moved records, logs rewritten as a whole."""

from __future__ import annotations

import hashlib
import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.ledger.chain import GENESIS, Head, HeadFormatError, first_bad_index, link
from certified.ledger.records import Record, names_commitment

Entries = list[tuple[int, bytes, bytes]]


def chained(bodies: list[bytes]) -> Entries:
    entries, previous = [], GENESIS
    for number, body in enumerate(bodies):
        previous = link(previous, body)
        entries.append((number, body, previous))
    return entries


def records(count: int) -> list[bytes]:
    return [
        Record(n, 1e9 + n, 0.0, "request", {"request": n, "names": names_commitment(b"x", [n])}).encode()
        for n in range(count)
    ]


def head(entries: Entries, size: int) -> Head:
    return Head("s", size, entries[size - 1][2].hex())


def test_a_link_is_the_hash_of_everything_before() -> None:
    digest = bytes(32)
    for body in (b"one", b"two"):
        digest = hashlib.sha256(b"certified-removal ledger/1\0" + digest + body).digest()
    assert chained([b"one", b"two"])[1][2] == digest


def test_every_changed_byte_is_found_where_it_is() -> None:
    """12,000 changes of one byte in bodies and links, each found at the record it was made in."""
    entries, rng = chained(records(60)), random.Random(7)
    for _ in range(12_000):
        index = rng.randrange(len(entries))
        part = rng.choice((1, 2))
        content = bytearray(entries[index][part])
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        changed = list(entries[index])
        changed[part] = bytes(content)
        altered = [*entries[:index], (changed[0], changed[1], changed[2]), *entries[index + 1 :]]
        assert first_bad_index(altered) == index  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=20), min_size=2, max_size=12), st.data())
def test_lost_repeated_and_moved_records_are_found(bodies: list[bytes], data: st.DataObject) -> None:
    entries = chained(bodies)
    assert first_bad_index(entries) is None
    at = data.draw(st.integers(0, len(entries) - 2))
    assert first_bad_index(entries[:at] + entries[at + 1 :]) == at
    assert first_bad_index([*entries[: at + 1], entries[at], *entries[at + 1 :]]) == at + 1
    swapped = [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]
    assert first_bad_index(swapped) == at


@given(st.lists(st.binary(max_size=20), min_size=2, max_size=12), st.data())
def test_a_log_rewritten_as_a_whole_is_caught_by_an_earlier_head_alone(
    bodies: list[bytes], data: st.DataObject
) -> None:
    honest = chained(bodies)
    size = data.draw(st.integers(1, len(bodies)))
    changed = data.draw(st.integers(0, size - 1))
    rewritten = chained([*bodies[:changed], bodies[changed] + b"!", *bodies[changed + 1 :]])
    assert first_bad_index(rewritten) is None
    assert first_bad_index(rewritten, head(honest, size)) == size - 1
    assert first_bad_index(honest, head(honest, size)) is None
    assert first_bad_index(chained([*bodies, b"more"]), head(honest, size)) is None


def test_a_log_that_was_cut_is_caught_by_an_earlier_head_alone() -> None:
    entries = chained(records(5))
    assert first_bad_index(entries[:3]) is None
    assert first_bad_index(entries[:3], head(entries, 5)) == 3
    assert first_bad_index([], head(entries, 5)) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "certified-ledger-head/1", "store": "a", "size": 0}'])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(HeadFormatError, match="head"):
        Head.from_json(text)


def test_a_head_is_read_as_it_was_written() -> None:
    value = head(chained(records(3)), 2)
    assert Head.from_json(json.dumps({**value.to_dict(), "signature": "00"})) == value
    assert Head.from_json(value.message().decode()) == value


def check_long(count: int) -> float:
    entries = chained(records(count))
    kept = head(entries, count)
    start = time.perf_counter()
    assert first_bad_index(entries, kept) is None
    seconds = time.perf_counter() - start
    number, body, digest = entries[count - 2]
    entries[count - 2] = number, body + b" ", digest
    assert first_bad_index(entries) == count - 2
    return seconds


def test_a_long_log_is_checked_in_seconds() -> None:
    assert check_long(100_000) < 10.0


@pytest.mark.slow
def test_a_million_records_are_checked_in_a_minute() -> None:
    assert check_long(1_000_000) < 60.0
