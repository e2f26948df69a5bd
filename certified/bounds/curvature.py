"""Certified lower bounds on λ_min(∇²F(W)): from the penalty, from the rows' moments, from a factorisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.enclosure import Enclosure, norm_bound
from certified.bounds.formulas import intercept_curvature
from certified.bounds.row_sums import certified_curvature_sums, certified_data_hessians
from certified.numerics.balls import lower, working_precision
from certified.numerics.definite import min_eigenvalue_bound
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from certified.solvers.factor import Factor, factorise

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Linearisation:
    """The Hessian of the rows in force at a fixed point W₀. A secret: it is a function of the rows.

    Attributes:
        weights: W₀ (p, K).
        data_hessians: enclosures of Σ a_i x̃_i x̃_iᵀ (p, p), one per output or one for all.
        penalty: (p, 1) L2 strength of each weight row.
    """

    weights: Array
    data_hessians: tuple[Enclosure, ...]
    penalty: Array

    @cached_property
    def factor(self) -> Factor:
        """Cholesky factors of the Hessians, for Newton steps and witnesses."""
        return factorise([h.value for h in self.data_hessians], self.penalty)

    @cached_property
    def curvature(self) -> float:
        """Certified m ≤ λ_min(∇²F(W₀)) over all outputs, 0 if none (claims T2f, T12)."""
        bounds = []
        for enclosure in self.data_hessians:
            hessian = enclosure.value + np.diagflat(self.penalty)
            error = enclosure.error + 4.0 * UNIT_ROUNDOFF * float(np.max(np.diagonal(hessian), initial=0.0))
            bounds.append(min_eigenvalue_bound(hessian, error))
        return min(bounds, default=0.0)


def linearise(objective: Objective, weights: Array) -> Linearisation:
    """Form ∇²F(W) with a certified error (claim T12); no matrix is formed for a loss that couples its outputs."""
    if objective.loss.couples_outputs:
        return Linearisation(weights, (), objective.penalty)
    return Linearisation(weights, certified_data_hessians(objective, weights), objective.penalty)


def exchange(
    linearisation: Linearisation, removed: Objective | None, added: Objective | None, penalty: Array
) -> Linearisation:
    """Down-date by the removed rows and up-date by the added ones at the same W₀, in O(k·p²) (claim T12).

    The rounding error of every exchange adds to the enclosure, so the curvature stays certified.
    """
    hessians = linearisation.data_hessians
    for rows, sign in ((removed, -1.0), (added, 1.0)):
        if rows is not None:
            change = certified_data_hessians(rows, linearisation.weights)
            hessians = tuple(_accumulate(h, c, sign) for h, c in zip(hessians, change, strict=True))
    return Linearisation(linearisation.weights, hessians, penalty)


def _accumulate(total: Enclosure, change: Enclosure, sign: float) -> Enclosure:
    value = total.value + sign * change.value
    error = (total.error + change.error + 2.0 * UNIT_ROUNDOFF * norm_bound(value)) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    return Enclosure(value, error)


def structural_curvature(objective: Objective, weights: Array) -> float:
    """Return m ≤ λ_min(∇²F(W)) without forming the Hessian: α, or the moment bound of an intercept (T1, T2s)."""
    if not objective.has_free_intercept:
        return objective.alpha
    if objective.alpha == 0.0:
        return 0.0
    sums = certified_curvature_sums(objective, weights)
    bounds = []
    with working_precision(128):
        for low, moment in zip(sums.total_lower, sums.first_moment, strict=True):
            if not (0.0 < low < np.inf and moment < np.inf):
                return 0.0
            # The bound grows with A and falls with h, so the ends of both that make it smallest are put in.
            bounds.append(lower(intercept_curvature(arb(objective.alpha), arb(float(low)), arb(float(moment)))))
    return max(0.0, min(bounds, default=objective.alpha))
