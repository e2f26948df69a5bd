"""Gradient and Hessian of exactly the rows in force, each at a fixed point, kept up to date row by row (claim T6).

Both are sums over rows, so a changed row alters them by a term of its own and no other row is read. Only rounding adds
up, and it is charged (claim T6a).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.changed_rows import row_terms
from certified.bounds.curvature import Linearisation
from certified.bounds.distance import max_extended_norm
from certified.bounds.formulas import intercept_curvature
from certified.bounds.row_sums import Enclosure, inflated, nan_to_inf, norm_bound, predict, predictor_scale
from certified.data.rows import Rows
from certified.numerics.balls import lower, working_precision
from certified.numerics.precision import in_float64
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Anchor:
    """Gradient at W₁ and Hessian at W₀ of exactly the rows in force (claim T6). A secret: a function of the rows.

    Attributes:
        point: W₁ (p, K).
        gradient: enclosure of ∇F(W₁).
        linearisation: enclosures of the data Hessians B = Σ a_i x̃_i x̃_iᵀ at W₀, and the penalty.
        alpha: L2 strength of every coordinate; 0 where there is an unpenalised intercept.
        kappa: ν·R over the rows in force, or more.
        drift: upper bound on ν·|x̃_i·(W₁ − W₀)_k| over rows in force and outputs.
        curvature: certified m ≤ λ_min(A), A = B + αP.
        curvature_claim: what proves m.
    """

    point: Array
    gradient: Enclosure
    linearisation: Linearisation
    alpha: float
    kappa: float
    drift: float
    curvature: float
    curvature_claim: str

    def product(self, direction: Array) -> Array:
        """Return the computed B·V (p, K)."""
        hessians = self.linearisation.data_hessians
        if len(hessians) == 1:
            return np.asarray(hessians[0].value @ direction)
        return np.stack([h.value @ v for h, v in zip(hessians, direction.T, strict=True)], axis=1)


def anchor_at(objective: Objective, point: Array, gradient: Enclosure, linearisation: Linearisation) -> Anchor:
    """Anchor at ``point`` with the gradient of a pass there; the drift from W₀ costs another (claim T6)."""
    alpha = 0.0 if objective.fit_intercept else objective.alpha
    drift = _drift(objective, point, linearisation)
    return Anchor(
        point, gradient, linearisation, alpha, _kappa(objective), drift, *_structural(objective, linearisation)
    )


def moved_to(anchor: Anchor, objective: Objective, point: Array, gradient: Enclosure) -> Anchor:
    """The anchor of the same rows and linearisation at another point, with the gradient of a pass there (claim T6)."""
    drift = _drift(objective, point, anchor.linearisation)
    return replace(anchor, point=point, gradient=gradient, kappa=_kappa(objective), drift=drift)


def _drift(objective: Objective, point: Array, linearisation: Linearisation) -> float:
    if objective.loss.self_concordance == 0.0 or np.array_equal(point, linearisation.weights):
        return 0.0
    return inflated(objective.loss.self_concordance * largest_shift(objective, point, linearisation.weights))


def factorised(anchor: Anchor) -> Anchor:
    """The same anchor with the curvature that a factorisation certifies, in O(p³), where that is larger (T2f)."""
    curvature = anchor.linearisation.curvature
    return replace(anchor, curvature=curvature, curvature_claim="T2f") if curvature > anchor.curvature else anchor


@in_float64
def largest_shift(objective: Objective, first: Array, second: Array) -> float:
    """Return an upper bound on max |x̃_i·(first − second)_k| over rows in force and outputs, by a pass (T12)."""
    direction = first - second
    rate, offset = predictor_scale(objective, direction)
    computed = _largest_predictor(objective.fit_intercept, objective.rows, jnp.asarray(direction), rate, offset)
    # The computed difference is off by u per entry, the products were bounded with it as it is.
    return nan_to_inf(inflated(inflated(float(computed)) + 2.0 * UNIT_ROUNDOFF * max_extended_norm(objective)
                           * norm_bound(direction)))  # fmt: skip


def exchange(anchor: Anchor, before: float, objective: Objective, changed: list[tuple[Rows, float]]) -> Anchor:
    """Take rows out of (sign −1) or put them into (sign +1) gradient and Hessian, in O(k·p²) (claims T6, T6a).

    Args:
        anchor: of the rows in force before the change.
        before: the L2 strength α before it.
        objective: the objective after it; its rows are not touched.
        changed: the rows that change, each with its sign.
    """
    gradient, hessians = anchor.gradient, anchor.linearisation.data_hessians
    kappa, drift, weyl = anchor.kappa, anchor.drift, max(0.0, before - objective.alpha)
    shift = norm_bound(anchor.point - anchor.linearisation.weights) * (1.0 + 4.0 * UNIT_ROUNDOFF)
    for rows, sign in changed:
        part = replace(objective, rows=rows, alpha=0.0, linear=None)
        terms = row_terms(part, anchor.point, anchor.linearisation.weights)
        gradient = _add(gradient, terms.gradient, sign)
        hessians = tuple(terms.add_curvature(k, h, sign) for k, h in enumerate(hessians))
        if sign > 0.0:
            kappa = max(kappa, _kappa(part))
            drift = max(drift, inflated(inflated(kappa * shift)))
        else:
            weyl = inflated(weyl + terms.largest_curvature)
    if objective.alpha != before:
        penalised = np.ones((len(anchor.point), 1))
        penalised[-1:] = 0.0 if objective.fit_intercept else 1.0
        share = (objective.alpha - before) * penalised * anchor.point
        gradient = _add(gradient, Enclosure(share, inflated(3.0 * UNIT_ROUNDOFF * norm_bound(share))), 1.0)
    linearisation = Linearisation(anchor.linearisation.weights, hessians, objective.penalty)
    structural = _structural(objective, linearisation)
    remaining = ((anchor.curvature - inflated(weyl)) * (1.0 - 8.0 * UNIT_ROUNDOFF), anchor.curvature_claim)
    curvature, claim = max(structural, remaining)
    alpha = 0.0 if objective.fit_intercept else objective.alpha
    return Anchor(anchor.point, gradient, linearisation, alpha, kappa, drift, max(curvature, 0.0), claim)


@partial(jax.jit, static_argnums=0)
def _largest_predictor(
    fit_intercept: bool, rows: Rows, direction: jax.Array, rate: jax.Array, offset: jax.Array
) -> jax.Array:
    reach = jnp.abs(predict(rows, fit_intercept, direction)) + rows.norms[..., None] * rate + offset
    return jnp.max(jnp.where(rows.weights[..., None] > 0.0, reach, 0.0), initial=0.0)


def _add(total: Enclosure, term: Enclosure, sign: float) -> Enclosure:
    value = total.value + sign * term.value
    error = inflated(inflated(total.error + term.error) + 2.0 * UNIT_ROUNDOFF * norm_bound(value))
    return Enclosure(value, nan_to_inf(error), total.claim)


def _kappa(objective: Objective) -> float:
    return inflated(objective.loss.self_concordance * max_extended_norm(objective))


def _structural(objective: Objective, linearisation: Linearisation) -> tuple[float, str]:
    """m ≤ λ_min(A) from the penalty, or from the intercept's row and column of B, which are the moments of T2s."""
    if not objective.fit_intercept:
        return objective.alpha, "T1"
    if objective.alpha == 0.0:
        return 0.0, "T2s"
    bounds = []
    for enclosure in linearisation.data_hessians:
        total = (float(enclosure.value[-1, -1]) - enclosure.error) * (1.0 - 4.0 * UNIT_ROUNDOFF)
        moment = inflated(norm_bound(enclosure.value[:-1, -1]) + enclosure.error)
        if not (0.0 < total < math.inf and moment < math.inf):
            return 0.0, "T2s"
        with working_precision(128):
            bounds.append(lower(intercept_curvature(arb(objective.alpha), arb(total), arb(moment))))
    return max(0.0, min(bounds, default=objective.alpha)), "T2s"
