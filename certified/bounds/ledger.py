"""The distance bound of the ledger: from an anchor alone, without touching a row (claim T6).

Near the anchor W₁ the gradient is known but for a Taylor remainder. That depends on where W is and not on how many
changes led there, so bounds of successive steps never add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.anchor import Anchor
from certified.bounds.distance import DistanceBound
from certified.bounds.enclosure import inflated, norm_bound
from certified.bounds.formulas import (
    curvature_change,
    curvature_decrease,
    data_amplification,
    decrement_ratio,
    intercept_amplification,
    self_concordant_radius,
    witness_decrement_squared,
    witness_newton_step,
)
from certified.numerics.balls import lower, upper, working_precision
from certified.numerics.rounding import UNIT_ROUNDOFF, gamma

Array = npt.NDArray[np.float64]

_PRECISION = 96
_WORTHWHILE = 0.99
_LARGEST_REACH = 700.0
_UNDERFLOW = 1e-150
_ROUNDING = arb(2.0 * UNIT_ROUNDOFF)


@dataclass(frozen=True, repr=False)
class Defect:
    """How well weights W solve A·(W − W₁) = −∇F(W₁). A secret.

    Attributes:
        weights: W (p, K).
        displacement: the computed W − W₁.
        product: the computed B·(W − W₁).
        residual: the computed ∇F(W₁) + A·(W − W₁), which is about ∇F(W).
    """

    weights: Array
    displacement: Array
    product: Array
    residual: Array


def defect(anchor: Anchor, weights: Array) -> Defect:
    """Measure the linear residual of ``weights``, by one product with B."""
    displacement = weights - anchor.point
    product = anchor.product(displacement)
    residual = anchor.gradient.value + product + anchor.linearisation.penalty * displacement
    return Defect(weights, displacement, product, residual)


def anchored_distance(anchor: Anchor, measured: Defect, lever: Array | None = None) -> DistanceBound:
    """Bound ‖W − W*‖_F for the weights measured, touching no row (claims T6, T6a).

    With N = −A⁻¹∇F(W₁) and V = W* − W₁: ‖W − W*‖ ≤ ‖A⁻¹·residual‖ + C·β(δ, κ‖V‖)·‖V‖_B. An infinite value means that
    the claim does not apply; the minimiser need not even exist. The curvature of the result is a lower bound on
    λ_min(∇²F(W)) at the weights themselves.

    Args:
        anchor: of the rows in force.
        measured: the weights and their linear residual.
        lever: with an intercept, any approximation of the last columns of the A_k⁻¹, as (p, number of Hessians); it
            makes C smaller and proves nothing itself.
    """
    claims = ("T2", "T6", "T6a", anchor.curvature_claim, anchor.gradient.claim)
    known = _quantities(anchor, measured)
    if not _applies(anchor, known):
        return DistanceBound(math.inf, "T6", math.inf, known.slack, anchor.alpha, 0, claims)
    longest = None if lever is None or anchor.alpha > 0.0 else _longest_lever(anchor, lever)
    with working_precision(_PRECISION):
        value, residual, curvature = _evaluate(anchor, known, _amplification(anchor, longest))
    return DistanceBound(value, "T6", residual, known.slack, curvature, 0, claims)


def _amplification(anchor: Anchor, longest_lever: float | None) -> arb:
    """C ≥ ‖A⁻¹B^½‖₂, by the smaller of the claim's forms."""
    plain: arb = data_amplification(arb(anchor.curvature), arb(anchor.alpha))
    if longest_lever is None or not math.isfinite(longest_lever) or anchor.strength == 0.0:
        return plain
    levered: arb = intercept_amplification(arb(anchor.strength), arb(longest_lever))
    return min(plain, levered, key=upper)


def _longest_lever(anchor: Anchor, lever: Array) -> float:
    """Upper bound on ‖A_k⁻¹e_p‖ over the outputs, from approximations of these vectors (T2w)."""
    product, rate, longest = anchor.product(lever), anchor.linearisation.error_rate, 0.0
    residual = product + anchor.linearisation.penalty * lever
    residual[-1] -= 1.0
    for k in range(lever.shape[1]):
        size = norm_bound(lever[:, k])
        slack = rate * size + _UNDERFLOW * len(lever)
        slack = slack + 4.0 * UNIT_ROUNDOFF * (norm_bound(product[:, k]) + anchor.strength * size + 1.0)
        missing = inflated(norm_bound(residual[:, k]) + inflated(inflated(slack)))
        if not math.isfinite(size + missing):
            return math.inf
        with working_precision(_PRECISION):
            longest = max(longest, upper(witness_newton_step(arb(size), arb(missing), arb(anchor.curvature))))
    return longest


