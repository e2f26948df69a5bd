"""Descent-to-delete: a few steps of gradient descent on the remaining rows, then Gaussian noise (claim T7n).

Neel, Roth & Sharifi-Malvajerdi 2021. After every request, I steps of length 2/(L + α) from the current state. The two
variants differ in what an observer may see:

- ``state="secret"``: descent continues from the noise-free weights; only releases are noisy, and only they are
  protected (the publication's weaker condition).
- ``state="published"``: noise is added to the state itself after training and after every request, and descent
  continues from there: the whole state may be seen.

The publication's second algorithm, distributed descent on a reservoir-sampled partition, is not here: neither its
text nor an implementation with its constants was available to be faithful to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from certified.bounds.published.descent import (
    best_step,
    contraction_factor,
    distance_after_steps,
    gaussian_norm_bound,
    whole,
)
from certified.bounds.published.neel import neel_noise_std, neel_state_iterations, neel_state_noise_std
from certified.data.rows import Rows
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_epsilon
from certified.privacy.noise import release_gaussian
from certified.removal.published.descent import UP, descend, gradient_limits, smoothness, weight_taken
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, row_count

Array = npt.NDArray[np.float64]

SOURCE = "Neel, Roth & Sharifi-Malvajerdi, ALT 2021, arXiv 2007.02923"
COMMON = (
    "descent in real arithmetic, where float64 adds its rounding",
    "the step length and noise_std, computed from the rows at training, count as public",
)
PUBLISHED_ASSUMPTIONS = (
    *COMMON,
    "the reference is the same training on the remaining rows, of which at least half of the first n are left",
    "of a request with k rows, log(k)/log(1/γ) more steps make up for the single requests that are published",
)

_REFERENCE = (*COMMON, "the reference is exact retraining on the remaining rows with the same noise")
PROVED_ASSUMPTIONS = {
    "secret": (*_REFERENCE, "one release of this state; more compose as Gaussian mechanisms (claim T3)"),
    "published": (*_REFERENCE, "only the last state is seen, once, and requests do not depend on the noise"),
}


@dataclass(frozen=True, repr=False)
class DescentState:
    """What the mechanism carries: secrets, unless the mechanism publishes its state.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``; ``weights`` hold the noise where
            the state is published.
        proved: what claim T7n proves of releasing this state now.
        step: η.
        smoothness: L at training.
        iterations: I.
        distance: proved bound on the distance to the minimiser before noise, all earlier noise within its bounds.
        updates: requests so far.
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
    iterations: int
    distance: float
    updates: int


