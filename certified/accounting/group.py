"""Groups of k rows: the tight bound beside the generic one, which knows the guarantee of one row only (T10, T17c)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from certified.accounting.accountant import dp_delta, dp_epsilon
from certified.accounting.mechanisms import Phase, Relation, checked_phases
from certified.privacy.gaussian import probability
from certified.privacy.group import group_guarantee

_GROWTH = 1.25
_ACCURACY = 1e-4
_STEEPEST = 300.0
"""Beyond e^300 no δ that the accountant returns makes up for the factor of a group."""


def group_epsilons(
    delta: float, phases: Iterable[Phase], sizes: Iterable[int], *, relation: Relation
) -> dict[int, float]:
    """Return the bound ``dp_epsilon`` for groups of each size (claims T10, T19).

    >>> from certified.accounting import SubsampledGaussian
    >>> found = group_epsilons(1e-5, [SubsampledGaussian(4.0, 0.01, 100)], [1, 2], relation=Relation.add_or_remove)
    >>> [round(epsilon, 3) for epsilon in found.values()]
    [0.08, 0.17]
    """
    checked = checked_phases(phases)
    return {size: dp_epsilon(delta, checked, relation=relation, rows=size) for size in sizes}


def generic_group_epsilon(delta: float, phases: Iterable[Phase], size: int, *, relation: Relation) -> float:
    """Return kε₁ for the smallest ε₁ found with δ(ε₁)(e^(kε₁) − 1)/(e^ε₁ − 1) ≤ ``delta``, k = ``size`` (claim T17c).

    What follows from the one-row curve alone, for comparison with ``group_epsilons``; ``inf`` where no ε₁ is enough.

    >>> from certified.accounting import SubsampledGaussian
    >>> steps = SubsampledGaussian(4.0, 0.01, 100)
    >>> round(generic_group_epsilon(1e-5, [steps], 2, relation=Relation.add_or_remove), 2)
    0.17
    """
    delta = probability("delta", delta)
    checked = checked_phases(phases)

    def group(epsilon: float) -> tuple[float, float]:
        return group_guarantee(epsilon, dp_delta(epsilon, checked, relation=relation), size)

    low = high = dp_epsilon(delta, checked, relation=relation)
    while group(high)[1] > delta:
        low, high = high, _GROWTH * high + _ACCURACY
        if size * high > _STEEPEST:
            return math.inf
    while high - low > _ACCURACY * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if group(middle)[1] <= delta else (middle, high)
    return group(high)[0]
