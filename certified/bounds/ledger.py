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
from certified.bounds.row_sums import inflated, norm_bound
from certified.numerics.balls import upper, working_precision
from certified.numerics.rounding import UNIT_ROUNDOFF, gamma

Array = npt.NDArray[np.float64]

_PRECISION = 192
_TIGHTENINGS = 20
_WORTHWHILE = 0.99
_LARGEST_REACH = 700.0
_UNDERFLOW = 1e-150


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
    """Measure the linear residual of ``weights``, in O(p²)."""
    displacement = weights - anchor.point
    product = anchor.product(displacement)
    residual = anchor.gradient.value + product + anchor.linearisation.penalty * displacement
    return Defect(weights, displacement, product, residual)


def anchored_distance(anchor: Anchor, measured: Defect, lever: Array | None = None) -> DistanceBound:
    """Bound ‖W − W*‖_F for the weights measured, touching no row (claims T6, T6a).

    With N = −A⁻¹∇F(W₁) and V = W* − W₁: ‖W − W*‖ ≤ ‖A⁻¹·residual‖ + C·β(δ, κ‖V‖)·‖V‖_B. An infinite value means that
    the claim does not apply; the minimiser need not even exist.

    Args:
        anchor: of the rows in force.
        measured: the weights and their linear residual.
        lever: with an intercept, any approximation of the last columns of the A_k⁻¹, as (p, number of Hessians); it
            makes C smaller and proves nothing itself.
    """
    known = _quantities(anchor, measured)
    value, residual = math.inf, math.inf
    if _applies(anchor, known):
        value, residual = _evaluate(anchor, known, _amplification(anchor, lever, known.largest))
    claims = ("T2", "T6", "T6a", anchor.curvature_claim, anchor.gradient.claim)
    return DistanceBound(value, "T6", residual, known.slack, anchor.curvature, 0, claims)


def _amplification(anchor: Anchor, lever: Array | None, largest: float) -> float:
    """C ≥ ‖A⁻¹B^½‖₂, by the smaller of the claim's forms."""
    with working_precision(_PRECISION):
        plain = upper(data_amplification(arb(anchor.curvature), arb(anchor.alpha)))
        alpha = float(np.max(anchor.linearisation.penalty, initial=0.0))
        if lever is None or anchor.alpha > 0.0 or alpha == 0.0:
            return plain
        error = max(h.error for h in anchor.linearisation.data_hessians)
        product, penalised = anchor.product(lever), anchor.linearisation.penalty * lever
        residual = product + penalised
        residual[-1] -= 1.0
        longest = 0.0
        for k in range(lever.shape[1]):
            size = norm_bound(lever[:, k])
            slack = (error + gamma(len(lever) + 4) * largest) * size + _UNDERFLOW * len(lever)
            slack = slack + 4.0 * UNIT_ROUNDOFF * (norm_bound(product[:, k]) + norm_bound(penalised[:, k]) + 1.0)
            missing = inflated(norm_bound(residual[:, k]) + inflated(inflated(slack)))
            if not math.isfinite(size + missing):
                return plain
            longest = max(longest, upper(witness_newton_step(arb(size), arb(missing), arb(anchor.curvature))))
        return min(plain, upper(intercept_amplification(arb(alpha), arb(longest))))


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
    e, gradient = measured.displacement, anchor.gradient
    p, count = len(e), e.size
    trace = max((float(np.trace(h.value)) for h in anchor.linearisation.data_hessians), default=0.0)
    error = max((h.error for h in anchor.linearisation.data_hessians), default=0.0)
    # ‖B‖_F ≤ tr(B) as B ⪰ 0; p·error covers the trace and another p·error the computed matrix.
    largest = inflated(max(trace, 0.0) * (1.0 + gamma(p + 2)) + 2.0 * p * error)
    size, product, known = norm_bound(e), norm_bound(measured.product), norm_bound(gradient.value)
    product_error = inflated((error + gamma(p + 4) * largest) * size + _UNDERFLOW * count)
    additions = 4.0 * UNIT_ROUNDOFF * (known + product + norm_bound(anchor.linearisation.penalty * e))
    slack = inflated(inflated(gradient.error + product_error) + additions)
    dot = gamma(count + 4)
    overlap = abs(float(np.sum(gradient.value * e))) + (gradient.error + dot * known) * size
    squared = abs(float(np.sum(e * measured.product))) + (product_error + dot * product) * size
    return _Quantities(
        size=size,
        linear=inflated(norm_bound(measured.residual) + slack),
        slack=slack,
        overlap=inflated(inflated(overlap) + _UNDERFLOW * count),
        data_size_squared=inflated(inflated(squared) + _UNDERFLOW * count),
        largest=largest,
    )


def _applies(anchor: Anchor, known: _Quantities) -> bool:
    sizes = (known.linear, known.overlap, known.data_size_squared, known.largest, anchor.drift, anchor.kappa)
    return anchor.curvature > 0.0 and all(math.isfinite(x) for x in sizes)


def _evaluate(anchor: Anchor, known: _Quantities, data_amplifies: float) -> tuple[float, float]:
    """Bounds on ‖W − W*‖ and on ‖∇F(W)‖ from the norms (claim T6)."""
    with working_precision(_PRECISION):
        m, kappa, drift = arb(anchor.curvature), arb(anchor.kappa), arb(anchor.drift)
        size, linear, amplification = arb(known.size), arb(known.linear), arb(data_amplifies)
        # e is W − W₁ but for one rounding.
        rounding = size * arb(2.0 * UNIT_ROUNDOFF)
        solve_error = linear / m + rounding
        stiffness = arb(known.largest) + arb(float(np.max(anchor.linearisation.penalty, initial=0.0)))
        if anchor.kappa == 0.0:
            return upper(solve_error), upper(linear + stiffness * rounding)
        squared = upper(witness_decrement_squared(arb(known.overlap), size, linear, m))
        decrement = arb(max(squared, 0.0)).sqrt()
        ratio = decrement_ratio(kappa, decrement * drift.exp(), m)
        reach = kappa * size
        if not (ratio < 1 and reach < _LARGEST_REACH):
            return math.inf, math.inf
        data_size = arb(known.data_size_squared).sqrt()
        moved = data_size * curvature_change(drift, reach) if reach > 0 else arb(0)
        scale = arb(known.largest).sqrt()
        residual = upper(linear + scale * moved + stiffness * (drift + reach).exp() * rounding)
        radius, remainder = upper(self_concordant_radius(ratio, kappa)), arb(0)
        for _ in range(_TIGHTENINGS):
            if not radius > 0.0:
                break
            reach = kappa * arb(radius)
            change = curvature_change(drift, reach)
            lengths = [upper(decrement / curvature_decrease(drift, reach))]
            if change < 1:
                lengths.append(upper((data_size + amplification * linear) / (1 - change)))
            remainder = amplification * change * arb(min(lengths))
            tighter = upper(size + linear / m + remainder)
            if not tighter < _WORTHWHILE * radius:
                break
            radius = tighter
        return upper(solve_error + remainder), residual
