"""Models as parts that a store keeps in its own way."""

from __future__ import annotations

from certified.estimators.archive import ModelFormatError
from certified.estimators.base import CertifiedEstimator
from certified.estimators.saved_model import SavedModel


def saved(model: CertifiedEstimator, *, rows: bool = True) -> SavedModel:
    """Return what saving ``model`` keeps; ``rows=False`` spares a copy of all rows, if they are in memory.

    Raises:
        NotFittedError, RuntimeError: the model is not fitted, or was loaded without its secrets.
    """
    return model._saved(rows=rows)


def restored(model: SavedModel) -> CertifiedEstimator:
    """Return the model, whichever estimator of this library it is.

    Raises:
        ModelFormatError: the estimator, or its loss, is none of this library.
    """
    from certified import estimators

    kind = getattr(estimators, str(model.estimator), None)
    if not (isinstance(kind, type) and issubclass(kind, CertifiedEstimator)):
        raise ModelFormatError(f"an estimator {model.estimator!r} that this version does not know: update it")
    return kind._built(model)
