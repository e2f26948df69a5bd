"""Projected noisy gradient descent, for learning and for unlearning: the common part of two publications (claim T7m).

Training and unlearning are the same process W ← Π(W − η∇F_t(W) + σN), with the rows in force at the time. F_t is the
objective itself, or the rows of one of J fixed batches, taken J times, and the whole penalty; Π projects onto the
ball of a radius that may be infinite. The noise is in the state, and the state is what is released.

Claim T7m proves what deletion leaves for an observer of the last iterate: deleted rows move an earlier step by at most
ηJ·sup‖Σ∇ℓ_i‖, and the noise of the later steps absorbs it. Reference: the same process on the remaining rows alone, for
as many steps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.published.descent import contraction_factor, finite, whole
from certified.bounds.published.noisy_descent import noisy_descent_mu
from certified.data.rows import Rows
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_epsilon
from certified.privacy.noise import release_gaussian
from certified.privacy.renyi import mironov_epsilon
from certified.removal.published.descent import UP, fixed_batches, gradient_limits, smoothness, weight_taken
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, row_count

Array = npt.NDArray[np.float64]

ORDERS = tuple(1.0 + 10.0 ** (exponent / 8.0) for exponent in range(-8, 41))
"""Rényi orders α tried for a published ε: the smallest is taken, and each is valid."""
PUBLISHED_ASSUMPTIONS = (
    "training has run long enough to be stationary",
    "the rows of a request are replaced, not deleted, so that the number of rows stays",
    "the gradient of the penalty is no part of M, as α does not change",
    "descent in real arithmetic, where float64 adds its rounding",
)
PROVED_ASSUMPTIONS = (
    "the reference is the same process on the remaining rows alone, as many steps from the same start",
    "where no row remains, both are 0 (claim T0), without noise",
    "only the last iterate is seen, once: what an earlier release showed is not accounted for",
    "step_size and noise_std count as public, also where step_size was computed from the rows at training",
    "descent in real arithmetic, where float64 adds its rounding",
)


@dataclass(frozen=True, repr=False)
class NoisyState:
    """What the mechanism carries between requests; ``weights`` hold the noise of every step.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``.
        proved: what claim T7m proves of releasing this state now.
        step: η, in sum scaling.
        smoothness: bound on the smoothness of every F_t at training.
        lipschitz: M, bound on c_i‖∇ℓ_i‖ over the rows at training.
        n: rows at training.
        contraction: bound on the Lipschitz constant of every step so far.
        shifts: per step so far, how far the rows deleted since have moved it. A secret.
        requests: rows deleted per request.
    """

    objective: Objective
    weights: Array
    claim: Claim
    proved: Claim
    removed: int
    retrained: bool
    passes: int
    step: float
    smoothness: float
    lipschitz: float
    n: int
    contraction: float
    shifts: Array
    requests: tuple[int, ...]


@dataclass(frozen=True)
class NoisyDescent(ABC):
    """The process and its proved accounting; a publication adds its own (claim T7m).

    Attributes:
        noise_std: standard deviation of the noise of one step, per coordinate: √(2η)·σ in the publications.
        delta: δ at which ε is stated.
        steps: passes over the rows per request, K.
        training_steps: passes over the rows in training.
        step_size: η in sum scaling, at most 1/L; None takes 1/L at training.
        radius: of the ball on which iterates are projected; infinite for none.
    """

    noise_std: float
    delta: float
    steps: int
    training_steps: int
    step_size: float | None = None
    radius: float = math.inf

    def __post_init__(self) -> None:
        for name in ("steps", "training_steps"):
            whole(name, getattr(self, name), 1)
        for name in ("noise_std", "delta", "step_size"):
            value = getattr(self, name)
            if value is not None and finite(name, value) == 0.0:
                raise ValueError(f"{name} must be positive; pass such a value")
        if not self.delta < 1.0:
            raise ValueError(f"delta must be below 1, got {self.delta!r}; it is a probability, such as 1e-5")
        if not self.radius > 0.0:
            raise ValueError(f"radius must be positive, got {self.radius!r}; math.inf projects on nothing")

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that claims carry."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the mechanism is published."""

    @property
    @abstractmethod
    def cycle(self) -> int:
        """J, the number of batches."""

    @abstractmethod
    def divergence(self, state: NoisyState, order: float) -> float:
        """The published Rényi divergence of this order for the requests so far."""

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> NoisyState:
        """Run the process from zero.

        Raises:
            ValueError: no strong convexity, no bounded derivative on the ball, or a step beyond 1/L.
        """
        check_training(objective)
        limits = gradient_limits(objective.loss, objective.rows, self.radius)
        batches = fixed_batches(objective, self.cycle)
        smooth = max(smoothness(batch) for batch in batches) * (1.0 + 4.0 * UNIT_ROUNDOFF)
        step = (1.0 - 8.0 * UNIT_ROUNDOFF) / smooth if self.step_size is None else self.step_size
        if step * smooth > 1.0:
            raise ValueError(f"step_size={step!r} must be at most 1/L = {1.0 / smooth:.6g}; lower it or pass None")
        nothing = Claim(self.name, self.source, 0.0, self.delta, self.noise_std, None, None, "published")
        state = NoisyState(
            objective=objective,
            weights=np.zeros(objective.shape),
            claim=nothing,
            proved=nothing,
            removed=0,
            retrained=False,
            passes=0,
            step=step,
            smoothness=smooth,
            lipschitz=float(limits.max()),
            n=row_count(objective.rows),
            contraction=contraction_factor(step, objective.alpha, smooth),
            shifts=np.zeros(0),
            requests=(),
        )
        return self._run(state, batches, self.training_steps, sampler)

    def remove(
        self, state: NoisyState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> NoisyState:
        """Run the process on the remaining rows.

        Raises:
            ValueError: a request that does not fit the state, or an α that changes without a finite radius.
        """
        check_request(state.objective, objective, removed)
        taken = weight_taken(state.objective.rows, objective.rows)
        count = row_count(removed)
        state = replace(state, removed=state.removed + count, requests=(*state.requests, count), retrained=False)
        if objective.is_degenerate:
            zero, claims = np.zeros(objective.shape), [replace(c, epsilon=0.0) for c in (state.claim, state.proved)]
            return replace(state, objective=objective, weights=zero, claim=claims[0], proved=claims[1], passes=0)
        change = abs(objective.alpha - state.objective.alpha)
        if change > 0.0 and self.radius == math.inf:
            raise ValueError("alpha changes with this request, as under per-sample scaling; pass a finite radius")
        limits = gradient_limits(state.objective.loss, state.objective.rows, self.radius) * taken
        penalty = change * self.radius if change > 0.0 else 0.0
        moved = [
            state.step * (self.cycle * math.fsum(limits[batch :: self.cycle].tolist()) + penalty) * UP
            for batch in range(self.cycle)
        ]
        state = replace(
            state,
            objective=objective,
            contraction=max(state.contraction, contraction_factor(state.step, objective.alpha, state.smoothness)),
            shifts=(state.shifts + np.resize(moved, state.shifts.shape)) * (1.0 + 4.0 * UNIT_ROUNDOFF),
        )
        return self._run(state, fixed_batches(objective, self.cycle), self.steps, sampler)

    def release(self, state: NoisyState, sampler: Sampler = release_gaussian) -> Array:
        """Return the last iterate, which holds its noise already."""
        return state.weights.copy()

    def _run(self, state: NoisyState, batches: list[Objective], passes: int, sampler: Sampler) -> NoisyState:
        weights = state.weights
        for index in range(passes * self.cycle):
            _, gradient, _ = batches[index % self.cycle].value_and_gradient(weights)
            weights = sampler(weights - state.step * gradient, self.noise_std)
            norm = float(np.linalg.norm(weights))
            if norm > self.radius:
                weights = weights * (self.radius / norm)
        shifts = np.concatenate([state.shifts, np.zeros(passes * self.cycle)])
        return self._accounted(replace(state, weights=weights, passes=passes, shifts=shifts))

    def _accounted(self, state: NoisyState) -> NoisyState:
        epsilon = 0.0
        if state.requests:
            valid = (
                mironov_epsilon(self.delta, order, divergence)
                for order in ORDERS
                if math.isfinite(divergence := self.divergence(state, order))
            )
            epsilon = min(valid, default=math.inf)
        mu = noisy_descent_mu(state.shifts, state.contraction, self.noise_std)
        claim = Claim(
            mechanism=self.name,
            source=self.source,
            epsilon=epsilon,
            delta=self.delta,
            noise_std=self.noise_std,
            residual=None,
            distance=None,
            verdict="published",
            assumptions=PUBLISHED_ASSUMPTIONS,
        )
        proved = replace(
            claim,
            source=f"derived here (claims T3, T7m), after {self.source}",
            epsilon=gaussian_epsilon(self.delta, mu, 1.0),
            verdict="proved",
            assumptions=PROVED_ASSUMPTIONS,
        )
        return replace(state, claim=claim, proved=proved)
