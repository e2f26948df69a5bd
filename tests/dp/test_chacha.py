"""ChaCha20 against RFC 8439."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from certified.dp.chacha import chacha20, fresh_key


def words(text: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text), dtype="<u4")


def test_block_of_section_2_3_2() -> None:
    key, nonce = words(bytes(range(32)).hex()), words("000000090000004a00000000")
    expected = (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    block = np.asarray(chacha20(jnp.asarray(key), jnp.asarray(nonce), 2))[:, 1]
    assert block.astype("<u4").tobytes().hex() == expected


def test_keys_are_what_the_entropy_source_says() -> None:
    assert fresh_key(lambda n: bytes(range(n))).tolist() == words(bytes(range(32)).hex()).tolist()
    assert fresh_key().tolist() != fresh_key().tolist()
    with pytest.raises(RuntimeError, match="entropy"):
        fresh_key(lambda n: b"short")
    with pytest.raises(ValueError, match="nonce"):
        chacha20(fresh_key(), jnp.zeros(3, jnp.uint32), (1 << 32) + 1)
