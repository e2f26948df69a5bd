"""Solving A·(W − W₁) = −∇F(W₁) by corrections with a fixed inverse; what is found is measured, never trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.bounds.anchor import Anchor, SignedTerms
from certified.bounds.ledger import Defect, defect
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.removal.inverses import precondition

Array = npt.NDArray[np.float64]

MAX_STEPS = 12
"""Corrections by the fixed inverse in one solve; where they do not suffice, the inverse is renewed."""
CONTRACTION = 0.9
"""A correction that leaves more than this share of the residual is the last."""


def residual_after(
    anchor: Anchor, weights: Array, residual: Array, terms: list[SignedTerms], alpha_change: float
) -> Array:
    """Return the linear residual at the same weights after rows changed, up to rounding, in O(kp).

    Their terms are linear in the displacement, so no product with the Hessian is needed: it says where to go, and
    where that led is measured.
    """
    displacement = weights - anchor.point
    for part, sign in terms:
        slopes = part.slopes + part.curvature * (part.features @ displacement)
        residual = residual + sign * (part.features.T @ slopes)
    if alpha_change:
        # Both the gradient at W₁ and the Hessian hold α.
        penalised = weights
        if anchor.alpha == 0.0:
            penalised = np.where(anchor.linearisation.penalty > 0.0, weights, 0.0)
        residual = residual + alpha_change * penalised
    return residual


@dataclass(frozen=True, repr=False)
class Solution:
    """Measured weights, whether the goal was reached, and the stride that would have been best. A secret."""

    measured: Defect
    reached: bool
    stride: float


def solve(
    anchor: Anchor, inverses: tuple[Array, ...], weights: Array, residual: Array, goal: float, stride: float = 1.0
) -> Solution:
    """Correct the weights until the linear residual is at most ``goal``.

    Args:
        anchor: gradient, Hessian and point.
        inverses: approximate inverses of the Hessians.
        weights: where to start (p, K).
        residual: an estimate of the linear residual there.
        goal: the norm to be reached.
        stride: a factor on the inverses: as rows leave, the Hessian shrinks by about their share.
    """
    measured: Defect | None = None
    previous = math.inf
    for _ in range(MAX_STEPS):
        norm = _norm(residual)
        if norm <= goal or not norm < CONTRACTION * previous:
            break
        candidate = weights - stride * precondition(inverses, residual)
        # The norm is above every entry, and NaN where one is.
        if not _norm(candidate) <= MAGNITUDE_LIMIT:
            break
        # The first residual is an estimate: what became of it says nothing about the inverse.
        previous = norm if measured else math.inf
        measured = defect(anchor, candidate)
        stride = _best_stride(stride, residual, measured.residual)
        weights, residual = candidate, measured.residual
    measured = measured or defect(anchor, weights)
    return Solution(measured, _norm(measured.residual) <= max(goal, _floor(anchor, measured)), stride)


def _best_stride(stride: float, before: Array, after: Array) -> float:
    """The factor that would have left the least of the residual, by no more than a quarter at a time."""
    change = before - after
    square = float(np.vdot(change, change))
    share = float(np.vdot(before, change)) / square if square > 0.0 else 1.0
    return min(2.0, max(0.5, stride * min(1.25, max(0.8, share)))) if math.isfinite(share) else stride


def _norm(array: Array) -> float:
    return math.sqrt(float(np.vdot(array, array)))


def _floor(anchor: Anchor, measured: Defect) -> float:
    """Below a few roundings of its terms a residual cannot fall, whatever the inverse."""
    return 1e-14 * len(measured.displacement) * (_norm(anchor.gradient.value) + _norm(measured.product))
