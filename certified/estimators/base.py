"""What all certified estimators share: requests, releases and certificates in scikit-learn's conventions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh

from certified.certificates.certificate import Certificate
from certified.data.array_index import ArrayIndex, as_names
from certified.data.index import Id, as_ids
from certified.data.sources import RowSource
from certified.estimators.devices import STREAMED, checked_mesh
from certified.estimators.held import HeldSession
from certified.estimators.parameters import provenance, release_budget, texts
from certified.estimators.saving import PersistentEstimator
from certified.estimators.streamed import StreamedSession
from certified.removal import UpdateInfo

Array = npt.NDArray[np.float64]
Checked = TypeVar("Checked")


@dataclass(frozen=True, repr=False)
class AuditBundle:
    """Secrets for an auditor: noise-free weights (p, K), the released weights (p, K), the nonce of the commitments."""

    weights: Array
    released: Array
    nonce: bytes

    def __repr__(self) -> str:
        return f"AuditBundle(shape={self.weights.shape}, secret)"


class CertifiedEstimator(PersistentEstimator):
    """Training with certified deletion; subclasses name the loss and how labels become targets."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        ids: Any = None,
        subjects: Any = None,
        *,
        mesh: Mesh | None = None,
    ) -> Self:
        """Train on all rows, release once and certify the release.

        Args:
            X: (n, d) features; or a source of rows (`certified.data.sources`), which holds targets and sample weights,
                too, and is read chunk by chunk whenever rows are needed.
            y: (n,) labels or targets; left out for a source.
            sample_weight: (n,) weights c_i ≥ 0; 1 by default; left out for a source.
            ids: (n,) integers or strings naming the rows; 0 … n−1 by default. An array for a source.
            subjects: (n,) integers or strings: to whom each row belongs, for ``remove(subjects=…)``; as ``ids``.
            mesh: devices of this process over which to spread the rows (docs/scale.md); None for one device, which a
                source needs.

        Raises:
            ValueError, TypeError: an argument is invalid; the message names it and the remedy.
            TargetNotReachedError: (ε, δ) cannot be certified at this noise_std; the message says what would do.
        """
        before = dict(self.__dict__)
        try:
            mesh = checked_mesh(mesh)
            if isinstance(X, RowSource):
                if mesh is not None:
                    raise ValueError(f"mesh must be left out: {STREAMED}")
                return self._fit_source(X, y, sample_weight, ids, subjects)
            return self._fit(X, y, sample_weight, ids, subjects, mesh)
        except BaseException:
            self.__dict__ = before
            raise

    def _fit(self, X: Any, y: Any, sample_weight: Any, ids: Any, subjects: Any, mesh: Mesh | None) -> Self:
        recipe, budget = self._recipe(), release_budget(self.epsilon, self.delta, self.noise_std, self.max_releases)
        X, y = self._check(X, y, reset=True)
        new = self._new_rows(X, y, sample_weight)
        if not np.any(new.weights > 0.0):
            raise ValueError("sample_weight is zero for every row: at least one row must count")
        names = list(range(len(new))) if ids is None else as_ids(ids, "ids", len(new))
        owners = None if subjects is None else as_ids(subjects, "subjects", len(new))
        if len(set(names)) != len(names):
            raise ValueError("ids must be unique: every row needs an id of its own")
        self._session = HeldSession.train(
            recipe, budget, new, names, owners, texts(self.assumptions), provenance(self.features), mesh
        )
        return self._announce()

    def _fit_source(self, source: RowSource, y: Any, sample_weight: Any, ids: Any, subjects: Any) -> Self:
        recipe, budget = self._recipe(), release_budget(self.epsilon, self.delta, self.noise_std, self.max_releases)
        if y is not None or sample_weight is not None:
            raise ValueError("y and sample_weight must be left out: the source holds targets and sample weights")
        self._require_source(source)
        n = source.length
        index = ArrayIndex(n, as_names(ids, "ids", n), as_names(subjects, "subjects", n))
        self._session = StreamedSession.train(
            recipe, budget, source, index, texts(self.assumptions), provenance(self.features), self._check_rows,
            self._check_largest,
        )  # fmt: skip
        self.__dict__.pop("feature_names_in_", None)
        return self._announce()

    def remove(self, ids: Any = None, *, subjects: Any = None, labels: Any = None) -> Certificate:
        """Delete rows, release the updated model and return the certificate; on any error nothing has changed.

        Exactly one of the arguments says which rows go: their ids, all rows of some subjects, or all rows of some
        labels. Removing the last row of a class removes the class.

        Raises:
            UnknownIdError: a row, subject or label that is not in force.
            ValueError, TypeError: none or several of the arguments given, or a row named twice.
            TargetNotReachedError: (ε, δ) cannot be certified at this noise_std.
        """
        session = self._open()
        given = [name for name, v in (("ids", ids), ("subjects", subjects), ("labels", labels)) if v is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of ids, subjects and labels; got {', '.join(given) or 'none'}")
        if subjects is not None:
            chosen = session.index.ids_of_subjects(as_ids(subjects, "subjects"))
        elif labels is not None:
            chosen = session.ids_of_labels(np.ravel(labels).tolist())
        else:
            chosen = as_ids(ids, "ids")
        certificate = session.remove(chosen)
        self._announce()
        return certificate

    def add(self, X: Any, y: Any, sample_weight: Any = None, ids: Any = None, subjects: Any = None) -> Certificate:
        """Add rows, release the updated model and return the certificate; on any error nothing has changed.

        Without ``ids`` the new rows are numbered on from the largest integer id in force.
        """
        session = self._open()
        X, y = self._check(X, y, reset=False)
        new = self._new_rows(X, y, sample_weight)
        names = session.index.fresh_ids(len(new)) if ids is None else as_ids(ids, "ids", len(new))
        owners = None if subjects is None else as_ids(subjects, "subjects", len(new))
        certificate = session.add(new, names, owners)
        self._announce()
        return certificate

    def correct(self, ids: Any, X: Any, y: Any, sample_weight: Any = None) -> Certificate:
        """Replace the rows named ``ids`` by new values (rectification); ids, subjects and omitted weights stay."""
        session = self._open()
        X, y = self._check(X, y, reset=False)
        names = as_ids(ids, "ids", len(X))
        new = self._new_rows(X, y, sample_weight)
        if sample_weight is None:
            new = replace(new, weights=self._kept_weights(new.labels, session.index.slots(names)))
        certificate = session.correct(new, names)
        self._announce()
        return certificate

    def release(self) -> Certificate:
        """Release the current model once more with fresh noise; it counts against the release budget."""
        certificate = self._open().release()
        self._announce()
        return certificate

    def row_weights(self, y: Any, sample_weight: Any = None) -> Array:
        """Return the weights (n,) that rows have in the objective: what `certified.verify` takes as sample_weight."""
        return self._weighted(self._labels(np.asarray(y)), sample_weight)

    def rows_in_force(self) -> RowSource:
        """Return a source of the rows in force of a model of streamed rows, such as `certified.verify` reads.

        Raises:
            RuntimeError: the rows are in memory, where ``ids_`` says which they are.
        """
        session = self._open()
        if not isinstance(session, StreamedSession):
            raise RuntimeError("the rows were given as arrays: select those that ids_ names from your own")
        return session.rows_in_force()

    def audit_bundle(self) -> AuditBundle:
        """Return the secrets that an auditor needs for `certified.verify`; hand them over like the rows themselves."""
        session = self._open()
        return AuditBundle(session.state.weights.copy(), session.released.copy(), session.nonce)

    @property
    def update_info_(self) -> UpdateInfo:
        """What the last request cost: data passes, Newton steps, whether the Hessian was formed anew."""
        return self._open().info

    @property
    def ids_(self) -> npt.NDArray[Any]:
        """Ids of the rows in force."""
        return self._open().index.array

    @property
    def subjects_(self) -> list[Id]:
        """Subjects with at least one row in force, in the order of their first row."""
        index = self._open().index
        return list(dict.fromkeys(s for s in map(index.subject, index.ids) if s is not None))

    def _announce(self) -> Self:
        """Publish the session's last release."""
        session = self._session
        self.certificate_ = session.certificate
        self._publish(session.released, self._public_attributes())
        return self
