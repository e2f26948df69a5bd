"""Parsers against files written by an independent encoder, and against files that are broken."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from certified.data.formats import (
    ADULT_CATEGORIES,
    ADULT_NUMERIC,
    read_adult,
    read_idx,
    read_labelled_sentences,
    read_npz,
)

ADULT_ROW = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, "
    "40, United-States, <=50K"
)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)))
def test_idx_round_trip(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx(array), mtime=0))
    read = read_idx(path)
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert (read == array).all()


GOOD_IDX = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD_IDX, "not an intact gzip file"),
        (gzip.compress(GOOD_IDX, mtime=0)[:-12], "not an intact gzip file"),
        (gzip.compress(b"", mtime=0), "not an IDX file"),
        (gzip.compress(b"\x00\x00\x0d" + GOOD_IDX[3:], mtime=0), "not an IDX file"),
        (gzip.compress(GOOD_IDX[:-1], mtime=0), "contradicts its shape"),
        (gzip.compress(GOOD_IDX[:9], mtime=0), "contradicts its shape"),
        (gzip.compress(GOOD_IDX + b"\x00", mtime=0), "contradicts its shape"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_idx(path)


def test_adult_rows_of_both_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "adult.test"
    missing = ADULT_ROW.replace("State-gov", "?").replace("<=50K", ">50K.")
    path.write_text(f"|1x3 Cross validator\n{ADULT_ROW}.\n{missing}\n\n")
    numbers, codes, labels = read_adult(path)
    assert numbers.tolist() == [[39, 77516, 13, 2174, 0, 40]] * 2
    levels = [[ADULT_CATEGORIES[name][c] for name, c in zip(ADULT_CATEGORIES, row, strict=True)] for row in codes]
    assert levels[0] == [
        *("State-gov", "Bachelors", "Never-married", "Adm-clerical", "Not-in-family", "White", "Male"),
        "United-States",
    ]
    assert levels[1] == ["?", *levels[0][1:]]
    assert labels.tolist() == [0, 1]


def test_the_code_book_has_the_published_numbers_of_levels() -> None:
    assert [len(levels) for levels in ADULT_CATEGORIES.values()] == [9, 16, 7, 15, 6, 5, 2, 42]
    assert all(list(levels) == sorted(set(levels)) for levels in ADULT_CATEGORIES.values())
    assert len(ADULT_NUMERIC) == 6


@pytest.mark.parametrize(
    "line",
    [
        ADULT_ROW.replace("State-gov", "Astronaut"),
        ADULT_ROW.replace("39", "old"),
        ADULT_ROW.replace("<=50K", "50K"),
        ADULT_ROW.replace(", 40", ""),
        ADULT_ROW + ", 1",
    ],
)
def test_a_bad_adult_line_is_refused_by_number_without_its_content(tmp_path: Path, line: str) -> None:
    path = tmp_path / "adult.data"
    path.write_text(f"{ADULT_ROW}\n{line}\n")
    with pytest.raises(ValueError, match="line 2: not a row") as caught:
        read_adult(path)
    assert "77516" not in str(caught.value)
    assert caught.value.__suppress_context__


@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t"), min_size=1), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    newline=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sentences_round_trip(tmp_path: Path, rows: list[tuple[str, bool]], newline: bool) -> None:
    path = tmp_path / "file.tsv"
    text = "\n".join(f"{sentence}\t{int(label)}" for sentence, label in rows)
    path.write_bytes((text + "\n" * newline).encode())
    sentences, labels = read_labelled_sentences(path)
    assert sentences == tuple(sentence for sentence, _ in rows)
    assert labels.tolist() == [int(label) for _, label in rows]


@pytest.mark.parametrize("line", ["secret words", "secret words\t2", "\t1", "secret words\t", ""])
def test_a_bad_sentence_line_is_refused_by_number_without_its_content(tmp_path: Path, line: str) -> None:
    path = tmp_path / "file.tsv"
    path.write_text(f"good\t1\n{line}\nfine\t0\n")
    with pytest.raises(ValueError, match="line 2: not a sentence") as caught:
        read_labelled_sentences(path)
    assert "secret" not in str(caught.value)


def test_named_arrays_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", a=np.arange(3), b=np.ones(2), c=np.zeros(1))
    arrays = read_npz(tmp_path / "file.npz", ["c", "a"])
    assert list(arrays) == ["c", "a"]
    assert arrays["a"].tolist() == [0, 1, 2]


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", a=np.arange(3))
    with pytest.raises(ValueError, match=r"file\.npz lacks the array .*'b"):
        read_npz(tmp_path / "file.npz", ["b"])


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez(whole, a=np.arange(1000))
    content = whole.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    npy = tmp_path / "array.npy"
    np.save(npy, np.arange(3))
    for damaged in (b"", b"text", content[:500], bytes(flipped), npy.read_bytes()):
        path = tmp_path / "file.npz"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="not an intact NumPy archive"):
            read_npz(path, ["a"])


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ValueError, match="not an intact NumPy archive"):
        read_npz(tmp_path / "file.npz", ["a"])
