"""Unlearning by projected noisy stochastic gradient descent (Chien, Wang, Chen & Li 2024; claim T7m).

The batches are visited in one fixed cyclic order, and a row keeps its batch. The published accounting follows the
largest distance between the iterates of two couplings and lets only the last K passes absorb it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from certified.bounds.published.chien import pnsgd_renyi
from certified.bounds.published.descent import whole
from certified.removal.published.noisy_descent import NoisyDescent, NoisyState


@dataclass(frozen=True)
class ProjectedNoisySGD(NoisyDescent):
    """The mechanism.

    Attributes:
        batches: J, the number of batches; every pass over the rows is J steps.
    """

    batches: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("batches", self.batches, 1)

    @property
    def name(self) -> str:
        """The name that claims carry."""
        return "projected noisy SGD"

    @property
    def source(self) -> str:
        """Where the mechanism is published."""
        return "Chien, Wang, Chen & Li, NeurIPS 2024, arXiv 2403.17105"

    @property
    def cycle(self) -> int:
        """The number of batches."""
        return self.batches

    def divergence(self, state: NoisyState, order: float) -> float:
        """The published divergence, with Z_s = c^(KJ)·Z_{s−1} + Z after request s, and k rows as k times M.

        The publication's mean over b rows is our sum for n = J and b = 1: only n/b and the ratio of η to b occur.
        """
        kept = (1.0 - state.step * state.objective.alpha) ** (self.steps * self.batches)
        rows = 0.0
        for count in state.requests:
            rows = rows * kept + count
        return float(
            pnsgd_renyi(
                order=order,
                n=self.batches,
                batch_size=1,
                epochs=self.steps,
                step_size=state.step * self.batches,
                strong_convexity=state.objective.alpha / self.batches,
                smoothness=state.smoothness / self.batches * (1.0 - 2.0**-50),
                lipschitz=state.lipschitz * rows,
                noise_scale=self.noise_std / math.sqrt(2.0 * state.step * self.batches),
            )
        )
