"""DeltaGrad: gradient descent on the remaining rows with most gradients approximated (Wu, Dobriban & Davidson 2020).

Training keeps its path: the iterates W_t and the gradients G_t = ∇F(W_t). After a deletion the path is run again from
the same start. In the first steps and every few steps after, the gradient on the remaining rows is computed, which also
yields a pair for the quasi-Newton matrix B: s = V_t − W_t, y = ∇F(V_t) − G_t. In all other steps

    ∇F'(V_t) ≈ G_t + B·(V_t − W_t) − Δ(V_t),   Δ(V) = Σ_S c_i∇ℓ_i(V) + (α − α')·V,

at the cost of the removed rows alone. The new path replaces the old one, for later requests. It is a heuristic with an
asymptotic analysis and no (ε, δ): nothing is claimed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.bounds.published.descent import best_step, finite, whole
from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.noise import release_gaussian
from certified.removal.published.descent import smoothness
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, removed_gradient, row_count

Array = npt.NDArray[np.float64]
Pairs = deque[tuple[Array, Array]]

CLAIM = Claim(
    mechanism="deltagrad",
    source="Wu, Dobriban & Davidson, ICML 2020, arXiv 2006.14755",
    epsilon=math.inf,
    delta=1.0,
    noise_std=0.0,
    residual=None,
    distance=None,
    verdict="none",
)


@dataclass(frozen=True, repr=False)
class DeltaGradState:
    """What the mechanism carries between requests; all of it is secret.

    Attributes:
        objective, weights, claim, removed, retrained, passes: see ``MechanismState``.
        path: (T, p, K) iterates before each step.
        gradients: (T, p, K) gradients at them, as computed or approximated.
        step: η.
    """

    objective: Objective
    weights: Array
    claim: Claim
    removed: int
    retrained: bool
    passes: int
    path: Array
    gradients: Array
    step: float


@dataclass(frozen=True)
class DeltaGrad:
    """The mechanism; a release is the weights themselves.

    Attributes:
        training_steps: steps of gradient descent, T.
        burn_in: first steps with computed gradients.
        period: afterwards one step in so many has a computed gradient.
        history: pairs that B is built from.
        step_size: η in sum scaling; None takes 2/(L + α) at training.
    """

    training_steps: int
    burn_in: int = 10
    period: int = 5
    history: int = 2
    step_size: float | None = None
    name: str = "deltagrad"

    def __post_init__(self) -> None:
        for key in ("training_steps", "burn_in", "period", "history"):
            whole(key, getattr(self, key), 1)
        if self.step_size is not None and finite("step_size", self.step_size) == 0.0:
            raise ValueError("step_size must be positive; pass such a value")

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> DeltaGradState:
        """Descend from zero and keep the path.

        Raises:
            ValueError: no strong convexity.
        """
        check_training(objective)
        step = self.step_size
        if step is None:
            step = best_step(objective.alpha, smoothness(objective))
        weights = np.zeros(objective.shape)
        path, gradients = np.empty((2, self.training_steps, *objective.shape))
        for index in range(self.training_steps):
            path[index], gradients[index] = weights, objective.value_and_gradient(weights)[1]
            weights = weights - step * gradients[index]
        return DeltaGradState(
            objective, weights, CLAIM, 0, False, self.training_steps, path, gradients, step
        )  # fmt: skip

    def remove(
        self, state: DeltaGradState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> DeltaGradState:
        """Run the path again on the remaining rows.

        Raises:
            ValueError: a request that does not fit the state.
        """
        check_request(state.objective, objective, removed)
        count = state.removed + row_count(removed)
        if objective.is_degenerate:
            zero = np.zeros(objective.shape)
            return replace(state, objective=objective, weights=zero, removed=count, retrained=False, passes=0)
        pairs: Pairs = deque(maxlen=self.history)
        weights, passes = state.path[0], 0
        path, gradients = np.empty_like(state.path), np.empty_like(state.gradients)
        for index in range(self.training_steps):
            moved = weights - state.path[index]
            gone = removed_gradient(state.objective, objective, removed, weights)
            if index < self.burn_in or (index - self.burn_in) % self.period == 0:
                gradient = objective.value_and_gradient(weights)[1]
                _remember(pairs, moved, gradient + gone - state.gradients[index])
                passes += 1
            else:
                gradient = state.gradients[index] + quasi_newton_product(pairs, moved) - gone
            path[index], gradients[index] = weights, gradient
            weights = weights - state.step * gradient
        return replace(
            state,
            objective=objective,
            weights=weights,
            removed=count,
            retrained=False,
            passes=passes,
            path=path,
            gradients=gradients,
        )

    def release(self, state: DeltaGradState, sampler: Sampler = release_gaussian) -> Array:
        """Return W without noise."""
        return state.weights.copy()


def _remember(pairs: Pairs, moved: Array, change: Array) -> None:
    """Keep a pair that bends upwards; before the paths part there is none."""
    if float(np.sum(moved * change)) > 0.0:
        pairs.append((moved, change))


def quasi_newton_product(pairs: Pairs, vector: Array) -> Array:
    """Return B·v for the limited-memory BFGS matrix of the pairs (s_j, y_j), oldest first; 0 without pairs.

    The compact form of Byrd, Nocedal & Schnabel 1994 from B_0 = (yᵀs/sᵀs)·I of the last pair; B·s = y for that pair.

    >>> import numpy as np
    >>> pair = (np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    >>> quasi_newton_product(deque([pair]), pair[0])
    array([2., 1.])
    """
    if not pairs:
        return np.zeros_like(vector)
    s, y = (np.stack([pair[part].ravel() for pair in pairs], axis=1) for part in (0, 1))
    scale = float(s[:, -1] @ y[:, -1]) / float(s[:, -1] @ s[:, -1])
    products = s.T @ y
    below = np.tril(products, -1)
    middle = np.block([[scale * (s.T @ s), below], [below.T, -np.diag(np.diagonal(products))]])
    wide = np.hstack([scale * s, y])
    v = vector.ravel()
    solved = np.linalg.lstsq(middle, wide.T @ v, rcond=None)[0]
    return np.asarray((scale * v - wide @ solved).reshape(vector.shape))
