"""A commitment to a set of digests that can prove of any digest that it is in the set, or that it is not (claim T18).

A search tree of hashes: every inner node is hashed together with the smallest and largest digest below each child. A
checker follows the only way down that a digest can take, so one root has no accepted proof of both answers, whoever
made the tree (Buldas, Laud & Lipmaa 2000).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LEAF, _INNER, _ROOT = b"\0", b"\1", b"\2"
_SIZE = 32


@dataclass(frozen=True)
class Node:
    """A subtree: its smallest and largest digest, and its hash, 32 bytes each."""

    low: bytes
    high: bytes
    hash: bytes

    def joined(self) -> bytes:
        """The bytes that stand for the subtree."""
        return self.low + self.high + self.hash


@dataclass(frozen=True)
class Proof:
    """The way down from the root for one digest.

    Attributes:
        top: the whole tree, None for the empty set.
        steps: both children of each node on the way.
    """

    top: Node | None
    steps: tuple[tuple[Node, Node], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, digests in hexadecimal."""
        top = None if self.top is None else self.top.joined().hex()
        return {"top": top, "steps": [[left.joined().hex(), right.joined().hex()] for left, right in self.steps]}

    @classmethod
    def from_dict(cls, data: Any) -> Proof:
        """Read a proof.

        Raises:
            ValueError: not a proof.
        """
        try:
            top = None if data["top"] is None else _node(data["top"])
            return cls(top, tuple((_node(left), _node(right)) for left, right in data["steps"]))
        except (KeyError, TypeError, ValueError):
            raise ValueError("proof: not a proof as written by to_dict") from None


class RowTree:
    """The tree over a set of 32-byte digests; repeated ones count once.

    >>> digests = [hashlib.sha256(bytes([i])).digest() for i in range(5)]
    >>> tree = RowTree(digests[:4])
    >>> [check(tree.root, digest, tree.prove(digest)) for digest in digests]
    [True, True, True, True, False]
    """

    def __init__(self, digests: Iterable[bytes]) -> None:
        leaves = sorted(set(digests))
        if any(len(leaf) != _SIZE for leaf in leaves):
            raise ValueError(f"digests must have {_SIZE} bytes each")
        level = [Node(leaf, leaf, _hash(_LEAF + leaf)) for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            level = [_parent(*level[i : i + 2]) for i in range(0, len(level), 2)]
            self._levels.append(level)

    @property
    def root(self) -> str:
        """The commitment, hexadecimal."""
        return root_of(self._levels[-1][0] if self._levels[-1] else None)

    def prove(self, digest: bytes) -> Proof:
        """Return the proof that ``digest`` is in the set, or that it is not."""
        if not self._levels[-1]:
            return Proof(None, ())
        top = self._levels[-1][0]
        steps, position = [], 0
        node = top
        for level in reversed(self._levels[:-1]):
            if not node.low <= digest <= node.high:
                break
            position *= 2
            if position + 1 == len(level):
                continue
            left, right = level[position], level[position + 1]
            steps.append((left, right))
            if digest >= right.low:
                position += 1
            node = level[position]
        return Proof(top, tuple(steps))


def check(root: str, digest: bytes, proof: Proof) -> bool:
    """Return whether ``digest`` is in the set committed to by ``root``, as ``proof`` shows (claim T18).

    Raises:
        ValueError: the proof shows neither: it is incomplete, or does not belong to this root.
    """
    if root_of(proof.top) != root:
        raise ValueError("proof: it does not belong to this root")
    node = proof.top
    for left, right in proof.steps:
        if node is None or not node.low <= digest <= node.high:
            raise ValueError("proof: it goes on after its end")
        if not left.low <= left.high < right.low <= right.high or _parent(left, right) != node:
            raise ValueError("proof: a step does not belong to its node")
        node = left if digest <= left.high else right if digest >= right.low else None
    if node is None or not node.low <= digest <= node.high:
        return False
    if node.low == digest == node.high and node.hash == _hash(_LEAF + digest):
        return True
    raise ValueError("proof: it ends before a leaf")


def root_of(top: Node | None) -> str:
    """Return the commitment to a tree, or to the empty set."""
    return _hash(_ROOT + (b"" if top is None else top.joined())).hex()


def leaf_digest(salt: bytes, row_digest: bytes) -> bytes:
    """Return HMAC-SHA256(salt, row digest): without the salt, a leaf says nothing of its row."""
    return hmac.new(salt, row_digest, hashlib.sha256).digest()


def _parent(left: Node, right: Node | None = None) -> Node:
    """The node above; a node without a sibling moves up unchanged."""
    if right is None:
        return left
    return Node(left.low, right.high, _hash(_INNER + left.joined() + right.joined()))


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _node(text: str) -> Node:
    content = bytes.fromhex(text)
    if len(content) != 3 * _SIZE:
        raise ValueError("wrong length")
    return Node(content[:_SIZE], content[_SIZE : 2 * _SIZE], content[2 * _SIZE :])
