"""Issuing a certificate for one release: from the objective, the distance bound and the release budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import DistanceBound, max_extended_norm
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import Label, weights_commitment
from certified.certificates.provenance import Provenance
from certified.certificates.statements import (
    CLAIMS,
    EXTRACTOR_CLAIMS,
    REFERENCE,
    THREAT_MODEL,
    assumptions,
    unproved_loss,
)
from certified.losses import HuberisedHinge
from certified.losses.huberised_hinge import HINGE_WIDTHS
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.privacy.extractor import feature_guarantee
from certified.version import __version__

Array = npt.NDArray[np.float64]

_LOSS_CLAIMS = {
    "logistic": ("C-logistic", "T12e"),
    "squared": ("C-squared",),
    "softmax": ("C-softmax", "T12e"),
    "poisson": ("C-poisson", "T12e"),
    "gamma": ("C-gamma", "T12e"),
    **{HuberisedHinge(width).name: ("C-hinge",) for width in HINGE_WIDTHS},
}


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
        features: where the features come from.
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
    features: Provenance = field(default_factory=Provenance)


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
    """Certify the release of ``released`` = ``weights`` + noise under the budget as it was ``before`` (T16, T11).

    Raises:
        ValueError: the distance exceeds what the budget permits.
    """
    if objective.linear is not None:
        raise ValueError("objective has a linear term, which no certificate of this schema states: leave it out")
    after = before.spend(bound.value)
    loss = objective.loss
    claims = {*bound.claims, *CLAIMS, *_LOSS_CLAIMS.get(loss.name, ())}
    word = () if loss.name in _LOSS_CLAIMS else (unproved_loss(loss.name),)
    if noise == "rounded_gaussian":
        claims.add("T13")
    origin = event.features
    if origin.kind == "dp":
        claims |= {*EXTRACTOR_CLAIMS}
    full_epsilon, full_delta = feature_guarantee(
        origin.epsilon, origin.delta, after.epsilon, after.delta, size=max(1, event.removed_total)
    )
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
        loss=loss.name,
        self_concordance=loss.self_concordance,
        derivative_limit=loss.derivative_limit,
        curvature_limit=loss.curvature_limit,
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
        features=origin.kind,
        features_name=origin.name,
        features_digest=origin.digest,
        features_epsilon=origin.epsilon,
        features_delta=origin.delta,
        full_epsilon=full_epsilon,
        full_delta=full_delta,
        rows_commitment=event.rows_commitment,
        salt=event.salt.hex(),
        released_commitment=weights_commitment(b"", released),
        weights_commitment=weights_commitment(nonce, weights),
        claims=tuple(sorted(claims)),
        assumptions=(*assumptions(origin, noise), *word, *event.assumptions),
        threat_model=THREAT_MODEL,
        reference=REFERENCE,
        issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
        library_version=__version__,
    )
