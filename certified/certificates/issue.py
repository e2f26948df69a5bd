"""Issuing a certificate for one release: from the objective, the distance bound and the release budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import DistanceBound, max_extended_norm
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import Label, weights_commitment
from certified.certificates.statements import ASSUMPTIONS, CLAIMS, IDEALIZED_NOISE, REFERENCE, THREAT_MODEL
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.version import __version__

Array = npt.NDArray[np.float64]

_LOSS_CLAIMS = {"logistic": ("C-logistic", "T12e"), "squared": ("C-squared",)}


@dataclass(frozen=True)
class Event:
    """What led to a release.

    Attributes:
        kind: "fit", "remove", "add", "correct" or "release".
        removed, added: rows this request took out and put in.
        removed_total: rows taken out since training.
        remaining: rows in force afterwards.
        classes: class labels in force.
        rows_commitment: commitment to the rows in force.
        salt: its salt.
        assumptions: further assumptions the caller knows of.
    """

    kind: str
    removed: int
    added: int
    removed_total: int
    remaining: int
    classes: tuple[Label, ...]
    rows_commitment: str
    salt: bytes
    assumptions: tuple[str, ...] = ()


def issue(
    event: Event,
    objective: Objective,
    bound: DistanceBound,
    before: ReleaseBudget,
    *,
    l2_scaling: str,
    l2_strength: float,
    noise: str,
    released: Array,
    weights: Array,
    nonce: bytes,
) -> Certificate:
    """Certify the release of ``released`` = ``weights`` + noise under the budget as it was ``before`` (claim T16).

    Raises:
        ValueError: the distance exceeds what the budget permits.
    """
    if objective.linear is not None:
        raise ValueError("objective has a linear term, which no certificate of this schema states: leave it out")
    after = before.spend(bound.value)
    claims = {*bound.claims, *CLAIMS, *_LOSS_CLAIMS[objective.loss.name]}
    assumptions = (*ASSUMPTIONS, *event.assumptions)
    if noise == "rounded_gaussian":
        claims.add("T13")
    else:
        assumptions = (IDEALIZED_NOISE, *assumptions)
    return Certificate(
        event=event.kind,
        epsilon=after.epsilon,
        delta=after.delta,
        mu=after.mu_spent,
        mu_before=before.mu_spent,
        releases=after.releases,
        distance_bound=bound.value,
        distance_target=before.target,
        distance_claim=bound.claim,
        gradient_residual=bound.gradient_residual,
        rounding_error=bound.rounding_error,
        curvature=bound.curvature,
        noise_std=after.noise_std,
        noise=noise,
        loss=objective.loss.name,
        self_concordance=objective.loss.self_concordance,
        derivative_limit=objective.loss.derivative_limit,
        curvature_limit=objective.loss.curvature_limit,
        row_norm_bound=max_extended_norm(objective),
        l2_scaling=l2_scaling,
        l2_strength=l2_strength,
        alpha=objective.alpha,
        fit_intercept=objective.fit_intercept,
        n_features=objective.rows.n_features,
        n_outputs=objective.rows.n_outputs,
        classes=event.classes,
        remaining_count=event.remaining,
        removed_count=event.removed,
        added_count=event.added,
        removed_total=event.removed_total,
        rows_commitment=event.rows_commitment,
        salt=event.salt.hex(),
        released_commitment=weights_commitment(b"", released),
        weights_commitment=weights_commitment(nonce, weights),
        claims=tuple(sorted(claims)),
        assumptions=assumptions,
        threat_model=THREAT_MODEL,
        reference=REFERENCE,
        issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
        library_version=__version__,
    )
