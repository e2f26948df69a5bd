"""What is kept of a model: a public file, and a secret file with owner-only permissions.

The public file holds what may be published: the released weights and the certificate's statement. The secret file
holds everything, rows and noise-free weights included, so it alone restores a model that can delete; it is written
first, and a crash between both files loses nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.estimators import archive
from certified.estimators.archive import ModelFormatError
from certified.estimators.snapshot import HeldRows
from certified.estimators.streamed_snapshot import StreamedPart

Array = npt.NDArray[np.float64]

FORMAT = "certified-model/1"


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

    @property
    def public(self) -> SavedModel:
        """The same without secrets."""
        return replace(self, facts=None, weights=None, rows=None, streamed=None)

    def with_rows(self, rows: HeldRows | None) -> SavedModel:
        """The same with rows that were kept elsewhere."""
        return replace(self, rows=rows)

    def publish(self, path: str | Path) -> None:
        """Write the public file, complete or not at all."""
        archive.write(Path(path), archive.packed({"header": self._header()}, {"released": self.released}))

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
        return archive.packed(texts, arrays)

    def save(self, path: str | Path) -> None:
        """Write ``path`` (public) and `secret_path` (owner-only), each complete or not at all."""
        archive.write(secret_path(path), self.secrets())
        self.publish(path)

    def _header(self) -> dict[str, Any]:
        names = ("estimator", "params", "fitted", "statement")
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}}


def read(path: str | Path) -> SavedModel:
    """Read a saved model; its secret file, where it lies beside ``path``, is the complete and newest one.

    Raises:
        FileNotFoundError: neither file exists.
        ModelFormatError: a file is damaged or of an unknown format.
    """
    path, secrets = Path(path), secret_path(path)
    return _saved(*archive.read(secrets if secrets.exists() else path), str(path))


def loads(content: bytes) -> SavedModel:
    """Read what `SavedModel.secrets` returned.

    Raises:
        ModelFormatError: it is damaged or of an unknown format.
    """
    return _saved(*archive.unpacked(io.BytesIO(content), "the content"), "the content")


def released_weights(path: str | Path) -> Array:
    """Read the released weights (p, K) from the public file at ``path``, whatever its secret file holds.

    Raises:
        FileNotFoundError, ModelFormatError: as for `read`.
    """
    return _saved(*archive.read(Path(path)), str(path)).released


def _saved(texts: archive.Texts, arrays: archive.Arrays, name: str) -> SavedModel:
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
