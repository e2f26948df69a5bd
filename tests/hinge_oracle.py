"""The exact minimiser of the Huberised hinge with an L2 penalty, in rational numbers.

The objective is strongly convex and quadratic on pieces. Newton's method with a line search finds the piece that holds
the minimiser; a full step there lands on it exactly, and the gradient that is exactly zero proves it.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq, fmpq_mat

Array = npt.NDArray[np.float64]
Rationals = npt.NDArray[Any]

MAX_STEPS = 200
BITS = 200
"""Of points on the way, which need not be exact; only the last step must."""

_exactly = np.vectorize(Fraction, otypes=[object])


def minimiser(
    width: float, targets: Array, rows: Array, weights: Array, penalty: Array, linear: Array, start: Array
) -> list[Fraction] | None:
    """Minimise Σ c_i φ(t_i·x_i·w) + ½Σ α_j w_j² + b·w exactly, all α_j > 0; ``None`` where that does not succeed."""
    if not np.all(penalty > 0.0):
        return None
    h = Fraction(width)
    x, c, a, b, point = (_exactly(v) for v in (targets[:, None] * rows, weights, penalty, linear, start))
    for _ in range(MAX_STEPS):
        margins = x @ point
        gradient = a * point + b + _slopes(margins, h, c) @ x
        if not any(gradient):
            return list(point)
        bent = (margins > 1 - h) & (margins < 1)
        hessian = np.diag(a) + (x[bent].T * (c[bent] / h)) @ x[bent]
        step = -_solve(hessian, gradient)
        length = _line_search(h, c, margins, x @ step, step @ (a * point + b), step @ (a * step))
        point = point + length * step
        if length != 1:
            point = np.array([_rounded(v) for v in point], dtype=object)
    return None


def _slopes(margins: Rationals, h: Fraction, c: Rationals) -> Rationals:
    """c·dφ/dm."""
    return -c * np.minimum(np.maximum((1 - margins) / h, Fraction(0)), Fraction(1))


def _line_search(h: Fraction, c: Rationals, margins: Rationals, moves: Rationals, tilt: Any, bend: Any) -> Fraction:
    """The zero of the derivative along a step: it increases with the length, linearly between kinks of the slopes."""

    def derivative(length: Fraction) -> Any:
        return tilt + length * bend + _slopes(margins + length * moves, h, c) @ moves

    crossings = {(level - m) / v for m, v in zip(margins, moves, strict=True) if v for level in (Fraction(1), 1 - h)}
    kinks = [Fraction(0), *sorted(k for k in crossings if k > 0)]
    last = kinks[-1] + 1
    for low, high in pairwise([*kinks, last]):
        before, after = derivative(low), derivative(high)
        if after >= 0 or high == last:
            return low - before * (high - low) / (after - before)
    raise AssertionError("unreachable: the last interval returns")


def _solve(matrix: Rationals, right: Rationals) -> Rationals:
    p = len(right)
    left, side = ([fmpq(v.numerator, v.denominator) for v in a.ravel()] for a in (matrix, right))
    solution = fmpq_mat(p, p, left).solve(fmpq_mat(p, 1, side))
    return np.array([Fraction(int(v.p), int(v.q)) for v in solution.entries()], dtype=object)


def _rounded(value: Fraction) -> Fraction:
    scale = Fraction(2) ** (BITS - value.numerator.bit_length() + value.denominator.bit_length())
    return round(value * scale) / scale
