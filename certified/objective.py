"""The training objective F(W) = Σ c_i ℓ(x̃_i·W; t_i) + (α/2)‖W_penalised‖² + ⟨B, W⟩ as sums over rows.

``W`` is (p, K): one column per output, p = d, plus a last row for the intercept when there is one. The intercept is
penalised only where the loss demands it. Every quantity is a sum over rows, so one code path serves any placement of
the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.losses import Loss, couples
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]

TILES = 4
"""Tiles per side of a Hessian, of which those below the diagonal are never computed."""
TILED_FROM = 256
"""Size from which tiles pay."""
SUMS_HELD = 1 << 22
"""Entries of the sums of blocks that are held at a time."""


@dataclass(frozen=True)
class Objective:
    """A loss on rows with L2 strength ``alpha`` ≥ 0 (total scaling), optional intercept and linear term.

    Attributes:
        loss: the pointwise loss.
        rows: the rows in force.
        alpha: total L2 strength α.
        fit_intercept: whether a last, unpenalised weight row multiplies a constant feature 1.
        linear: optional B (p, K); adds ⟨B, W⟩.
    """

    loss: Loss
    rows: Rows
    alpha: float
    fit_intercept: bool = False
    linear: Array | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(p, K), the shape of the weights."""
        return self.rows.n_features + self.fit_intercept, self.rows.n_outputs

    @property
    def penalty(self) -> Array:
        """(p, 1) L2 strength of each weight row: α, and 0 for the intercept."""
        diagonal = np.full((self.shape[0], 1), self.alpha)
        if self.has_free_intercept:
            diagonal[-1] = 0.0
        return diagonal

    @property
    def has_free_intercept(self) -> bool:
        """Whether there is an intercept that is not penalised; not for a coupled loss, nor without self-concordance."""
        return self.fit_intercept and not self.loss.couples_outputs and math.isfinite(self.loss.self_concordance)

    @property
    def is_degenerate(self) -> bool:
        """Whether there is no output (one class left) or no row of positive weight: the reference is W* = 0 (T0)."""
        return 0 in self.shape or not self.rows.any_in_force

    @in_float64
    def value_and_gradient(self, weights: Array) -> tuple[float, Array, jax.Array]:
        """Return F(W), ∇F(W) (p, K) and the curvatures c_i φ''(z_i) (blocks, size, K) at W."""
        curvatures: list[jax.Array] = []

        def terms(chunk: Rows) -> tuple[jax.Array, jax.Array]:
            value, gradient, curvature = chunk.total(_value_gradient_curvature, statics, point, kept=1)
            curvatures.append(curvature)
            return value, gradient

        point, statics = jnp.asarray(weights), (self.loss, self.fit_intercept)
        value, gradient = add_up(map(terms, self.rows.chunks()))
        total = float(value) + 0.5 * float(np.sum(self.penalty * weights**2))
        gradient = gradient + self.penalty * weights
        if self.linear is not None:
            total += float(np.sum(self.linear * weights))
            gradient = gradient + self.linear
        return total, gradient, _joined(curvatures)

    @in_float64
    def hvp(self, curvature: jax.Array, direction: Array) -> Array:
        """Return the Hessian-vector product ∇²F·V (p, K) for the given row curvatures."""
        vectors, statics = jnp.asarray(direction), (self.loss, self.fit_intercept)
        parts = self._with_chunks(curvature)
        (product,) = add_up(chunk.total(_hvp, statics, vectors, along=(part,)) for chunk, part in parts)
        return np.asarray(product + self.penalty * direction)

    @in_float64
    def curvature(self, weights: Array) -> jax.Array:
        """Return the row curvatures c_i φ''(z_i) (blocks, size, K) at W."""
        point, statics = jnp.asarray(weights), (self.loss, self.fit_intercept)
        return _joined([chunk.total(_curvature, statics, point, kept=1)[0] for chunk in self.rows.chunks()])

    @in_float64
    def data_hessian(self, curvature: jax.Array) -> Array:
        """Return Σ a_i x̃_i x̃_iᵀ without the penalty for each output of ``curvature``: (K, p, p).

        One matrix (1, p, p) where all outputs share it. The curvature of a coupled loss makes no such matrices.
        """
        p, outputs = self.shape[0], curvature.shape[-1]
        hessians = np.empty((min(outputs, 1) if self.loss.constant_curvature else outputs, p, p))
        for number, (chunk, part) in enumerate(self._with_chunks(curvature)):
            for k, total in enumerate(hessians):
                (hessian,) = chunk.total(_hessian, (self.fit_intercept,), along=(part[..., k],))
                total[:] = hessian if number == 0 else total + hessian
        return hessians

    @in_float64
    def sampled(self, blocks: npt.NDArray[np.int64], curvature: jax.Array) -> tuple[Objective, jax.Array, Array]:
        """The objective on the named blocks of rows, their curvatures, and (K,) how much more all rows have of it."""
        sample, part = replace(self, rows=self.rows.blocks(blocks)), self.rows.along_blocks(curvature, blocks)
        (whole,) = add_up(chunk.total(_sum_along, (), along=(piece,)) for chunk, piece in self._with_chunks(curvature))
        return sample, part, whole / np.maximum(np.asarray(part.sum((0, 1))), 1e-300)

    def _with_chunks(self, curvature: jax.Array) -> Iterator[tuple[Rows, jax.Array]]:
        """Each chunk of the rows with its own row curvatures."""
        start = 0
        for chunk in self.rows.chunks():
            stop = start + len(chunk.weights)
            # A slice on the device would be compiled anew for every chunk.
            yield chunk, curvature if stop - start == len(curvature) else jnp.asarray(np.asarray(curvature)[start:stop])
            start = stop


