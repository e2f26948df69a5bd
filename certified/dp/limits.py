"""What every possible row keeps to, declared before the data are seen, and the constants that follow (T14, T15)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.losses import HuberisedHinge, Logistic, Softmax
from certified.numerics.balls import exact, upper, working_precision
from certified.objective import Objective
from certified.privacy.gaussian import nonnegative
from certified.privacy.objective_perturbation import Slopes

Array = npt.NDArray[np.float64]

TOLERANCE = 2.0**-40
"""Rows may exceed the declared norm by this share, so that normalised rows pass; the constants include it."""


@dataclass(frozen=True)
class RowLimits:
    """Limits on every row that could have been there, fixed without looking at the rows that are.

    Attributes:
        norm: R, the largest ‖x‖₂; a penalised constant feature counts.
        weight: the largest sample weight c.

    Raises:
        ValueError: a limit is not positive and finite.
    """

    norm: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("norm", "weight"):
            if not 0.0 < nonnegative(name, getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be positive and finite; declare a limit before looking at the data")

    def check(self, objective: Objective) -> None:
        """Refuse rows beyond the limits and targets that the loss's constants do not cover.

        Raises:
            ValueError: the message names what is exceeded and shows no row.
        """
        rows = objective.rows
        if rows.largest_norm > self.norm * (1.0 + TOLERANCE):
            raise ValueError(
                "rows holds a row longer than the declared norm: scale the rows, or declare a larger norm without "
                "looking at them; nothing is clipped"
            )
        for part in rows.fetched():
            weights, targets = np.asarray(part.weights), np.asarray(part.targets)
            if np.any(weights > self.weight):
                raise ValueError("rows holds a weight above the declared one: lower it, or declare a larger one")
            if not _fits(targets[weights > 0.0], objective.loss.couples_outputs):
                raise ValueError("targets must be −1 or +1, and one-hot for softmax: other targets have other slopes")

    def gradient_bound(self, objective: Objective) -> float:
        """Return L ≥ ‖∇ℓ_i(W)‖_F over all rows within the limits, all outputs together, rounded up."""
        limit, _ = _constants(objective)
        # The outputs of a separable loss each add a gradient; that of a coupled one is bounded as a whole.
        count = 1 if objective.loss.couples_outputs else max(1, objective.rows.n_outputs)
        with working_precision(128):
            return upper(exact(self.weight) * self._norm() * limit * arb(count).sqrt())

    def smoothness(self, objective: Objective) -> float:
        """Return β ≥ ‖∇²ℓ_i(W)‖₂ over all rows within the limits, rounded up."""
        _, bend = _constants(objective)
        with working_precision(128):
            return upper(exact(self.weight) * self._norm() ** 2 * bend)

    def _norm(self) -> arb:
        """R with the tolerance."""
        return exact(self.norm) * (1 + exact(TOLERANCE))


def slopes(objective: Objective) -> Slopes:
    """Return what is known of ℓ' (see `PerturbedProblem`); the constants of other losses are their author's word."""
    if isinstance(objective.loss, Softmax):
        return "softmax"
    if isinstance(objective.loss, Logistic):
        return "logistic"
    return "one sign" if isinstance(objective.loss, HuberisedHinge) else "any"


def check_problem(objective: Objective) -> None:
    """Refuse what output and objective perturbation cannot make private, with the reason (T14, T15).

    Raises:
        ValueError: an unbounded gradient, a weight without a penalty, or a linear term.
    """
    if not math.isfinite(objective.loss.derivative_limit):
        raise ValueError(
            f"loss {objective.loss.name!r} has gradients without a bound, so one row can move the minimiser by any "
            "amount; use logistic, softmax or the Huberised hinge (clipping gradients would solve another problem)"
        )
    if objective.fit_intercept:
        raise ValueError(
            "fit_intercept is not for private training, as nothing limits what one row does to a weight without a "
            "penalty: give the rows a constant feature instead, which is penalised and counts in the declared norm"
        )
    if not objective.alpha > 0.0:
        raise ValueError("alpha must be positive: without a penalty one row can move the minimiser by any amount")
    if objective.linear is not None:
        raise ValueError("objective has a linear term of its own: leave it out, the mechanism draws one")


def _constants(objective: Objective) -> tuple[arb, arb]:
    """sup |ℓ'| and sup ℓ'' as balls: √2 is no float64."""
    loss = objective.loss
    return (
        (arb(2).sqrt(), arb(1) / 2)
        if isinstance(loss, Softmax)
        else (exact(loss.derivative_limit), exact(loss.curvature_limit))
    )


def _fits(targets: Array, couples: bool) -> bool:
    if couples:
        return bool(np.all((targets == 0.0) | (targets == 1.0)) and np.all(targets.sum(axis=1) == 1.0))
    return bool(np.all(np.abs(targets) == 1.0))
