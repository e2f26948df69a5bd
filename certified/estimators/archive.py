"""A model file: named texts and arrays in one archive, without pickle, written complete or not at all."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from certified.certificates.record import sync_folder

TEXTS = ("header", "secret", "rows", "later")
"""Entries that are JSON; all others are arrays."""

Texts = dict[str, Any]
Arrays = dict[str, npt.NDArray[Any]]


class ModelFormatError(ValueError):
    """The file is not a saved model of a known format, or was damaged."""


def packed(texts: Texts, arrays: Arrays) -> bytes:
    """Return the archive of JSON values and arrays."""
    encoded = {name: np.frombuffer(json.dumps(value).encode(), np.uint8) for name, value in texts.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **encoded, **arrays)
    return buffer.getvalue()


def unpacked(file: BinaryIO, name: str) -> tuple[Texts, Arrays]:
    """Return what `packed` was given; ``name`` says in messages which file it is.

    Raises:
        ModelFormatError: it is damaged, or no archive of a model.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            contents = {key: archive[key] for key in archive.files}
        texts = {n: json.loads(bytes(contents.pop(n)).decode()) for n in TEXTS if n in contents}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFormatError(f"{name} is not a saved model, or is damaged ({type(error).__name__})") from None
    if not isinstance(texts.get("header"), dict):
        raise ModelFormatError(f"{name} is not a saved model")
    return texts, contents


def write(path: Path, content: bytes) -> None:
    """Write ``path`` readable by its owner only, complete or not at all; where it is a link, what it leads to."""
    path = path.resolve()
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
    # Or a power failure could bring the old file back, with rows that have left since.
    sync_folder(path.parent)


def read(path: Path) -> tuple[Texts, Arrays]:
    """Return the texts and arrays of the archive at ``path``.

    Raises:
        FileNotFoundError: there is none.
        ModelFormatError: as for `unpacked`.
    """
    try:
        with path.open("rb") as file:
            return unpacked(file, str(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"no saved model at {path}") from None
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read ({type(error).__name__})") from None
