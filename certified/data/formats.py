"""Parsers of the files in which the public data sets are distributed; each refuses what it cannot read."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ADULT_NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")

# The published code book (adult.names), alphabetically; "?" stands for a missing value where there are any.
ADULT_CATEGORIES = {
    "workclass": (
        *("?", "Federal-gov", "Local-gov", "Never-worked", "Private", "Self-emp-inc", "Self-emp-not-inc"),
        *("State-gov", "Without-pay"),
    ),
    "education": (
        *("10th", "11th", "12th", "1st-4th", "5th-6th", "7th-8th", "9th", "Assoc-acdm", "Assoc-voc"),
        *("Bachelors", "Doctorate", "HS-grad", "Masters", "Preschool", "Prof-school", "Some-college"),
    ),
    "marital-status": (
        *("Divorced", "Married-AF-spouse", "Married-civ-spouse", "Married-spouse-absent", "Never-married"),
        *("Separated", "Widowed"),
    ),
    "occupation": (
        *("?", "Adm-clerical", "Armed-Forces", "Craft-repair", "Exec-managerial", "Farming-fishing"),
        *("Handlers-cleaners", "Machine-op-inspct", "Other-service", "Priv-house-serv", "Prof-specialty"),
        *("Protective-serv", "Sales", "Tech-support", "Transport-moving"),
    ),
    "relationship": ("Husband", "Not-in-family", "Other-relative", "Own-child", "Unmarried", "Wife"),
    "race": ("Amer-Indian-Eskimo", "Asian-Pac-Islander", "Black", "Other", "White"),
    "sex": ("Female", "Male"),
    "native-country": (
        *("?", "Cambodia", "Canada", "China", "Columbia", "Cuba", "Dominican-Republic", "Ecuador"),
        *("El-Salvador", "England", "France", "Germany", "Greece", "Guatemala", "Haiti"),
        *("Holand-Netherlands", "Honduras", "Hong", "Hungary", "India", "Iran", "Ireland", "Italy"),
        *("Jamaica", "Japan", "Laos", "Mexico", "Nicaragua", "Outlying-US(Guam-USVI-etc)", "Peru"),
        *("Philippines", "Poland", "Portugal", "Puerto-Rico", "Scotland", "South", "Taiwan", "Thailand"),
        *("Trinadad&Tobago", "United-States", "Vietnam", "Yugoslavia"),
    ),
}

_ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"),
)
_ADULT_LABELS = {"<=50K": 0, ">50K": 1}


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read a gzip-compressed IDX file of unsigned bytes: 0, 0, 8, rank, big-endian sizes, then the values.

    Raises:
        ValueError: the file is not of this format, or its length contradicts its header.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not an intact gzip file ({error}); remove it and load again") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes; remove it and load again")
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4))
    if len(raw) != start + math.prod(shape):
        raise ValueError(f"{path} has {len(raw)} bytes, which contradicts its shape {shape}; load it again")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def read_adult(
    path: Path,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read ``adult.data`` or ``adult.test``.

    Returns:
        Numbers (n, 6) in the order of ``ADULT_NUMERIC``, codes (n, 8) into ``ADULT_CATEGORIES``, labels (n,):
        1 for an income above 50,000 dollars.

    Raises:
        ValueError: a line does not follow the published code book; the message tells its number only.
    """
    code = {name: {level: i for i, level in enumerate(levels)} for name, levels in ADULT_CATEGORIES.items()}
    numbers, codes, labels = [], [], []
    for number, line in enumerate(path.read_text(encoding="ascii").split("\n"), start=1):
        if not line.strip() or line.startswith("|"):
            continue
        *values, label = (field.strip() for field in line.split(","))
        try:
            row = dict(zip(_ADULT_COLUMNS, values, strict=True))
            numbers.append([float(row[name]) for name in ADULT_NUMERIC])
            codes.append([code[name][row[name]] for name in ADULT_CATEGORIES])
            labels.append(_ADULT_LABELS[label.removesuffix(".")])
        except (KeyError, ValueError):
            raise ValueError(
                f"{path}, line {number}: not a row of the Adult data set; remove the file and load again"
            ) from None
    return np.array(numbers), np.array(codes), np.array(labels)


def read_labelled_sentences(path: Path) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Read lines of a sentence, a tab and a label 0 or 1.

    Raises:
        ValueError: a line has another form; the message tells its number only.
    """
    sentences, labels = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        sentence, _, label = line.rpartition("\t")
        if not sentence or label not in ("0", "1"):
            raise ValueError(f"{path}, line {number}: not a sentence, a tab and 0 or 1; load the file again")
        sentences.append(sentence)
        labels.append(int(label))
    return tuple(sentences), np.array(labels)


def read_npz(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of a NumPy archive, never unpickling.

    Raises:
        ValueError: the archive is damaged or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except KeyError as error:
        raise ValueError(f"{path} lacks the array {error}; replace the file") from None
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not an intact NumPy archive ({error}); replace the file") from error
