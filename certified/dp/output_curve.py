"""The privacy curve of output perturbation (claim T14)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from certified.numerics.balls import exact, upper, working_precision
from certified.privacy.composition import counted
from certified.privacy.gaussian import gaussian_delta


@dataclass(frozen=True)
class OutputCurve:
    """δ_k(ε) = H_μ(ε) with μ = (kL/λ + 2s)/σ, exact over all data within the limits as s → 0 (claim T14).

    Attributes:
        gradient_bound: L.
        strength: λ.
        distance: s, certified of both minimisers.
        noise_std: σ per weight.
    """

    gradient_bound: float
    strength: float
    distance: float
    noise_std: float
    claims: tuple[str, ...] = ("T1", "T2", "T3", "T14")

    def delta(self, epsilon: float, group_size: int) -> float:
        """δ_k(ε), rounded up."""
        shift = output_sensitivity(self.gradient_bound, self.strength, self.distance, group_size)
        return gaussian_delta(epsilon, shift, self.noise_std)

    def constants(self) -> dict[str, Any]:
        """The constants as JSON values."""
        return {"kind": "output perturbation", **asdict(self), "claims": list(self.claims)}


def output_sensitivity(gradient_bound: float, strength: float, distance: float = 0.0, group_size: int = 1) -> float:
    """Return kL/λ + 2s, rounded up: how far apart released minimisers with and without k rows can be (claim T14).

    >>> output_sensitivity(1.0, 4.0, group_size=2)
    0.5
    """
    group_size = counted("group_size", group_size)
    if group_size < 1:
        raise ValueError("group_size must be at least 1; a group without rows changes nothing")
    with working_precision(128):
        return upper(group_size * exact(gradient_bound) / exact(strength) + 2 * exact(distance))
