"""What every published mechanism provides: pure functions from state to state, a release, and its own claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.noise import release_gaussian

Array = npt.NDArray[np.float64]

Sampler = Callable[[Array, float], Array]
"""Maps a centre (any shape) and a standard deviation σ > 0 to centre + σN; ``release_gaussian`` is exact (T13)."""


@dataclass(frozen=True)
class Claim:
    """What the publication says of a release, in its own terms; the library's certificate stands beside it.

    Attributes:
        mechanism: name of the mechanism.
        source: where it is published.
        epsilon, delta: the guarantee that is claimed; (inf, 1) where none is.
        noise_std: standard deviation of the noise that the claim rests on, per coordinate; 0 where there is none.
        residual: claimed upper bound on the gradient residual, sum scaling; None where none is claimed.
        distance: claimed upper bound on the distance to exact retraining before noise; None where none is claimed.
        verdict: "proved", "published" (not checked here), "invalid: …" with the reason, or "none".
        assumptions: what the claim needs and the mechanism does not check.
    """

    mechanism: str
    source: str
    epsilon: float
    delta: float
    noise_std: float
    residual: float | None
    distance: float | None
    verdict: str
    assumptions: tuple[str, ...] = ()


class MechanismState(Protocol):
    """What a mechanism carries between requests: a secret. Subclasses hide every array from ``repr``.

    Attributes:
        objective: the objective on the rows in force, a perturbation b·w as its linear term included.
        weights: W (p, K) whose distance to the minimiser of ``objective`` the library certifies.
        claim: what the publication claims for releasing this state now.
        removed: rows removed since the last training.
        retrained: whether the last request was met by training again.
        passes: data passes over all rows that the last request cost.
    """

    @property
    def objective(self) -> Objective: ...
    @property
    def weights(self) -> Array: ...
    @property
    def claim(self) -> Claim: ...
    @property
    def removed(self) -> int: ...
    @property
    def retrained(self) -> bool: ...
    @property
    def passes(self) -> int: ...


State = TypeVar("State", bound=MechanismState)


class Mechanism(Protocol[State]):
    """A removal mechanism: a frozen dataclass of its parameters with pure methods.

    ``remove`` gets the objective on the rows that remain, its α included, because under per-sample scaling α changes
    with every deletion. The noise comes from ``sampler`` alone.
    """

    @property
    def name(self) -> str: ...

    def initialise(self, objective: Objective, sampler: Sampler = release_gaussian) -> State:
        """Train on ``objective``."""
        ...

    def remove(self, state: State, objective: Objective, removed: Rows, sampler: Sampler = release_gaussian) -> State:
        """Delete ``removed``; ``objective`` holds the rows that remain. ``state`` is untouched, also on errors."""
        ...

    def release(self, state: State, sampler: Sampler = release_gaussian) -> Array:
        """Return the weights (p, K) that may be published."""
        ...
