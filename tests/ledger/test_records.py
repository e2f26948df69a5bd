from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.ledger.records import Record, RecordFormatError, canonical, names_commitment

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: _encodes(value))


def _encodes(value: object) -> bool:
    try:
        canonical(value)
    except UnicodeEncodeError:
        return False
    return True


@given(st.dictionaries(st.text(max_size=4).filter(_encodes), VALUES, max_size=4), st.floats(0.0, 1e10))
def test_a_record_is_read_as_it_was_written(content: dict[str, object], time: float) -> None:
    record = Record(3, time, 0.0, "request", content)
    assert Record.decode(record.encode()) == record
    assert Record.decode(record.encode()).encode() == record.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"clock_back":0.0,"content":{},"kind":"a","number":0}',
        b'{"clock_back":0.0,"content":{},"kind":"a","number":0,"time":0.0,"x":1}',
        b'{"clock_back":0.0,"content":{},"kind":"a","number":0,"time":0.0} ',
        b'{"content":{},"clock_back":0.0,"kind":"a","number":0,"time":0.0}',
        b'{"clock_back":0.0,"content":{},"kind":"a","number":true,"time":0.0}',
        b'{"clock_back":0.0,"content":{},"kind":"a","number":0,"time":0}',
        b'{"clock_back":0.0,"content":{},"kind":"a","kind":"a","number":0,"time":0.0}',
    ],
)
def test_only_the_canonical_form_is_a_record(body: bytes) -> None:
    with pytest.raises(RecordFormatError, match="canonical"):
        Record.decode(body)


def test_a_commitment_opens_with_its_nonce_only() -> None:
    nonce, names = bytes(range(32)), {"ids": [3, "é"]}
    text = '{"ids":[3,"é"]}'.encode()
    assert names_commitment(nonce, names) == hmac.digest(nonce, b"certified-removal names\0" + text, "sha256").hex()
    assert names_commitment(nonce, {"ids": ["3", "é"]}) != names_commitment(nonce, names)
    assert names_commitment(bytes(32), names) != names_commitment(nonce, names)
    assert hashlib.sha256(text).hexdigest() != names_commitment(nonce, names)
