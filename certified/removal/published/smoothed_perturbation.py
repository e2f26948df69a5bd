"""Objective perturbation made sound by release noise: W⁻ + N(0, σ²I) where W⁻ was trained with ⟨b, W⟩ (claim T9).

Given b, removing and retraining differ by at most the certified distance s of W⁻ to the minimiser of
F_{D∖S}(W) + ⟨b, W⟩ (claims T1, T2), so the Gaussian curve at s/σ holds (claim T3), and by joint convexity it holds for
the mixture over b, whatever σ_b is. No published noise theorem is involved, and any way to W⁻ will do: here it is the
library's own Newton removal, polished until s meets what (ε, δ, σ) demand (claim T5). So nothing is ever used up.

b may serve other ends, such as differential privacy for whoever sees the model before and after. It is drawn once:
requests must not depend on earlier releases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_sensitivity, nonnegative
from certified.privacy.noise import release_gaussian
from certified.removal import newton
from certified.removal.published.protocol import Claim, Sampler
from certified.removal.published.request import check_request, check_training, row_count
from certified.removal.state import RemovalState

Array = npt.NDArray[np.float64]

ASSUMPTIONS = (
    "requests do not depend on earlier releases, as b is reused (claim T4 does not extend to it)",
    "one release of this state; more compose as Gaussian mechanisms given b (claim T3)",
    "σ was fixed without looking at the data",
    "the target distance is reached for every b: giving up where it is not would be information about b",
)


@dataclass(frozen=True, repr=False)
class SmoothedState:
    """What the mechanism carries: secrets.

    Attributes:
        certified: weights, rows, linearisation and certified distance of the library's own removal, b included.
        claim, removed, retrained, passes: see ``MechanismState``.
    """

    certified: RemovalState
    claim: Claim
    removed: int
    retrained: bool
    passes: int

    @property
    def objective(self) -> Objective:
        """The objective on the rows in force, with b as its linear term."""
        return self.certified.objective

    @property
    def weights(self) -> Array:
        """W⁻ (p, K), without the release noise."""
        return self.certified.weights


@dataclass(frozen=True)
class SmoothedPerturbation:
    """Objective perturbation with release noise fixed in advance, proved (claim T9).

    Attributes:
        epsilon, delta: the guarantee for one release.
        noise_std: σ of the release, per coordinate, in the unit of the weights.
        perturbation_std: σ_b of the linear term, per coordinate, in the unit of the gradient of F; 0 for none.
    """

    epsilon: float
    delta: float
    noise_std: float
    perturbation_std: float
    name: str = "smoothed perturbation"

    def __post_init__(self) -> None:
        if not 0.0 < nonnegative("noise_std", self.noise_std) < math.inf:
            raise ValueError(f"noise_std must be positive and finite, got {self.noise_std!r}; see gaussian_noise_std")
        if not nonnegative("perturbation_std", self.perturbation_std) < math.inf:
            raise ValueError("perturbation_std must be finite, got inf; pass 0 for no perturbation")
        if not self.target > 0.0:
            raise ValueError(f"delta must be positive, got {self.delta!r}; it is a probability, such as 1e-5")

    @property
    def target(self) -> float:
        """The distance s that a release may have: the Gaussian curve at s/σ meets (ε, δ) (claim T3)."""
        return gaussian_sensitivity(self.epsilon, self.delta, self.noise_std)

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> SmoothedState:
        """Draw b, train on F + ⟨b, W⟩ and certify the result.

        Raises:
            ValueError: no strong convexity, or a linear term.
            TargetNotReachedError: the distance that (ε, δ, σ) demand lies below the floor of float64.
        """
        check_training(objective)
        perturbation = np.zeros(objective.shape)
        if self.perturbation_std > 0.0:
            perturbation = sampler(perturbation, self.perturbation_std)
        state, info = newton.initialise(replace(objective, linear=perturbation), self.target)
        return SmoothedState(state, self._claim(state), 0, False, info.passes)

    def remove(
        self, state: SmoothedState, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian
    ) -> SmoothedState:
        """Remove by Newton steps on the perturbed objective until the certified distance meets the target.

        Raises:
            ValueError: a request that does not fit the state.
            TargetNotReachedError: as for ``initialise``.
        """
        check_request(state.objective, objective, removed)
        perturbed = replace(objective, linear=state.objective.linear)
        certified, info = newton.update(state.certified, perturbed, self.target, removed=removed)
        total = state.removed + row_count(removed)
        return SmoothedState(certified, self._claim(certified), total, info.relinearised, info.passes)

    def release(self, state: SmoothedState, sampler: Sampler = release_gaussian) -> Array:
        """Return W⁻ + N(0, σ²I) with fresh noise."""
        return sampler(state.weights, self.noise_std)

    def _claim(self, state: RemovalState) -> Claim:
        return Claim(
            mechanism=self.name,
            source="repair of Guo et al. 2020 by release noise",
            epsilon=self.epsilon,
            delta=self.delta,
            noise_std=self.noise_std,
            residual=state.bound.gradient_residual,
            distance=state.bound.value,
            verdict="proved",
            assumptions=ASSUMPTIONS,
        )
