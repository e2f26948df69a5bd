"""The verifier's own Gaussian privacy curve in balls (claim T3)."""

from __future__ import annotations

from flint import arb, ctx

PRECISION = 1024
"""Bits: the two terms of the curve cancel where μ is small."""


def gaussian_delta(epsilon: float | arb, mu: float | arb) -> arb:
    """Return a number at least δ(ε) = Φ(μ/2 − ε/μ) − e^ε·Φ(−μ/2 − ε/μ), tight to far below float64 (claim T3).

    The first term alone is an upper bound, too. Source: Balle & Wang 2018, theorem 8.

    >>> abs(float(gaussian_delta(1.0, 1.0)) - 0.12693673750664) < 1e-13
    True
    """
    if mu == 0.0:
        return arb(0)
    with ctx.workprec(PRECISION):
        e, m, root = arb(epsilon), arb(mu), arb(2).sqrt()
        first = ((e / m - m / 2) / root).erfc() / 2
        full = first - e.exp() * ((e / m + m / 2) / root).erfc() / 2
        return full.upper() if full.upper() < first.upper() else first.upper()


def largest_mu(epsilon: float, delta: float) -> float:
    """Return the largest float64 μ with δ(ε; μ) ≤ delta, for finite ε ≥ 0 and 0 < delta < 1; 0 if none is found.

    >>> largest_mu(1.0, 0.1269) < 1.0 < largest_mu(1.0, 0.127)
    True
    """
    low, high = 0.0, 1.0
    while gaussian_delta(epsilon, high) <= delta:
        low, high = high, 2.0 * high
    while low < (middle := low + (high - low) / 2.0) < high:
        low, high = (middle, high) if gaussian_delta(epsilon, middle) <= delta else (low, middle)
    return low
