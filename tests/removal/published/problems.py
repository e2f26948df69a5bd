"""Small problems of the published mechanisms as plain arrays, and the library's view of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED
from certified.objective import Objective
from certified.removal.published.protocol import Sampler

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Rows of norm at most 1 and ±1 labels; λ is per row."""

    X: Array
    Y: Array
    strength: float
    loss: str = "logistic"

    def objective(self) -> Objective:
        rows = Rows.from_arrays(self.X, self.Y, np.ones(len(self.X)))
        return Objective(LOGISTIC if self.loss == "logistic" else SQUARED, rows, self.strength * len(self.X))

    def request(
        self, objective: Objective, positions: npt.NDArray[np.int64] | list[int], per_sample: bool = True
    ) -> tuple[Objective, Rows]:
        """The objective without the rows at ``positions``, and these rows."""
        chosen = np.asarray(positions, dtype=np.int64)
        rest = objective.rows.without(chosen)
        alpha = self.strength * np.count_nonzero(np.asarray(rest.weights)) if per_sample else objective.alpha
        return replace(objective, rows=rest, alpha=float(alpha)), objective.rows.take(chosen)

    def gradient(self, W: Array, rows: npt.NDArray[np.int64] | list[int]) -> Array:
        """Σ ∇ℓ_i(W) over ``rows``, by NumPy alone."""
        return self.X[rows].T @ self.slopes(W)[rows]

    def hessian(self, W: Array, rows: npt.NDArray[np.int64] | list[int], k: int = 0) -> Array:
        """Σ ℓ″_i x_i x_iᵀ of output k over ``rows``, by NumPy alone."""
        return self.X[rows].T @ (self.bends(W)[rows, k, None] * self.X[rows])

    def slopes(self, W: Array) -> Array:
        z = self.X @ W
        return z - self.Y if self.loss == "squared" else -self.Y / (1.0 + np.exp(self.Y * z))

    def bends(self, W: Array) -> Array:
        z = self.X @ W
        return np.ones_like(z) if self.loss == "squared" else 0.25 / np.cosh(0.5 * z) ** 2


def data(
    n: int = 60, d: int = 4, outputs: int = 1, strength: float = 0.1, loss: str = "logistic", seed: int = 0
) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X /= np.maximum(1.0, np.linalg.norm(X, axis=1, keepdims=True)) * (1.0 + 1e-12)
    scores = X @ rng.normal(size=(d, outputs)) + 0.3 * rng.normal(size=(n, outputs))
    return Data(X, np.where(scores > 0.0, 1.0, -1.0), strength, loss)


def seeded(seed: int) -> Sampler:
    """Reproducible noise, for tests only."""
    generator = np.random.default_rng(seed)
    return lambda center, noise_std: center + noise_std * generator.standard_normal(center.shape)


def rest(n: int, gone: list[int]) -> npt.NDArray[np.int64]:
    return np.setdiff1d(np.arange(n), gone)
