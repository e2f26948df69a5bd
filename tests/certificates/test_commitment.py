"""Commitments: equal exactly for equal multisets of rows, and for equal weights under the same nonce."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certified.certificates.commitment import row_digests, rows_commitment, weights_commitment

Array = npt.NDArray[np.float64]

SALT = b"salt"


def _commitment(X: Array, labels: list[Any], c: Array, salt: bytes = SALT) -> str:
    return rows_commitment(b"nonce", row_digests(salt, X, labels, c))


def test_a_digest_is_the_documented_hash() -> None:
    (digest,) = row_digests(SALT, np.array([[1.0, -0.5]]), ["a"], np.array([2.0]))
    assert digest == hashlib.sha256(SALT + struct.pack("<3d", 1.0, -0.5, 2.0) + b'"a"').digest()
    assert rows_commitment(b"nonce", [digest]) == hashlib.sha256(b"nonce" + digest).hexdigest()


def test_weights_are_hashed_as_documented() -> None:
    weights = np.array([[1.0], [2.0]])
    expected = hashlib.sha256(b"nonce" + b"[2, 1]" + struct.pack("<2d", 1.0, 2.0)).hexdigest()
    assert weights_commitment(b"nonce", weights) == expected


rows = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.sampled_from([0.0, 1.0, -1.5]))


@given(rows, st.randoms(use_true_random=False))
def test_order_does_not_matter(X: Array, random: Any) -> None:
    n = len(X)
    labels, c = [random.choice([0, 1]) for _ in range(n)], np.array([random.choice([1.0, 2.0]) for _ in range(n)])
    order = list(range(n))
    random.shuffle(order)
    assert _commitment(X, labels, c) == _commitment(X[order], [labels[i] for i in order], c[order])


@given(rows, rows, st.data())
def test_other_rows_differ(X: Array, other: Array, data: st.DataObject) -> None:
    pairs = [data.draw(st.lists(st.sampled_from([0, 1]), min_size=len(a), max_size=len(a))) for a in (X, other)]
    same = sorted(map(str, zip(X.tolist(), pairs[0], strict=True))) == sorted(
        map(str, zip(other.tolist(), pairs[1], strict=True))
    )
    first = _commitment(X, pairs[0], np.ones(len(X)))
    assert (first == _commitment(other, pairs[1], np.ones(len(other)))) == same


def test_how_often_a_row_occurs_matters() -> None:
    X = np.array([[1.0], [2.0]])
    once, first_twice, second_twice = (X[i] for i in ([0, 1], [0, 0, 1], [0, 1, 1]))
    assert len({_commitment(a, [0] * len(a), np.ones(len(a))) for a in (once, first_twice, second_twice)}) == 3


@pytest.mark.parametrize("label", [0, 2, True, 1.0, "1", "", "ä", (1.0,), (1.0, 2.0)])
def test_labels_differ_by_value_and_type(label: Any) -> None:
    X, c = np.ones((1, 1)), np.ones(1)
    assert _commitment(X, [label], c) != _commitment(X, [1], c)


def test_a_digest_depends_on_its_own_row_alone() -> None:
    """Equal labels of different spelling, such as 0.0 and −0.0, keep their own in any company and order."""
    labels = [0.0, -0.0, (0.0, 1.0), (-0.0, 1.0)]
    X, c = np.ones((4, 1)), np.ones(4)
    alone = [row_digests(SALT, X[:1], [label], c[:1])[0] for label in labels]
    assert row_digests(SALT, X, labels, c) == alone
    assert row_digests(SALT, X, labels[::-1], c) == alone[::-1]


def test_salt_weights_and_features_matter() -> None:
    X, c = np.ones((1, 2)), np.ones(1)
    commitments = {
        _commitment(X, [0], c),
        _commitment(X, [0], c, b"other"),
        _commitment(X, [0], 2.0 * c),
        _commitment(np.nextafter(X, 2.0), [0], c),
        _commitment(X[:, ::-1] * np.array([[1.0, 2.0]]), [0], c),
        _commitment(X * np.array([[2.0, 1.0]]), [0], c),
    }
    assert len(commitments) == 6


def test_memory_layout_does_not_matter() -> None:
    X = np.arange(12.0).reshape(4, 3)
    labels, c = [0, 1, 0, 1], np.arange(4.0)
    reference = _commitment(X, labels, c)
    assert _commitment(np.asfortranarray(X), labels, c) == reference
    assert _commitment(X.astype(">f8"), labels, c.astype(">f8")) == reference
    assert weights_commitment(b"", np.asfortranarray(X)) == weights_commitment(b"", X)


def test_no_rows_have_a_commitment() -> None:
    assert _commitment(np.zeros((0, 3)), [], np.zeros(0)) == hashlib.sha256(b"nonce").hexdigest()


@pytest.mark.parametrize(("labels", "count"), [([0], 2), ([0, 1, 2], 2), ([0, 1], 3)])
def test_every_row_needs_its_label_and_weight(labels: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        row_digests(SALT, np.ones((2, 1)), labels, np.ones(count))


def test_weights_differ_by_nonce_shape_and_value() -> None:
    weights = np.arange(6.0).reshape(3, 2)
    commitments = {
        weights_commitment(b"", weights),
        weights_commitment(b"n", weights),
        weights_commitment(b"", weights.reshape(2, 3)),
        weights_commitment(b"", np.nextafter(weights, 9.0)),
    }
    assert len(commitments) == 4
    assert weights_commitment(b"n", weights) == weights_commitment(b"n", weights.copy())
    assert weights_commitment(b"", np.zeros((3, 0))) != weights_commitment(b"", np.zeros((4, 0)))
