"""What a few changed rows contribute to gradient and Hessian, with certified errors, in O(k·p²) (claim T6a)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dgemm

from certified.bounds.row_sums import (
    Enclosure,
    coefficient_error,
    curvature_and_growth,
    extended_norms,
    inflated,
    nan_to_inf,
    predict,
    predictor_scale,
)
from certified.data.rows import Rows
from certified.losses import Loss
from certified.numerics.precision import in_float64
from certified.numerics.rounding import gamma
from certified.objective import Objective

Array = npt.NDArray[np.float64]

_UNDERFLOW = 1e-150


@dataclass(frozen=True, repr=False)
class RowTerms:
    """What k rows contribute: enclosed Σ c_iφ'_ik x̃_i, and the factors of Σ a_ik x̃_i x̃_iᵀ (claim T6a). A secret."""

    gradient: Enclosure
    features: Array
    curvature: Array
    sizes: Array
    """(K,) upper bounds on Σ a_i‖x̃_i‖²"""
    errors: Array
    """(K,) upper bounds on Σ |â_i − a_i|·‖x̃_i‖²"""

    @property
    def largest_curvature(self) -> float:
        """Upper bound on λ_max of the contribution, over the outputs."""
        return inflated(float(np.max(self.sizes + self.errors, initial=0.0)))

    def add_curvature(self, output: int, total: Enclosure, sign: float) -> Enclosure:
        """Enclose total ± Σ a_i x̃_i x̃_iᵀ by one rank-k update (claim T6a)."""
        k, p = self.features.shape
        if k == 0:
            return total
        scaled = np.sqrt(self.curvature[:, output])[:, None] * self.features
        # The Fortran order of a transpose spares BLAS a copy; the matrix is symmetric but for rounding.
        value = dgemm(sign, scaled.T, scaled.T, trans_b=1, beta=1.0, c=total.value.T).T
        trace = inflated(abs(float(np.trace(total.value))) * (1.0 + gamma(p + 2)) + 3.0 * p * total.error)
        size, error = float(self.sizes[output]), float(self.errors[output])
        rounding = gamma(k + 12) * (size + trace) + _UNDERFLOW * p * (k + 1)
        return Enclosure(value, nan_to_inf(inflated(inflated(total.error + error) + rounding * (1.0 + 1e-15))))


@in_float64
def row_terms(part: Objective, point: Array, base: Array) -> RowTerms:
    """Enclose what the rows of ``part`` contribute to the gradient at ``point`` and the Hessian at ``base`` (T6a)."""
    rows = part.rows
    slope, slope_error, curvature, curvature_error, norms = (
        np.asarray(a)
        for a in _row_coefficients(
            part.loss, part.fit_intercept, rows, point, base,
            *predictor_scale(part, point), *predictor_scale(part, base),
        )
    )  # fmt: skip
    chosen = np.flatnonzero(np.asarray(rows.weights).reshape(-1) > 0.0)
    outputs = rows.n_outputs
    slope, slope_error, curvature, curvature_error = (
        a.reshape(-1, outputs)[chosen] for a in (slope, slope_error, curvature, curvature_error)
    )
    norms = norms.reshape(-1)[chosen]
    features = np.asarray(rows.features).reshape(-1, rows.n_features)[chosen]
    if part.fit_intercept:
        features = np.hstack([features, np.ones((len(features), 1))])
    k = len(chosen)
    inflate = 1.0 + 2.0 * gamma(k + outputs + 64)
    size, slack = (norms * np.sqrt(np.sum(a * a, axis=1) + 1e-290) for a in (slope, slope_error))
    error = inflated(
        float(np.sum(slack) + gamma(k + 8) * np.sum(size)) * inflate + _UNDERFLOW * (k + 1) * features.shape[1]
    )
    squares = (norms * norms)[:, None]
    sizes, errors = (np.sum(squares * a, axis=0) * inflate + _UNDERFLOW for a in (curvature, curvature_error))
    return RowTerms(Enclosure(features.T @ slope, nan_to_inf(error)), features, curvature, sizes, errors)


@partial(jax.jit, static_argnums=(0, 1))
def _row_coefficients(
    loss: Loss, fit_intercept: bool, rows: Rows, point: jax.Array, base: jax.Array,
    rate: jax.Array, offset: jax.Array, base_rate: jax.Array, base_offset: jax.Array,
) -> tuple[jax.Array, ...]:  # fmt: skip
    """c_iφ'_ik at one point and c_iφ''_ik at the other, each with its error (T12, part 3), and the norms ρ̃_i."""
    c = rows.weights[..., None]
    z = predict(rows, fit_intercept, point)
    zeta = rows.norms[..., None] * rate + offset
    slope = c * loss.derivative(z, rows.targets)
    _, supremum, _ = curvature_and_growth(loss, rows, z, zeta)
    slope_error = coefficient_error(loss, slope, c, supremum * zeta)
    z = predict(rows, fit_intercept, base)
    bend, _, change = curvature_and_growth(loss, rows, z, rows.norms[..., None] * base_rate + base_offset)
    curvature = c * bend
    curvature_error = coefficient_error(loss, curvature, c, change)
    return slope, slope_error, curvature, curvature_error, extended_norms(rows, fit_intercept)
