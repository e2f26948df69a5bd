"""Saving an estimator and loading it, with its secrets or without."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh
from sklearn.utils.validation import check_is_fitted

from certified.certificates.certificate import Certificate
from certified.certificates.provenance import Provenance
from certified.data.sources import RowSource
from certified.estimators.archive import ModelFormatError
from certified.estimators.devices import STREAMED, checked_mesh
from certified.estimators.saved_model import SavedModel, read
from certified.estimators.session import Session
from certified.estimators.snapshot import HeldRows, facts_of, restore
from certified.estimators.streamed import StreamedSession
from certified.estimators.streamed_snapshot import StreamedPart, restore_streamed
from certified.estimators.validation import ValidatedEstimator

Array = npt.NDArray[np.float64]


class PersistentEstimator(ValidatedEstimator):
    """An estimator that can be saved and restored, with its secrets or without."""

    certificate_: Certificate
    n_features_in_: int
    _session: Session[Any]

    def save(self, path: str | Path) -> None:
        """Write the public model to ``path`` and the secrets beside it, with owner-only permissions; no pickle."""
        self._saved().save(path)

    @classmethod
    def load(cls, path: str | Path, *, rows: RowSource | None = None, mesh: Mesh | None = None) -> Self:
        """Read a saved model; without its secret file it predicts but cannot delete.

        Args:
            path: of the public file.
            rows: for a model of streamed rows the source that it was trained on, or one that holds its rows but those
                removed, in the same order; without it the model predicts but cannot delete.
            mesh: devices of this process over which to spread the rows of its secret file, whether they were spread
                before or not; None for one device.

        Raises:
            FileNotFoundError: nothing is saved there.
            ModelFormatError: a file is damaged or holds another estimator.
            SourceChangedError: ``rows`` are not the rows that the model was trained on.
            ValueError: the rows were not streamed, so ``rows`` must be left out; or they were, and so must ``mesh``;
                or ``mesh`` has devices of several processes.
        """
        if rows is not None and not isinstance(rows, RowSource):
            raise TypeError(f"rows must be a source of rows, as in certified.data.sources; got a {type(rows).__name__}")
        saved = read(path)
        if saved.estimator != cls.__name__:
            raise ModelFormatError(f"{path} holds a {saved.estimator}: load it with that class")
        return cls._built(saved, rows, mesh)

    def _open(self) -> Session[Any]:
        check_is_fitted(self, "coef_")
        if not hasattr(self, "_session"):
            raise RuntimeError(
                "this model was loaded without its secret file, or without the rows where they are streamed, so it can "
                "only predict: put that file back, or load it with rows="
            )
        return self._session

    def _saved(self, *, rows: bool = True) -> SavedModel:
        """What saving keeps; ``rows=False`` spares a copy of all rows, if they are in memory."""
        session = self._open()
        return SavedModel(
            estimator=type(self).__name__,
            params=self._plain_params(),
            fitted=self._public_attributes(),
            statement=session.certificate.statement(),
            released=session.released,
            facts=facts_of(session),
            weights=session.state.weights,
            rows=HeldRows.of(session) if rows and not isinstance(session, StreamedSession) else None,
            streamed=StreamedPart.of(session) if isinstance(session, StreamedSession) else None,
        )

    @classmethod
    def _built(cls, saved: SavedModel, source: RowSource | None = None, mesh: Mesh | None = None) -> Self:
        """The model; without secrets, or a source where the rows are streamed, it predicts but cannot delete.

        Raises:
            SourceChangedError: ``source`` does not hold the rows that the model was trained on.
            ValueError: the rows were not streamed, so there is no place for a source; or they were, and there is none
                for a mesh.
        """
        mesh = checked_mesh(mesh)
        model = cls._from_plain(saved.params)
        if source is not None and saved.facts is not None and saved.streamed is None:
            raise ValueError("rows must be left out: this model was trained on arrays, and its secret file holds them")
        if mesh is not None and (source is not None or saved.streamed is not None):
            raise ValueError(f"mesh must be left out: {STREAMED}")
        if saved.facts is not None and saved.weights is not None and saved.rows is not None:
            model._session = restore(model._recipe(), saved.facts, saved.rows, saved.weights, saved.released, mesh)
            model.certificate_ = model._session.certificate
        if saved.facts is not None and saved.weights is not None and saved.streamed is not None and source is not None:
            model._session = restore_streamed(
                model._recipe(), saved.facts, saved.streamed, saved.weights, saved.released, source
            )
            model.certificate_ = model._session.certificate
        model._publish(saved.released, saved.fitted)
        return model

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
