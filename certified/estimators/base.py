"""What both estimators share: requests, releases and certificates in scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from certified.certificates.certificate import Certificate
from certified.certificates.provenance import Provenance
from certified.data.array_index import ArrayIndex, as_names
from certified.data.index import Id, as_ids
from certified.data.rows import norm_bounds
from certified.data.sources import RowSource
from certified.estimators import persistence
from certified.estimators.encoding import Encoding, Label
from certified.estimators.held import HeldSession
from certified.estimators.parameters import checked_weights, positive, provenance, release_budget, texts
from certified.estimators.register import Slots
from certified.estimators.session import NewRows, Recipe, Session
from certified.estimators.streamed import StreamedSession
from certified.losses import Loss
from certified.numerics.rounding import MAGNITUDE_LIMIT
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


class CertifiedEstimator(BaseEstimator):
    """Training with certified deletion; subclasses name the loss and how labels become targets."""

    C: float
    epsilon: float
    delta: float
    noise_std: float | str
    fit_intercept: bool
    l2_scaling: str
    max_releases: int
    norm_bound: float | None
    assumptions: Sequence[str]
    features: Provenance | None
    random_state: int | None

    _loss: Loss
    _session: Session[Any]
    _encoding: Encoding

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, ids: Any = None, subjects: Any = None) -> Self:
        """Train on all rows, release once and certify the release.

        Args:
            X: (n, d) features; or a source of rows (`certified.data.sources`), which holds targets and sample weights,
                too, and is read chunk by chunk whenever rows are needed.
            y: (n,) labels or targets; left out for a source.
            sample_weight: (n,) weights c_i ≥ 0; 1 by default; left out for a source.
            ids: (n,) integers or strings naming the rows; 0 … n−1 by default. An array for a source.
            subjects: (n,) integers or strings: to whom each row belongs, for ``remove(subjects=…)``; as ``ids``.

        Raises:
            ValueError, TypeError: an argument is invalid; the message names it and the remedy.
            TargetNotReachedError: (ε, δ) cannot be certified at this noise_std; the message says what would do.
        """
        before = dict(self.__dict__)
        try:
            if isinstance(X, RowSource):
                return self._fit_source(X, y, sample_weight, ids, subjects)
            return self._fit(X, y, sample_weight, ids, subjects)
        except BaseException:
            self.__dict__ = before
            raise

    def _fit(self, X: Any, y: Any, sample_weight: Any, ids: Any, subjects: Any) -> Self:
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
            recipe, budget, new, names, owners, texts(self.assumptions), provenance(self.features)
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

    def save(self, path: str | Path) -> None:
        """Write the public model to ``path`` and the secrets beside it, with owner-only permissions; no pickle."""
        persistence.save(path, self)

    @classmethod
    def load(cls, path: str | Path, *, rows: RowSource | None = None) -> Self:
        """Read a saved model; without its secret file it predicts but cannot delete.

        Args:
            path: of the public file.
            rows: for a model of streamed rows the source that it was trained on, or one that holds its rows but those
                removed, in the same order; without it the model predicts but cannot delete.

        Raises:
            FileNotFoundError: nothing is saved there.
            ModelFormatError: a file is damaged or holds another estimator.
            SourceChangedError: ``rows`` are not the rows that the model was trained on.
            ValueError: the rows were not streamed, so ``rows`` must be left out.
        """
        saved = persistence.read(path)
        if saved.estimator != cls.__name__:
            raise persistence.ModelFormatError(f"{path} holds a {saved.estimator}: load it with that class")
        return saved.build(cls, rows)

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

    def _open(self) -> Session[Any]:
        check_is_fitted(self, "coef_")
        if not hasattr(self, "_session"):
            raise RuntimeError(
                "this model was loaded without its secret file, or without the rows where they are streamed, so it can "
                "only predict: put that file back, or load it with rows="
            )
        return self._session

    def _recipe(self) -> Recipe:
        strength = 1.0 / positive("C", self.C)
        if not 1.0 / MAGNITUDE_LIMIT <= strength <= MAGNITUDE_LIMIT:
            raise ValueError(f"C must lie between {1.0 / MAGNITUDE_LIMIT:g} and {MAGNITUDE_LIMIT:g}; got {self.C!r}")
        if self.l2_scaling not in ("total", "per_sample"):
            raise ValueError(f"l2_scaling must be 'total' or 'per_sample'; got {self.l2_scaling!r}")
        if not isinstance(self.fit_intercept, bool | np.bool_):
            raise TypeError(f"fit_intercept must be True or False; got {self.fit_intercept!r}")
        if self.random_state is not None and not isinstance(self.random_state, int | np.integer):
            raise TypeError("random_state must be None (exact noise from the operating system) or an integer seed")
        if self.random_state is not None and self.random_state < 0:
            raise ValueError(f"random_state must not be negative; got {self.random_state!r}")
        seed = None if self.random_state is None else int(self.random_state)
        return Recipe(self._loss, self._encoding, bool(self.fit_intercept), self.l2_scaling, strength, seed)

    def _new_rows(self, X: Array, y: Any, sample_weight: Any) -> NewRows:
        if np.max(np.abs(X), initial=0.0) > MAGNITUDE_LIMIT:
            raise ValueError(f"X holds values beyond {MAGNITUDE_LIMIT:g}: scale the features")
        labels = self._labels(y)
        weights = self._weighted(labels, sample_weight)
        self._check_norms(X)
        return NewRows(X, labels, weights)

    def _check_norms(self, X: Array) -> None:
        if self.norm_bound is not None:
            limit = positive("norm_bound", self.norm_bound)
            longest = float(np.max(norm_bounds(X), initial=0.0))
            if longest > limit * (1.0 + 1e-12):
                raise ValueError(
                    f"X holds a row longer than norm_bound={limit:g}: scale the rows or declare a larger norm_bound"
                )

    def _check_rows(self, X: Array, y: npt.NDArray[Any]) -> None:
        """Refuse features and targets (k, K₀) of a source, chunk by chunk, that arrays could not have either."""
        self._check_norms(X)
        self._check_targets(y)

    def _require_source(self, source: RowSource) -> None:
        """Refuse a source that this estimator cannot train on."""

    def _check_largest(self, largest: float) -> None:
        """Refuse targets for whose largest there is no minimiser."""

    def _check_targets(self, y: npt.NDArray[Any]) -> None:
        """Refuse targets that the loss cannot take."""

    def _weighted(self, labels: Sequence[Label], sample_weight: Any) -> Array:
        """The weights of rows with these labels in the objective."""
        return checked_weights(sample_weight, len(labels))

    def _kept_weights(self, labels: Sequence[Label], slots: Slots) -> Array:
        """The weights of the rows at ``slots`` once they have these labels, where no others are given."""
        return self._session.weights_at(slots)

    def _check(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        return without_rows(lambda: self._validate(X, y, reset=reset), X, y)

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Any]:
        raise NotImplementedError

    def _labels(self, y: Any) -> list[Label]:
        raise NotImplementedError

    def _plain_params(self) -> dict[str, Any]:
        """Constructor parameters as JSON values, for saving."""
        params = self.get_params(deep=False)
        return {**params, "features": None if params["features"] is None else params["features"].to_dict()}

    @classmethod
    def _from_plain(cls, params: dict[str, Any]) -> Self:
        """The unfitted estimator that `_plain_params` describes."""
        features = params["features"]
        features = None if features is None else Provenance.from_dict(features)
        return cls(**{**params, "assumptions": tuple(params["assumptions"]), "features": features})

    def _announce(self) -> Self:
        """Publish the session's last release."""
        session = self._session
        self.certificate_ = session.certificate
        self._publish(session.released, self._public_attributes())
        return self

    def _public_attributes(self) -> dict[str, Any]:
        """Fitted attributes beside the weights that a saved model needs, as JSON values."""
        names = getattr(self, "feature_names_in_", None)
        return {
            "n_features": self._session.certificate.n_features,
            "fit_intercept": self._session.certificate.fit_intercept,
            "feature_names": None if names is None else [str(name) for name in names],
        }

    def _publish(self, released: Array, fitted: dict[str, Any]) -> None:
        """Set the public attributes from a release."""
        self.n_features_in_ = fitted["n_features"]
        if fitted["feature_names"] is not None:
            self.feature_names_in_ = np.array(fitted["feature_names"], dtype=object)


def without_rows(validate: Callable[[], Checked], X: Any, y: Any) -> Checked:
    """Return ``validate()``, where scikit-learn's own messages for some mistakes in X and y would show the rows."""
    if any(np.iscomplexobj(np.asarray(value)) for value in (X, y)):
        raise ValueError("Complex data not supported: X and y must hold real numbers")
    if np.asarray(X).ndim == 1:
        raise ValueError("Expected 2D array, got 1D array instead: X has one row per sample. Reshape your data")
    try:
        return validate()
    except ValueError as error:
        if "could not convert" in str(error):
            raise ValueError("X must hold numbers, and so must the targets y of a regression") from None
        raise
