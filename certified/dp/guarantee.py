"""What differentially private training promises: a frozen record with its whole privacy curve, and no secret."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from certified.certificates.record import CertificateFormatError, Record, decode
from certified.dp.curve import Curve, InvertibleCurve
from certified.dp.curves import read_curve
from certified.privacy.gaussian import probability, smallest_float
from certified.version import __version__

SCHEMA = "certified-dp/1"
RELATION = "add or remove"

THREAT_MODEL = (
    "Observer of the released weights who knows all other rows, also when comparing them with a model trained after "
    "the rows were deleted. Not covered: noise-free weights, timings, error messages, and whatever else was computed "
    "from the rows."
)

ASSUMPTIONS = (
    "limits, strength, noise and every other hyper-parameter were fixed without looking at the rows",
    "an error raised instead of a release says something about the rows and stays secret",
    "matrix products are sums of products in any order, with IEEE 754 arithmetic (no Strassen-type algorithms)",
    "the operating system's entropy source is unpredictable",
)


@dataclass(frozen=True, kw_only=True)
class DPGuarantee(Record):
    """Every set of releases is about as likely with as without any ``group_size`` rows (claims T14, T15).

    For data sets D, D′ that differ by adding or removing at most k rows and every measurable T:
    P(release of D ∈ T) ≤ e^ε P(release of D′ ∈ T) + δ. Deleting those rows therefore needs no work at all: the released
    model already is (ε, δ)-close to one trained without them.

    Attributes:
        mechanism: its name.
        stated_epsilon, stated_delta, group_size: the (ε, δ) it was calibrated for, and for how many rows.
        curve: the whole curve.
        loss: name of the loss.
        n_features, n_outputs: shape of the released weights.
        noise: "rounded_gaussian" (exact, T13) or "idealized_gaussian" (seeded; T13 does not hold).
        relation: the neighbouring relation.
        claims: ids of the claims relied upon.
        assumptions: what the library does not check.
        threat_model: who is protected against whom.
    """

    mechanism: str
    stated_epsilon: float
    stated_delta: float
    group_size: int
    curve: Curve
    loss: str
    n_features: int
    n_outputs: int
    noise: str = "rounded_gaussian"
    relation: str = RELATION
    assumptions: tuple[str, ...] = ASSUMPTIONS
    threat_model: str = THREAT_MODEL
    library_version: str = __version__
    schema: str = field(default=SCHEMA)

    @property
    def claims(self) -> tuple[str, ...]:
        exact_noise = ("T13",) if self.noise == "rounded_gaussian" else ()
        return tuple(sorted({*self.curve.claims, *exact_noise, "T12"}))

    def delta(self, epsilon: float, group_size: int | None = None) -> float:
        """Return δ(ε), an upper bound, for ``group_size`` rows, by default as many as stated.

        Raises:
            ValueError: ε is negative or NaN, or there is no row in the group.
        """
        return self.curve.delta(epsilon, self.group_size if group_size is None else group_size)

    def epsilon(self, delta: float, group_size: int | None = None) -> float:
        """Return an ε with δ(ε) ≤ ``delta``; ``inf`` if there is none. Raises ``ValueError`` unless 0 ≤ δ ≤ 1."""
        delta = probability("delta", delta)
        if isinstance(self.curve, InvertibleCurve):
            return self.curve.epsilon(delta, self.group_size if group_size is None else group_size)
        return smallest_float(lambda epsilon: epsilon == math.inf or self.delta(epsilon, group_size) <= delta)

    def __str__(self) -> str:
        rows = "one row" if self.group_size == 1 else f"{self.group_size} rows"
        return (
            f"{self.mechanism}: ({self.stated_epsilon:g}, {self.stated_delta:g})-differentially private for adding or "
            f"removing {rows} ({', '.join(self.claims)})"
        )

    @classmethod
    def _names(cls) -> set[str]:
        return super()._names() | {"claims"}

    def _plain(self) -> dict[str, Any]:
        return {**super()._plain(), "claims": list(self.claims), "curve": self.curve.constants()}

    @classmethod
    def _read(cls, values: dict[str, Any]) -> Self:
        known = {f.name: str(f.type) for f in fields(cls) if f.name != "curve"}
        plain = {name: decode(name, kind, values[name]) for name, kind in known.items()}
        guarantee = cls(**plain, curve=read_curve(decode("curve", "dict[str, Any]", values["curve"])))
        if values["claims"] != list(guarantee.claims):
            raise CertificateFormatError(f"claims are not those of {guarantee.mechanism}")
        return guarantee


@dataclass(frozen=True)
class DPRelease:
    """What may be published: the released weights W (p, K) and their guarantee. No secret is in it."""

    weights: npt.NDArray[np.float64]
    guarantee: DPGuarantee
