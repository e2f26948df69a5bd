"""Constants of the rounding model behind every certified float64 computation (claim T12).

Each operation returns ``(a∘b)(1 + θ) + η`` with ``|θ| ≤ u`` and ``|η| ≤ 2⁻¹⁰²²·max(1, |a|, |b|)``. Contraction to
fused multiply-add, subnormal numbers flushed on the way in or out, and any order of summation are inside the model.
"""

from __future__ import annotations

UNIT_ROUNDOFF = 2.0**-53
"""u: half the distance between 1 and the next float64."""

MAGNITUDE_LIMIT = 1e60
"""Largest absolute value accepted in rows, targets, sample weights and weights: no product of four overflows."""

SMALLEST_WEIGHT = 2.0**-1022
"""Smallest positive sample weight accepted: subnormal weights may be flushed to zero."""

UNDERFLOW = 2.0**-400
"""Underflow allowance of one data pass per row and coordinate, for magnitudes up to the limit (T12)."""


def gamma(terms: int) -> float:
    """Return an upper bound on γ_m = m·u / (1 − m·u), the relative error of a sum of m products (T12).

    >>> gamma(1) >= 2.0**-53
    True
    """
    product = terms * UNIT_ROUNDOFF
    if product >= 0.5:
        raise ValueError(f"terms={terms} is too long a sum for float64 error bounds")
    return product / (1.0 - product) * (1.0 + 4.0 * UNIT_ROUNDOFF)
