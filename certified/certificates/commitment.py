"""Salted SHA-256 commitments to a multiset of rows and to weights; the order of the rows does not matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Label = bool | int | float | str

_TEXTS = 1000
"""Labels whose text is kept: those of classes, not of a regression."""


def row_digests(
    salt: bytes, features: Array, labels: Sequence[Label | tuple[float, ...]], weights: Array
) -> list[bytes]:
    """Return SHA-256(salt ‖ x ‖ c ‖ JSON(label)) for each row, little-endian float64.

    >>> import numpy as np
    >>> len(row_digests(b"salt", np.ones((2, 3)), [0, 1], np.ones(2)))
    2
    """
    x = np.ascontiguousarray(features, dtype="<f8")
    c = np.ascontiguousarray(weights, dtype="<f8").tobytes()
    texts: dict[tuple[type, Any], bytes] = {}
    digests = []
    for row, start, label in zip(x, range(0, len(c), 8), labels, strict=True):
        # 1, 1.0 and True are one key, but not one text; nor are 0.0 and -0.0, so that only others are kept.
        text = texts.get((type(label), label))
        if text is None:
            text = json.dumps(label).encode()
            if len(texts) < _TEXTS and isinstance(label, str | int):
                texts[type(label), label] = text
        digests.append(hashlib.sha256(b"".join((salt, row.data, c[start : start + 8], text))).digest())
    return digests


def rows_commitment(nonce: bytes, digests: Iterable[bytes]) -> str:
    """Return SHA-256(nonce ‖ sorted row digests): binds a multiset of rows; hiding while the random nonce is secret.

    With the nonce of a release destroyed, nobody can confirm a guess at a row that was in force then.
    """
    return hashlib.sha256(nonce + b"".join(sorted(digests))).hexdigest()


def table_commitment(nonce: bytes, ordered: npt.NDArray[np.bytes_]) -> str:
    """Return `rows_commitment` of digests that are sorted already, as an array of type ``S32``; nothing is copied.

    >>> digests = row_digests(b"salt", np.eye(3), [0, 1, 2], np.ones(3))
    >>> table = np.sort(np.frombuffer(b"".join(digests), dtype="S32"))
    >>> table_commitment(b"nonce", table) == rows_commitment(b"nonce", digests)
    True
    """
    state = hashlib.sha256(nonce)
    state.update(np.ascontiguousarray(ordered).view(np.uint8).data)
    return state.hexdigest()


def weights_commitment(nonce: bytes, weights: Array) -> str:
    """Return SHA-256(nonce ‖ shape ‖ weights): binding; hiding as long as a random nonce stays secret."""
    values = np.ascontiguousarray(weights, dtype="<f8")
    return hashlib.sha256(nonce + json.dumps(values.shape).encode() + values.tobytes()).hexdigest()
