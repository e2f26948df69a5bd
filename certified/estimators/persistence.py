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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from certified.bounds.curvature import linearise
from certified.bounds.distance import DistanceBound, assess
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests
from certified.data.index import RowIndex
from certified.data.rows import Rows
from certified.estimators.register import Register
from certified.estimators.session import Recipe, Session
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.removal import RemovalState, UpdateInfo

if TYPE_CHECKING:
    from certified.estimators.base import CertifiedEstimator

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
    """What a saved model holds; ``secret`` only where its secret file was found.

    Attributes:
        estimator: name of the estimator class.
        params: its constructor parameters.
        fitted: its fitted attributes beside the weights.
        statement: the publishable part of the last certificate.
        released: released weights (p, K).
        secret: everything that deleting needs, rows included.
    """

    estimator: str
    params: dict[str, Any]
    fitted: dict[str, Any]
    statement: dict[str, Any]
    released: Array
    secret: dict[str, Any] | None

    def restore(self, recipe: Recipe) -> Session | None:
        """Return the session that can go on deleting, or None without the secret file."""
        return None if self.secret is None else _restore(recipe, self.secret, self.released)

    def row_digests(self) -> list[bytes]:
        """Return the commitment digests of the rows in force.

        Raises:
            ModelFormatError: without secrets there are no rows.
        """
        if self.secret is None:
            raise ModelFormatError("the model was read without its secrets, so it has no rows")
        salt, labels = bytes.fromhex(self.secret["salt"]), self.secret["labels"]
        return row_digests(salt, self.secret["features"], labels, self.secret["sample_weights"])

    def publish(self, path: str | Path) -> None:
        """Write the public file, complete or not at all."""
        header = {
            "format": FORMAT,
            "estimator": self.estimator,
            "params": self.params,
            "fitted": self.fitted,
            "statement": self.statement,
        }
        _write(Path(path), _archive({"header": header}, released=self.released))


def save(path: str | Path, session: Session, *, estimator: str, params: dict[str, Any], fitted: dict[str, Any]) -> None:
    """Write ``path`` (public) and `secret_path` (owner-only), each complete or not at all."""
    content = dumps(session, estimator=estimator, params=params, fitted=fitted)
    _write(secret_path(path), content)
    loads(content).publish(path)


def dumps(session: Session, *, estimator: str, params: dict[str, Any], fitted: dict[str, Any]) -> bytes:
    """Return what the secret file holds: everything."""
    header = {
        "format": FORMAT,
        "estimator": estimator,
        "params": params,
        "fitted": fitted,
        "statement": session.certificate.statement(),
    }
    held = session.register.held
    rows = session.state.objective.rows
    secret = {
        "certificate": session.certificate.to_dict(),
        "budget": asdict(session.budget),
        "seed": session.recipe.seed,
        "alpha": session.state.objective.alpha,
        "ids": session.index.ids,
        "next_id": session.index.next_id,
        "subjects": [session.index.subject(key) for key in session.index.ids],
        "labels": [session.register.labels[slot] for slot in held],
        "salt": session.salt.hex(),
        "nonce": session.nonce.hex(),
        "removed_total": session.removed_total,
        "remarks": session.remarks,
    }
    return _archive(
        {"header": header, "secret": secret},
        released=session.released,
        weights=session.state.weights,
        features=np.asarray(rows.features).reshape(-1, rows.n_features)[held],
        sample_weights=session.register.weights[held],
    )


def read(path: str | Path) -> SavedModel:
    """Read a saved model; its secret file, where it lies beside ``path``, is the complete and newest one.

    Raises:
        FileNotFoundError: neither file exists.
        ModelFormatError: a file is damaged or of an unknown format.
    """
    path, secrets = Path(path), secret_path(path)
    return _saved(*_read(secrets if secrets.exists() else path), str(path))


def loads(content: bytes) -> SavedModel:
    """Read what `dumps` returned.

    Raises:
        ModelFormatError: it is damaged or of an unknown format.
    """
    return _saved(*_parse(io.BytesIO(content), "the content"), "the content")


