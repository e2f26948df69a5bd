"""The certificate: a frozen record of what was released and how far it is from retraining. It holds no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from certified.certificates.provenance import Provenance
from certified.certificates.record import CertificateFormatError as CertificateFormatError
from certified.certificates.record import Record

SCHEMA = "certified-removal/1"

_PUBLIC = (
    "event", "epsilon", "delta", "releases", "noise_std", "noise", "loss", "l2_scaling", "l2_strength",
    "fit_intercept", "n_features", "n_outputs", "classes", "removed_count", "added_count", "removed_total",
    "features", "features_name", "features_digest", "features_epsilon", "features_delta", "full_epsilon", "full_delta",
    "released_commitment", "assumptions", "threat_model", "reference", "issued_at", "library_version", "schema",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Certificate(Record):
    """What was released, how far it provably is from retraining, and under which assumptions (claim T16).

    For every measurable set T and both orders of M (this model's releases) and A (exact retraining on the remaining
    rows, released with the same noise): P(M ∈ T) ≤ e^ε P(A ∈ T) + δ.

    Attributes:
        event: "fit", "remove", "add", "correct" or "release".
        epsilon, delta: the guarantee for all releases so far, jointly.
        mu: upper bound on the composed Gaussian parameter √Σ(s_j/σ_j)² over all releases so far (T3).
        mu_before: the same before this release.
        releases: number of releases composed, this one included.
        distance_bound: s ≥ ‖W − W*‖_F of the noise-free weights.
        distance_target: the distance that (ε, δ), noise_std and the releases so far permit.
        distance_claim: the claim that gave the bound.
        gradient_residual: r ≥ ‖∇F(W)‖_F on the remaining rows, sum scaling.
        rounding_error: the part of r that is rounding of its own evaluation (T12).
        curvature: the certified m ≤ λ_min(∇²F(W)) that was used; ``inf`` where there are no weights.
        noise_std: σ per coordinate.
        noise: "rounded_gaussian" (exact, T13) or "idealized_gaussian" (seeded; T13 does not hold).
        loss: name of the loss.
        self_concordance, derivative_limit, curvature_limit: the loss constants ν, sup|ℓ'|, sup ℓ''.
        row_norm_bound: R ≥ ‖x̃_i‖₂ over the remaining rows.
        l2_scaling: "total" or "per_sample".
        l2_strength: λ as given: α = λ (total) or α = λ·Σc_i (per_sample).
        alpha: total L2 strength α in force.
        fit_intercept: whether an unpenalised intercept is the last weight row.
        n_features, n_outputs: d and K.
        classes: class labels, in the order of the outputs; empty for regression.
        remaining_count: rows in force.
        removed_count, added_count: rows this request took out and put in.
        removed_total: rows taken out since training.
        features: where the features come from: "given", "public", "dp" or "trained_on_rows" (`Provenance`).
        features_name, features_digest: the extractor's name and the SHA-256 that identifies it; may be empty.
        features_epsilon, features_delta: (ε₁, δ₁) of the extractor for adding or removing one row; 0, 0 where it never
            saw a deleted row, ``inf``, 1 where nothing protects it.
        full_epsilon, full_delta: the guarantee against retraining extractor and head without the removed rows, at
            least one (T11); ``inf``, 1 where the certificate covers the head alone.
        rows_commitment, salt: hiding commitment to the remaining rows and the salt of its digests (hex).
        released_commitment: hash of the released weights.
        weights_commitment: hiding hash of the noise-free weights.
        claims: ids of the claims relied upon.
        assumptions: what the library does not check.
        threat_model: who is protected against whom, in plain words.
        reference: the retraining that the release is compared with.
        issued_at: UTC time, ISO 8601.
        library_version: version of the issuing library.
        schema: version of this record's format.
    """

    event: str
    epsilon: float
    delta: float
    mu: float
    mu_before: float
    releases: int
    distance_bound: float
    distance_target: float
    distance_claim: str
    gradient_residual: float
    rounding_error: float
    curvature: float
    noise_std: float
    noise: str
    loss: str
    self_concordance: float
    derivative_limit: float
    curvature_limit: float
    row_norm_bound: float
    l2_scaling: str
    l2_strength: float
    alpha: float
    fit_intercept: bool
    n_features: int
    n_outputs: int
    classes: tuple[bool | int | float | str, ...]
    remaining_count: int
    removed_count: int
    added_count: int
    removed_total: int
    features: str
    features_name: str
    features_digest: str
    features_epsilon: float
    features_delta: float
    full_epsilon: float
    full_delta: float
    rows_commitment: str
    salt: str
    released_commitment: str
    weights_commitment: str
    claims: tuple[str, ...]
    assumptions: tuple[str, ...]
    threat_model: str
    reference: str
    issued_at: str
    library_version: str
    schema: str = field(default=SCHEMA)

    def __str__(self) -> str:
        """The guarantee in one sentence, after what it does not cover."""
        uncovered = "HEAD ONLY, the extractor was trained on the rows. " if self.features == "trained_on_rows" else ""
        return (
            f"{uncovered}{self.event}: {self.removed_count} rows out, {self.added_count} in, "
            f"{self.remaining_count} remain. (ε, δ) = ({self.epsilon:g}, {self.delta:g}){self._with_extractor()} for "
            f"{self.releases} release(s): noise-free weights at most "
            f"{self.distance_bound:.3g} from exact retraining ({self.distance_claim}), noise σ = {self.noise_std:.3g}."
        )

    @property
    def provenance(self) -> Provenance:
        """Where the features come from, as one record.

        Raises:
            TypeError, ValueError: the fields do not fit together.
        """
        return Provenance(
            self.features, self.features_name, self.features_digest, self.features_epsilon, self.features_delta
        )

    def _with_extractor(self) -> str:
        if self.features != "dp":
            return ""
        return f" for the head, ({self.full_epsilon:g}, {self.full_delta:g}) with the extractor,"

    def statement(self) -> dict[str, Any]:
        """Return the fields that hold whatever the rows are: what may be published with the released weights (T16).

        The measured figures and the commitments to secrets are left out; they are evidence for an auditor.
        """
        fields = self.to_dict()
        return {name: fields[name] for name in _PUBLIC}