@dataclass(frozen=True, repr=False)
class _Quantities:
    """Upper bounds on the norms that T6 needs; e is the displacement as the array that it is (claim T6a).

    Attributes:
        size: ‖e‖.
        linear: ‖∇F(W₁) + A·e‖.
        slack: the part of it that is rounding.
        overlap: |⟨∇F(W₁), e⟩|.
        data_size_squared: ⟨e, B·e⟩.
        largest: λ_max(B).
    """

    size: float
    linear: float
    slack: float
    overlap: float
    data_size_squared: float
    largest: float


def _quantities(anchor: Anchor, measured: Defect) -> _Quantities:
    e, gradient, count = measured.displacement, anchor.gradient, measured.displacement.size
    size, product, known = norm_bound(e), norm_bound(measured.product), norm_bound(gradient.value)
    product_error = inflated(anchor.linearisation.error_rate * size + _UNDERFLOW * count)
    additions = 4.0 * UNIT_ROUNDOFF * (known + product + anchor.strength * size)
    slack = inflated(inflated(gradient.error + product_error) + additions)
    dot = gamma(count + 4)
    overlap = abs(float(np.vdot(gradient.value, e))) + (gradient.error + dot * known) * size
    squared = abs(float(np.vdot(e, measured.product))) + (product_error + dot * product) * size
    return _Quantities(
        size=size,
        linear=inflated(norm_bound(measured.residual) + slack),
        slack=slack,
        overlap=inflated(inflated(overlap) + _UNDERFLOW * count),
        data_size_squared=inflated(inflated(squared) + _UNDERFLOW * count),
        largest=anchor.linearisation.magnitude,
    )


def _applies(anchor: Anchor, known: _Quantities) -> bool:
    sizes = (known.linear, known.overlap, known.data_size_squared, known.largest, anchor.drift, anchor.kappa)
    return anchor.curvature > 0.0 and all(math.isfinite(x) for x in sizes)


def _evaluate(anchor: Anchor, known: _Quantities, amplification: arb) -> tuple[float, float, float]:
    """Bounds on ‖W − W*‖, on ‖∇F(W)‖ and, from below, on λ_min(∇²F(W)), from the norms (claim T6)."""
    m, kappa, drift = arb(anchor.curvature), arb(anchor.kappa), arb(anchor.drift)
    size, linear, largest = arb(known.size), arb(known.linear), arb(known.largest)
    # e is W − W₁ but for one rounding.
    rounding = size * _ROUNDING
    solve_error = linear / m
    if anchor.kappa == 0.0:
        stray = (largest + anchor.strength) * rounding
        return upper(solve_error + rounding), upper(linear + stray), anchor.curvature
    decrement = witness_decrement_squared(arb(known.overlap), size, linear, m).sqrt()
    ratio, reach = decrement_ratio(kappa, decrement * drift.exp(), m), kappa * (size + rounding)
    if not (ratio < 1 and reach < _LARGEST_REACH):
        return math.inf, math.inf, anchor.alpha
    data_size, growth = arb(known.data_size_squared).sqrt(), (drift + reach).exp()
    moved = data_size * curvature_change(drift, reach) if reach > 0 else arb(0)
    residual = upper(linear + largest.sqrt() * moved + (largest + anchor.strength) * growth * rounding)
    curvature = lower(anchor.alpha + (m - anchor.alpha) / growth)
    # An upper end: a ball around zero, however small, would pass for no distance at all.
    radius = self_concordant_radius(ratio, kappa).upper()
    remainder, length = arb(0), data_size + amplification * linear
    # Each round but the last takes 1 % off a radius that stays above size + solve_error.
    while radius > 0:
        change = curvature_change(drift, kappa * radius)
        # The second form is the smaller one wherever the bound is of use, and the first where it says nothing.
        moved = length / (1 - change) if change < 0.5 else decrement / curvature_decrease(drift, kappa * radius)
        remainder = amplification * change * moved
        tighter = (size + solve_error + remainder).upper()
        if not tighter < _WORTHWHILE * radius:
            break
        radius = tighter
    return upper(solve_error + rounding + remainder), residual, curvature
