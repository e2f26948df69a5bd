"""Composition of releases: what all of them prove together (claims T3, T17h).

A Gaussian release with noise σ_j at certified distance s_j is μ_j-GDP with μ_j = s_j/σ_j. Any number of them, with
mechanisms and budgets μ_j chosen adaptively, is μ-GDP as long as Σ μ_j² ≤ μ² holds on every path: the fully
adaptive filter costs nothing over budgets fixed in advance (T3). In every other notion here the mechanisms may be
chosen adaptively, but their parameters are fixed in advance (T17h).

Sources: Dong, Roth & Su, "Gaussian differential privacy" (arXiv 1905.02383), for budgets fixed in advance;
Smith & Thakurta 2022 (arXiv 2210.17520) and Koskela, Tobaben & Honkela 2023 (arXiv 2209.15596) for adaptive
ones; Bun & Steinke 2016 (arXiv 1605.02065) for zCDP; Mironov 2017 (arXiv 1702.07476) for Rényi curves; Kairouz,
Oh & Viswanath 2015 (arXiv 1311.0776) for (ε, δ).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from numbers import Integral

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, expm1, log, log1p, sqrt
from certified.privacy.gaussian import nonnegative, probability, smallest_float
from certified.privacy.renyi import checked_curve


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


def compose_zcdp(rhos: Iterable[float]) -> float:
    """Return the smallest float64 not below Σ ρ_j, the ρ of all releases together (claim T17h).

    Raises ``ValueError`` for a negative or NaN ρ_j.

    >>> compose_zcdp([0.5, 0.25])
    0.75
    """
    return _total(nonnegative(f"rhos[{index}]", rho) for index, rho in enumerate(rhos))


def compose_renyi(curves: Iterable[Mapping[float, float]]) -> dict[float, float]:
    """Return the curve of all releases together, Σ D_j at each order, rounded up (claim T17h).

    All curves need the same orders: no curve, an order missing somewhere, or a bad curve is a ``ValueError``.

    >>> compose_renyi([{2.0: 0.125, 4.0: 0.25}, {2.0: 0.5, 4.0: 1.0}])
    {2.0: 0.625, 4.0: 1.25}
    """
    checked = [checked_curve(f"curves[{index}]", curve) for index, curve in enumerate(curves)]
    if not checked:
        raise ValueError("curves must hold at least one curve; its orders decide those of the result")
    if any(curve.keys() != checked[0].keys() for curve in checked):
        raise ValueError("curves must share their orders; evaluate every mechanism at the same alphas")
    return {alpha: _total(curve[alpha] for curve in checked) for alpha in checked[0]}


def compose_basic(guarantees: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return (Σ ε_j, 1 − Π(1 − δ_j)), rounded up, for releases that are (ε_j, δ_j) private (claim T17h).

    Raises ``ValueError`` for a negative or NaN ε_j or δ_j and for δ_j > 1.

    >>> compose_basic([(0.5, 0.25), (0.25, 0.5)])
    (0.75, 0.625)
    """
    pairs = _guarantees(guarantees)
    return _total(epsilon for epsilon, _ in pairs), _any_failure([delta for _, delta in pairs])


def compose_advanced(guarantees: Iterable[tuple[float, float]], slack: float) -> tuple[float, float]:
    """Return (ε, δ) of all releases with ε = Σ ε_j tanh(ε_j/2) + √(2 log(1/slack) Σ ε_j²) (claim T17h).

    δ = 1 − (1 − slack) Π(1 − δ_j). Where basic composition has the smaller ε, that one is returned. Arguments as in
    ``compose_basic``; ``slack`` is a probability. For equal releases ``compose_optimal_epsilon`` is never larger.

    >>> compose_advanced([(0.1, 0.0)] * 100, slack=1e-5)
    (5.2981096617668815, 1e-05)
    """
    pairs = _guarantees(guarantees)
    slack = probability("slack", slack)
    basic = compose_basic(pairs)
    epsilons = [epsilon for epsilon, _ in pairs if epsilon > 0.0]
    if slack == 0.0 or not epsilons or math.inf in epsilons:
        return basic
    epsilon = round_up(lambda: advanced_epsilon([exact(value) for value in epsilons], exact(slack)))
    if epsilon >= basic[0]:
        return basic
    return epsilon, _any_failure([slack, *(delta for _, delta in pairs)])


def advanced_epsilon(epsilons: list[Scalar], slack: Scalar) -> Scalar:
    """Return Σ ε_j tanh(ε_j/2) + √(2 log(1/slack) Σ ε_j²) for ε_j > 0 (claim T17h).

    >>> round(advanced_epsilon([1.0, 1.0], 0.1), 6)
    3.959089
    """
    mean, square = 0 * slack, 0 * slack
    for epsilon in epsilons:
        mean = mean - epsilon * expm1(-epsilon) / (1 + exp(-epsilon))
        square = square + epsilon * epsilon
    return mean + sqrt(-2 * log(slack) * square)


