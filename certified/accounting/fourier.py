"""A discrete Fourier transform with a proved rounding error (claim T19).

Library transforms are fast and accurate, but their accuracy is measured, not proved. This one is the textbook radix-2
transform (Cooley & Tukey 1965, in Stockham's order), built from sums and products of complex numbers alone, with roots
of unity from ball arithmetic, so that its bound follows from the rounding model as in Higham 2002, section 24.1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from flint import arb
from numpy.typing import NDArray

from certified.numerics.balls import upper, working_precision
from certified.numerics.rounding import UNIT_ROUNDOFF

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]

BUTTERFLY_ERROR = 11.0 * UNIT_ROUNDOFF
"""Relative error, in Euclidean norm, that one of the log₂ N stages adds: root 6u, product 3u, sum 1u (T19)."""

PRODUCT_ERROR = 3.0 * UNIT_ROUNDOFF
"""Relative error of a product of complex numbers: √2·γ₂, or 2u where it is fused (T19)."""

_BLOCK = 1024


def transform(values: Complexes) -> Complexes:
    """Return Σ_n values[n] e^(−2πikn/N) for k < N = 2^t with error at most ``transform_error(N)`` (claim T19).

    >>> transform(np.array([1.0, 2.0, 3.0, 4.0], dtype=complex)).tolist()
    [(10+0j), (-2+2j), (-2+0j), (-2-2j)]
    """
    size = len(values)
    roots = _roots(size)
    rows = np.ascontiguousarray(values, dtype=np.complex128).reshape(1, size)
    while len(rows) < size:
        count, half = len(rows), rows.shape[1] // 2
        turned = roots[:: size // 2 // count, None] * rows[:, half:]
        merged = np.empty((2 * count, half), dtype=np.complex128)
        np.add(rows[:, :half], turned, out=merged[:count])
        np.subtract(rows[:, :half], turned, out=merged[count:])
        rows = merged
    return rows.reshape(size)


def transform_error(size: int) -> float:
    """Return φ with ‖computed − exact‖₂ ≤ φ·√N·‖values‖₂ for ``transform`` of N = ``size`` numbers (claim T19).

    >>> 2e-14 < transform_error(2**20) < 3e-14
    True
    """
    stages = size.bit_length() - 1
    return 1.01 * stages * BUTTERFLY_ERROR


def power(values: Complexes, exponent: int) -> Complexes:
    """Return the elementwise power by repeated squaring; relative error (1 + ``PRODUCT_ERROR``)^(exponent−1) − 1 (T19).

    >>> power(np.array([2.0 + 0j]), 10).tolist()
    [(1024+0j)]
    """
    result: Complexes | None = None
    while True:
        if exponent & 1:
            result = values if result is None else result * values
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        values = values * values


def exponentials(rate: arb, offset: arb, places: NDArray[np.int64]) -> Floats:
    """Return e^(rate·n − offset) for each n of ``places``, rounded up, within a relative 12u or 2⁻⁹⁹⁰ (claim T19).

    A product of two table entries from ball arithmetic, e^(rate·mi − offset) and e^(rate·j) with j < m.

    >>> float(exponentials(arb(1), arb(2), np.array([2, 3]))[0])
    1.0000000000000004
    """
    if not len(places):
        return np.zeros(0)
    # Short enough for the second factor not to overflow where the first is tiny.
    block_size = max(1, min(_BLOCK, int(256.0 / max(abs(float(rate)), 1e-9))))
    high, low = np.divmod(places, block_size)
    blocks, which = np.unique(high, return_inverse=True)
    with working_precision(128):
        coarse = [upper((rate * (block_size * int(block)) - offset).exp()) for block in blocks]
        fine = [upper((rate * j).exp()) for j in range(int(low.max()) + 1)]
    found: Floats = np.array(coarse)[which] * np.array(fine)[low] * (1.0 + 4.0 * UNIT_ROUNDOFF) + 2.0**-1000
    return found


@lru_cache(maxsize=4)
def _roots(size: int) -> Complexes:
    """e^(−2πik/N) for k < N/2, each within 6u: products of entries of two tables that are within 1.42u (T19)."""
    count = max(size // 2, 1)
    block = min(_BLOCK, count)
    fine = _unit_circle(range(block), size)
    coarse = _unit_circle(range(0, count, block), size)
    roots: Complexes = (coarse[:, None] * fine[None, :]).reshape(count)
    roots.flags.writeable = False
    return roots


def _unit_circle(places: range, size: int) -> Complexes:
    with working_precision(128):
        angles = [arb.pi() * (-2 * place) / size for place in places]
        return np.array([complex(float(angle.cos().mid()), float(angle.sin().mid())) for angle in angles])
