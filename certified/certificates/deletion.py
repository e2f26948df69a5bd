"""The certificate of deletions from a privately trained model: nothing is computed, so only numbers are stated (T10).

It holds no secret and nothing that was measured on the rows: whoever may see the model may see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from certified.certificates.record import Record

DELETION_SCHEMA = "certified-dp-deletion/1"

DELETION_REFERENCE = (
    "The same differentially private training on exactly the remaining rows: same hyper-parameters and limits, fresh "
    "randomness."
)

DELETION_THREAT_MODEL = (
    "Observer of the released model before and after the deletions, who knows all other rows: nothing changes when "
    "rows are deleted, so there is nothing to compare. Covered is also whatever is kept, if that is the release alone. "
    "Not covered: noise-free weights, timings and error messages of the training; other models trained on the rows, "
    "whose guarantees add up; the remaining rows beyond what differential privacy promises them."
)

DELETION_ASSUMPTIONS = (
    "every row was in the training set at most once, or all its copies count among the deleted rows",
    "deleted_total counts all rows deleted since the training, whoever asked and whenever; a set chosen by looking at "
    "the model is covered as each fixed set is: for every event, that this set is asked for included",
    "whatever else was computed from the deleted rows is deleted with them",
)

DELETION_UPKEEP = (
    "A deletion costs nothing and the model stays as it is. Deletions add up: (epsilon, delta) are those of all "
    "deleted rows together. When deletions_left is 0, train again on the remaining rows; that starts a new count, and "
    "for an observer of both models the guarantees of rows deleted after the second training compose."
)


@dataclass(frozen=True, kw_only=True)
class DeletionCertificate(Record):
    """The released model is (ε, δ)-indistinguishable from training without the deleted rows (claim T10).

    For every set of ``deleted_total`` rows or fewer, every measurable T and both orders of M (the model trained with
    them, unchanged) and A (the same training without them): P(M ∈ T) ≤ e^ε P(A ∈ T) + δ.

    Attributes:
        epsilon, delta: the guarantee for all deleted rows together.
        epsilon_limit: the ε that was promised, at the same δ.
        deleted_total: rows deleted since training, k.
        deletions_left: how many more keep within (epsilon_limit, delta).
        block: rows that the mechanism's own bound was taken for; less than k where ⌈k/block⌉ blocks are better (T17c).
        mechanism: how the model was trained.
        constants: the public constants of its privacy curve.
        loss: name of the loss.
        n_features, n_outputs: shape of the weights.
        noise: "rounded_gaussian" (exact, T13) or "idealized_gaussian" (T13 does not hold).
        relation: the neighbouring relation of the training.
        model: SHA-256 of the released weights, 64 hexadecimal digits.
        claims: ids of the claims relied upon.
        assumptions: what the library does not check.
        threat_model, reference, upkeep: who is protected, compared with what, and what keeps it true.
        library_version: version of the issuing library.
        schema: version of this record's format.
    """

    epsilon: float
    delta: float
    epsilon_limit: float
    deleted_total: int
    deletions_left: int
    block: int
    mechanism: str
    constants: dict[str, Any]
    loss: str
    n_features: int
    n_outputs: int
    noise: str
    relation: str
    model: str
    claims: tuple[str, ...]
    assumptions: tuple[str, ...]
    library_version: str
    threat_model: str = DELETION_THREAT_MODEL
    reference: str = DELETION_REFERENCE
    upkeep: str = DELETION_UPKEEP
    schema: str = field(default=DELETION_SCHEMA)

    def __str__(self) -> str:
        """The guarantee in one sentence."""
        rows = "row" if self.deleted_total == 1 else "rows"
        return (
            f"{self.deleted_total} {rows} deleted from a model trained by {self.mechanism}, which stays as it is: "
            f"(ε, δ) = ({self.epsilon:g}, {self.delta:g}), also before against after; {self.deletions_left} more keep "
            f"within ({self.epsilon_limit:g}, {self.delta:g}) ({', '.join(self.claims)})."
        )
