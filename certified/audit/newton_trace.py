"""The residual that Newton removals really leave, deletion by deletion, beside every bound on it (claims T7, T7a, T12).

This is the figure of Guo et al. 2020 (arXiv 1911.03030): true residual, worst-case bound, data-dependent bound, with
sharper forms of the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.published import LOGISTIC_THIRD_DERIVATIVE, guo_single
from certified.bounds.published.data_dependent import newton_step_bounds, spectral_norm_bound
from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from certified.privacy.noise import idealized_gaussian
from certified.removal.published.objective_perturbation import ObjectivePerturbation
from certified.removal.published.request import removed_gradient

Array = npt.NDArray[np.float64]

_UNLIMITED = 1e200
"""An ε at which no account is ever overdrawn: the removals go on as long as they are asked for."""
_UP = 1.0 + 4.0 * UNIT_ROUNDOFF
"""Makes up for the rounding of two sums."""


@dataclass(frozen=True)
class NewtonTrace:
    """Residuals and bounds after each deletion, sum scaling, each array (deletions,).

    Attributes:
        residual: ‖∇F(w) + b‖ on the remaining rows, certified from above by one data pass (claim T12).
        worst_case: Guo et al., theorem 1, added up: γ = 1/4, any rows.
        corollary: Guo et al., corollary 1, added up: γ = 1/4, these rows.
        elementwise: (M/2)‖X‖₂‖(Xv)∘²‖₂ added up, M = sup|ℓ‴| = 1/(6√3), the training residual and the defects ‖Δ − H′v‖
            of the steps, as computed.
        rows: (M/2)R‖Xv‖² added up, and the same.
    """

    residual: Array
    worst_case: Array
    corollary: Array
    elementwise: Array
    rows: Array


def trace_removals(
    features: Array,
    targets: Array,
    deletions: Sequence[int],
    *,
    strength: float,
    perturbation_std: float,
    seed: int = 0,
) -> NewtonTrace:
    """Train with b·w, delete rows one by one by a Newton step each, and measure.

    F(w) = Σ(ℓ(x_i·w; y_i) + (λ/2)‖w‖²) over the remaining rows, logistic loss, as published.

    Args:
        features: (n, d) rows of norm at most 1.
        targets: (n,) labels −1 and 1.
        deletions: positions of the rows to delete, in order.
        strength: λ per row.
        perturbation_std: σ_b > 0 of b; drawn from seeded floats, as this releases nothing.
        seed: its seed.

    Raises:
        ValueError: rows longer than 1, other labels, or too many deletions.
    """
    n = len(features)
    if not set(np.unique(targets)) <= {-1.0, 1.0}:
        raise ValueError("targets must be −1 and 1; encode the labels")
    if len(deletions) >= n or len(set(deletions)) < len(deletions):
        raise ValueError(f"deletions must name fewer than {n} rows, each once")
    rows = Rows.from_arrays(features, targets[:, None], np.ones(n))
    if float(np.max(np.asarray(rows.norms), initial=0.0)) > 1.0 + 1e-9:
        raise ValueError("features must have rows of norm at most 1, as the published bounds need; divide them by it")
    mechanism = ObjectivePerturbation(epsilon=_UNLIMITED, delta=0.5, noise_std=perturbation_std)
    objective = Objective(LOGISTIC, rows, strength * n)
    state = mechanism.initialise(objective, lambda center, std: idealized_gaussian(center, std, seed))
    left, spectral = features.copy(), spectral_norm_bound(features)
    training = certified_gradient(state.objective, state.weights).norm
    columns: dict[str, list[float]] = {name: [] for name in NewtonTrace.__dataclass_fields__}
    worst_case, elementwise, by_rows = 0.0, training, training
    for count, position in enumerate(deletions, start=1):
        chosen = np.array([position])
        after = replace(objective, rows=objective.rows.without(chosen), alpha=strength * (n - count))
        removed, before = objective.rows.take(chosen), state.weights
        missing = removed_gradient(objective, after, removed, before)
        state = mechanism.remove(state, after, removed)
        objective, left[position], step = after, 0.0, state.weights - before
        defect = float(np.linalg.norm(missing - after.hvp(after.curvature(before), step)))
        sharp = newton_step_bounds(left, step[:, 0], LOGISTIC_THIRD_DERIVATIVE, spectral)
        single = guo_single(n=n - count + 1, strength=strength, gradient_bound=1.0, curvature_lipschitz=0.25)
        worst_case = (worst_case + single) * _UP
        elementwise = (elementwise + sharp["newton_elementwise"] + defect) * _UP
        by_rows = (by_rows + sharp["newton_rows"] + defect) * _UP
        measured = certified_gradient(state.objective, state.weights).norm
        for name, value in zip(columns, (measured, worst_case, state.residual, elementwise, by_rows), strict=True):
            columns[name].append(value)
    return NewtonTrace(**{name: np.array(values) for name, values in columns.items()})
