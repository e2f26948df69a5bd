"""Clipped gradients of linear and softmax heads without any gradient per row (claim T20, part 3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from certified.dp.clipping import FACTOR_LIMIT, block_sensitivity, moderate, outer_sum, scales
from certified.losses import Loss
from certified.numerics.balls import exact, round_up
from certified.numerics.precision import in_float64

Data = tuple[jax.Array, jax.Array, jax.Array]


@dataclass(frozen=True)
class LinearGradient:
    """Gradients x̃ ⊗ ∇ℓ(x̃·W; t) of a linear predictor with weights W (p, K), p = d + 1 with an intercept.

    The gradient of a row has norm ‖∇ℓ‖·‖x̃‖, and ‖x̃‖ is known before training. Data are rows (n, d), in the type
    of the weights, and targets (n, K): −1 and +1 for the logistic loss, one-hot for softmax.

    Attributes:
        loss: any loss of `certified.losses`, evaluated in float64.
        fit_intercept: whether the last row of W multiplies a constant feature 1.

    Example:
        >>> from certified.losses import LOGISTIC
        >>> with jax.enable_x64(True):
        ...     gradient, weights = LinearGradient(LOGISTIC), jnp.zeros((2, 1))
        ...     x, t = np.array([[3.0, 4.0]]), np.array([[1.0]])
        ...     batch = [jnp.repeat(part, 64, axis=0) for part in gradient.prepare((x, t))]
        ...     gradient.clipped_sum(weights, batch, jnp.arange(64) < 1, 0.5)[:, 0].round(3)
        Array([-0.3, -0.4], dtype=float64)
    """

    loss: Loss
    fit_intercept: bool = False

    @in_float64
    def prepare(self, data: tuple[jax.Array, jax.Array]) -> Data:
        """Return rows, targets and an upper bound on the norm of each row (n,).

        Raises:
            ValueError: shapes differ, or a number is not finite or beyond 2⁶⁰.
        """
        rows, targets = (np.asarray(part) for part in data)
        if rows.ndim != 2 or targets.ndim != 2 or len(rows) != len(targets):
            raise ValueError(f"data must be rows (n, d) and targets (n, K), got {rows.shape} and {targets.shape}")
        for name, part in (("rows", rows), ("targets", targets)):
            if not np.all(np.abs(part) <= FACTOR_LIMIT):
                raise ValueError(f"{name} must be finite and at most 2**60 in size: clean or rescale the data")
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64) + self.fit_intercept
        # γ_{d+3} on the sum, one more rounding for the root and the product: T20, part 3.
        excess = round_up(lambda: 1 + (rows.shape[1] + 8) * exact(2.0**-53))
        norms = np.sqrt(squares) * excess + 2.0**-400
        return jnp.asarray(rows), jnp.asarray(targets, jnp.float64), jnp.asarray(norms)

    def clipped_sum(self, params: jax.Array, batch: Data, present: jax.Array, threshold: jax.Array) -> jax.Array:
        """Return Σ s_i x̃_i ∇ℓ_iᵀ (p, K) in float64.

        Raises:
            TypeError: rows and weights differ in type.
            ValueError: the weights are not (p, K) for rows (n, d) and targets (n, K).
        """
        rows, targets, norms = batch
        shape = (rows.shape[1] + self.fit_intercept, targets.shape[1])
        if params.shape != shape:
            raise ValueError(
                f"params must be {shape} for {rows.shape[1]} features and {shape[1]} target column(s), "
                f"fit_intercept={self.fit_intercept}; got {params.shape}"
            )
        if rows.dtype != params.dtype:
            raise TypeError(f"rows are {rows.dtype} and the weights {params.dtype}: cast one to the type of the other")
        d = rows.shape[1]
        z = (rows @ params[:d]).astype(jnp.float64)
        z = z + params[d] if self.fit_intercept else z
        slopes = self.loss.derivative(z, targets)
        usable = present & moderate(slopes)
        scale = scales(jnp.sqrt(jnp.sum(jnp.square(slopes), axis=1)) * norms, threshold, usable)
        # In the type of the rows, so that products and sums are those of part 4.
        scaled = jnp.where(usable[:, None], slopes * scale[:, None], 0.0).astype(rows.dtype)
        total = outer_sum(scaled, rows).T
        if not self.fit_intercept:
            return total
        return jnp.concatenate([total, scaled.astype(jnp.float64).sum(axis=0)[None]])

    def sensitivity(self, params: jax.Array, capacity: int) -> Fraction:
        """As `block_sensitivity`, for norms that are products of a row's and of that of ∇ℓ (K squares)."""
        return block_sensitivity(params.dtype, capacity, params.shape[1])
