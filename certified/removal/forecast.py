"""How often a stream of deletions will need a pass or a new Hessian: an estimate from a model, never a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certified.removal.costs import Costs
from certified.removal.planner import Spent, is_worn

_SPREAD = 0.3
"""The largest |x_i·V| beside R‖V‖, on real rows (MNIST 3-vs-8: 0.27–0.32)."""
_MOST_INTERVALS = 10_000


@dataclass(frozen=True)
class Forecast:
    """Estimates for deletions one by one, each within the target.

    Attributes:
        rows_per_pass: deletions per pass over the remaining rows.
        rows_per_linearisation: deletions per Hessian formed anew.
        seconds_per_row: average time of a deletion, passes and Hessians included.
    """

    rows_per_pass: float
    rows_per_linearisation: float
    seconds_per_row: float


def forecast(target: float, kappa: float, row_step: float, costs: Costs) -> Forecast:
    """Forecast a long stream of single deletions; an estimate.

    The model: a row moves the minimiser by s, T rows by s√T in independent directions, and T6 leaves at most about
    (δ + κs√T/2)·s√T/2 where N rows since the linearisation have made the drift δ = 0.3·κs√N. A pass follows where that
    reaches the target. Where one row exceeds it, each pass leaves the share δ + κs/2. The Hessian is formed anew where
    `planner.is_worn` says so.

    Args:
        target: the distance that each deletion is to be certified to.
        kappa: ν·R, the self-concordance times the largest row norm; 0 for a constant curvature.
        row_step: s, the root mean square of ‖A⁻¹∇ℓ_i‖ over rows; a deletion moves the weights by about as much.
        costs: of this problem (`costs.modelled_costs`).

    Raises:
        ValueError: an argument that is not positive, or a negative κ.

    >>> from certified.removal.costs import REFERENCE, modelled_costs
    >>> costs = modelled_costs(REFERENCE, 12_000, 784, 1, 1)
    >>> coarse, fine = (forecast(target, 1.0, 0.004, costs) for target in (1e-3, 1e-9))
    >>> coarse.rows_per_pass > 10 > 1 > fine.rows_per_pass, coarse.seconds_per_row < fine.seconds_per_row
    (True, True)
    """
    for name, value in (("target", target), ("row_step", row_step)):
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    if not 0.0 <= kappa < math.inf:
        raise ValueError(f"kappa must be finite and not negative, got {kappa!r}")
    if kappa == 0.0:
        return Forecast(math.inf, math.inf, costs.step)
    step, spent, seconds = row_step, Spent(), costs.linearise
    for _ in range(_MOST_INTERVALS):
        drift = _SPREAD * kappa * step * math.sqrt(spent.requests)
        lasts = rows_until_pass(target, step, kappa, drift)
        passes = 1 if lasts >= 1.0 else _passes_for_one(target, step, kappa, drift)
        lasts = int(min(1e9, max(1.0, lasts)))
        # What lasts is worth a second pass for its drift.
        passes += lasts > 1
        spent = Spent(spent.requests + lasts, spent.passes + passes, lasts, passes)
        seconds += lasts * costs.step + passes * costs.gradient_pass
        if is_worn(spent, costs):
            break
    return Forecast(spent.requests / (spent.passes + 1), float(spent.requests), seconds / spent.requests)


def rows_until_pass(target: float, step: float, kappa: float, drift: float) -> float:
    """Return the T at which (δ + κs√T/2)·s√T/2 is the target; an estimate.

    >>> round(rows_until_pass(1e-3, 5e-3, 1.0, 0.0))
    160
    """
    reach = (math.sqrt(drift * drift + 4.0 * kappa * target) - drift) / kappa
    return (reach / step) ** 2


def _passes_for_one(target: float, step: float, kappa: float, drift: float) -> int:
    share = drift + 0.5 * kappa * step
    if share >= 0.5:
        return 4
    return max(1, math.ceil(math.log(2.0 * target / (share * step)) / math.log(share)))