def optimal_hockey_stick(total_epsilon: Scalar, epsilon: Scalar, delta: Scalar, releases: int) -> Scalar:
    """Return the exact δ at ``total_epsilon`` of k worst-case (ε, δ) releases, ε > 0 and 0 ≤ δ < 1 (claim T17h).

    1 − (1−δ)^k (1 − Σ_l C(k,l) e^((k−l)ε)/(1+e^ε)^k (1 − e^(ε_total − (k−2l)ε))₊). On floats and JAX values this is the
    plain formula; the bound is ``compose_optimal_delta``.

    >>> round(optimal_hockey_stick(0.0, 1.0, 0.0, 1), 6)
    0.462117
    """
    weight = exp(-releases * log1p(exp(-epsilon)))
    ratio = exp(-epsilon)
    some = 0 * weight
    for flips in range(releases):
        beyond = (releases - 2 * flips) * epsilon - total_epsilon
        if beyond <= 0:
            break
        some = some - weight * expm1(-beyond)
        weight = weight * (releases - flips) * ratio / (flips + 1)
    failure = -expm1(releases * log1p(-delta))
    return failure + (1 - failure) * some


def compose_optimal_delta(total_epsilon: float, epsilon: float, delta: float, releases: int) -> float:
    """Return the smallest float64 δ that ``releases`` adaptive (ε, δ) releases prove at ``total_epsilon`` (claim T17h).

    The best that (ε, δ) alone can prove. Costs time proportional to ``releases``, an integer ≥ 0. Raises ``ValueError``
    for a negative or NaN argument and δ > 1.

    >>> compose_optimal_delta(5.0, epsilon=0.1, delta=0.0, releases=100)
    2.792636101404438e-07
    """
    total_epsilon = nonnegative("total_epsilon", total_epsilon)
    epsilon = nonnegative("epsilon", epsilon)
    delta = probability("delta", delta)
    count = counted("releases", releases)
    if count == 0:
        return 0.0
    if delta == 1.0 or (epsilon == math.inf and total_epsilon < math.inf):
        return 1.0
    # As fractions: a product rounded down to the total would claim δ = 0 where δ is positive.
    if math.inf in (total_epsilon, epsilon) or count * Fraction(epsilon) <= Fraction(total_epsilon):
        return _any_failure([delta], count)
    found = round_up(lambda: optimal_hockey_stick(exact(total_epsilon), exact(epsilon), exact(delta), count))
    return min(1.0, found)


def compose_optimal_epsilon(total_delta: float, epsilon: float, delta: float, releases: int) -> float:
    """Return the smallest float64 ε_total with ``compose_optimal_delta`` ≤ ``total_delta``; ``inf`` where none (T17h).

    Arguments as in ``compose_optimal_delta``.

    >>> compose_optimal_epsilon(1e-5, epsilon=0.1, delta=0.0, releases=100)
    4.306791372516508
    """
    total_delta = probability("total_delta", total_delta)
    return smallest_float(lambda total: compose_optimal_delta(total, epsilon, delta, releases) <= total_delta)


def optimal_release_epsilon(total_epsilon: float, total_delta: float, releases: int) -> float:
    """Return the largest finite float64 ε such that that many ε-DP releases prove the total (claim T17h).

    Arguments as in ``compose_optimal_delta``.

    >>> optimal_release_epsilon(1.0, 1e-5, releases=100)
    0.02705923812878063
    """
    total_delta = probability("total_delta", total_delta)
    too_much = smallest_float(lambda each: compose_optimal_delta(total_epsilon, each, 0.0, releases) > total_delta)
    return math.nextafter(too_much, 0.0)


def counted(name: str, value: object) -> int:
    """Return ``value`` as an int; raise an error naming the argument unless it is an integer ≥ 0, of NumPy or not.

    >>> counted("releases", 3)
    3
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}; pass an int")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}; pass a count")
    return int(value)


def _guarantees(guarantees: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    return [
        (nonnegative(f"epsilon of release {index}", epsilon), probability(f"delta of release {index}", delta))
        for index, (epsilon, delta) in enumerate(guarantees)
    ]


def _total(values: Iterable[float]) -> float:
    """Sum non-negative floats, rounded up."""
    terms = list(values)
    if math.inf in terms:
        return math.inf
    return round_up(lambda: sum(map(exact, terms), arb(0)))


def _any_failure(deltas: list[float], releases: int = 1) -> float:
    """Return 1 − Π(1 − δ_j)^releases, rounded up."""
    if 1.0 in deltas:
        return 1.0
    some = [delta for delta in deltas if delta > 0.0]
    if not some:
        return 0.0
    if len(some) == releases == 1:
        return some[0]
    return round_up(lambda: 1 - math.prod((1 - exact(delta) for delta in some), start=arb(1)) ** releases)
