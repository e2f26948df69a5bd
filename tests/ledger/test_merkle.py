"""The tree over rows: both answers are proved, and no forged proof contradicts an honest one."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.ledger.merkle import Node, Proof, RowTree, check, leaf_digest, root_of

DIGESTS = st.integers(0, 60).map(lambda i: i.to_bytes(32, "big"))


@given(st.lists(DIGESTS, max_size=40), DIGESTS)
def test_the_proof_says_whether_a_digest_is_in_the_set(digests: list[bytes], digest: bytes) -> None:
    tree = RowTree(digests)
    proof = tree.prove(digest)
    assert check(tree.root, digest, proof) is (digest in digests)
    assert Proof.from_dict(proof.to_dict()) == proof
    assert len(proof.steps) <= max(1, len(set(digests)).bit_length())


@given(st.sets(DIGESTS, max_size=20), st.sets(DIGESTS, max_size=20))
def test_the_root_stands_for_the_set(one: set[bytes], other: set[bytes]) -> None:
    assert (RowTree(one).root == RowTree(other).root) == (one == other)
    assert RowTree(sorted(one, reverse=True)).root == RowTree([*one, *one]).root


@given(st.lists(DIGESTS, min_size=1, max_size=20), DIGESTS, st.data())
def test_no_altered_proof_says_the_opposite(digests: list[bytes], digest: bytes, data: st.DataObject) -> None:
    tree = RowTree(digests)
    truth, content = digest in digests, tree.prove(digest).to_dict()
    flat = [content["top"], *(text for step in content["steps"] for text in step)]
    which = data.draw(st.integers(0, len(flat) - 1))
    raw = bytearray.fromhex(flat[which])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    flat[which] = raw.hex()
    pairs = list(zip(flat[1::2], flat[2::2], strict=True))
    forged = Proof.from_dict({"top": flat[0], "steps": [list(pair) for pair in pairs]})
    with pytest.raises(ValueError, match="proof"):
        check(tree.root, digest, forged)
    for cut in range(len(pairs)):
        shorter = replace(tree.prove(digest), steps=tree.prove(digest).steps[:cut])
        with pytest.raises(ValueError, match="before a leaf"):
            check(tree.root, digest, shorter)
    assert check(tree.root, digest, tree.prove(digest)) is truth


@given(st.lists(DIGESTS, min_size=2, max_size=20, unique=True), DIGESTS, DIGESTS)
def test_the_proof_of_one_digest_does_not_serve_another(digests: list[bytes], one: bytes, other: bytes) -> None:
    tree = RowTree(digests)
    try:
        answer = check(tree.root, other, tree.prove(one))
    except ValueError:
        return
    assert answer is (other in digests)


def test_a_tree_in_the_wrong_order_proves_nothing_false() -> None:
    """Whoever makes the tree cannot hide a member: the digest that lies beside its place has no proof either way."""
    low, middle, high = (bytes([i]) * 32 for i in (1, 2, 3))
    leaves = [Node(d, d, hashlib.sha256(b"\0" + d).digest()) for d in (low, high, middle)]
    joined = Node(low, high, hashlib.sha256(b"\1" + leaves[0].joined() + leaves[1].joined()).digest())
    top = Node(low, middle, hashlib.sha256(b"\1" + joined.joined() + leaves[2].joined()).digest())
    root = root_of(top)
    for steps in [((joined, leaves[2]),), ((joined, leaves[2]), (leaves[0], leaves[1]))]:
        with pytest.raises(ValueError, match="proof"):
            check(root, middle, Proof(top, steps))


def test_a_made_up_leaf_proves_nothing() -> None:
    digest = bytes(32)
    for made_up in (b"x" * 32, hashlib.sha256(b"\1" + digest).digest()):
        top = Node(digest, digest, made_up)
        with pytest.raises(ValueError, match="before a leaf"):
            check(root_of(top), digest, Proof(top, ()))


def test_leaves_are_salted() -> None:
    assert leaf_digest(b"a" * 32, b"row") == hmac.digest(b"a" * 32, b"row", "sha256")
    assert leaf_digest(b"a" * 32, b"row") != leaf_digest(b"b" * 32, b"row")


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RowTree([b"short"])
    for wrong in (None, {}, {"top": "00", "steps": []}, {"top": None, "steps": [["zz", "zz"]]}):
        with pytest.raises(ValueError, match="not a proof"):
            Proof.from_dict(wrong)
    with pytest.raises(ValueError, match="this root"):
        check(RowTree([]).root, bytes(32), RowTree([bytes(32)]).prove(bytes(32)))
    one = RowTree([bytes(32)])
    step = RowTree([bytes(32), b"\1" * 32]).prove(bytes(32)).steps
    with pytest.raises(ValueError, match="step"):
        check(one.root, bytes(32), Proof(one.prove(bytes(32)).top, step))
    with pytest.raises(ValueError, match="after its end"):
        check(RowTree([]).root, bytes(32), Proof(None, step))
