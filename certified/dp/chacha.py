"""The stream cipher ChaCha20 in JAX: noise of many steps from one key of 256 bits (claim T20).

JAX's own generators have keys of 64 or 128 bits and make no claim to be unpredictable. Who could tell ChaCha20 from
fair bits would have broken the cipher; nothing here is secret but the key.

Source: Nir & Langley 2018, RFC 8439, section 2.3.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Entropy = Callable[[int], bytes]

KEY_BYTES = 32
WORDS = 16
"""32-bit words in a block."""

_CONSTANT = np.frombuffer(b"expand 32-byte k", dtype="<u4")
_DOUBLE_ROUNDS = 10
_QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def fresh_key(entropy: Entropy = os.urandom) -> jax.Array:
    """Return a key of 256 bits from the operating system, as (8,) uint32.

    >>> fresh_key().shape
    (8,)
    """
    data = entropy(KEY_BYTES)
    if len(data) != KEY_BYTES:
        raise RuntimeError(f"entropy returned {len(data)} bytes instead of {KEY_BYTES}; use os.urandom")
    return jnp.asarray(np.frombuffer(data, dtype="<u4").astype(np.uint32))


def chacha20(key: jax.Array, nonce: jax.Array, blocks: int) -> jax.Array:
    """Return the words (16, ``blocks``) of the blocks 0, 1, … for ``key`` (8,) and ``nonce`` (3,), all uint32.

    Column j is block j of RFC 8439. At most 2³² blocks belong to one nonce. Raises ``ValueError`` beyond.
    """
    if not 0 <= blocks <= 1 << 32:
        raise ValueError(f"blocks must be at most 2**32 for one nonce, got {blocks}; use several nonces")
    words = [*map(np.uint32, _CONSTANT), *key, jnp.arange(blocks, dtype=jnp.uint32), *nonce]
    start = tuple(jnp.broadcast_to(word, (blocks,)) for word in words)
    # A loop, because compilers take very long over the unrolled rounds.
    mixed = jax.lax.fori_loop(0, _DOUBLE_ROUNDS, lambda _, state: _double_round(state), start)
    return jnp.stack([first + last for first, last in zip(start, mixed, strict=True)])


def _double_round(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    words = list(state)
    for at in _QUARTERS:
        a, b, c, d = (words[i] for i in at)
        a = a + b
        d = _rotated(d ^ a, 16)
        c = c + d
        b = _rotated(b ^ c, 12)
        a = a + b
        d = _rotated(d ^ a, 8)
        c = c + d
        b = _rotated(b ^ c, 7)
        for i, word in zip(at, (a, b, c, d), strict=True):
            words[i] = word
    return tuple(words)


def _rotated(word: jax.Array, bits: int) -> jax.Array:
    return (word << np.uint32(bits)) | (word >> np.uint32(32 - bits))
