"""Clipped gradient sums whose sensitivity is bounded after rounding (claim T20, parts 3 and 4).

What a row contributes is a vector that is known exactly: products of floats that are there in memory. Its norm is
computed in float64 from those very floats, and its scale is such that the exact norm stays below the threshold. Sums
are computed in blocks of `BLOCK` slots in the floats' own precision and added up in float64: a row is in one block, so
the rounding errors that its presence can change do not grow with the batch.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from certified.privacy.gaussian import nonnegative

Tree = Any

BLOCK = 64
"""Slots that are added up in the precision of the gradients."""

FACTOR_LIMIT = 2.0**60
"""A row with a larger number in its gradient contributes zero: no product of it, squared, overflows."""

SMALLEST_CLIP, LARGEST_CLIP = 2.0**-30, 2.0**30

_LARGEST_BATCH_AT_ONCE = 1 << 20
"""Numbers of partial sums that are kept at once; more are added up block by block."""
_ABSOLUTE = Fraction(1, 2**40)
"""All underflow, relative to the clip norm (T20)."""


class ClippedGradient(Protocol):
    """Computes Σ_i s_i ∇ℓ_i over the slots of a batch with s_i ≤ 1 and every ‖s_i ∇ℓ_i‖ within a threshold."""

    def prepare(self, data: Tree) -> Tree:
        """Check the data, leaves (n, …) each, and return what `clipped_sum` takes batches of; once per training."""
        ...

    def clipped_sum(self, params: Tree, batch: Tree, present: jax.Array, threshold: jax.Array) -> Tree:
        """Return the sum in float64, shaped like ``params``; slots that are not ``present`` contribute zero.

        A batch is all slots of a step or a tile of them, a multiple of `BLOCK` each.
        """
        ...

    def sensitivity(self, params: Tree, capacity: int) -> Fraction:
        """Return how far sums with and without a row can be apart, as a multiple of the threshold (T20, part 4).

        Sums of up to ``capacity`` rows: those of `clipped_sum` over tiles of the batch, added up in float64.
        """
        ...


def clip_threshold(clip_norm: float, sensitivity: Fraction) -> float:
    """Return the largest float64 threshold τ with τ·sensitivity ≤ ``clip_norm`` (claim T20, part 4).

    Raises ``ValueError`` unless 2⁻³⁰ ≤ ``clip_norm`` ≤ 2³⁰.

    >>> clip_threshold(1.0, Fraction(2))
    0.5
    """
    if not SMALLEST_CLIP <= nonnegative("clip_norm", clip_norm) <= LARGEST_CLIP:
        raise ValueError(f"clip_norm must lie between 2**-30 and 2**30, got {clip_norm!r}; rescale the loss")
    exact = Fraction(clip_norm) / sensitivity
    threshold = float(exact)
    while Fraction(threshold) > exact:
        threshold = math.nextafter(threshold, 0.0)
    return threshold


def scales(norm: jax.Array, threshold: jax.Array, usable: jax.Array) -> jax.Array:
    """Return min(1, threshold/norm), and 0 for rows not ``usable`` or whose norm is no number (T20, part 3)."""
    safe = usable & jnp.isfinite(norm)
    return jnp.where(safe, jnp.minimum(1.0, threshold / jnp.where(safe, norm, 1.0)), 0.0)


def moderate(values: jax.Array) -> jax.Array:
    """Whether all numbers of each row are at most `FACTOR_LIMIT` in size; NaN is not."""
    return jnp.all(jnp.abs(values) <= FACTOR_LIMIT, axis=tuple(range(1, values.ndim)))


def outer_sum(left: jax.Array, right: jax.Array) -> jax.Array:
    """Return Σ_i left_i right_iᵀ (a, b) in float64 from (capacity, a) and (capacity, b), in blocks (T20, part 4)."""
    blocks = left.shape[0] // BLOCK
    left, right = (part.reshape(blocks, BLOCK, -1) for part in (left, right))
    highest = jax.lax.Precision.HIGHEST
    if blocks * left.shape[2] * right.shape[2] <= _LARGEST_BATCH_AT_ONCE:
        parts = jnp.einsum("bia,bid->bad", left, right, precision=highest)
        # The barrier keeps the compiler from merging both sums into one long sum, whose error bound would be larger.
        separate: jax.Array = jax.lax.optimization_barrier(parts)  # type: ignore[no-untyped-call]
        return separate.astype(jnp.float64).sum(axis=0)

    def add(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        part = jnp.dot(block[0].T, block[1], precision=highest)
        return total + part.astype(jnp.float64), None

    return jax.lax.scan(add, jnp.zeros((left.shape[2], right.shape[2])), (left, right))[0]


def block_sensitivity(dtype: Any, capacity: int, terms: int) -> Fraction:
    """Return the sensitivity of `outer_sum` per threshold: (1 + η)(1 + 2bγ_b + 2Bγ'_B(1 + γ_b)) (T20, part 4).

    ``terms`` is how many squares the norms are sums of; γ is for the unit roundoff of ``dtype``, γ' for float64.

    >>> float(block_sensitivity(jnp.float32, 512, 784)) - 1 < 5e-4
    True
    """
    unit = unit_roundoff(dtype)
    own, across = _gamma(BLOCK, unit), _gamma(capacity, Fraction(1, 2**53))
    spread = 1 + 2 * BLOCK * own + 2 * capacity * across * (1 + own)
    return norm_excess(dtype, terms) * spread + _ABSOLUTE


def float64_sensitivity(capacity: int, terms: int) -> Fraction:
    """Return the sensitivity of a sum in float64, in any order, per threshold: (1 + η)(1 + 2Bγ_B) (T20, part 4)."""
    unit = Fraction(1, 2**53)
    return norm_excess(jnp.float64, terms) * (1 + 2 * capacity * _gamma(capacity, unit)) + _ABSOLUTE


def norm_excess(dtype: Any, terms: int) -> Fraction:
    """Return 1 + η: how far beyond the threshold a contribution, rounded to ``dtype``, can be (T20, part 3)."""
    return (1 + 2 * _gamma(terms + 16, Fraction(1, 2**53))) * (1 + unit_roundoff(dtype))


def unit_roundoff(dtype: Any) -> Fraction:
    """Return u of float32 or float64; ``TypeError`` for other types, whose sums are too coarse to be bounded."""
    found = {"float32": Fraction(1, 2**24), "float64": Fraction(1, 2**53)}.get(jnp.dtype(dtype).name)
    if found is None:
        raise TypeError(f"params must be float32 or float64, got {jnp.dtype(dtype).name}: cast them")
    return found


def _gamma(terms: int, unit: Fraction) -> Fraction:
    if terms * unit >= Fraction(1, 2):
        raise ValueError("capacity is too large for error bounds in float64; use smaller batches")
    return terms * unit / (1 - terms * unit)