def pack(model: CertifiedEstimator) -> bytes:
    """Return a model with its secrets as one string of bytes, for storage beside other records."""
    session = model._open()
    fitted = model._public_attributes()
    return dumps(session, estimator=type(model).__name__, params=model.get_params(deep=False), fitted=fitted)


def unpack(content: bytes) -> CertifiedEstimator:
    """Restore what `pack` returned, able to delete.

    Raises:
        ModelFormatError: it is damaged, has no secrets, or is of an unknown format or estimator.
    """
    from certified.estimators import CertifiedLogisticRegression, CertifiedRidge

    saved = loads(content)
    kinds: list[type[CertifiedEstimator]] = [CertifiedLogisticRegression, CertifiedRidge]
    kind = next((kind for kind in kinds if kind.__name__ == saved.estimator), None)
    if kind is None or saved.secret is None:
        raise ModelFormatError(f"the content holds no {saved.estimator} that can delete")
    model = kind(**{**saved.params, "assumptions": tuple(saved.params["assumptions"])})
    session = saved.restore(model._recipe())
    assert session is not None
    model._session, model.certificate_ = session, session.certificate
    model._publish(saved.released, saved.fitted)
    return model


def _saved(texts: dict[str, Any], arrays: dict[str, Array], name: str) -> SavedModel:
    header = texts["header"]
    if header.get("format") != FORMAT:
        raise ModelFormatError(f"{name} does not hold a model of format {FORMAT!r}")
    return SavedModel(
        estimator=header["estimator"],
        params=header["params"],
        fitted=header["fitted"],
        statement=header["statement"],
        released=arrays["released"],
        secret={**texts["secret"], **arrays} if "secret" in texts else None,
    )


def released_weights(path: str | Path) -> Array:
    """Read the released weights (p, K) from the public file at ``path``, whatever its secret file holds.

    Raises:
        FileNotFoundError, ModelFormatError: as for `read`.
    """
    return _read(Path(path))[1]["released"]


def _restore(recipe: Recipe, secret: dict[str, Any], released: Array) -> Session:
    certificate = Certificate.from_dict(secret["certificate"])
    recipe = replace(recipe, seed=secret["seed"])
    labels: list[Any] = [tuple(label) if isinstance(label, list) else label for label in secret["labels"]]
    features, c, weights = secret["features"], secret["sample_weights"], secret["weights"]
    rows = Rows.from_arrays(features, recipe.encoding.targets(labels, certificate.classes), c)
    objective = Objective(recipe.loss, rows, secret["alpha"], recipe.fit_intercept)
    _, gradient = assess(objective, weights)
    linearisation = linearise(objective, weights)
    salt = bytes.fromhex(secret["salt"])
    index = RowIndex(secret["next_id"])
    for slot, (key, subject) in enumerate(zip(secret["ids"], secret["subjects"], strict=True)):
        index.put([key], np.array([slot]), None if subject is None else [subject])
    slots = np.arange(len(labels), dtype=np.int64)
    register = Register.empty(0).changed(slots[:0], slots, labels, c, row_digests(salt, features, labels, c))
    budget = ReleaseBudget(**secret["budget"])
    session = Session(recipe, index, register, salt, budget, tuple(secret["remarks"]))
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
    session.state = RemovalState(objective, weights, gradient.value, linearisation, bound)
    session.classes, session.info = certificate.classes, UpdateInfo(0, 0, relinearised=True)
    session.nonce, session.released = bytes.fromhex(secret["nonce"]), released
    session.certificate, session.removed_total = certificate, secret["removed_total"]
    return session


def _archive(texts: dict[str, Any], **arrays: Array) -> bytes:
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


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        with path.open("rb") as file:
            return _parse(file, str(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"no saved model at {path}") from None
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read ({type(error).__name__})") from None


def _parse(file: BinaryIO, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            contents = {key: archive[key] for key in archive.files}
        texts = {n: json.loads(bytes(contents.pop(n)).decode()) for n in ("header", "secret") if n in contents}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFormatError(f"{name} is not a saved model, or is damaged ({type(error).__name__})") from None
    if "header" not in texts:
        raise ModelFormatError(f"{name} is not a saved model")
    return texts, contents
