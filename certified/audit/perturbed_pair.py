"""Two neighbouring data sets under objective perturbation with one weight: their exact divergence (claim T15).

Training minimises Σ ℓ(a_i·w) + (λ/2)w² + b·w over signed features a = y·x, b ~ N(0, σ²), and releases the minimiser
itself. It increases with −b, so the probability of releasing a weight in (v, w) is that of −b between the slopes of
the unperturbed objective at v and w: no density and no derivative is needed. The larger data set has further rows.

All numbers are float64 estimates from below: they can refute a claimed δ, not prove one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from certified.audit.objective_perturbation import Divergences, normal_masses

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PerturbedPair:
    """Data sets without and with some rows, trained alike (claim T15).

    Attributes:
        kept: signed features of the rows that both hold.
        changed: signed features of the rows that only the larger one holds.
        strength: λ, in total.
        noise_std: σ of b.
        hinge_width: width of the Huberised hinge; None for the logistic loss.
    """

    kept: Sequence[float]
    changed: Sequence[float]
    strength: float
    noise_std: float
    hinge_width: float | None = None

    def slope(self, w: Array, rows: Sequence[float]) -> Array:
        """F'(w) of the data set ``rows``, increasing in w."""
        total = self.strength * w
        for a in rows:
            if self.hinge_width is None:
                total = total - a * expit(-a * w)
            else:
                total = total - a * np.clip((1.0 - a * w) / self.hinge_width, 0.0, 1.0)
        return total

    def divergences(self, epsilon: float, *, cutoff: float = 9.0, size: int = 20_001) -> Divergences:
        """Return δ(ε) of the release with the rows against that without ("forward"), and the reverse (claim T15).

        Σ (P − e^ε Q)₊ over cells of the line of weights: releasing the cell is post-processing, so this approaches δ
        from below.

        >>> pair = PerturbedPair(kept=[], changed=[1.0], strength=1.0, noise_std=4.0)
        >>> found = pair.divergences(0.2)
        >>> round(found.forward, 6), round(found.backward, 6)
        (0.001997, 0.029808)
        """
        reach = (cutoff * self.noise_std + sum(map(abs, [*self.kept, *self.changed]))) / self.strength
        end = math.asinh(reach)
        places = np.sinh(np.linspace(-end, end, size))
        without = normal_masses(self.slope(places, self.kept) / self.noise_std)
        within = normal_masses(self.slope(places, [*self.kept, *self.changed]) / self.noise_std)
        factor = math.exp(min(epsilon, 700.0))
        forward = np.sum(np.maximum(within - factor * without, 0.0))
        backward = np.sum(np.maximum(without - factor * within, 0.0))
        return Divergences(float(forward), float(backward))
