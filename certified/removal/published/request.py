"""What every published mechanism asks of a problem and of a removal request, and what the removed rows contribute."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import max_extended_norm
from certified.data.rows import Rows
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective

Array = npt.NDArray[np.float64]


def row_count(rows: Rows) -> int:
    """Return the number of rows of positive weight."""
    return int(np.count_nonzero(np.asarray(rows.weights)))


def check_training(objective: Objective) -> None:
    """Refuse to train where there is nothing to train on, or on a problem that ``check_problem`` refuses."""
    if objective.is_degenerate:
        raise ValueError("objective must hold at least one row of positive weight and one output; add rows first")
    check_problem(objective)


def check_problem(objective: Objective) -> None:
    """Refuse what the publications do not cover: no strong convexity, or a linear term of the caller's own.

    Raises:
        ValueError: names the attribute and the remedy.
    """
    if objective.fit_intercept:
        raise ValueError(
            "fit_intercept=True leaves the intercept unpenalised, but the mechanism needs strong convexity; append "
            "a constant feature to the rows, or use certified.removal.update"
        )
    if objective.linear is not None:
        raise ValueError("linear must be None: it belongs to the mechanism; drop it from the objective")
    if objective.is_degenerate:
        return
    if not 0.0 < objective.alpha < np.inf:
        raise ValueError(f"alpha must be positive and finite, got {objective.alpha!r}; regularise (smaller C)")
    _check_finite("rows of the objective", objective.rows)


def check_unit_weights(rows: Rows) -> None:
    """Refuse sample weights other than 1, where a publication counts rows."""
    weights = np.asarray(rows.weights)
    if not np.all((weights == 0.0) | (weights == 1.0)):
        raise ValueError("sample weights must be 1: the published bound counts rows; use certified.removal.update")


def check_request(before: Objective, after: Objective, removed: Rows) -> None:
    """Refuse a request in which ``after`` is not ``before`` without ``removed``, as far as counts and kinds tell.

    ``before`` may hold the mechanism's own linear term; ``after`` must not.

    Raises:
        ValueError: names the argument and the remedy.
    """
    check_problem(after)
    if after.loss != before.loss:
        raise ValueError("objective must keep its loss; train again to change it")
    widths = {(rows.n_features, rows.n_outputs) for rows in (before.rows, after.rows, removed)}
    if len(widths) > 1:
        raise ValueError(f"removed and objective must have the features and outputs trained on, got {sorted(widths)}")
    _check_finite("removed", removed)
    if after.alpha > before.alpha:
        raise ValueError("alpha must not grow when rows leave; train again to regularise more")
    left, gone, total = row_count(after.rows), row_count(removed), row_count(before.rows)
    if left + gone != total:
        raise ValueError(
            f"objective must hold the rows that remain: {total} rows without {gone} removed ones are not {left}; pass "
            "objective.rows.without(positions) and objective.rows.take(positions) for the same positions"
        )
    if gone == 0 and after.alpha != before.alpha:
        raise ValueError("alpha must not change where no row is removed; train again to change it")


def removed_gradient(before: Objective, after: Objective, removed: Rows, weights: Array) -> Array:
    """Return Δ = Σ_S c_i ∇ℓ_i(W) + (α − α′)·W (p, K), what the request takes out of ∇F(W).

    The second term is the removed rows' share of the penalty under per-sample scaling, α = λ·n and α′ = λ·(n − m).
    """
    _, gradient, _ = replace(after, rows=removed, alpha=0.0, linear=None).value_and_gradient(weights)
    return np.asarray(gradient + (before.penalty - after.penalty) * weights)


def third_derivative(objective: Objective) -> float:
    """Return γ = ν·sup φ″ ≥ sup|φ‴|, rounded up: 1/4 for the logistic loss, as the publications have it.

    Raises:
        ValueError: the loss has no bounded third derivative.
    """
    limit = objective.loss.self_concordance * objective.loss.curvature_limit
    if not math.isfinite(limit):
        raise ValueError(
            f"loss={objective.loss.name!r} has no bounded third derivative, which this bound needs; use the logistic "
            "loss, or certified.removal.update"
        )
    return limit * (1.0 + 4.0 * UNIT_ROUNDOFF)


def gradient_bound(objective: Objective) -> float:
    """Return C = sup|φ′|·R·√K ≥ ‖∇ℓ_i‖_F, rounded up.

    Raises:
        ValueError: the loss has no bounded derivative.
    """
    limit = objective.loss.derivative_limit
    if not math.isfinite(limit):
        raise ValueError(
            f"loss={objective.loss.name!r} has no bounded derivative, which this bound needs; use the logistic loss"
        )
    return limit * max_extended_norm(objective) * math.sqrt(objective.shape[1]) * (1.0 + 8.0 * UNIT_ROUNDOFF)


def mean_constants(objective: Objective) -> dict[str, float]:
    """Return n, λ, L, M of the mean-scaling bounds: λ = α/n rounded down, L = 2C and M = γR³ rounded up.

    Raises:
        ValueError: the loss has no bounded first or third derivative.
    """
    n = row_count(objective.rows)
    return {
        "n": float(n),
        "strong_convexity": objective.alpha / n * (1.0 - 4.0 * UNIT_ROUNDOFF),
        "lipschitz": 2.0 * gradient_bound(objective),
        "hessian_lipschitz": third_derivative(objective) * max_extended_norm(objective) ** 3 * (1 + 8 * UNIT_ROUNDOFF),
    }


def _check_finite(name: str, rows: Rows) -> None:
    parts = (rows.norms, rows.targets, rows.weights)
    if not all(np.all(np.isfinite(np.asarray(part))) for part in parts):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity; drop or repair those rows")
