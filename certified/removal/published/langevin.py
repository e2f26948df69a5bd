"""Langevin unlearning: projected noisy gradient descent on the remaining rows (Chien, Wang, Chen & Li 2024; claim T7m).

Full-batch steps. The published accounting is by Rényi divergence and decays by e^(−ηαK/order) per request; claim T7m
gives half the divergence before unlearning, and a decay of at least e^(−2ηαK), whatever the order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from certified.bounds.published.chien import langevin_renyi
from certified.removal.published.noisy_descent import NoisyDescent, NoisyState


@dataclass(frozen=True)
class Langevin(NoisyDescent):
    """The mechanism; every pass over the rows is one step."""

    @property
    def name(self) -> str:
        """The name that claims carry."""
        return "langevin"

    @property
    def source(self) -> str:
        """Where the mechanism is published."""
        return "Chien, Wang, Chen & Li, NeurIPS 2024, arXiv 2401.10371"

    @property
    def cycle(self) -> int:
        """One batch: all rows."""
        return 1

    def divergence(self, state: NoisyState, order: float) -> float:
        """The published divergence; requests add up by the weak triangle inequality, which doubles the order each time.

        ε_s(α) = e^(−ηmK/α)·(α − ½)/(α − 1)·(ε_0(2α) + ε_{s−1}(2α)), ε_1(α) = e^(−ηmK/α)·ε_0(α), unrolled.
        """
        total, prefactor, last = 0.0, 1.0, len(state.requests) - 1
        for depth, count in enumerate(reversed(state.requests)):
            scale = 2**depth
            if depth < last:
                prefactor *= (scale * order - 0.5) / (scale * order - 1.0)
                total += prefactor * _single(self, state, count, 2 * scale * order, self.steps * (4 * scale - 2))
            else:
                total += prefactor * _single(self, state, count, scale * order, self.steps * (2 * scale - 1))
        return total


def _single(mechanism: Langevin, state: NoisyState, count: int, order: float, iterations: int) -> float:
    """The published divergence of one request, with sum scaling turned into that of a mean over n rows."""
    if count >= state.n or iterations >= 2**53:
        return math.inf
    return float(
        langevin_renyi(
            order=order,
            n=state.n,
            removed=max(count, 1),
            iterations=iterations,
            step_size=state.step * state.n,
            strong_convexity=state.objective.alpha / state.n,
            smoothness=state.smoothness / state.n * (1.0 - 2.0**-50),
            lipschitz=state.lipschitz,
            noise_scale=mechanism.noise_std / math.sqrt(2.0 * state.step * state.n),
        )
    )
