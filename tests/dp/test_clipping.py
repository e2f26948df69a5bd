"""Clipped sums: those of an oracle with a gradient per row, within the clip norm whatever a row holds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

from certified.dp import DenseGradient, LinearGradient, PerExampleGradient, dense
from certified.dp.clipping import (
    BLOCK,
    block_sensitivity,
    clip_threshold,
    float64_sensitivity,
    norm_excess,
    outer_sum,
)
from certified.losses import LOGISTIC, SOFTMAX

SLOTS, FEATURES = 2 * BLOCK, 5
MODEL = nn.Sequential([nn.Dense(7), nn.relu, nn.Dense(4, use_bias=False), nn.tanh, nn.Dense(3)])
TREE = MODEL.init(jax.random.key(0), jnp.ones((1, FEATURES)))["params"]
LINEAR, DENSE = LinearGradient(SOFTMAX, fit_intercept=True), DenseGradient(MODEL, cross_entropy)
GENERIC = PerExampleGradient(
    lambda params, example: cross_entropy(MODEL.apply({"params": params}, example[0]), example[1]), microbatch=16
)

Sum = Callable[[Any, Any, jax.Array, float], Any]
COMPILED: dict[str, Sum] = {
    name: jax.jit(gradient.clipped_sum)
    for name, gradient in {"linear": LINEAR, "dense": DENSE, "generic": GENERIC}.items()
}


def batch(seed: int, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(SLOTS, FEATURES)) * scale ** rng.normal(size=(SLOTS, 1))).astype(np.float32)
    return rows, rng.integers(0, 3, SLOTS)


def computed(kind: str, rows: np.ndarray, labels: np.ndarray, present: np.ndarray, threshold: float) -> np.ndarray:
    """The clipped sum as one vector."""
    with jax.enable_x64(True):
        if kind == "linear":
            weights = jnp.asarray(np.random.default_rng(1).normal(size=(FEATURES + 1, 3)), jnp.float32)
            finite = np.where(np.isfinite(rows), rows, 0.0).astype(np.float32)
            parts = LINEAR.prepare((finite, np.eye(3)[labels]))
            return np.asarray(COMPILED[kind](weights, parts, jnp.asarray(present), threshold)).ravel()
        parts = (jnp.asarray(rows), jnp.asarray(labels))
        sums = COMPILED[kind](TREE, parts, jnp.asarray(present), threshold)
        assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(sums))
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(sums)])


def oracle(kind: str, rows: np.ndarray, labels: np.ndarray, present: np.ndarray, threshold: float) -> np.ndarray:
    """Gradients row by row in float64, clipped and added with NumPy."""
    total = 0.0
    with jax.enable_x64(True):
        wide = rows.astype(np.float64)
        if kind == "linear":
            weights = np.random.default_rng(1).normal(size=(FEATURES + 1, 3)).astype(np.float32).astype(float)
            x = np.concatenate([wide, np.ones((SLOTS, 1))], axis=1)
            p = np.asarray(jax.nn.softmax(x @ weights)) - np.eye(3)[labels]
            vectors = np.einsum("id,ik->idk", x, p).reshape(SLOTS, -1)
        else:
            params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), TREE)
            gradients = jax.jit(jax.vmap(jax.grad(GENERIC.loss), in_axes=(None, 0)))(params, (wide, labels))
            vectors = np.concatenate([np.reshape(leaf, (SLOTS, -1)) for leaf in jax.tree.leaves(gradients)], axis=1)
        for vector in vectors[present]:
            total = total + vector * min(1.0, threshold / np.linalg.norm(vector))
    return np.asarray(total)


@pytest.mark.parametrize("kind", ["linear", "dense", "generic"])
@given(st.integers(0, 1_000), st.sampled_from([0.01, 1.0, 100.0]))
@settings(max_examples=8)
def test_equals_clipping_gradients_per_row(kind: str, seed: int, threshold: float) -> None:
    rows, labels = batch(seed)
    present = np.random.default_rng(seed).random(SLOTS) < 0.7
    found = computed(kind, rows, labels, present, threshold)
    expected = oracle(kind, rows, labels, present, threshold)
    assert np.allclose(found, expected, rtol=0.0, atol=2e-5 * max(np.abs(expected).max(), threshold))


STRANGE = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 1e-38, 1.0, -3e5, 1e18, -3e38])


@pytest.mark.parametrize("kind", ["linear", "dense", "generic"])
@given(st.lists(STRANGE, min_size=FEATURES, max_size=FEATURES), st.integers(0, SLOTS - 1), st.floats(1e-6, 1e6))
@settings(max_examples=25)
def test_one_row_moves_the_sum_by_at_most_the_clip_norm(
    kind: str, row: list[float], slot: int, clip_norm: float
) -> None:
    """Whatever a row holds, the sums with and without it are finite and differ by at most C."""
    gradient = {"linear": LINEAR, "dense": DENSE, "generic": GENERIC}[kind]
    params = jnp.zeros((FEATURES + 1, 3), jnp.float32) if kind == "linear" else TREE
    threshold = clip_threshold(clip_norm, gradient.sensitivity(params, SLOTS))
    rows, labels = batch(slot, scale=30.0)
    with np.errstate(over="ignore"):
        rows[slot] = np.clip(row, -(2.0**59), 2.0**59) if kind == "linear" else row
    present = np.ones(SLOTS, dtype=bool)
    with_row = computed(kind, rows, labels, present, threshold)
    present[slot] = False
    without = computed(kind, rows, labels, present, threshold)
    assert np.all(np.isfinite(with_row)) and np.all(np.isfinite(without))
    moved = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(with_row, without, strict=True))
    assert moved <= Fraction(clip_norm) ** 2


def test_rows_that_are_not_finite_contribute_zero() -> None:
    rows, labels = batch(0)
    present = np.arange(SLOTS) < 20
    rows[7], rows[11] = np.nan, np.inf
    for kind in ("dense", "generic"):
        found = computed(kind, rows, labels, present, 1.0)
        others = present & ~np.isin(np.arange(SLOTS), [7, 11])
        assert np.array_equal(found, computed(kind, rows, labels, others, 1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_in_blocks_keep_to_their_error_bound(dtype: Any) -> None:
    """Adversarial sums: large terms that cancel; the error of a block and of all blocks against fractions."""
    rng = np.random.default_rng(2)
    left = (rng.normal(size=(SLOTS, 2)) * 10.0 ** rng.integers(-3, 4, (SLOTS, 1))).astype(dtype)
    right = rng.normal(size=(SLOTS, 3)).astype(dtype)
    with jax.enable_x64(True):
        found = np.asarray(outer_sum(jnp.asarray(left), jnp.asarray(right)))
    unit = 2.0**-24 if dtype == np.float32 else 2.0**-53
    for a in range(2):
        for d in range(3):
            terms = [Fraction(float(x)) * Fraction(float(y)) for x, y in zip(left[:, a], right[:, d], strict=True)]
            error = abs(Fraction(float(found[a, d])) - sum(terms))
            assert error <= sum(map(abs, terms)) * Fraction(1.02 * BLOCK * unit + 1.02 * SLOTS * 2.0**-53)


def test_large_sums_go_block_by_block_to_the_same_bound() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(SLOTS, 700)), rng.normal(size=(SLOTS, 800))
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(outer_sum)(jnp.asarray(left), jnp.asarray(right)))
    assert np.allclose(found, left.T @ right, rtol=0.0, atol=1e-11)


def test_sensitivities_and_thresholds() -> None:
    assert 1 < block_sensitivity(np.float32, 512, 785) < Fraction(10005, 10000)
    # It does not grow with the batch, but for what is added up in float64.
    assert block_sensitivity(np.float32, 65_536, 785) - block_sensitivity(np.float32, 512, 785) < Fraction(1, 10**5)
    assert 1 < float64_sensitivity(4_096, 10**6) < 1 + Fraction(1, 10**7)
    threshold = clip_threshold(0.3, Fraction(10005, 10000))
    assert Fraction(threshold) * Fraction(10005, 10000) <= Fraction(0.3) < Fraction(threshold) * Fraction(10006, 10000)
    for bad in (0.0, 2.0**-31, 2.0**31, float("inf"), float("nan"), -1.0):
        with pytest.raises(ValueError, match="clip_norm"):
            clip_threshold(bad, Fraction(1))
    with pytest.raises(TypeError, match="float32 or float64"):
        block_sensitivity(np.float16, 64, 3)


def test_inputs_of_more_digits_are_rounded_before_their_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    model, added = nn.Dense(1, use_bias=False), []

    def spy(left: jax.Array, right: jax.Array) -> jax.Array:
        added.append((np.asarray(left), np.asarray(right)))
        return outer_sum(left, right)

    monkeypatch.setattr(dense, "outer_sum", spy)
    with jax.enable_x64(True):
        gradient = DenseGradient(model, lambda outputs, targets: outputs[:, 0])
        params = {"kernel": jnp.ones((3, 1), jnp.float32)}
        # Just above the middle of two numbers of float32, so that all are rounded up.
        steps = np.random.default_rng(0).integers(0, 2**10, (BLOCK, 1))
        inputs = 1.0 + (steps + 0.5 + 2.0**-10) * 2.0**-23 * np.ones((1, 3))
        targets = jnp.zeros(BLOCK)
        gradient.clipped_sum(params, (jnp.asarray(inputs), targets), jnp.ones(BLOCK, bool), jnp.float64(1.0))
    ((left, right),) = added
    limit = norm_excess(jnp.float32, 4) ** 2
    for scaled, row in zip(left.tolist(), right.tolist(), strict=True):
        assert Fraction(scaled[0]) ** 2 * sum(Fraction(value) ** 2 for value in row) <= limit


def test_models_that_are_no_stack_of_dense_layers_are_refused() -> None:
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            layer = nn.Dense(FEATURES)
            return layer(layer(x))

    normed = nn.Sequential([nn.Dense(3), nn.LayerNorm()])
    data = jnp.ones((SLOTS, FEATURES)), jnp.zeros(SLOTS, int)
    there = jnp.ones(SLOTS, bool)
    for model in (Twice(), normed):
        params = model.init(jax.random.key(0), data[0])["params"]
        with pytest.raises(ValueError, match="use PerExampleGradient"):
            DenseGradient(model, cross_entropy).clipped_sum(params, data, there, jnp.float32(1.0))
    params = nn.Dense(3).init(jax.random.key(0), data[0])["params"]
    sequences = jnp.ones((SLOTS, 2, FEATURES)), jnp.zeros((SLOTS, 2), int)
    with pytest.raises(ValueError, match="rows, features"):
        DenseGradient(nn.Dense(3), cross_entropy).clipped_sum(params, sequences, there, jnp.float32(1.0))


def test_linear_data_are_checked() -> None:
    good = np.ones((4, 2), np.float32)
    gradient = LinearGradient(LOGISTIC)
    for bad in ((good, np.ones(4)), (good[0], np.ones((4, 1))), (good[:3], np.ones((4, 1)))):
        with pytest.raises(ValueError, match="data must be"):
            gradient.prepare(bad)
    for value in (np.nan, np.inf, 1e19):
        with pytest.raises(ValueError, match="rows must be finite"):
            gradient.prepare((np.where(good > 2, good, value), np.ones((4, 1))))
    with pytest.raises(TypeError, match="cast"):
        parts = gradient.prepare((np.ones((BLOCK, 2), np.float32), np.ones((BLOCK, 1))))
        with jax.enable_x64(True):
            gradient.clipped_sum(jnp.zeros((2, 1)), parts, jnp.ones(BLOCK, bool), jnp.float64(1.0))
    with pytest.raises(ValueError, match="microbatch"):
        PerExampleGradient(lambda w, x: w @ x, microbatch=3)


def test_models_of_nnx_go_row_by_row() -> None:
    model = nnx.Linear(FEATURES, 3, rngs=nnx.Rngs(0))
    graph, state = nnx.split(model)
    before = jax.tree.map(np.asarray, state)
    gradient = PerExampleGradient(lambda state, row: cross_entropy(nnx.merge(graph, state)(row[0]), row[1]))
    rows, labels = batch(5)
    with jax.enable_x64(True):
        sums = gradient.clipped_sum(state, (jnp.asarray(rows), jnp.asarray(labels)), jnp.ones(SLOTS, bool), 1e6)
    weights = np.asarray(before["kernel"].get_value(), float), np.asarray(before["bias"].get_value(), float)
    slopes = np.asarray(jax.nn.softmax(rows @ weights[0] + weights[1])) - np.eye(3)[labels]
    assert np.allclose(sums["kernel"].get_value(), rows.T @ slopes, atol=1e-3 * np.abs(rows.T @ slopes).max())
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, state))


@pytest.mark.parametrize("shape", [(4, 3), (3, 1), (4, 1)], ids=["too many rows", "too few outputs", "both"])
def test_weights_of_another_shape_than_the_data_are_refused(shape: tuple[int, int]) -> None:
    """Three classes as one column would otherwise be stretched over the outputs without a word."""
    gradient = LinearGradient(SOFTMAX)
    batch = gradient.prepare((jnp.ones((64, 3)), jnp.ones((64, 3))))
    with pytest.raises(ValueError, match=r"params must be \(3, 3\) for 3 features and 3 target column"):
        gradient.clipped_sum(jnp.zeros(shape), batch, jnp.arange(64) < 1, jnp.asarray(0.5))
