"""Gradient, Hessian-vector product and Hessian as row sums with a certified rounding error (claim T12)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.losses import Loss, couples
from certified.numerics.exponential import exp_nonpositive
from certified.numerics.precision import in_float64
from certified.numerics.rounding import MAGNITUDE_LIMIT, UNDERFLOW, UNIT_ROUNDOFF, gamma
from certified.objective import Objective, add_up, row_sum

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Enclosure:
    """A computed array and a bound on its Frobenius distance to the exact one.

    Attributes:
        value: the computed array.
        error: upper bound on ‖value − exact‖_F (‖·‖₂ for a symmetric matrix).
        claim: what the error rests on.
    """

    value: Array
    error: float
    claim: str = "T12"

    @property
    def norm(self) -> float:
        """Upper bound on the norm of the exact array."""
        return inflated(norm_bound(self.value) + self.error)


@dataclass(frozen=True, repr=False)
class CurvatureSums:
    """Per output k: lower bounds on A_k = Σ a_ik and upper bounds on h_k = ‖Σ a_ik x_i‖ (claim T2s)."""

    total_lower: Array
    first_moment: Array


def norm_bound(array: Array) -> float:
    """Return an upper bound on the Frobenius norm of a computed array."""
    return inflated(math.sqrt(float(np.vdot(array, array))) * (1.0 + 2.0 * gamma(array.size + 2)) + 1e-150 * array.size)


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


def _check_magnitude(weights: Array) -> None:
    if not np.all(np.abs(weights) <= MAGNITUDE_LIMIT):
        raise ValueError(f"weights must be finite and at most {MAGNITUDE_LIMIT:g} in size: scale the features")


def _underflow(objective: Objective, parts: float) -> float:
    rows = objective.rows
    return UNDERFLOW * rows.slots * (rows.n_features + 4) * (rows.n_outputs + 1) * (1.0 + parts)


def inflated(value: float) -> float:
    """A bound after one more rounding to nearest."""
    return value * (1.0 + 4.0 * UNIT_ROUNDOFF) if math.isfinite(value) else value


def nan_to_inf(value: float) -> float:
    """An overflow on the way to a bound leaves no bound."""
    return math.inf if math.isnan(value) else value


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
        *_weighted(rows, fit_intercept, coefficient, error),
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
        *_weighted(rows, fit_intercept, coefficient, error),
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


def _weighted(rows: Rows, fit_intercept: bool, coefficient: jax.Array, error: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Σ ρ̃_i‖ŝ_i‖₂ and Σ ρ̃_i‖ε_i‖₂ over the rows."""
    norms = extended_norms(rows, fit_intercept)
    # 1e-290 covers squares that underflow: the root is then still an upper bound.
    size, slack = (jnp.sqrt(jnp.sum(jnp.square(a), axis=-1) + 1e-290) for a in (coefficient, error))
    return jnp.sum(norms * size), jnp.sum(norms * slack)
