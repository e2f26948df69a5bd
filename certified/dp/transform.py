"""The privatised gradient as transformations of optax: noise for clipped sums, and clipping with noise (claim T20)."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import io_callback

from certified.dp.chacha import Entropy, chacha20, fresh_key
from certified.dp.clipping import Tree, clip_threshold, float64_sensitivity
from certified.dp.per_example import clip_and_add
from certified.numerics.balls import exact, round_up
from certified.numerics.precision import in_float64
from certified.privacy.gaussian import nonnegative
from certified.privacy.noise import release_gaussian


class NoiseState(NamedTuple):
    """The key (8,) and the number of the next step (2,), low word first. The key is a secret: it undoes the noise."""

    key: jax.Array
    step: jax.Array

    def __repr__(self) -> str:
        return "NoiseState(key: secret)"


def gaussian_noise(
    noise_std: float,
    normaliser: float,
    *,
    exact_noise: bool = False,
    entropy: Entropy = os.urandom,
) -> optax.GradientTransformation:
    """Return the transformation (sum + N(0, σ²I)) / ``normaliser`` of clipped sums in float64 (claim T20, part 5).

    Noise of step t is ChaCha20 under a key of 256 bits from the operating system, drawn by ``init``, with the nonce
    (t, number of the leaf): no two steps of one state share noise. **A state that is copied and continued twice repeats
    noise**; whoever sees both results subtracts them. Call ``init`` anew for a second continuation, as `dp_sgd` does.

    Args:
        noise_std: σ in the unit of the sums, noise multiplier times sensitivity.
        normaliser: a public number, as the expected batch size; never the size of the batch drawn.
        exact_noise: draw real Gaussians on the host (T13) instead: slower, and free of idealisation.
        entropy: ``entropy(n)`` returns n independent uniform bytes.

    Raises:
        ValueError: a number is not positive and finite.
        TypeError: in ``update``, sums that are not float64; without 64-bit types use ``jax.enable_x64``.

    Example:
        >>> with jax.enable_x64(True):
        ...     noise = gaussian_noise(noise_std=1.0, normaliser=10.0)
        ...     state = noise.init(jnp.zeros(3))
        ...     noisy, state = noise.update(jnp.zeros(3), state)
        >>> noisy.shape, state
        ((3,), NoiseState(key: secret))
    """
    for name, value in (("noise_std", noise_std), ("normaliser", normaliser)):
        if not 0.0 < nonnegative(name, value) < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    draw = _released if exact_noise else _added

    def init(params: Tree) -> NoiseState:
        del params
        return NoiseState(fresh_key(entropy), jnp.zeros(2, jnp.uint32))

    @in_float64
    def update(sums: Tree, state: NoiseState, params: Tree = None) -> tuple[Tree, NoiseState]:
        leaves, tree = jax.tree.flatten(sums)
        if any(leaf.dtype != jnp.float64 for leaf in leaves):
            raise TypeError("sums must be float64, as noise with fewer digits hides nothing: run inside enable_x64")
        noisy = [draw(leaf, noise_std, state, number) / normaliser for number, leaf in enumerate(leaves)]
        low = state.step[0] + np.uint32(1)
        step = jnp.stack([low, state.step[1] + (low == 0).astype(jnp.uint32)])
        return jax.tree.unflatten(tree, _like(noisy, params)), NoiseState(state.key, step)

    return optax.GradientTransformation(init, update)


def differentially_private_aggregate(
    clip_norm: float,
    noise_multiplier: float,
    expected_batch: float,
    *,
    exact_noise: bool = False,
    entropy: Entropy = os.urandom,
) -> optax.GradientTransformation:
    """Return what ``optax.contrib`` calls the same, with a proved sensitivity and a public normaliser.

    Updates are gradients per row, with the rows on axis 0: float32 or float64, whose clipped sum is in float64. Rows of
    zeros, as of empty slots, and rows that are not finite contribute zero. The sum, plus N(0, (zC)²I), is divided by
    ``expected_batch``. With Poisson-sampled batches steps are `SubsampledGaussian` phases (claim T20, parts 3 to 5),
    as long as the length of axis 0 is public: pad each batch with rows of zeros to one length, for the threshold
    follows from it. Sampling is up to the caller, and so is the warning about copied states in `gaussian_noise`.

    Args:
        clip_norm: C, from 2⁻³⁰ to 2³⁰; sums with and without a row differ by at most C.
        noise_multiplier: z.
        expected_batch: a public number.
        exact_noise, entropy: as in `gaussian_noise`.

    Example:
        >>> clipped = differentially_private_aggregate(clip_norm=1.0, noise_multiplier=1.1, expected_batch=8.0)
        >>> optimizer = optax.chain(clipped, optax.sgd(0.1))
        >>> weights = jnp.zeros(3)
        >>> updates, _ = jax.jit(optimizer.update)(jnp.ones((8, 3)), optimizer.init(weights), weights)
        >>> updates.shape, updates.dtype
        ((3,), dtype('float32'))
    """
    noise = gaussian_noise(
        noise_std_for(clip_norm, noise_multiplier), expected_batch, exact_noise=exact_noise, entropy=entropy
    )

    @in_float64
    def update(gradients: Tree, state: NoiseState, params: Tree = None) -> tuple[Tree, NoiseState]:
        leaves = jax.tree.leaves(gradients)
        rows = leaves[0].shape[0]
        if any(leaf.ndim == 0 or leaf.shape[0] != rows for leaf in leaves):
            raise ValueError("updates must be gradients per row, each leaf with the rows on axis 0: use jax.vmap")
        terms = sum(int(np.prod(leaf.shape[1:])) for leaf in leaves)
        threshold = clip_threshold(clip_norm, float64_sensitivity(rows, terms))
        sums = clip_and_add(gradients, jnp.ones(rows, bool), jnp.float64(threshold))
        like = jax.tree.map(lambda leaf: leaf[0], gradients) if params is None else params
        noisy: tuple[Tree, NoiseState] = noise.update(sums, state, like)
        return noisy

    return optax.GradientTransformation(noise.init, update)


def noise_std_for(clip_norm: float, noise_multiplier: float) -> float:
    """Return z·C rounded up: the noise multiplier accounted for is at most what is added (claim T20, part 5)."""
    if not 0.0 < nonnegative("noise_multiplier", noise_multiplier) < math.inf:
        raise ValueError(f"noise_multiplier must be positive and finite, got {noise_multiplier!r}")
    return round_up(lambda: exact(clip_norm) * exact(noise_multiplier))


def normals(words: jax.Array, count: int) -> jax.Array:
    """Return ``count`` normals in float64 from words (16, blocks), two from every four words (claim T20, part 5).

    Box–Muller: √(−2 log U)·(cos 2πV, sin 2πV), U and V from 64 bits each, so |N| < 9.5.
    """
    a, b, c, d = (part.astype(jnp.uint64) for part in words.reshape(4, -1))
    uniform, turn = ((high << 32 | low).astype(jnp.float64) for high, low in ((a, b), (c, d)))
    radius = jnp.sqrt(-2.0 * jnp.log((uniform + 0.5) * 2.0**-64))
    angle = turn * (2.0 * math.pi * 2.0**-64)
    return jnp.concatenate([radius * jnp.cos(angle), radius * jnp.sin(angle)])[:count]


def _added(leaf: jax.Array, noise_std: float, state: NoiseState, number: int) -> jax.Array:
    nonce = jnp.concatenate([state.step, jnp.full(1, number, jnp.uint32)])
    drawn = normals(chacha20(state.key, nonce, -(-leaf.size // 8)), leaf.size)
    return leaf + noise_std * drawn.reshape(leaf.shape)


def _released(leaf: jax.Array, noise_std: float, state: NoiseState, number: int) -> jax.Array:
    del state, number
    # Callbacks run in threads without 64-bit types, which would round float64: pairs of words go unchanged.
    words = jax.lax.bitcast_convert_type(leaf, jnp.uint32)

    def draw(words: Any) -> Any:
        center = np.ascontiguousarray(words, dtype="<u4").view("<f8")[..., 0].astype(np.float64)
        return release_gaussian(center, noise_std).astype("<f8")[..., None].view("<u4").astype(np.uint32)

    released = io_callback(draw, jax.eval_shape(lambda: words), words)
    return jax.lax.bitcast_convert_type(released, jnp.float64)


def _like(leaves: list[jax.Array], params: Tree) -> list[jax.Array]:
    """The leaves in the types of the parameters, or as they are without any."""
    if params is None:
        return leaves
    return [leaf.astype(like.dtype) for leaf, like in zip(leaves, jax.tree.leaves(params), strict=True)]
