"""What a cell that names something means: an id, a subject or a label, read by itself and never by its column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def read_name(text: Any) -> Any:
    """Read an id: a whole number in its usual form is an integer, anything else stays text.

    >>> read_name("7"), read_name("007"), read_name("-3")
    (7, '007', -3)
    """
    return int(text) if isinstance(text, str) and re.fullmatch(r"0|-?[1-9][0-9]*", text) else text


def read_label(text: Any) -> Any:
    """Read a label: a whole number in any form is an integer, anything else stays text.

    >>> read_label("1.0"), read_label("ill")
    (1, 'ill')
    """
    number = _number(text) if isinstance(text, str) else math.nan
    return int(number) if number.is_integer() else text


def as_labels(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return labels of one kind.

    Raises:
        ValueError: they are fractions, or numbers and words.
    """
    words = [value for value in values if isinstance(value, str)]
    if words and all(math.isfinite(_number(word)) for word in words):
        raise ValueError(
            "holds fractions, and labels are words or whole numbers: choose a loss that predicts numbers, such as "
            "--loss squared"
        )
    if 0 < len(words) < len(values):
        raise ValueError("mixes numbers and words: use one kind of label")
    return np.array(values)


def _number(text: str) -> float:
    """The number that ``text`` writes, NaN for none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
