"""Hessian-free online unlearning by recollected vectors (Qiao, Zhang, Tang & Wei 2025).

Training runs gradient descent over J fixed batches. Beside it, every row i carries the first-order effect a_i of its
own removal on the final weights, by the affine recursion

    a_i ← (I − η∇²F_t(W_t))·a_i,   then   a_i ← a_i + ηJ·c_i∇ℓ_i(W_t)   if the step's batch holds row i,

with a Hessian-vector product per row and step. Deletion adds vectors, W ← W + Σ_S a_i, and touches no row. The effect
of the penalty is recollected too, for an α that changes with the number of rows.

The sum of the vectors is the derivative of the final weights in the weights of the removed rows, along the training
run: what is left is of second order in them. The publication bounds it for its (ε, δ); its text was not available, so
no guarantee is claimed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.bounds.published.descent import finite, whole
from certified.data.rows import Rows
from certified.losses import Loss
from certified.numerics.precision import in_float64
from certified.objective import Objective
from certified.privacy.noise import release_gaussian
from certified.removal.published.descent import fixed_batches, smoothness, weight_taken
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, row_count

Array = npt.NDArray[np.float64]

VECTORS_AT_ONCE = 64
"""Hessian-vector products formed together: bounds the memory at so many times the rows of a batch."""


@dataclass(frozen=True, repr=False)
class RecollectionState:
    """What the mechanism carries between requests; all of it is secret.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``.
        vectors: (slots, p, K) first-order effect of removing each row.
        penalty_vector: (p, K) first-order effect of lowering α by one.
        trained: the rows at training, whose whole weights the vectors stand for.
        alpha: α at training.
    """

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int
    vectors: Array
    penalty_vector: Array
    trained: Rows
    alpha: float


@dataclass(frozen=True)
class Recollection:
    """The mechanism, with Gaussian noise on the release.

    Attributes:
        noise_std: standard deviation of the release noise per coordinate.
        epochs: passes over the rows in training.
        batches: J.
        step_size: η in sum scaling, at most 1/L; None takes 1/L.
    """

    noise_std: float
    epochs: int
    batches: int = 1
    step_size: float | None = None
    name: str = "recollection"

    def __post_init__(self) -> None:
        for key in ("epochs", "batches"):
            whole(key, getattr(self, key), 1)
        for key in ("noise_std", "step_size"):
            value = getattr(self, key)
            if value is not None and finite(key, value) == 0.0:
                raise ValueError(f"{key} must be positive; pass such a value")

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> RecollectionState:
        """Descend from zero and recollect every row's vector on the way.

        Raises:
            ValueError: no strong convexity, or a step beyond 1/L.
        """
        check_training(objective)
        limit = 1.0 / max(smoothness(batch) for batch in fixed_batches(objective, self.batches))
        step = limit if self.step_size is None else self.step_size
        if step > limit:
            raise ValueError(f"step_size={step!r} must be at most 1/L = {limit:.6g}; lower it or pass None")
        weights, vectors, penalty_vector = self._recollect(objective, step)
        claim = Claim(
            mechanism=self.name,
            source="Qiao, Zhang, Tang & Wei, ICLR 2025, arXiv 2404.01712",
            epsilon=math.inf,
            delta=1.0,
            noise_std=self.noise_std,
            residual=None,
            distance=None,
            verdict="none",
            assumptions=("the publication's bound on the second-order remainder was not available",),
        )
        return RecollectionState(
            objective=objective,
            weights=weights,
            claim=claim,
            removed=0,
            retrained=False,
            passes=self.epochs * (1 + objective.rows.slots),
            vectors=vectors,
            penalty_vector=penalty_vector,
            trained=objective.rows,
            alpha=objective.alpha,
        )

    def remove(
        self, state: RecollectionState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> RecollectionState:
        """Add the vectors of the removed rows: no pass over any row.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        share = weight_taken(state.trained, objective.rows) - weight_taken(state.trained, state.objective.rows)
        moved = np.tensordot(share, state.vectors, axes=1)
        moved = moved + (state.objective.alpha - objective.alpha) * state.penalty_vector
        weights = np.zeros(objective.shape) if objective.is_degenerate else state.weights + moved
        count = state.removed + row_count(removed)
        return replace(state, objective=objective, weights=weights, removed=count, retrained=False, passes=0)

    def release(self, state: RecollectionState, sampler: Sampler = release_gaussian) -> Array:
        """Return W + N(0, σ²I)."""
        return sampler(state.weights, self.noise_std)

    @in_float64
    def _recollect(self, objective: Objective, step: float) -> tuple[Array, Array, Array]:
        rows, cycle = objective.rows, self.batches
        size = -(-rows.slots // cycle)

        def batched(array: jax.Array) -> jax.Array:
            """Slot s goes to batch s mod J; slots that fill the last places weigh nothing."""
            flat = np.asarray(array).reshape(rows.slots, *array.shape[2:])
            padded = np.zeros((size * cycle, *flat.shape[1:]))
            padded[: rows.slots] = flat
            return jnp.asarray(np.swapaxes(padded.reshape(size, cycle, *flat.shape[1:]), 0, 1))

        weights, vectors, penalty = _recollect(
            objective.loss,
            self.epochs,
            batched(rows.features),
            batched(rows.targets),
            batched(rows.weights) * cycle,
            objective.alpha,
            step,
        )
        ordered = np.swapaxes(np.asarray(vectors), 0, 1).reshape(-1, *objective.shape)[: rows.slots]
        return np.asarray(weights), ordered, np.asarray(penalty)


@partial(jax.jit, static_argnums=(0, 1))
def _recollect(
    loss: Loss,
    epochs: int,
    features: jax.Array,
    targets: jax.Array,
    row_weights: jax.Array,
    alpha: float,
    step: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the final weights (p, K), the vectors (J, size, p, K) and the penalty's vector (p, K)."""
    cycle, size, p = features.shape
    outputs = targets.shape[2]
    Carry = tuple[jax.Array, jax.Array, jax.Array]

    def one_step(carry: Carry, index: jax.Array) -> tuple[Carry, None]:
        weights, vectors, penalty = carry
        x, c = features[index], row_weights[index][:, None]
        z = x @ weights
        slopes, bends = c * loss.derivative(z, targets[index]), c * loss.curvature(z, targets[index])

        def contracted(vector: jax.Array) -> jax.Array:
            return vector - step * (x.T @ (bends * (x @ vector)) + alpha * vector)

        flat = jax.lax.map(contracted, vectors.reshape(-1, p, outputs), batch_size=VECTORS_AT_ONCE)
        vectors = flat.reshape(vectors.shape).at[index].add(step * x[:, :, None] * slopes[:, None, :])
        penalty = contracted(penalty) + step * weights
        return (weights - step * (x.T @ slopes + alpha * weights), vectors, penalty), None

    zero = jnp.zeros((p, outputs))
    start = (zero, jnp.zeros((cycle, size, p, outputs)), zero)
    final, _ = jax.lax.scan(one_step, start, jnp.tile(jnp.arange(cycle), epochs))
    return final
