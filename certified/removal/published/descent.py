"""What mechanisms that descend need of a problem: smoothness, gradients of removed rows, and the steps themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.bounds.enclosure import norm_bound
from certified.bounds.published.data_dependent import spectral_norm_bound
from certified.data.rows import Rows
from certified.losses import Loss
from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective, row_sum

Array = npt.NDArray[np.float64]

UP = 1.0 + 64.0 * UNIT_ROUNDOFF
"""Makes up for the rounding of a handful of positive products and sums."""


def smoothness(objective: Objective) -> float:
    """Return L = α + sup φ″·‖√C X‖₂², rounded up: ∇F is L-Lipschitz (claims T2f, T12, T7n). No intercept.

    Raises:
        ValueError: the loss has no bounded curvature.
    """
    if not math.isfinite(objective.loss.curvature_limit):
        raise ValueError(
            f"the {objective.loss.name} loss has no bounded curvature, which descent with a fixed step needs; use the "
            "logistic loss, or certified.removal.update"
        )
    features = np.asarray(objective.rows.features).reshape(-1, objective.rows.n_features)
    scaled = np.sqrt(np.asarray(objective.rows.weights)).reshape(-1, 1) * features
    # Rounding √c and the product moves every entry by at most 2u of itself.
    norm = spectral_norm_bound(scaled) + 4.0 * UNIT_ROUNDOFF * norm_bound(scaled)
    return (objective.alpha + objective.loss.curvature_limit * norm * norm) * UP


def gradient_limits(loss: Loss, rows: Rows, radius: float) -> Array:
    """Return upper bounds (slots,) on c_i‖∇ℓ_i(W)‖_F over all W with ‖W‖_F ≤ radius, which may be infinite (claim T7n).

    ‖φ'(z)‖ is at most sup|φ'|·√K, and at most ‖φ'(0)‖ + sup φ″·‖x_i‖·radius.
    """
    norms, weights = np.asarray(rows.norms).ravel(), np.asarray(rows.weights).ravel()
    limits = np.full(norms.shape, loss.derivative_limit * math.sqrt(rows.n_outputs))
    if radius < math.inf and math.isfinite(loss.curvature_limit):
        limits = np.minimum(limits, _slopes_at_zero(loss, rows) * UP + loss.curvature_limit * norms * radius)
    used = (weights > 0.0) & (norms > 0.0)
    if not np.all(np.isfinite(limits[used])):
        remedy = "pass a finite radius to project on" if math.isfinite(loss.curvature_limit) else "use another loss"
        raise ValueError(f"the {loss.name} loss has no bounded derivative on all of space; {remedy}")
    return np.where(used, weights * norms * np.where(used, limits, 0.0), 0.0) * UP


def weight_taken(before: Rows, after: Rows) -> Array:
    """Return (slots,) the share of its weight that each row of ``before`` has lost in ``after``.

    Raises:
        ValueError: the two do not hold the same slots, or a row has gained weight.
    """
    if before.weights.shape != after.weights.shape:
        raise ValueError("objective must keep the slots of its rows; use objective.rows.without(positions)")
    old, new = np.asarray(before.weights).ravel(), np.asarray(after.weights).ravel()
    if np.any(new > old):
        raise ValueError("objective must give no row more weight than before; train again to add rows")
    return np.where(old > 0.0, (old - new) / np.where(old > 0.0, old, 1.0), 0.0)


@in_float64
def fixed_batches(objective: Objective, cycle: int) -> list[Objective]:
    """Batch j holds the slots j, j + J, j + 2J, …, each weighing J times what it does in the objective."""
    if cycle == 1:
        return [objective]
    slots = np.arange(objective.rows.slots)
    parts = [objective.rows.take(slots[batch::cycle]) for batch in range(cycle)]
    return [replace(objective, rows=replace(part, weights=part.weights * cycle)) for part in parts]


@in_float64
def descend(objective: Objective, weights: Array, steps: int, step: float) -> Array:
    """Return the weights after ``steps`` steps W ← W − η∇F(W), one compiled loop."""
    linear = np.zeros(objective.shape) if objective.linear is None else objective.linear
    return np.asarray(
        _descend(
            objective.loss,
            objective.fit_intercept,
            objective.rows,
            jnp.asarray(objective.penalty),
            jnp.asarray(linear),
            jnp.asarray(weights),
            steps,
            step,
        )
    )


@partial(jax.jit, static_argnums=(0, 1))
def _descend(
    loss: Loss,
    fit_intercept: bool,
    rows: Rows,
    penalty: jax.Array,
    linear: jax.Array,
    weights: jax.Array,
    steps: int,
    step: float,
) -> jax.Array:
    def descended(_: jax.Array, w: jax.Array) -> jax.Array:
        z = jnp.einsum("bid,dk->bik", rows.features, w[: rows.features.shape[2]])
        z = z + w[-1] if fit_intercept else z
        slopes = rows.weights[..., None] * loss.derivative(z, rows.targets)
        return w - step * (row_sum(rows.features, slopes, fit_intercept) + penalty * w + linear)

    final: jax.Array = jax.lax.fori_loop(0, steps, descended, weights)
    return final


@in_float64
def _slopes_at_zero(loss: Loss, rows: Rows) -> Array:
    slopes = loss.derivative(jnp.zeros(rows.targets.shape), rows.targets)
    return np.asarray(jnp.sqrt(jnp.sum(slopes**2, axis=-1))).ravel()
