"""Gradient and Hessian of exactly the rows in force, each at a fixed point, kept up to date row by row (claim T6).

Both are sums over rows, so a changed row alters them by a term of its own and no other row is read. Only rounding adds
up, and it is charged (claim T6a).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.changed_rows import RowTerms, row_terms
from certified.bounds.curvature import Linearisation
from certified.bounds.distance import max_extended_norm
from certified.bounds.enclosure import Enclosure, inflated, nan_to_inf, norm_bound
from certified.bounds.exchanged import Exchanged
from certified.bounds.formulas import intercept_curvature
from certified.bounds.row_sums import largest_predictor
from certified.data.rows import Rows
from certified.numerics.balls import lower, working_precision
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective

Array = npt.NDArray[np.float64]
SignedTerms = tuple[RowTerms, float]


@dataclass(frozen=True, repr=False)
class Anchor:
    """Gradient at W₁ and Hessian at W₀ of exactly the rows in force (claim T6). A secret: a function of the rows.

    Attributes:
        point: W₁ (p, K).
        gradient: enclosure of ∇F(W₁).
        linearisation: the data Hessians B = Σ a_i x̃_i x̃_iᵀ at W₀, and the penalty.
        strength: L2 strength α.
        alpha: the same where it is that of every coordinate; 0 where there is an unpenalised intercept.
        kappa: ν·R over the rows in force, or more.
        drift: upper bound on ν·|x̃_i·(W₁ − W₀)_k| over rows in force and outputs.
        curvature: certified m ≤ λ_min(A), A = B + αP.
        curvature_claim: what proves m.
    """

    point: Array
    gradient: Enclosure
    linearisation: Exchanged
    strength: float
    alpha: float
    kappa: float
    drift: float
    curvature: float
    curvature_claim: str

    def product(self, direction: Array) -> Array:
        """Return the computed B·V (p, K)."""
        return self.linearisation.product(direction)


def anchor_at(objective: Objective, point: Array, gradient: Enclosure, linearisation: Linearisation) -> Anchor:
    """Anchor at ``point`` with the gradient of a pass there; the drift from W₀ is bounded without one (claim T6)."""
    alpha = 0.0 if objective.fit_intercept else objective.alpha
    kappa, exchanged = _kappa(objective), Exchanged.of(linearisation)
    drift = _reach(kappa, point, linearisation.weights)
    structural = _structural(objective, exchanged)
    return Anchor(point, gradient, exchanged, objective.alpha, alpha, kappa, drift, *structural)


def moved_to(anchor: Anchor, objective: Objective, point: Array, gradient: Enclosure) -> Anchor:
    """The anchor of the same rows and linearisation at another point, with the gradient of a pass there (claim T6)."""
    kappa = _kappa(objective)
    drift = min(
        inflated(anchor.drift + _reach(kappa, point, anchor.point)), _reach(kappa, point, anchor.linearisation.weights)
    )
    return replace(anchor, point=point, gradient=gradient, kappa=kappa, drift=drift)


def with_measured_drift(anchor: Anchor, objective: Objective) -> Anchor:
    """The same anchor with the drift of the rows themselves, by a pass, where that is smaller (claims T6, T6a)."""
    shift = largest_shift(objective, anchor.point, anchor.linearisation.weights)
    return replace(anchor, drift=min(anchor.drift, inflated(objective.loss.self_concordance * shift)))


def factorised(anchor: Anchor) -> Anchor:
    """The same anchor with the curvature that a factorisation certifies, in O(p³), where that is larger (T2f)."""
    curvature = anchor.linearisation.curvature
    return replace(anchor, curvature=curvature, curvature_claim="T2f") if curvature > anchor.curvature else anchor


def largest_shift(objective: Objective, first: Array, second: Array) -> float:
    """Return an upper bound on max |x̃_i·(first − second)_k| over rows in force and outputs, by a pass (T12)."""
    direction = first - second
    # The computed difference is off by u per entry, the products were bounded with it as it is.
    return nan_to_inf(inflated(largest_predictor(objective, direction) + 2.0 * UNIT_ROUNDOFF
                               * max_extended_norm(objective) * norm_bound(direction)))  # fmt: skip


def changed_terms(anchor: Anchor, objective: Objective, changed: list[tuple[Rows, float]]) -> list[SignedTerms]:
    """What rows that leave (sign −1) or come (sign +1) contribute at the anchor, in O(kp) (claims T6, T6a)."""
    base = anchor.linearisation.weights
    return [
        (row_terms(replace(objective, rows=rows, alpha=0.0, linear=None), anchor.point, base), sign)
        for rows, sign in changed
    ]


def exchange(anchor: Anchor, before: float, objective: Objective, terms: list[SignedTerms]) -> Anchor:
    """Take rows out of gradient and Hessian or put them into it, in O(kp) (claims T6, T6a).

    Args:
        anchor: of the rows in force before the change.
        before: the L2 strength α before it.
        objective: the objective after it; its rows are not touched.
        terms: what the rows that change contribute, each part with its sign.
    """
    gradient, linearisation = anchor.gradient, anchor.linearisation.exchanged(terms, objective.penalty)
    kappa, drift, weyl = anchor.kappa, anchor.drift, max(0.0, before - objective.alpha)
    for part, sign in terms:
        gradient = _add(gradient, part.gradient, sign)
        if sign > 0.0:
            kappa = max(kappa, inflated(objective.loss.self_concordance * part.largest_norm))
            drift = max(drift, _reach(kappa, anchor.point, linearisation.weights))
        else:
            weyl = inflated(weyl + part.largest_curvature)
    if objective.alpha != before:
        share = (objective.alpha - before) * anchor.point
        if objective.fit_intercept:
            share[-1] = 0.0
        gradient = _add(gradient, Enclosure(share, inflated(3.0 * UNIT_ROUNDOFF * norm_bound(share))), 1.0)
    structural = _structural(objective, linearisation)
    remaining = ((anchor.curvature - inflated(weyl)) * (1.0 - 8.0 * UNIT_ROUNDOFF), anchor.curvature_claim)
    curvature, claim = max(structural, remaining)
    alpha = 0.0 if objective.fit_intercept else objective.alpha
    return Anchor(
        anchor.point, gradient, linearisation, objective.alpha, alpha, kappa, drift, max(curvature, 0.0), claim
    )


def _add(total: Enclosure, term: Enclosure, sign: float) -> Enclosure:
    value = total.value + sign * term.value
    error = inflated(inflated(total.error + term.error) + 2.0 * UNIT_ROUNDOFF * norm_bound(value))
    return Enclosure(value, nan_to_inf(error), total.claim)


def _kappa(objective: Objective) -> float:
    return inflated(objective.loss.self_concordance * max_extended_norm(objective))


def _reach(kappa: float, first: Array, second: Array) -> float:
    """Upper bound on κ‖first − second‖; the computed difference is off by u per entry."""
    if kappa == 0.0 or np.array_equal(first, second):
        return 0.0
    return nan_to_inf(inflated(inflated(inflated(kappa * norm_bound(first - second)))))


def _structural(objective: Objective, linearisation: Exchanged) -> tuple[float, str]:
    """m ≤ λ_min(A) from the penalty, or from the intercept's row and column of B, which are the moments of T2s."""
    if not objective.fit_intercept:
        return objective.alpha, "T1"
    if objective.alpha == 0.0:
        return 0.0, "T2s"
    bounds = []
    for output in range(len(linearisation.triangles)):
        total, moment = linearisation.last_column(output)
        total *= 1.0 - 4.0 * UNIT_ROUNDOFF
        if not (0.0 < total < math.inf and moment < math.inf):
            return 0.0, "T2s"
        with working_precision(128):
            bounds.append(lower(intercept_curvature(arb(objective.alpha), arb(total), arb(moment))))
    return max(0.0, min(bounds, default=objective.alpha)), "T2s"
