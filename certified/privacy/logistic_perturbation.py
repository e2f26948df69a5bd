"""Objective perturbation of logistic regression: slope and curvature of the added row weighed jointly (claim T15).

A row with |ℓ'| = p has ℓ'' = p(1 − p), so what it adds to the determinant it cannot add to the shift. Its privacy loss
is at most Z(u) = max over p ∈ [0, 1] of log(1 + (4β/λ)p(1 − p)) + μup + μ²p²/2 with u ~ N(0, 1), and
δ(ε) ≤ E[(1 − e^(ε − Z(u)))₊].

The expectation is bounded from above, in balls, in two steps without sampling error. The logarithm is concave in p, so
it lies below a polygon of its tangents, and a convex function on an edge is largest at a corner: Z is at most the
largest of finitely many straight lines in u. That is a convex function of u, so it lies below its chords between nodes,
for which each cell is an integral in closed form; beyond the last node it grows by at most μ, before the first it is
below its value there. Where the nodes are steers the accuracy (about 1 % of δ), never the direction of the error.
"""

from __future__ import annotations

import math
from itertools import pairwise

from flint import arb

from certified.numerics.balls import exact, upper, working_precision
from certified.numerics.scalar import exp, log1p, normal_cdf

_PRECISION = 192
_TANGENTS = 64
_LARGEST_MU = 64.0
_LARGEST_RATIO = 200.0
"""Beyond these μ and ε/μ the expectation is 1 or below every float64 for most purposes, and is not evaluated."""

Line = tuple[arb, arb]
"""Slope a ≥ 0 and height b of the line a·u + b."""


def logistic_delta(
    epsilon: float, gradient_bound: float, noise_std: float, smoothness: float, strength: float
) -> float:
    """Return an upper bound on E[(1 − e^(ε − Z(u)))₊], u ~ N(0, 1), with μ = L/σ (claim T15).

    Arguments as in ``objective_delta`` for one row: ε ≥ 0, L, σ, β and λ positive and finite; β = L²/(4c) for rows of
    weight at most c. Where μ > 64 or ε/μ > 200 the trivial bound 1 is returned: closed forms do better there.

    >>> round(logistic_delta(0.5, gradient_bound=1.0, noise_std=8.1, smoothness=0.25, strength=1.0), 10)
    5.5821e-06
    """
    mu = gradient_bound / noise_std
    if not 0.0 < mu <= _LARGEST_MU or epsilon > _LARGEST_RATIO * mu:
        return 1.0
    with working_precision(_PRECISION):
        rate = exact(gradient_bound) / exact(noise_std)
        lines = _majorant(4 * exact(smoothness) / exact(strength), rate)
        nodes = _nodes(lines)
        heights = [_height(lines, node) for node in nodes]
        return min(1.0, upper(_expectation(exact(epsilon), rate, nodes, heights)))


def _majorant(ratio: arb, rate: arb) -> list[Line]:
    """Lines whose maximum is at least Z: one for each corner of the tangent polygon, slopes increasing."""
    tangents = []
    for j in range(_TANGENTS + 1):
        p = exact(math.sin(0.5 * math.pi * j / _TANGENTS) ** 2) if j < _TANGENTS else arb(1)
        bend = 1 + ratio * p * (1 - p)
        tangents.append((p, log1p(ratio * p * (1 - p)), ratio * (1 - 2 * p) / bend))
    corners = [(arb(0), arb(0))]
    for (p, value, slope), (q, other, fall) in pairwise(tangents):
        meet = (other - value + slope * p - fall * q) / (slope - fall)
        corners.append((meet, value + slope * (meet - p)))
    corners.append((arb(1), arb(0)))
    return [(rate * p, (rate * p) ** 2 / 2 + value) for p, value in corners]


def _nodes(lines: list[Line]) -> list[float]:
    """Points u, increasing, near where the largest line changes, and one where the steepest has taken over."""
    # Corners next to p = 0 or p = 1 may be one float64.
    tops: dict[float, float] = {}
    for slope, height in ((float(a.mid()), float(b.mid())) for a, b in lines):
        tops[slope] = max(height, tops.get(slope, -math.inf))
    hull: list[tuple[float, float]] = []
    turns: list[float] = []
    for slope, height in sorted(tops.items()):
        while hull:
            turn = (hull[-1][1] - height) / (slope - hull[-1][0])
            if not turns or turn > turns[-1]:
                break
            hull.pop()
            turns.pop()
        if hull:
            turns.append(turn)
        hull.append((slope, height))
    nodes = [turn for turn in turns if math.isfinite(turn)] or [0.0]
    return [*nodes, nodes[-1] + 1e-9 * (1.0 + abs(nodes[-1]))]


def _height(lines: list[Line], node: float) -> arb:
    """The largest line at ``node``, rounded up to a float64."""
    u = exact(node)
    return exact(max(upper(slope * u + height) for slope, height in lines))


def _expectation(epsilon: arb, rate: arb, nodes: list[float], heights: list[arb]) -> arb:
    """E[(1 − e^(ε − z(u)))₊] for the chords z through the nodes, continued by slope μ and, before the first, level."""
    total = arb(0)
    if heights[0] > epsilon:
        total += normal_cdf(exact(nodes[0])) * (1 - exp(epsilon - heights[0]))
    places = [exact(node) for node in nodes]
    for (left, low), (right, high) in pairwise(zip(places, heights, strict=True)):
        if high > epsilon:
            total += _cell(epsilon, left, low, (high - low) / (right - left), right)
    return total + _cell(epsilon, places[-1], heights[-1], rate, None)


def _cell(epsilon: arb, left: arb, low: arb, slope: arb, right: arb | None) -> arb:
    """The integral of φ(u)(1 − e^(ε − z(u)))₊ for z(u) = low + slope·(u − left), slope > 0, from left to right."""
    start = left if low >= epsilon else left + (epsilon - low) / slope
    factor = exp(epsilon - low + slope * left + slope * slope / 2)
    plain, tilted = normal_cdf(-start), normal_cdf(-start - slope)
    if right is not None:
        plain, tilted = plain - normal_cdf(-right), tilted - normal_cdf(-right - slope)
    return plain - factor * tilted