@dataclass(frozen=True)
class DescentToDelete:
    """The mechanism with the published noise for (ε, δ) (claims T3, T7n for what is proved).

    Attributes:
        epsilon, delta: the guarantee that the published noise is calibrated for.
        steps: I, descent steps per request; a published state takes more where its publication demands more.
        state: "secret" or "published".
        training_steps: descent steps of training; None takes as many as bring the distance to that after a request.
    """

    epsilon: float
    delta: float
    steps: int
    state: Literal["secret", "published"] = "secret"
    training_steps: int | None = None

    def __post_init__(self) -> None:
        whole("steps", self.steps, 1)
        if self.training_steps is not None:
            whole("training_steps", self.training_steps, 1)
        if self.state not in ("secret", "published"):
            raise ValueError(f'state must be "secret" or "published", got {self.state!r}; choose one')
        self._noise_std(self.steps, 1.0, 2.0, 1.0)

    @property
    def name(self) -> str:
        """The name of the variant."""
        return "descent-to-delete" if self.state == "secret" else "descent-to-delete, published state"

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> DescentState:
        """Descend from zero, and add noise where the state is published.

        Raises:
            ValueError: no strong convexity or no bounded derivative.
        """
        check_training(objective)
        limits = gradient_limits(objective.loss, objective.rows, math.inf)
        lipschitz = float(limits.max())
        smooth = max(smoothness(objective), objective.alpha * (1.0 + 1e-9))
        rate = _rate(objective.alpha, smooth)
        iterations = self._iterations(objective, smooth)
        noise_std = self._noise_std(iterations, objective.alpha, smooth, lipschitz)
        step = best_step(objective.alpha, smooth)
        start = math.fsum(limits.tolist()) / objective.alpha * UP  # ‖0 − W*‖ ≤ ‖∇F(0)‖/α (T1)
        steps = self.training_steps or iterations + _steps_for(start * objective.alpha / lipschitz, rate)
        distance = distance_after_steps(start, 0.0, contraction_factor(step, objective.alpha, smooth), steps)
        weights = descend(objective, np.zeros(objective.shape), steps, step)
        claim = self._claim(noise_std)
        state = DescentState(
            objective, weights, claim, claim, 0, False, steps, step, smooth, iterations, distance, updates=0
        )  # fmt: skip
        return self._perturbed(state, sampler)

    def remove(
        self, state: DescentState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> DescentState:
        """Descend on the remaining rows for I steps, and more for a batch of rows.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        count = row_count(removed)
        state = replace(state, removed=state.removed + count, retrained=False, updates=state.updates + 1)
        if objective.is_degenerate:
            zero = np.zeros(objective.shape)
            return self._perturbed(replace(state, objective=objective, weights=zero, passes=0, distance=0.0), sampler)
        rate = _rate(objective.alpha, max(state.smoothness, objective.alpha * (1.0 + 1e-9)))
        steps = state.iterations + _steps_for(float(count), rate)
        if self.state == "published":
            steps += _steps_for(math.log(4.0 * math.prod(objective.shape) * state.updates / self.delta), rate)
        contraction = contraction_factor(state.step, objective.alpha, max(state.smoothness, objective.alpha))
        noise = self._noise_bound(state, math.prod(objective.shape))
        distance = distance_after_steps(
            (state.distance + noise) * UP, _shift(state.objective, objective), contraction, steps
        )
        weights = descend(objective, state.weights, steps, state.step)
        return self._perturbed(
            replace(state, objective=objective, weights=weights, passes=steps, distance=distance), sampler
        )

    def release(self, state: DescentState, sampler: Sampler = release_gaussian) -> Array:
        """Return W + N(0, σ²I), or the state itself, which holds its noise already, where that is published."""
        return sampler(state.weights, state.claim.noise_std) if self.state == "secret" else state.weights.copy()

    def _perturbed(self, state: DescentState, sampler: Sampler) -> DescentState:
        noise_std, secret = state.claim.noise_std, self.state == "secret"
        failure = self.delta if secret else self.delta / 2.0
        epsilon = gaussian_epsilon(failure, state.distance, noise_std)
        proved = Claim(
            mechanism=self.name,
            source=f"derived here (claims T3, T7n), after {SOURCE}",
            epsilon=epsilon,
            delta=self.delta,
            noise_std=noise_std,
            residual=None,
            distance=state.distance if secret else None,
            verdict="proved",
            assumptions=PROVED_ASSUMPTIONS[self.state],
        )
        weights = state.weights if secret else sampler(state.weights, noise_std)
        return replace(state, proved=proved, weights=weights)

    def _noise_bound(self, state: DescentState, dimension: int) -> float:
        """A bound on the noise that the state holds; over all requests it fails with probability below δ/2."""
        if self.state == "secret" or dimension == 0:
            return 0.0
        return gaussian_norm_bound(state.claim.noise_std, dimension, self.delta / (4.0 * state.updates**2))

    def _claim(self, noise_std: float) -> Claim:
        return Claim(
            mechanism=self.name,
            source=SOURCE,
            epsilon=self.epsilon,
            delta=self.delta,
            noise_std=noise_std,
            residual=None,
            distance=None,
            verdict="published",
            assumptions=PUBLISHED_ASSUMPTIONS,
        )

    def _noise_std(self, iterations: int, alpha: float, smooth: float, lipschitz: float) -> float:
        """The published σ: with n = 1, mean scaling is sum scaling, as n cancels for a fixed total α."""
        calibrate = neel_noise_std if self.state == "secret" else neel_state_noise_std
        return float(
            calibrate(
                n=1,
                iterations=iterations,
                strong_convexity=alpha,
                smoothness=smooth,
                lipschitz=lipschitz,
                epsilon=self.epsilon,
                delta=self.delta,
            )
        )

    def _iterations(self, objective: Objective, smooth: float) -> int:
        if self.state == "secret":
            return self.steps
        fewest = neel_state_iterations(
            dimension=math.prod(objective.shape),
            strong_convexity=objective.alpha,
            smoothness=smooth,
            epsilon=self.epsilon,
            delta=self.delta,
        )
        return max(self.steps, math.ceil(float(fewest)))


def _rate(alpha: float, smooth: float) -> float:
    """log(1/γ) for γ = (L − α)/(L + α)."""
    return 2.0 * math.atanh(alpha / smooth)


def _steps_for(factor: float, rate: float) -> int:
    """Steps that shrink a distance by ``factor``."""
    return math.ceil(math.log(factor) / rate) if factor > 1.0 else 0


def _shift(before: Objective, after: Objective) -> float:
    """A bound on the distance between the two minimisers: ‖∇F'(W*)‖/α', as ∇F(W*) = 0 (claim T7n)."""
    limits = gradient_limits(before.loss, before.rows, math.inf)
    gone = math.fsum((limits * weight_taken(before.rows, after.rows)).tolist()) * UP
    penalty = abs(before.alpha - after.alpha) * (math.fsum(limits.tolist()) / before.alpha)
    return (gone + penalty) / after.alpha * (UP + 8.0 * UNIT_ROUNDOFF)