def add_up(terms: Iterable[tuple[jax.Array | Array, ...]]) -> list[Array]:
    """Add what each chunk of the rows contributes, one chunk after the other (claim T12)."""
    totals: list[Array] = []
    for parts in terms:
        arrays = [np.asarray(part) for part in parts]
        totals = [total + array for total, array in zip(totals, arrays, strict=True)] if totals else arrays
    return totals


def _joined(parts: list[jax.Array]) -> jax.Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def _predict(rows: Rows, fit_intercept: bool, weights: jax.Array) -> jax.Array:
    z = jnp.einsum("bid,dk->bik", rows.features, weights[: rows.features.shape[2]])
    z = z + weights[-1] if fit_intercept else z
    # Of rows that take no part not even an overflow does.
    return jnp.where(rows.weights[..., None] > 0.0, z, 0.0)


def row_sum(features: jax.Array, coefficients: jax.Array, fit_intercept: bool) -> jax.Array:
    """Return Σ_i x̃_i s_iᵀ (p, K), summed within blocks first and then across blocks (claim T12)."""
    count, together = len(features), max(1, SUMS_HELD // max(1, features.shape[2] * coefficients.shape[2]))
    if count <= together:
        return _sum_of_blocks(features, coefficients, fit_intercept)

    def add_some(number: jax.Array, total: jax.Array) -> jax.Array:
        x, s = (jax.lax.dynamic_slice_in_dim(a, number * together, together) for a in (features, coefficients))
        return total + _sum_of_blocks(x, s, fit_intercept)

    whole = count // together
    rest = _sum_of_blocks(features[whole * together :], coefficients[whole * together :], fit_intercept)
    total: jax.Array = jax.lax.fori_loop(0, whole, add_some, rest)
    return total


def _sum_of_blocks(features: jax.Array, coefficients: jax.Array, fit_intercept: bool) -> jax.Array:
    blocks = jnp.einsum("bid,bik->bdk", features, coefficients)
    if fit_intercept:
        blocks = jnp.concatenate([blocks, coefficients.sum(axis=1)[:, None, :]], axis=1)
    # The barrier keeps the compiler from merging both sums into one long sum, whose error bound would be larger.
    separate: jax.Array = jax.lax.optimization_barrier(blocks)  # type: ignore[no-untyped-call]
    return separate.sum(axis=0)


@partial(jax.jit, static_argnums=(0, 1))
def _value_gradient_curvature(
    loss: Loss, fit_intercept: bool, rows: Rows, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    z = _predict(rows, fit_intercept, weights)
    c = rows.weights[..., None]
    value = jnp.sum(c * loss.value(z, rows.targets))
    gradient = row_sum(rows.features, c * loss.derivative(z, rows.targets), fit_intercept)
    return value, gradient, c * loss.curvature(z, rows.targets)


@partial(jax.jit, static_argnums=(0, 1))
def _hvp(
    loss: Loss, fit_intercept: bool, rows: Rows, curvature: jax.Array, direction: jax.Array
) -> tuple[jax.Array, ...]:
    slope = _predict(rows, fit_intercept, direction)
    bent = loss.curvature_product(curvature, slope) if couples(loss) else curvature * slope
    # One long sum, which is faster than sums of blocks: products steer, and no bound is claimed for their rounding.
    bent = bent.reshape(rows.slots, bent.shape[-1])
    product = (bent.T @ rows.features.reshape(rows.slots, rows.n_features)).T
    return (jnp.concatenate([product, bent.sum(axis=0)[None]]) if fit_intercept else product,)


@partial(jax.jit, static_argnums=(0, 1))
def _curvature(loss: Loss, fit_intercept: bool, rows: Rows, weights: jax.Array) -> tuple[jax.Array, ...]:
    return (rows.weights[..., None] * loss.curvature(_predict(rows, fit_intercept, weights), rows.targets),)


@jax.jit
def _sum_along(rows: Rows, values: jax.Array) -> tuple[jax.Array, ...]:
    return (values.sum((0, 1)),)


@partial(jax.jit, static_argnums=0)
def _hessian(fit_intercept: bool, rows: Rows, curvature: jax.Array) -> tuple[jax.Array, ...]:
    p = rows.features.shape[2] + fit_intercept
    # The tiles on and above the diagonal suffice; small matrices are one tile.
    edges = np.linspace(0, p, TILES + 1 if p >= TILED_FROM else 2).astype(int).tolist()
    spans = [slice(*edge) for edge in pairwise(edges)]
    tiles = [(down, across) for i, down in enumerate(spans) for across in spans[i:]]

    def add_block(
        total: tuple[jax.Array, ...], block: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, ...], None]:
        x, a = block
        if fit_intercept:
            x = jnp.concatenate([x, jnp.ones((x.shape[0], 1))], axis=1)
        scaled = x.T * a
        sums = zip(total, tiles, strict=True)
        return tuple(tile + scaled[down] @ x[:, across] for tile, (down, across) in sums), None

    zeros = tuple(jnp.zeros((down.stop - down.start, across.stop - across.start)) for down, across in tiles)
    total, _ = jax.lax.scan(add_block, zeros, (rows.features, curvature))
    upper = jnp.zeros((p, p))
    for tile, (down, across) in zip(total, tiles, strict=True):
        upper = upper.at[down, across].set(tile)
    upper = jnp.triu(upper)
    return (upper + jnp.triu(upper, 1).T,)
