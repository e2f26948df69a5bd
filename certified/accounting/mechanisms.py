"""What is accounted: steps of the Poisson-subsampled Gaussian, other releases, and who counts as a neighbour.

A step of DP-SGD takes each row with probability q by itself, adds up what the chosen rows contribute, each clipped to
Euclidean norm at most 1 in the unit of the noise multiplier, and adds N(0, σ²I). Steps may depend on earlier outputs,
the parameters of the phases may not. Only Poisson sampling is covered: shuffled or fixed-size batches are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from certified.privacy.composition import counted
from certified.privacy.gaussian import nonnegative, probability

MOST_ROWS = 200
MOST_STEPS = 10**12


class Relation(Enum):
    """Which two data sets must be hard to tell apart; every guarantee holds in both directions (claim T10)."""

    add_or_remove = "add-or-remove"
    """k rows are there in one world and not in the other: what deleting k rows and retraining is about."""

    zero_out = "zero-out"
    """k rows contribute in one world and contribute zero in the other; under Poisson sampling the same pair of laws."""

    replace = "replace"
    """k rows are exchanged for k others, which are sampled by themselves."""


@dataclass(frozen=True)
class SubsampledGaussian:
    """``steps`` steps with noise multiplier σ and sampling rate q, the probability of a row to be in a batch.

    Raises ``ValueError`` unless 0.01 ≤ σ ≤ 10¹², 0 ≤ q ≤ 1 and ``steps`` is from 0 to 10¹².

    >>> SubsampledGaussian(noise_multiplier=1.0, sampling_rate=0.01, steps=1000)
    SubsampledGaussian(noise_multiplier=1.0, sampling_rate=0.01, steps=1000)
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int

    def __post_init__(self) -> None:
        noise = nonnegative("noise_multiplier", self.noise_multiplier)
        if not 0.01 <= noise <= 1e12:
            raise ValueError(f"noise_multiplier must be from 0.01 to 1e12, got {noise!r}; it is σ over the clip norm")
        object.__setattr__(self, "noise_multiplier", noise)
        object.__setattr__(self, "sampling_rate", probability("sampling_rate", self.sampling_rate))
        object.__setattr__(self, "steps", _steps(self.steps))


@dataclass(frozen=True)
class ApproximateRelease:
    """``steps`` releases of which only (ε, δ) is known, for one row under the relation accounted (claim T17h).

    Raises ``ValueError`` for negative or NaN ε, δ > 1 and a bad number of steps.

    >>> ApproximateRelease(epsilon=0.1, delta=1e-9)
    ApproximateRelease(epsilon=0.1, delta=1e-09, steps=1)
    """

    epsilon: float
    delta: float = 0.0
    steps: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", nonnegative("epsilon", self.epsilon))
        object.__setattr__(self, "delta", probability("delta", self.delta))
        object.__setattr__(self, "steps", _steps(self.steps))


Phase = SubsampledGaussian | ApproximateRelease


@dataclass(frozen=True)
class Difference:
    """How many rows only the first world has, and how many only the second."""

    removed: int
    added: int


def directions(relation: Relation, rows: int) -> tuple[Difference, ...]:
    """Return the ordered pairs of worlds that a guarantee for ``rows`` = k rows must cover (claim T10).

    >>> directions(Relation.add_or_remove, 2)
    (Difference(removed=2, added=0), Difference(removed=0, added=2))
    """
    rows = counted("rows", rows)
    if rows > MOST_ROWS:
        raise ValueError(f"rows must be at most {MOST_ROWS}, got {rows}; account for fewer rows at once")
    if not isinstance(relation, Relation):
        raise TypeError(f"relation must be a Relation, got {type(relation).__name__}; pass Relation.add_or_remove, say")
    if relation == Relation.replace:
        return (Difference(rows, rows),)
    return Difference(rows, 0), Difference(0, rows)


def checked_phases(phases: Iterable[Phase], name: str = "phases") -> tuple[Phase, ...]:
    """Return the phases that say anything; raise ``TypeError`` for anything that is not a phase, and for one by itself.

    >>> checked_phases([SubsampledGaussian(1.0, 0.0, 10)])
    ()
    """
    if not isinstance(phases, Iterable):
        raise TypeError(f"{name} must be a list of phases, got {type(phases).__name__}; put a single phase in brackets")
    found = tuple(phases)
    for index, phase in enumerate(found):
        if not isinstance(phase, SubsampledGaussian | ApproximateRelease):
            raise TypeError(f"{name}[{index}] must be a SubsampledGaussian or ApproximateRelease, got {type(phase)!r}")
    return tuple(phase for phase in found if phase.steps and not _is_silent(phase))


def _steps(steps: int) -> int:
    count = counted("steps", steps)
    if count > MOST_STEPS:
        raise ValueError(f"steps must be at most {MOST_STEPS}, got {count}; plan fewer")
    return count


def _is_silent(phase: Phase) -> bool:
    if isinstance(phase, SubsampledGaussian):
        return phase.sampling_rate == 0.0
    return phase.epsilon == 0.0 and phase.delta == 0.0
