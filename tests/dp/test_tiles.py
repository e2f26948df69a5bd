"""Sums tile by tile: every slot once, those of NumPy with a gradient per row, within the clip norm."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.dp import LinearGradient, PerExampleGradient, tiles
from certified.dp.clipping import BLOCK, clip_threshold
from certified.dp.poisson import EMPTY
from certified.dp.tiles import in_tiles, tiled_sum
from certified.losses import LOGISTIC

ROWS, FEATURES, CAPACITY = 300, 5, 5 * BLOCK
LINEAR = LinearGradient(LOGISTIC, fit_intercept=True)
GENERIC = PerExampleGradient(lambda w, row: LOGISTIC.value(row[0] @ w[:-1] + w[-1], row[1]).sum(), microbatch=16)
ADDED = jax.jit(tiled_sum, static_argnums=0)

rng = np.random.default_rng(0)
X = (rng.normal(size=(ROWS, FEATURES)) * 10.0 ** rng.normal(size=(ROWS, 1))).astype(np.float32)
T = np.sign(rng.normal(size=(ROWS, 1)))
WEIGHTS = rng.normal(size=(FEATURES + 1, 1)).astype(np.float32)


def drawn(seed: int) -> np.ndarray:
    """A batch of a fifth of the rows in random slots."""
    generator = np.random.default_rng(seed)
    filled = np.full(CAPACITY, EMPTY, np.int32)
    taken = generator.choice(ROWS, ROWS // 5, replace=False)
    filled[generator.choice(CAPACITY, len(taken), replace=False)] = taken
    return filled


def added(gradient: Any, rows: np.ndarray, targets: np.ndarray, slots: np.ndarray, size: int, clip: float) -> Any:
    """The sum in tiles of ``size`` blocks."""
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        data = gradient.prepare((rows, targets))
        patch.setattr(tiles, "_TIMES_THE_SUM", 0)
        patch.setattr(tiles, "_CACHE_BYTES", size * BLOCK * sum(leaf[0].nbytes for leaf in data))
        split = in_tiles(slots[None], data, WEIGHTS)[0]
        assert split.shape[1] <= size * BLOCK
        return np.asarray(ADDED(gradient, jnp.asarray(WEIGHTS), data, jnp.asarray(split), jnp.float64(clip)))[:, 0]


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), st.integers(1, 4_000), st.integers(1, 4_000))
@settings(max_examples=30)
def test_every_slot_is_in_one_tile(steps: int, blocks: int, rows: int, features: int, outputs: int) -> None:
    slots = np.arange(steps * blocks * BLOCK, dtype=np.int32).reshape(steps, -1)
    data, params = jnp.zeros((rows, features), jnp.float32), np.zeros((features, outputs), np.float32)
    split = in_tiles(slots, data, params)
    flat = split.reshape(steps, -1)
    assert np.array_equal(flat[:, : blocks * BLOCK], slots) and np.all(flat[:, blocks * BLOCK :] == EMPTY)
    assert split.shape[2] % BLOCK == 0 and np.all(split[:, -1, 0] != EMPTY), "a tile is filled with nothing"
    limit = max(tiles._CACHE_BYTES, tiles._TIMES_THE_SUM * 8 * params.size)
    assert split.shape[2] == BLOCK or split.shape[2] * features * 4 <= limit


@pytest.mark.parametrize(("gradient", "size"), [(LINEAR, 1), (LINEAR, 2), (LINEAR, 5), (GENERIC, 2)])
def test_equals_clipping_gradients_per_row(gradient: Any, size: int) -> None:
    slots, clip = drawn(1), 0.7
    taken = slots[slots != EMPTY]
    wide, t, w = np.column_stack([X.astype(float), np.ones(ROWS)])[taken], T[taken], WEIGHTS.astype(float)
    vectors = -t / (1.0 + np.exp(t * (wide @ w))) * wide
    vectors *= np.minimum(1.0, clip / np.linalg.norm(vectors, axis=1, keepdims=True))
    expected = vectors.sum(axis=0)
    assert np.allclose(added(gradient, X, T, slots, size, clip), expected, rtol=0.0, atol=1e-5)


@given(st.integers(0, CAPACITY - 1), st.lists(st.sampled_from([0.0, -1.0, 3e-39, 1e17, -5e4]), min_size=5, max_size=5))
@settings(max_examples=10)
def test_one_row_moves_the_sum_by_at_most_the_clip_norm(slot: int, row: list[float]) -> None:
    """Its presence changes one slot, however many rows there are and wherever the row stands in the data."""
    clip = 1.0
    threshold = clip_threshold(clip, LINEAR.sensitivity(WEIGHTS, CAPACITY))
    slots = drawn(slot)
    slots[slot] = EMPTY
    without = added(LINEAR, X, T, slots, 2, threshold)
    more, targets = np.vstack([X, np.asarray(row, np.float32)[None]]), np.vstack([T, [[1.0]]])
    assert np.array_equal(added(LINEAR, more, targets, slots, 2, threshold), without), "the number of rows shows"
    slots[slot] = ROWS
    moved = added(LINEAR, more, targets, slots, 2, threshold)
    assert sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(moved, without, strict=True)) <= Fraction(clip) ** 2
