"""Composition of Gaussian releases: μ² adds up, also when each release is chosen after the earlier ones (T3).

A release with noise σ_j at certified distance s_j is μ_j-GDP with μ_j = s_j/σ_j. Any number of them, with
mechanisms and budgets μ_j chosen adaptively, is μ-GDP as long as Σ μ_j² ≤ μ² holds on every path: the fully
adaptive filter costs nothing over budgets fixed in advance.

Sources: Dong, Roth & Su, "Gaussian differential privacy" (arXiv 1905.02383), for budgets fixed in advance;
Smith & Thakurta 2022 (arXiv 2210.17520) and Koskela, Tobaben & Honkela 2023 (arXiv 2209.15596) for adaptive
ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.privacy.gaussian import nonnegative


def compose_gaussian(mus: Iterable[float]) -> float:
    """Return the smallest float64 not below √Σ μ_j², the GDP parameter of all releases together (claim T3).

    No release gives 0; an infinite μ_j gives ``inf``. Raises ``ValueError`` for a negative or NaN μ_j.

    >>> compose_gaussian([3.0, 4.0])
    5.0
    >>> compose_gaussian([])
    0.0
    """
    checked = [nonnegative(f"mus[{index}]", mu) for index, mu in enumerate(mus)]
    if math.inf in checked:
        return math.inf
    return round_up(lambda: sum((exact(mu) ** 2 for mu in checked), arb(0)).sqrt())


def remaining_mu(total_mu: float, spent_mu: float) -> float:
    """Return the largest float64 not above √(total_mu² − spent_mu²): the budget left (claim T3).

    Its guarantee: ``compose_gaussian([spent_mu, remaining_mu(total_mu, spent_mu)]) <= total_mu``. Raises
    ``ValueError`` for a negative, NaN or infinite budget and where more is spent than there was.

    >>> remaining_mu(total_mu=5.0, spent_mu=3.0)
    4.0
    """
    total_mu = nonnegative("total_mu", total_mu)
    spent_mu = nonnegative("spent_mu", spent_mu)
    if total_mu == math.inf:
        raise ValueError("total_mu must be finite: an unlimited budget certifies nothing; see gaussian_mu")
    if spent_mu > total_mu:
        raise ValueError(f"spent_mu={spent_mu!r} must not exceed total_mu={total_mu!r}; stop releasing")
    return round_down(lambda: (exact(total_mu) ** 2 - exact(spent_mu) ** 2).sqrt())
