"""Gaussian differential privacy: (ε, δ) both ways, and the μ of a shift under correlated noise (claims T3, T17g).

Two worlds are μ-GDP if they are no easier to tell apart than N(0, 1) from N(μ, 1); then they are (ε, H_μ(ε)) private
for every ε ≥ 0. The largest μ that proves an (ε, δ) is ``gaussian_mu``.

Sources: Dong, Roth & Su 2022 (arXiv 1905.02383); Balle & Wang 2018 (arXiv 1805.06530).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

from flint import arb

from certified.numerics.balls import exact, round_up
from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon, nonnegative


def gdp_delta(epsilon: float, mu: float) -> float:
    """Return the smallest float64 not below H_μ(ε), the δ of μ-GDP at ε (claim T3).

    Raises ``ValueError`` for a negative or NaN argument.

    >>> gdp_delta(epsilon=1.0, mu=1.0)
    0.12693673750664397
    """
    return gaussian_delta(epsilon, sensitivity=nonnegative("mu", mu), noise_std=1.0)


def gdp_epsilon(delta: float, mu: float) -> float:
    """Return the smallest float64 ε ≥ 0 with H_μ(ε) ≤ ``delta``; ``inf`` where none suffices (claim T3).

    Raises ``ValueError`` for a negative or NaN argument and ``delta`` > 1.

    >>> gdp_epsilon(delta=1e-5, mu=0.25)
    0.9263415039982295
    """
    return gaussian_epsilon(delta, sensitivity=nonnegative("mu", mu), noise_std=1.0)


def gaussian_shift_mu(shift: Sequence[float], covariance: Sequence[Sequence[float]]) -> float:
    """Return the smallest float64 not below μ = √(vᵀΣ⁻¹v): N(a, Σ) against N(a + v, Σ) is μ-GDP (claim T17g).

    ``shift`` v has d entries in the unit of the release, ``covariance`` Σ has d rows of d entries in its square. The
    δ(ε) curve is ``gdp_delta(epsilon, mu)``, exact for this pair. Costs d³/6 ball operations. Raises ``ValueError`` for
    a wrong shape, an entry that is not finite, and a Σ that is not symmetric or not provably positive definite.

    >>> gaussian_shift_mu([3.0, 0.0], [[9.0, 0.0], [0.0, 4.0]])
    1.0
    >>> gaussian_shift_mu([1.0, 1.0], [[2.0, 1.0], [1.0, 2.0]])
    0.816496580927726
    """
    v = [_finite(f"shift[{i}]", value) for i, value in enumerate(shift)]
    rows = [
        [_finite(f"covariance[{i}][{j}]", value) for j, value in enumerate(row)] for i, row in enumerate(covariance)
    ]
    if not v or len(rows) != len(v) or any(len(row) != len(v) for row in rows):
        raise ValueError(f"covariance must have {len(v)} rows of {len(v)} entries, like the shift, and at least one")
    if any(rows[i][j] != rows[j][i] for i in range(len(v)) for j in range(i)):
        raise ValueError("covariance must be symmetric; average it with its transpose")
    try:
        return round_up(lambda: _mahalanobis_squared(v, rows).sqrt())
    except ArithmeticError:
        raise ValueError("covariance must be positive definite; add variance to its diagonal") from None


def _mahalanobis_squared(shift: list[float], covariance: list[list[float]]) -> arb:
    """Enclose vᵀΣ⁻¹v = Σ y_i²/d_i with Σ = LDLᵀ and Ly = v; NaN while a pivot d_i is not known to be positive."""
    lower: list[list[arb]] = []
    pivots: list[arb] = []
    solution: list[arb] = []
    for i, row in enumerate(covariance):
        scaled: list[arb] = []  # the entries l_ij·d_j
        for j in range(i):
            scaled.append(exact(row[j]) - sum((scaled[k] * lower[j][k] for k in range(j)), arb(0)))
        lower.append([entry / pivot for entry, pivot in zip(scaled, pivots, strict=True)])
        pivot = exact(row[i]) - sum((a * b for a, b in zip(scaled, lower[i], strict=True)), arb(0))
        if not pivot > 0:
            return arb.nan()
        pivots.append(pivot)
        solution.append(exact(shift[i]) - sum((a * b for a, b in zip(lower[i], solution, strict=True)), arb(0)))
    return sum((y * y / pivot for y, pivot in zip(solution, pivots, strict=True)), arb(0))


def _finite(name: str, value: object) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}; pass a float")
    converted = float(value)
    if not math.isfinite(converted) or converted != value:
        raise ValueError(f"{name} must be a finite float64 number, got {value!r}; round it to the safe side first")
    return converted
