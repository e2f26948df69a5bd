"""What one row adds to a sum, and how far its computed value is from the exact one (claim T12)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.losses import Loss
from certified.numerics.exponential import exp_nonpositive
from certified.numerics.rounding import UNDERFLOW, UNIT_ROUNDOFF, gamma
from certified.objective import Objective

Array = npt.NDArray[np.float64]


def predictor_scale(objective: Objective, weights: Array) -> tuple[Array, Array]:
    """(K,) factors f, b with |ẑ_ik − z_ik| ≤ f_k·ρ_i + b_k, the loss's own shift included (T12); on the host."""
    rate, offset = product_scale(objective, weights)
    return rate, offset + objective.loss.evaluation_shift


def product_scale(objective: Objective, weights: Array) -> tuple[Array, Array]:
    """(K,) factors f, b with |error of the computed x̃_i·w_k| ≤ f_k·ρ_i + b_k (T12); on the host."""
    d = objective.rows.n_features
    feature_weights = weights[:d]
    norms = np.sqrt((feature_weights * feature_weights).sum(axis=0)) * (1.0 + 2.0 * gamma(d + 4)) + 1e-150
    intercept = np.abs(weights[d]) if objective.fit_intercept else np.zeros(weights.shape[1])
    rate = 2.0 * gamma(d + 4)
    return rate * norms, rate * intercept + UNDERFLOW


def extended_norms(rows: Rows, fit_intercept: bool) -> jax.Array:
    """Upper bounds on ‖x̃_i‖₂, the constant feature included."""
    if not fit_intercept:
        return rows.norms
    return jnp.sqrt(jnp.square(rows.norms) + 1.0) * (1.0 + 8.0 * UNIT_ROUNDOFF)


def predict(rows: Rows, fit_intercept: bool, weights: jax.Array) -> jax.Array:
    """Linear predictors z (blocks, size, K)."""
    z = jnp.einsum("bid,dk->bik", rows.features, weights[: rows.features.shape[2]])
    z = z + weights[-1] if fit_intercept else z
    # Of rows that take no part not even an overflow does.
    return jnp.where(rows.weights[..., None] > 0.0, z, 0.0)


def curvature_and_growth(
    loss: Loss, targets: jax.Array, z: jax.Array, zeta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """φ''(ẑ), sup of φ'' over [ẑ − ζ, ẑ + ζ], and a bound on |φ''(ẑ) − φ''(z)| there (self-concordance)."""
    curvature = loss.curvature(z, targets)
    drift = loss.self_concordance * zeta
    growth = 1.0 / exp_nonpositive(-jnp.minimum(drift, 700.0))
    grown = curvature * growth * (1.0 + 2.0 * loss.evaluation_error + 64.0 * UNIT_ROUNDOFF)
    # Where growth says nothing (no self-concordance, say) the limit of φ'' is all that is known.
    supremum = jnp.where(drift > 700.0, loss.curvature_limit, jnp.minimum(grown, loss.curvature_limit))
    change = supremum * jnp.minimum(drift * (1.0 + 4.0 * UNIT_ROUNDOFF), 1.0)
    return curvature, supremum, change


def coefficient_error(loss: Loss, coefficient: jax.Array, c: jax.Array, propagated: jax.Array) -> jax.Array:
    """Bound |ŝ − s| for a coefficient c·φ-derivative: evaluation, product, propagated predictor error, underflow."""
    relative = 2.0 * loss.evaluation_error + 8.0 * UNIT_ROUNDOFF
    return relative * jnp.abs(coefficient) + c * (propagated + UNDERFLOW) * (1.0 + 8.0 * UNIT_ROUNDOFF)


def weighted(rows: Rows, fit_intercept: bool, coefficient: jax.Array, error: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Σ ρ̃_i‖ŝ_i‖₂ and Σ ρ̃_i‖ε_i‖₂ over the rows."""
    norms = extended_norms(rows, fit_intercept)
    # 1e-290 covers squares that underflow: the root is then still an upper bound.
    size, slack = (jnp.sqrt(jnp.sum(jnp.square(a), axis=-1) + 1e-290) for a in (coefficient, error))
    return jnp.sum(norms * size), jnp.sum(norms * slack)
