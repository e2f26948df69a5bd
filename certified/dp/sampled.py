"""The privacy curve of DP-SGD: steps of the Poisson-subsampled Gaussian, and truncated batches (claim T20)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from flint import arb

from certified.accounting import Relation, SubsampledGaussian, dp_delta, dp_epsilon
from certified.numerics.balls import exact, lower, upper, working_precision

_SHARES = (2.0**-20, 2.0**-10, 2.0**-5, 0.5)
"""Shares of δ that are tried for truncation."""


@dataclass(frozen=True)
class SampledCurve:
    """δ_k(ε) ≤ δ_steps(ε) + e^ε·τ, τ the probability that some batch exceeds its slots (claims T10, T19, T20).

    Attributes:
        phases: the steps, in the order in which they were taken; several after resuming with other settings.
        truncation: τ, summed over all steps, rounded up.
    """

    phases: tuple[SubsampledGaussian, ...]
    truncation: float
    claims: tuple[str, ...] = ("T10", "T19", "T20")

    def delta(self, epsilon: float, group_size: int) -> float:
        """δ_k(ε), rounded up."""
        spent = dp_delta(epsilon, self.phases, relation=Relation.add_or_remove, rows=group_size)
        return min(1.0, self._with_truncation(spent, epsilon))

    def epsilon(self, delta: float, group_size: int) -> float:
        """An ε with δ_k(ε) ≤ ``delta``: the least for a share of δ that pays for truncation; ``inf`` if none does."""
        for share in (0.0,) if self.truncation == 0.0 else _SHARES:
            with working_precision(128):
                left = lower(exact(delta) * (1 - exact(share)))
            found = dp_epsilon(left, self.phases, relation=Relation.add_or_remove, rows=group_size)
            if found < math.inf and self._with_truncation(left, found) <= delta:
                return found
        return math.inf

    def then(self, later: SampledCurve) -> SampledCurve:
        """The curve of these steps and ``later`` ones, which may depend on what came out."""
        with working_precision(128):
            lost = min(1.0, upper(exact(self.truncation) + exact(later.truncation)))
        return SampledCurve((*self.phases, *later.phases), lost)

    def constants(self) -> dict[str, Any]:
        """The constants as JSON values."""
        return {"kind": "sampled Gaussian", **asdict(self), "phases": [asdict(phase) for phase in self.phases],
                "claims": list(self.claims)}  # fmt: skip

    def _with_truncation(self, delta: float, epsilon: float) -> float:
        if self.truncation == 0.0:
            return delta
        if epsilon == math.inf:
            return 1.0
        with working_precision(128):
            return upper(exact(delta) + exact(epsilon).exp() * arb(self.truncation))
