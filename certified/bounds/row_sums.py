"""Gradient, Hessian-vector product and Hessian as row sums with a certified rounding error (claim T12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.bounds.enclosure import Enclosure, inflated, nan_to_inf, norm_bound
from certified.bounds.row_terms import (
    coefficient_error,
    curvature_and_growth,
    extended_norms,
    predict,
    predictor_scale,
    product_scale,
    weighted,
)
from certified.data.rows import Rows
from certified.losses import Loss, couples
from certified.numerics.precision import in_float64
from certified.numerics.rounding import MAGNITUDE_LIMIT, UNDERFLOW, UNIT_ROUNDOFF, gamma
from certified.objective import Objective, add_up, row_sum

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class CurvatureSums:
    """Per output k: lower bounds on A_k = Σ a_ik and upper bounds on h_k = ‖Σ a_ik x_i‖ (claim T2s)."""

    total_lower: Array
    first_moment: Array


@in_float64
def certified_gradient(objective: Objective, weights: Array) -> Enclosure:
    """Enclose ∇F(W) (p, K) at the exact rows and weights given (claim T12)."""
    _check_magnitude(weights)
    point, scale = jnp.asarray(weights), predictor_scale(objective, weights)
    value, size, error = add_up(
        chunk.total(_gradient_sums, (objective.loss, objective.fit_intercept), point, *scale)
        for chunk in objective.rows.chunks()
    )
    penalised = objective.penalty * weights
    total = value + penalised
    parts = norm_bound(value) + norm_bound(penalised)
    if objective.linear is not None:
        total = total + objective.linear
        parts += norm_bound(objective.linear)
    return Enclosure(total, _pass_error(objective, float(size), float(error), parts))


@in_float64
def certified_hvp(objective: Objective, weights: Array, direction: Array) -> Enclosure:
    """Enclose ∇²F(W)·V (p, K) (claim T12)."""
    _check_magnitude(direction)
    vectors = jnp.asarray(weights), jnp.asarray(direction)
    scales = *predictor_scale(objective, weights), *product_scale(objective, direction)
    value, size, error = add_up(
        chunk.total(_hvp_sums, (objective.loss, objective.fit_intercept), *vectors, *scales)
        for chunk in objective.rows.chunks()
    )
    penalised = objective.penalty * direction
    parts = norm_bound(value) + norm_bound(penalised)
    return Enclosure(value + penalised, _pass_error(objective, float(size), float(error), parts))


@in_float64
def certified_data_hessians(objective: Objective, weights: Array) -> tuple[Enclosure, ...]:
    """Enclose Σ a_i x̃_i x̃_iᵀ at W in the spectral norm, one per output (one in all for constant curvature)."""
    _check_magnitude(weights)
    point, scale = jnp.asarray(weights), predictor_scale(objective, weights)
    statics = objective.loss, objective.fit_intercept

    def terms(chunk: Rows) -> tuple[Array, jax.Array, jax.Array]:
        size, error, curvature = chunk.total(_curvature_sums, statics, point, *scale, kept=1)
        return replace(objective, rows=chunk).data_hessian(curvature), size, error

    hessians, size, error = add_up(map(terms, objective.rows.chunks()))
    depth = gamma(objective.rows.summation_depth + 8)
    inflate = _inflation(objective.rows)
    return tuple(
        Enclosure(h, nan_to_inf(inflated((float(e) + 2.0 * depth * float(s)) * inflate + _underflow(objective, 1.0))))
        for h, s, e in zip(hessians, size, error, strict=False)
    )


@in_float64
def certified_curvature_sums(objective: Objective, weights: Array) -> CurvatureSums:
    """Bound A_k = Σ a_ik and h_k = ‖Σ a_ik x_i‖ at W, for the curvature of an unpenalised intercept (T2s)."""
    _check_magnitude(weights)
    point, scale = jnp.asarray(weights), predictor_scale(objective, weights)
    sums, total_error, moment_size, moment_error = add_up(
        chunk.total(_moment_sums, (objective.loss,), point, *scale) for chunk in objective.rows.chunks()
    )
    depth = gamma(objective.rows.summation_depth + 8)
    inflate = _inflation(objective.rows)
    total, moments = sums[-1], sums[:-1]
    slack = (total_error + 2.0 * depth * total) * inflate + _underflow(objective, 1.0)
    first = np.array([norm_bound(column) for column in moments.T])
    first = (first + (moment_error + 2.0 * depth * moment_size) * inflate) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    first = first + _underflow(objective, 1.0)
    lower = np.where(np.isfinite(slack), total, 0.0) - np.where(np.isfinite(slack), slack, 0.0)
    return CurvatureSums(np.maximum(0.0, lower * (1.0 - 4.0 * UNIT_ROUNDOFF)), first)


@in_float64
def largest_predictor(objective: Objective, direction: Array) -> float:
    """Return an upper bound on max |x̃_i·v_k| over rows in force and outputs k, by a pass (claim T12)."""
    vectors, scale = jnp.asarray(direction), product_scale(objective, direction)
    statics = (objective.fit_intercept,)
    reached = [chunk.highest(_largest_predictor, statics, vectors, *scale) for chunk in objective.rows.chunks()]
    return nan_to_inf(inflated(float(np.max(reached))))


def _pass_error(objective: Objective, size: float, error: float, parts: float) -> float:
    """Error of one pass: coefficients, summation γ_depth·Σρ̃‖ŝ‖, and the last additions of penalty and linear term."""
    depth = objective.rows.summation_depth
    inflate = _inflation(objective.rows)
    total = (error + gamma(depth + 8) * size) * inflate + 8.0 * UNIT_ROUNDOFF * parts
    return nan_to_inf(inflated(total + _underflow(objective, parts)))


def _inflation(rows: Rows) -> float:
    """Factor that makes a computed sum of non-negative terms over all rows, in any order, an upper bound."""
    return 1.0 + 2.0 * gamma(rows.slots + rows.n_outputs + 64)


def _check_magnitude(weights: Array) -> None:
    if not np.all(np.abs(weights) <= MAGNITUDE_LIMIT):
        raise ValueError(f"weights must be finite and at most {MAGNITUDE_LIMIT:g} in size: scale the features")


def _underflow(objective: Objective, parts: float) -> float:
    rows = objective.rows
    return UNDERFLOW * rows.slots * (rows.n_features + 4) * (rows.n_outputs + 1) * (1.0 + parts)


@partial(jax.jit, static_argnums=(0, 1))
def _gradient_sums(
    loss: Loss, fit_intercept: bool, rows: Rows, weights: jax.Array, rate: jax.Array, offset: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    z = predict(rows, fit_intercept, weights)
    zeta = rows.norms[..., None] * rate + offset
    c = rows.weights[..., None]
    coefficient = c * loss.derivative(z, rows.targets)
    if couples(loss):
        propagated = loss.derivative_error(z, rows.targets, zeta)
    else:
        _, supremum, _ = curvature_and_growth(loss, rows.targets, z, zeta)
        propagated = supremum * zeta
    error = coefficient_error(loss, coefficient, c, propagated)
    return (
        row_sum(rows.features, coefficient, fit_intercept),
        *weighted(rows, fit_intercept, coefficient, error),
    )


@partial(jax.jit, static_argnums=(0, 1))
def _hvp_sums(
    loss: Loss,
    fit_intercept: bool,
    rows: Rows,
    weights: jax.Array,
    direction: jax.Array,
    rate: jax.Array,
    offset: jax.Array,
    direction_rate: jax.Array,
    direction_offset: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    z = predict(rows, fit_intercept, weights)
    zeta = rows.norms[..., None] * rate + offset
    c = rows.weights[..., None]
    slope = predict(rows, fit_intercept, direction)
    slope_error = rows.norms[..., None] * direction_rate + direction_offset
    if couples(loss):
        product, propagated = loss.product_error(z, slope, zeta, slope_error)
        coefficient = c * product
    else:
        curvature, supremum, change = curvature_and_growth(loss, rows.targets, z, zeta)
        coefficient = c * curvature * slope
        propagated = change * (jnp.abs(slope) + slope_error) + supremum * slope_error
    error = coefficient_error(loss, coefficient, c, propagated)
    return (
        row_sum(rows.features, coefficient, fit_intercept),
        *weighted(rows, fit_intercept, coefficient, error),
    )


@partial(jax.jit, static_argnums=(0, 1))
def _curvature_sums(
    loss: Loss, fit_intercept: bool, rows: Rows, weights: jax.Array, rate: jax.Array, offset: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    z = predict(rows, fit_intercept, weights)
    zeta = rows.norms[..., None] * rate + offset
    c = rows.weights[..., None]
    curvature, _, change = curvature_and_growth(loss, rows.targets, z, zeta)
    error = coefficient_error(loss, c * curvature, c, change)
    squares = jnp.square(extended_norms(rows, fit_intercept))[..., None]
    return jnp.sum(squares * c * curvature, (0, 1)), jnp.sum(squares * error, (0, 1)), c * curvature


@partial(jax.jit, static_argnums=0)
def _moment_sums(
    loss: Loss, rows: Rows, weights: jax.Array, rate: jax.Array, offset: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    z = predict(rows, True, weights)
    zeta = rows.norms[..., None] * rate + offset
    c = rows.weights[..., None]
    curvature, _, change = curvature_and_growth(loss, rows.targets, z, zeta)
    error = coefficient_error(loss, c * curvature, c, change)
    norms = rows.norms[..., None]
    sums = row_sum(rows.features, c * curvature, True)
    return (
        sums,
        jnp.sum(error, (0, 1)),
        jnp.sum(norms * c * curvature, (0, 1)),
        jnp.sum(norms * error, (0, 1)),
    )


@partial(jax.jit, static_argnums=0)
def _largest_predictor(
    fit_intercept: bool, rows: Rows, direction: jax.Array, rate: jax.Array, offset: jax.Array
) -> tuple[jax.Array, ...]:
    reach = jnp.abs(predict(rows, fit_intercept, direction)) + rows.norms[..., None] * rate + offset
    return (jnp.max(jnp.where(rows.weights[..., None] > 0.0, reach, 0.0), initial=0.0),)
