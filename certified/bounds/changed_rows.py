"""What a few changed rows contribute to gradient and Hessian, with certified errors, in O(k·p) (claim T6a)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.enclosure import Enclosure, inflated, nan_to_inf
from certified.bounds.row_terms import coefficient_error, curvature_and_growth, predictor_scale
from certified.data.rows import Rows
from certified.losses import Loss
from certified.numerics.balls import upper, working_precision
from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF, gamma
from certified.objective import Objective

Array = npt.NDArray[np.float64]

FEW = 32
"""So many coefficients are evaluated in balls, one by one, sooner than by a call of the compiled loss."""
_PRECISION = 64
_UNDERFLOW = 1e-150


@dataclass(frozen=True, repr=False)
class RowTerms:
    """What k rows contribute: enclosed Σ c_iφ'_ik x̃_i, and the factors of Σ a_ik x̃_i x̃_iᵀ (claim T6a). A secret."""

    gradient: Enclosure
    features: Array
    slopes: Array
    """(k, K) computed c_iφ'_ik"""
    curvature: Array
    """(k, K) computed a_ik"""
    sizes: Array
    """(K,) upper bounds on Σ â_i‖x̃_i‖²"""
    errors: Array
    """(K,) upper bounds on Σ |â_i − a_i|·‖x̃_i‖²"""
    largest_norm: float
    """upper bound on ‖x̃_i‖"""

    @property
    def largest_curvature(self) -> float:
        """Upper bound on λ_max of the contribution, over the outputs."""
        return inflated(float(np.max(self.sizes + self.errors, initial=0.0)))


def row_terms(part: Objective, point: Array, base: Array) -> RowTerms:
    """Enclose what the rows of ``part`` contribute to the gradient at ``point`` and the Hessian at ``base`` (T6a)."""
    # Host arrays: a request is too small for a device, and moving each part of it there takes longer than the sums.
    features, targets, weights, norms = _on_host(part.rows)
    z, zeta = _predictors(part, features, norms, np.concatenate([point, base], axis=1))
    chosen = np.flatnonzero(weights > 0.0)
    k, outputs = len(chosen), targets.shape[1]
    found = _in_balls(part.loss, chosen, targets, weights, z, zeta) if k * outputs <= FEW else None
    if found is None:
        found = _compiled(part.loss, part.rows.weights.shape, targets, weights, z, zeta)[:, :, chosen]
    features, norms = features[chosen], norms[chosen]
    if part.fit_intercept:
        features = np.hstack([features, np.ones((k, 1))])
        norms = np.sqrt(norms * norms + 1.0) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    inflate = 1.0 + 2.0 * gamma(k + outputs + 64)
    (slopes, _), (curvature, _) = found
    # 1e-290 covers squares that underflow: the root is then still an upper bound.
    size, slack = (np.sqrt((found[0] * found[0]).sum(axis=2) + 1e-290) @ norms).tolist()
    error = inflated((slack + gamma(k + 8) * size) * inflate + _UNDERFLOW * (k + 1) * features.shape[1])
    sizes, errors = ((norms * norms) @ found[1]) * inflate + _UNDERFLOW
    gradient = Enclosure(features.T @ slopes, nan_to_inf(error))
    return RowTerms(gradient, features, slopes, curvature, sizes, errors, float(norms.max(initial=0.0)))


def _on_host(rows: Rows) -> tuple[Array, Array, Array, Array]:
    """Features (slots, d), targets (slots, K), sample weights and norms (slots,)."""
    arrays = (rows.features, rows.targets, rows.weights, rows.norms)
    slots = rows.slots
    features, targets, weights, norms = (np.asarray(a).reshape(slots, *a.shape[2:]) for a in arrays)
    return features, targets, weights, norms


def _predictors(part: Objective, features: Array, norms: Array, weights: Array) -> tuple[Array, Array]:
    """Computed predictors (slots, columns of the weights) and bounds on their errors (T12, part 2)."""
    rate, offset = predictor_scale(part, weights)
    z = features @ weights[: features.shape[1]]
    return z + weights[-1] if part.fit_intercept else z, norms[:, None] * rate + offset


def _in_balls(
    loss: Loss, chosen: npt.NDArray[np.int64], targets: Array, weights: Array, z: Array, zeta: Array
) -> Array | None:
    """c_iφ'_ik at one point and c_iφ''_ik at the other, each with its error, (2, 2, k, K).

    The predictors at both points stand side by side. ``None`` where a ball says nothing.
    """
    outputs = targets.shape[1]
    found = np.empty((2, 2, len(chosen), outputs))
    derivatives = (loss.ball_derivative, loss.ball_curvature)
    with working_precision(_PRECISION):
        for place, i in enumerate(chosen.tolist()):
            c = arb(float(weights[i]))
            for k, target in enumerate(targets[i].tolist()):
                for order, derivative in enumerate(derivatives):
                    column = k + order * outputs
                    ball = c * derivative(arb(float(z[i, column]), float(zeta[i, column])), arb(target))
                    if not ball.is_finite():
                        return None
                    # A curvature is not negative, whatever a wide ball around it says.
                    value = max(0.0, float(ball.mid())) if order else float(ball.mid())
                    found[order, :, place, k] = value, upper(abs(ball - value))
    return found


@in_float64
def _compiled(loss: Loss, blocks: tuple[int, ...], targets: Array, weights: Array, z: Array, zeta: Array) -> Array:
    """The same for all slots, by the compiled loss (T12, part 3); in blocks, whose few shapes are compiled once."""
    shaped = (a.reshape(*blocks, *a.shape[1:]) for a in (targets, weights, z, zeta))
    return np.asarray(_coefficients(loss, *shaped)).reshape(2, 2, len(targets), -1)


@partial(jax.jit, static_argnums=0)
def _coefficients(
    loss: Loss, targets: jax.Array, weights: jax.Array, predictors: jax.Array, errors: jax.Array
) -> jax.Array:
    c = weights[..., None]
    (z, base), (zeta, base_zeta) = (jnp.split(a, 2, axis=-1) for a in (predictors, errors))
    slope = c * loss.derivative(z, targets)
    _, supremum, _ = curvature_and_growth(loss, targets, z, zeta)
    slope_error = coefficient_error(loss, slope, c, supremum * zeta)
    bend, _, change = curvature_and_growth(loss, targets, base, base_zeta)
    curvature = c * bend
    return jnp.stack([slope, slope_error, curvature, coefficient_error(loss, curvature, c, change)])
