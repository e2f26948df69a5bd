"""Records read strictly: what is not written exactly so is refused."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.certificates.record import CertificateFormatError, Record, read_json
from tests.sealing import sealed


@dataclass(frozen=True, kw_only=True)
class Note(Record):
    size: float
    words: tuple[str, ...]
    numbers: dict[str, Any]
    schema: str = field(default="note/1")


NOTE = Note(size=0.5, words=("a", "b"), numbers={"x": [1, 2.5]})


@given(st.floats(allow_nan=False), st.lists(st.text(max_size=5), max_size=3))
def test_values_survive(size: float, words: list[str]) -> None:
    note = Note(size=size, words=tuple(words), numbers={"size": 1e-300})
    read = Note.from_json(note.to_json())
    assert read == note and math.copysign(1.0, read.size) == math.copysign(1.0, size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NOTE.to_json().replace('"size":0.5', '"size":0.5,"size":0.5'), "field 'size' is there twice"),
        (NOTE.to_json().replace("[1,2.5]", '{"y":1,"y":2}'), "field 'y' is there twice"),
        (NOTE.to_json().replace("0.5", "NaN"), "NaN is no number of JSON"),
        (NOTE.to_json().replace("0.5", "-Infinity"), "-Infinity is no number of JSON"),
        (NOTE.to_json().replace("0.5", "1e999"), "not JSON"),
        (NOTE.to_json().replace("0.5", "0.25"), "the record was altered"),
        (NOTE.to_json().replace('"a"', '"\\ud800"'), "not JSON"),
        (NOTE.to_json().replace("2.5", "9" * 5000), "not JSON"),
        ("[" * 100_000, "not JSON"),
        (sealed(NOTE, size=1), "field 'size' must be of type float"),
        (sealed(NOTE, words=["a", 1]), "field 'words' must be of type"),
        (sealed(NOTE, words="ab"), "field 'words' must be of type"),
        (sealed(NOTE, numbers=[]), "field 'numbers' must be of type"),
        (sealed(NOTE, extra=1), "missing or unknown fields: extra"),
        (sealed(NOTE, schema="note/2"), "not a record of schema 'note/1'"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(CertificateFormatError, match=message):
        Note.from_json(text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(CertificateFormatError, match="no UTF-8 text"):
        Note.load(path)


def test_a_file_is_written_complete_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note.json"
    NOTE.save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        Note(size=1.0, words=(), numbers={}).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_file_is_written_where_folders_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only POSIX lets a program open a folder, to put a name on disk."""

    def refused(folder: Path, flags: int) -> int:
        raise PermissionError(f"{folder.name} is a folder")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError, match="is a folder"):
        NOTE.save(tmp_path / "note.json")
    monkeypatch.setattr(os, "name", "another system")
    NOTE.save(tmp_path / "another.json")
    assert Note.load(tmp_path / "another.json") == NOTE


def test_what_json_lacks_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Note(size=math.nan, words=(), numbers={}).to_json()


def test_plain_values_are_read() -> None:
    assert read_json('{"a": [1, null, "ü"]}') == {"a": [1, None, "ü"]}
