"""Saving and loading without pickle: a public model file, and a secret file with owner-only permissions.

The public file holds what may be published: the released weights and the certificate's statement. The secret file
holds everything, rows and noise-free weights included, so it alone restores a model that can delete; it is written
first, and a crash between both files loses nothing.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from certified.data.sources import RowSource
from certified.estimators.snapshot import HeldRows, facts_of, restore
from certified.estimators.streamed import StreamedSession
from certified.estimators.streamed_snapshot import StreamedPart, restore_streamed

if TYPE_CHECKING:
    from certified.estimators.base import CertifiedEstimator

    Model = TypeVar("Model", bound=CertifiedEstimator)

Array = npt.NDArray[np.float64]

FORMAT = "certified-model/1"


class ModelFormatError(ValueError):
    """The file is not a saved model of a known format, or was damaged."""


def secret_path(path: str | Path) -> Path:
    """Where the secrets of the model at ``path`` lie: ``model.npz`` → ``model.secret.npz``."""
    path = Path(path)
    return path.with_name(f"{path.stem}.secret{path.suffix}")


@dataclass(frozen=True, repr=False)
class SavedModel:
    """What a saved model holds; ``facts``, ``weights`` and ``rows`` only where its secrets were found.

    Attributes:
        estimator: name of the estimator class.
        params: its constructor parameters.
        fitted: its fitted attributes beside the weights.
        statement: the publishable part of the last certificate.
        released: released weights (p, K).
        facts: secrets that are neither arrays nor rows.
        weights: noise-free weights (p, K), a secret.
        rows: the rows in force, secrets; None where they are kept elsewhere or streamed.
        streamed: in place of streamed rows, which of them are in force; a secret.
    """

    estimator: str
    params: dict[str, Any]
    fitted: dict[str, Any]
    statement: dict[str, Any]
    released: Array
    facts: dict[str, Any] | None = None
    weights: Array | None = None
    rows: HeldRows | None = None
    streamed: StreamedPart | None = None

    def build(self, kind: type[Model], source: RowSource | None = None) -> Model:
        """Return the model; without secrets, or a source where the rows are streamed, it predicts but cannot delete.

        Raises:
            SourceChangedError: ``source`` does not hold the rows that the model was trained on.
            ValueError: the rows were not streamed, so there is no place for a source.
        """
        model = kind._from_plain(self.params)
        if source is not None and self.facts is not None and self.streamed is None:
            raise ValueError("rows must be left out: this model was trained on arrays, and its secret file holds them")
        if self.facts is not None and self.weights is not None and self.rows is not None:
            model._session = restore(model._recipe(), self.facts, self.rows, self.weights, self.released)
            model.certificate_ = model._session.certificate
        if self.facts is not None and self.weights is not None and self.streamed is not None and source is not None:
            model._session = restore_streamed(
                model._recipe(), self.facts, self.streamed, self.weights, self.released, source
            )
            model.certificate_ = model._session.certificate
        model._publish(self.released, self.fitted)
        return model

    @property
    def public(self) -> SavedModel:
        """The same without secrets."""
        return replace(self, facts=None, weights=None, rows=None, streamed=None)

    def with_rows(self, rows: HeldRows | None) -> SavedModel:
        """The same with rows that were kept elsewhere."""
        return replace(self, rows=rows)

    def publish(self, path: str | Path) -> None:
        """Write the public file, complete or not at all."""
        _write(Path(path), _archive({"header": self._header()}, released=self.released))

    def secrets(self) -> bytes:
        """Return the content of a secret file; without the rows where they are kept elsewhere."""
        assert self.facts is not None and self.weights is not None
        texts: dict[str, Any] = {"header": self._header(), "secret": self.facts}
        arrays = {"released": self.released, "weights": self.weights}
        if self.rows is not None:
            texts["rows"] = {"ids": self.rows.ids, "subjects": self.rows.subjects, "labels": self.rows.labels}
            arrays |= {"features": self.rows.features, "sample_weights": self.rows.weights}
        if self.streamed is not None:
            later = self.streamed.later
            texts["later"] = {"ids": later.ids, "subjects": later.subjects, "labels": later.labels}
            arrays |= {"features": later.features, "sample_weights": later.weights, **self.streamed.arrays()}
        return _archive(texts, **arrays)

    def _header(self) -> dict[str, Any]:
        names = ("estimator", "params", "fitted", "statement")
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}}


def saved(model: CertifiedEstimator, *, rows: bool = True) -> SavedModel:
    """Return what saving ``model`` keeps; ``rows=False`` spares a copy of all rows, if they are in memory.

    Raises:
        NotFittedError, RuntimeError: the model is not fitted, or was loaded without its secrets.
    """
    session = model._open()
    return SavedModel(
        estimator=type(model).__name__,
        params=model._plain_params(),
        fitted=model._public_attributes(),
        statement=session.certificate.statement(),
        released=session.released,
        facts=facts_of(session),
        weights=session.state.weights,
        rows=HeldRows.of(session) if rows and not isinstance(session, StreamedSession) else None,
        streamed=StreamedPart.of(session) if isinstance(session, StreamedSession) else None,
    )


def save(path: str | Path, model: CertifiedEstimator) -> None:
    """Write ``path`` (public) and `secret_path` (owner-only), each complete or not at all."""
    content = saved(model)
    _write(secret_path(path), content.secrets())
    content.publish(path)


def read(path: str | Path) -> SavedModel:
    """Read a saved model; its secret file, where it lies beside ``path``, is the complete and newest one.

    Raises:
        FileNotFoundError: neither file exists.
        ModelFormatError: a file is damaged or of an unknown format.
    """
    path, secrets = Path(path), secret_path(path)
    return _saved(*_read(secrets if secrets.exists() else path), str(path))


def loads(content: bytes) -> SavedModel:
    """Read what `SavedModel.secrets` returned.

    Raises:
        ModelFormatError: it is damaged or of an unknown format.
    """
    return _saved(*_parse(io.BytesIO(content), "the content"), "the content")


def restored(model: SavedModel) -> CertifiedEstimator:
    """Return the model, whichever estimator of this library it is.

    Raises:
        ModelFormatError: the estimator, or its loss, is none of this library.
    """
    from certified import estimators
    from certified.estimators.base import CertifiedEstimator

    kind = getattr(estimators, str(model.estimator), None)
    if not (isinstance(kind, type) and issubclass(kind, CertifiedEstimator)):
        raise ModelFormatError(f"an estimator {model.estimator!r} that this version does not know: update it")
    return model.build(kind)


def released_weights(path: str | Path) -> Array:
    """Read the released weights (p, K) from the public file at ``path``, whatever its secret file holds.

    Raises:
        FileNotFoundError, ModelFormatError: as for `read`.
    """
    return _read(Path(path))[1]["released"]


def _saved(texts: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], name: str) -> SavedModel:
    header = texts["header"]
    if header.get("format") != FORMAT:
        raise ModelFormatError(f"{name} does not hold a model of format {FORMAT!r}")
    try:
        rows = None
        if "rows" in texts:
            rows = HeldRows(**texts["rows"], weights=arrays["sample_weights"], features=arrays["features"])
        streamed = None
        if "later" in texts:
            later = HeldRows(**texts["later"], weights=arrays["sample_weights"], features=arrays["features"])
            known = arrays.get("names"), arrays.get("owners")
            streamed = StreamedPart(arrays["present"], arrays["checksums"], *known, later)
        public = {key: header[key] for key in ("estimator", "params", "fitted", "statement")}
        return SavedModel(
            **public,
            released=arrays["released"],
            facts=texts.get("secret"),
            weights=arrays.get("weights"),
            rows=rows,
            streamed=streamed,
        )
    except (KeyError, TypeError):
        raise ModelFormatError(f"{name} lacks parts of a saved model, or is damaged") from None


def _archive(texts: dict[str, Any], **arrays: npt.NDArray[Any]) -> bytes:
    encoded = {name: np.frombuffer(json.dumps(value).encode(), np.uint8) for name, value in texts.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **encoded, **arrays)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write owner-readable only, complete or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        with path.open("rb") as file:
            return _parse(file, str(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"no saved model at {path}") from None
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read ({type(error).__name__})") from None


def _parse(file: BinaryIO, name: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            contents = {key: archive[key] for key in archive.files}
        kept = ("header", "secret", "rows", "later")
        texts = {n: json.loads(bytes(contents.pop(n)).decode()) for n in kept if n in contents}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFormatError(f"{name} is not a saved model, or is damaged ({type(error).__name__})") from None
    if "header" not in texts:
        raise ModelFormatError(f"{name} is not a saved model")
    return texts, contents
