"""The public numbers of DP-SGD, and the privacy they give before any data are read (claim T20)."""

from __future__ import annotations

from dataclasses import dataclass

from certified.accounting import SubsampledGaussian
from certified.dp.clipping import BLOCK, LARGEST_CLIP, SMALLEST_CLIP
from certified.dp.poisson import capacity_for, truncation
from certified.dp.sampled import SampledCurve
from certified.numerics.balls import exact, upper, working_precision
from certified.privacy.composition import counted
from certified.privacy.gaussian import nonnegative

TRUNCATION = 1e-12
"""By default slots are so many that all batches of a training fit into them, but for this probability."""


@dataclass(frozen=True)
class SGDPlan:
    """The public numbers of DP-SGD, fixed without looking at the rows.

    Attributes:
        clip_norm: C, from 2⁻³⁰ to 2³⁰; what one row changes in a sum stays within it, rounding included.
        noise_multiplier: z; each sum is released with noise of standard deviation zC.
        expected_batch: the normaliser of the sums, and the sampling rate times ``public_rows``.
        public_rows: a public limit N on the number of rows, such as the number itself where it is no secret.
        steps: T.
        capacity: slots for a batch, rounded up to a multiple of 64; by default so many that truncation anywhere has a
            probability below 1e-12. A smaller number is charged to δ.

    Raises:
        ValueError: a number is out of range.
        TypeError: an argument is no number, or no integer where rows, steps or slots are counted.

    Example:
        >>> plan = SGDPlan(clip_norm=1.0, noise_multiplier=1.1, expected_batch=256.0, public_rows=60_000, steps=1_000)
        >>> plan.slots, plan.truncation < 1e-12
        (448, True)
    """

    clip_norm: float
    noise_multiplier: float
    expected_batch: float
    public_rows: int
    steps: int
    capacity: int | None = None

    def __post_init__(self) -> None:
        for name in ("public_rows", "steps") if self.capacity is None else ("public_rows", "steps", "capacity"):
            object.__setattr__(self, name, counted(name, getattr(self, name)))
        for name in ("clip_norm", "noise_multiplier", "expected_batch"):
            object.__setattr__(self, name, nonnegative(name, getattr(self, name)))
        if not SMALLEST_CLIP <= self.clip_norm <= LARGEST_CLIP:
            raise ValueError(f"clip_norm must lie between 2**-30 and 2**30, got {self.clip_norm!r}; rescale the loss")
        if not 0 < self.public_rows < 1 << 31:
            raise ValueError(f"public_rows must be a positive number of rows below 2**31, got {self.public_rows!r}")
        if not 0.0 < self.expected_batch <= self.public_rows:
            raise ValueError(f"expected_batch must be positive and at most public_rows, got {self.expected_batch!r}")
        if self.steps >= 1 << 32:
            raise ValueError(f"steps must be from 0 to 2**32 - 1, got {self.steps!r}")
        if self.capacity is not None and self.capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {self.capacity!r}; leave it out for the default")
        _ = self.phase  # refuses a noise multiplier that the accountant does not take

    @property
    def sampling_rate(self) -> float:
        """q, the probability of each row to be in a batch."""
        return self.expected_batch / self.public_rows

    @property
    def slots(self) -> int:
        """The capacity, a multiple of `BLOCK`."""
        wanted = self.capacity
        if wanted is None:
            wanted = capacity_for(self.public_rows, self.sampling_rate, TRUNCATION / max(1, self.steps))
        return -(-wanted // BLOCK) * BLOCK

    @property
    def truncation(self) -> float:
        """An upper bound on the probability that some batch has more rows than slots (claim T20, part 2)."""
        each = truncation(self.public_rows, self.sampling_rate, self.slots)
        with working_precision(128):
            return min(1.0, upper(self.steps * exact(each)))

    @property
    def phase(self) -> SubsampledGaussian:
        """The steps as the accountant knows them."""
        return SubsampledGaussian(self.noise_multiplier, self.sampling_rate, self.steps)

    def curve(self) -> SampledCurve:
        """The privacy curve of a training by this plan; needs no data."""
        return SampledCurve((self.phase,), self.truncation)
