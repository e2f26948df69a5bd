"""What a session consists of between processes, split into the rows in force and everything else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh

from certified.bounds.curvature import linearise
from certified.bounds.distance import DistanceBound, assess
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests
from certified.data.index import Id, RowIndex
from certified.estimators.devices import rows_on
from certified.estimators.encoding import Label
from certified.estimators.held import HeldSession
from certified.estimators.register import HeldRegister
from certified.estimators.session import Recipe, Session
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.removal import RemovalState, UpdateInfo, open_at

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class HeldRows:
    """The rows in force and what is known of each, in one order. Secrets: never print them.

    Attributes:
        ids, subjects: names; None for a row without a subject.
        labels: labels or targets.
        weights: (n,) sample weights.
        features: (n, d).
    """

    ids: list[Id]
    subjects: list[Id | None]
    labels: list[Label]
    weights: Array
    features: Array

    def __repr__(self) -> str:
        return f"HeldRows({len(self.ids)} rows)"

    @classmethod
    def of(cls, session: Session[Any]) -> HeldRows:
        """The rows of a session in memory, in the order of their slots.

        Raises:
            TypeError: they are streamed.
        """
        if not isinstance(session, HeldSession):
            raise TypeError("the rows of this model are streamed, and only rows in memory can be kept: fit on arrays")
        held, rows, register = session.register.held, session.state.objective.rows, session.register
        return cls(
            ids=session.index.ids,
            subjects=[session.index.subject(key) for key in session.index.ids],
            labels=[label for label in register.labels if label is not None],
            weights=register.weights[held],
            features=rows.features_at(np.array(held, dtype=np.int64)),
        )

    @property
    def plain_labels(self) -> list[Label]:
        """The labels, tuples where a file made lists of them."""
        return [tuple(label) if isinstance(label, list) else label for label in self.labels]

    def digests(self, salt: bytes) -> list[bytes]:
        """The commitment digest of each row."""
        return row_digests(salt, self.features, self.labels, self.weights)


def facts_of(session: Session[Any]) -> dict[str, Any]:
    """Everything but rows and arrays, as JSON values. A secret.

    The ledger's Hessian and its points are left out: they were computed with rows that have gone since.
    """
    return {
        "certificate": session.certificate.to_dict(),
        "budget": asdict(session.budget),
        "seed": session.recipe.seed,
        "alpha": session.state.objective.alpha,
        "next_id": session.index.next_id,
        "salt": session.salt.hex(),
        "nonce": session.nonce.hex(),
        "removed_total": session.removed_total,
        "remarks": session.remarks,
    }


def restore(
    recipe: Recipe,
    facts: dict[str, Any],
    rows: HeldRows,
    weights: Array,
    released: Array,
    mesh: Mesh | None = None,
) -> HeldSession:
    """Return the session that `facts_of` and `HeldRows.of` describe; its Hessian is formed anew.

    Args:
        recipe: the training problem; the seed of ``facts`` counts.
        facts: what `facts_of` returned.
        rows: the rows in force.
        weights: noise-free weights (p, K).
        released: released weights (p, K).
        mesh: where the rows are to be; None for the default device.
    """
    certificate = Certificate.from_dict(facts["certificate"])
    recipe = replace(recipe, seed=facts["seed"])
    labels = rows.plain_labels
    # No labels say nothing of the number of targets.
    targets = recipe.encoding.targets(labels, certificate.classes) if labels else np.zeros((0, weights.shape[1]))
    placed = rows_on(mesh, rows.features, targets, rows.weights)
    salt = bytes.fromhex(facts["salt"])
    index = RowIndex(facts["next_id"])
    slots = np.arange(len(labels), dtype=np.int64)
    index.put(rows.ids, slots, rows.subjects)
    digests = row_digests(salt, rows.features, labels, rows.weights)
    register = HeldRegister.empty(0).changed(slots[:0], slots, labels, rows.weights, digests)
    remarks, features = tuple(facts["remarks"]), certificate.provenance
    session = HeldSession(recipe, index, register, salt, ReleaseBudget(**facts["budget"]), remarks, features)
    resume(session, Objective(recipe.loss, placed, facts["alpha"], recipe.fit_intercept), facts, weights, released)
    return session


def resume(session: Session[Any], objective: Objective, facts: dict[str, Any], weights: Array, released: Array) -> None:
    """Set what a session without a past lacks: the state at its weights and its last release."""
    certificate = Certificate.from_dict(facts["certificate"])
    _, gradient = assess(objective, weights)
    linearisation = linearise(objective, weights)
    # The bound of the state is the one on record: it was proved for these weights and rows.
    bound = DistanceBound(
        value=certificate.distance_bound,
        claim=certificate.distance_claim,
        gradient_residual=certificate.gradient_residual,
        rounding_error=certificate.rounding_error,
        curvature=certificate.curvature,
        passes=0,
        claims=certificate.claims,
    )
    session.state = open_at(RemovalState(objective, weights, gradient.value, linearisation, bound))
    session.classes, session.info = certificate.classes, UpdateInfo(0, 0, relinearised=True)
    session.nonce, session.released = bytes.fromhex(facts["nonce"]), released
    session.certificate, session.removed_total = certificate, facts["removed_total"]
