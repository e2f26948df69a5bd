"""DP-SGD: noisy sums of clipped gradients over Poisson-sampled batches, as one compiled scan (claims T10, T19, T20).

Abadi et al. 2016 (arXiv 1607.00133) with everything between their theorem and the floats accounted for: rounding in the
sensitivity, sampling exactly by fair bits, batches with more rows than slots in δ.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from certified.dp.chacha import Entropy
from certified.dp.clipping import ClippedGradient, Tree, clip_threshold
from certified.dp.guarantee import ASSUMPTIONS, DPGuarantee
from certified.dp.plan import SGDPlan
from certified.dp.poisson import PoissonSampler
from certified.dp.sampled import SampledCurve
from certified.dp.tiles import in_tiles, tiled_sum
from certified.dp.transform import NoiseState, gaussian_noise, noise_std_for
from certified.numerics.precision import in_float64
from certified.privacy.gaussian import probability

_SLOTS_AT_ONCE = 1 << 19
_MOST_STEPS_AT_ONCE = 256

SGD_ASSUMPTIONS = (
    *ASSUMPTIONS,
    "the number of rows stays within a public limit, and model, loss, optimiser and plan do not depend on the rows",
    "what a compiled step computes for a slot depends on that slot's row and the weights alone, and sums of the same "
    "numbers have the same bits",
)


@dataclass(frozen=True)
class SGDState:
    """What a checkpoint holds: weights, the optimiser's state and the curve so far. There is no secret in it.

    The key of the noise is not among it: each `dp_sgd` draws its own from the operating system. So a training that is
    resumed repeats no noise, also when it is resumed twice from one checkpoint.
    """

    params: Tree
    optimizer: Tree
    curve: SampledCurve


@dataclass(frozen=True)
class SGDResult:
    """What may be published: the weights and their guarantee, and the state to resume from."""

    params: Tree
    guarantee: DPGuarantee
    state: SGDState


@in_float64
def dp_sgd(
    gradient: ClippedGradient,
    params: Tree,
    data: Tree,
    plan: SGDPlan,
    *,
    optimizer: optax.GradientTransformation,
    delta: float,
    resume: SGDState | None = None,
    exact_noise: bool = False,
    entropy: Entropy = os.urandom,
) -> SGDResult:
    """Train by DP-SGD: in each step g = (Σ clipped gradients of a batch + N(0, (zC)²I)) / expected batch, then optax.

    With q = expected batch / N the weights are those of T steps of the Poisson-subsampled Gaussian at noise multiplier
    z, for adding or removing rows, and their guarantee is the accountant's plus truncation (claims T10, T19, T20). An
    empty batch is a step like any other.

    Args:
        gradient: `LinearGradient`, `DenseGradient` or `PerExampleGradient`, or what satisfies `ClippedGradient`.
        params: initial weights, float32 or float64, chosen without looking at the rows; not used when resuming.
        data: arrays with the rows on axis 0, as ``gradient`` wants them.
        plan: the public numbers; when resuming, those of the steps to come.
        optimizer: what makes an update of the private gradient: post-processing.
        delta: δ at which the guarantee states its ε; it holds the whole curve.
        resume: the state of an earlier result. Phases add up. Two continuations of one state are two releases: publish
            both and the steps after the checkpoint count twice, in `certified.accounting.dp_epsilon` with all phases.
        exact_noise: real Gaussians, drawn on the host (T13), instead of ChaCha20 and float64 functions of it.
        entropy: ``entropy(n)`` returns n independent uniform bytes for the key and for sampling; the guarantee rests on
            them.

    Raises:
        ValueError: data do not fit, there are more rows than ``public_rows``, or an argument is out of range.
        TypeError: weights that are neither float32 nor float64.

    Example:
        >>> from certified.dp import LinearGradient
        >>> from certified.losses import LOGISTIC
        >>> x = np.array([[1.0, 0.0], [-1.0, 0.5]] * 50)
        >>> t = np.array([[1.0], [-1.0]] * 50)
        >>> plan = SGDPlan(clip_norm=1.0, noise_multiplier=2.0, expected_batch=10.0, public_rows=100, steps=20)
        >>> gradient, start, sgd = LinearGradient(LOGISTIC), np.zeros((2, 1)), optax.sgd(1.0)
        >>> found = dp_sgd(gradient, start, (x, t), plan, optimizer=sgd, delta=1e-5)
        >>> found.params.shape, round(found.guarantee.epsilon(1e-5), 2)
        ((2, 1), 1.08)
    """
    rows = _row_count(data, plan)
    prepared = _with_a_row(gradient.prepare(data))
    if resume is None:
        params = jax.tree.map(jnp.asarray, params)
        state, curve = optimizer.init(params), plan.curve()
    else:
        params, state, curve = resume.params, resume.optimizer, resume.curve.then(plan.curve())
    guarantee = _guarantee(curve, gradient, params, delta, exact_noise)
    noise_std = noise_std_for(plan.clip_norm, plan.noise_multiplier)
    step = _Step(gradient, optimizer, noise_std, plan.expected_batch, exact_noise)
    threshold = clip_threshold(plan.clip_norm, gradient.sensitivity(params, plan.slots))
    sampler = PoissonSampler(rows, plan.sampling_rate, entropy)
    carry = (params, state, step.noise(entropy).init(params))
    done = 0
    while done < plan.steps:
        count = min(plan.steps - done, _MOST_STEPS_AT_ONCE, max(1, _SLOTS_AT_ONCE // plan.slots))
        # The compiled steps run while the host draws the next batches.
        carry = _run(step, carry, prepared, in_tiles(sampler.slots(count, plan.slots), prepared, params), threshold)
        done += count
    params, state, _ = carry
    return SGDResult(params, guarantee, SGDState(params, state, curve))


@dataclass(frozen=True, eq=False)
class _Step:
    """What the compiled steps are specialised to; the same objects again are not compiled again."""

    gradient: ClippedGradient
    optimizer: optax.GradientTransformation
    noise_std: float
    normaliser: float
    exact_noise: bool

    def noise(self, entropy: Entropy = os.urandom) -> optax.GradientTransformation:
        return gaussian_noise(self.noise_std, self.normaliser, exact_noise=self.exact_noise, entropy=entropy)

    def _key(self) -> tuple[Any, ...]:
        # By identity: flax modules need not be hashable.
        return id(self.gradient), id(self.optimizer), self.noise_std, self.normaliser, self.exact_noise

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Step) and self._key() == other._key()


@partial(jax.jit, static_argnums=0)
def _run(step: _Step, carry: tuple[Tree, Tree, NoiseState], data: Tree, slots: jax.Array, threshold: float) -> Any:
    """One step for each entry of ``slots`` (steps, tiles, slots of a tile)."""
    noise = step.noise()

    def one(carry: tuple[Tree, Tree, NoiseState], slots: jax.Array) -> tuple[tuple[Tree, Tree, NoiseState], None]:
        params, state, drawn = carry
        sums = tiled_sum(step.gradient, params, data, slots, jnp.float64(threshold))
        private, drawn = noise.update(sums, drawn, params)
        updates, after = step.optimizer.update(private, state, params)
        # Learning rates are float64 here; states keep the types that they began with.
        after = jax.tree.map(lambda new, old: jnp.asarray(new).astype(jnp.asarray(old).dtype), after, state)
        return (optax.apply_updates(params, updates), after, drawn), None

    return jax.lax.scan(one, carry, slots)[0]


def _guarantee(
    curve: SampledCurve, gradient: ClippedGradient, params: Tree, delta: float, exact_noise: bool
) -> DPGuarantee:
    if not 0.0 < probability("delta", delta) < 1.0:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {delta!r}; such as 1e-6")
    epsilon = curve.epsilon(delta, 1)
    if epsilon == math.inf:
        raise ValueError(f"delta={delta!r} cannot be reached: use more slots (capacity), more noise or fewer steps")
    leaves = jax.tree.leaves(params)
    flat = len(leaves) == 1 and leaves[0].ndim == 2
    return DPGuarantee(
        mechanism="DP-SGD",
        stated_epsilon=epsilon,
        stated_delta=delta,
        group_size=1,
        curve=curve,
        loss=str(getattr(getattr(gradient, "loss", None), "name", "given as a function")),
        n_features=leaves[0].shape[0] if flat else sum(leaf.size for leaf in leaves),
        n_outputs=leaves[0].shape[1] if flat else 1,
        noise="rounded_gaussian" if exact_noise else "idealized_gaussian",
        assumptions=SGD_ASSUMPTIONS,
    )


def _row_count(data: Tree, plan: SGDPlan) -> int:
    counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(counts) != 1 or () in counts:
        raise ValueError("data must be arrays with the same number of rows on axis 0")
    (rows,) = counts.pop()
    if rows > plan.public_rows:
        raise ValueError(f"data has more rows than public_rows={plan.public_rows}: declare a larger public limit")
    return int(rows)


def _with_a_row(data: Tree) -> Tree:
    """Data that empty slots can point into, also where there is no row: what they point to is masked."""

    def padded(leaf: jax.Array) -> jax.Array:
        return jnp.asarray(leaf) if len(leaf) else jnp.zeros((1, *leaf.shape[1:]), leaf.dtype)

    return jax.tree.map(padded, data)
