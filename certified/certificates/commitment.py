"""Salted SHA-256 commitments to a multiset of rows and to weights; the order of the rows does not matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Label = bool | int | float | str


def row_digests(
    salt: bytes, features: Array, labels: Sequence[Label | tuple[float, ...]], weights: Array
) -> list[bytes]:
    """Return SHA-256(salt ‖ x ‖ c ‖ JSON(label)) for each row, little-endian float64.

    >>> import numpy as np
    >>> len(row_digests(b"salt", np.ones((2, 3)), [0, 1], np.ones(2)))
    2
    """
    x = np.ascontiguousarray(features, dtype="<f8")
    c = np.ascontiguousarray(weights, dtype="<f8")
    digests = []
    for row, weight, label in zip(x, c, labels, strict=True):
        state = hashlib.sha256(salt)
        state.update(row.data)
        state.update(weight.tobytes())
        state.update(json.dumps(label).encode())
        digests.append(state.digest())
    return digests


def rows_commitment(nonce: bytes, digests: Iterable[bytes]) -> str:
    """Return SHA-256(nonce ‖ sorted row digests): binds a multiset of rows; hiding while the random nonce is secret.

    With the nonce of a release destroyed, nobody can confirm a guess at a row that was in force then.
    """
    return hashlib.sha256(nonce + b"".join(sorted(digests))).hexdigest()


def weights_commitment(nonce: bytes, weights: Array) -> str:
    """Return SHA-256(nonce ‖ shape ‖ weights): binding; hiding as long as a random nonce stays secret."""
    values = np.ascontiguousarray(weights, dtype="<f8")
    return hashlib.sha256(nonce + json.dumps(values.shape).encode() + values.tobytes()).hexdigest()
