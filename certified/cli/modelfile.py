"""Model files on disk: one command at a time, and either everything it writes appears or nothing does.

A model is two files, ``NAME`` (public: released weights) and its secret file (rows, noise-free weights). A command
holds a folder ``.NAME.staging`` beside them from before it reads until after it has written: two deletions at a time
would otherwise each write a model that still has the row the other one deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from certified.certificates.certificate import Certificate
    from certified.estimators.base import CertifiedEstimator

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file, as written by fit.", show_default=False)
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        metavar="FILE",
        help="Where to write the certificate. Default: beside MODEL, numbered by release: NAME.0002.certificate.json.",
        show_default=False,
    ),
]


def located(model: Path) -> Path:
    """The file that ``model`` is, or links to: commands hold and replace that one, or rows would live on in it."""
    return model.resolve() if model.is_symlink() else model


@contextmanager
def staging(model: Path) -> Iterator[Path]:
    """Hold the model; yield a private folder in which to prepare its files.

    Raises:
        FileNotFoundError: the folder of ``model`` does not exist.
        RuntimeError: another command holds the model, or one was killed.
    """
    if not model.parent.is_dir():
        raise FileNotFoundError(f"the folder {model.parent} does not exist: create it first")
    folder = model.with_name(f".{model.name}.staging")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise RuntimeError(
            f"another command is changing {model.name}; if none is running, one was killed: delete the folder "
            f"{folder}, which may hold rows, and try again"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def check_target(model: Path, data: Path) -> None:
    """Refuse to write a model, or its secret file, over the rows that it is to be trained on."""
    from certified.estimators.saved_model import secret_path

    if any(path.exists() and data.exists() and path.samefile(data) for path in (model, secret_path(model))):
        raise ValueError(f"--model: {data}, the file of the rows, would be replaced: name another model")


def load(model: Path) -> CertifiedEstimator:
    """Read a saved model, of whichever loss, with its secret file.

    Raises:
        FileNotFoundError: nothing is saved there.
        RuntimeError: the secret file is not there, so the model can only predict.
        ValueError: the file is no model, or its estimator or loss is none of this library.
    """
    from certified.estimators.archive import ModelFormatError
    from certified.estimators.persistence import restored
    from certified.estimators.saved_model import read, secret_path

    if not model.exists() and not secret_path(model).exists():
        raise FileNotFoundError(f"MODEL: there is no file {model}")
    try:
        saved = read(model)
    except ModelFormatError as error:
        raise ValueError(
            f"MODEL: {model} is no model of certified fit ({error}); rows are deleted from models of certified dp fit "
            "by certified dp delete"
        ) from None
    if not secret_path(model).exists():
        raise RuntimeError(f"MODEL: the secret file {secret_path(model)} is needed and is not there: put it back")
    try:
        return restored(saved)
    except ModelFormatError as error:
        raise ValueError(f"MODEL: {model} holds {error}") from None


def commit(estimator: CertifiedEstimator, model: Path, folder: Path, certificate_path: Path | None) -> Path:
    """Write both model files and the certificate, all or none; return where the certificate went.

    Args:
        estimator: what to save.
        model: the public file; the secret one lies beside it.
        folder: the staging folder of ``model``.
        certificate_path: where the user wants the certificate.

    Raises:
        ValueError: the certificate would replace the model.
    """
    from certified.estimators.saved_model import secret_path

    certificate: Certificate = estimator.certificate_
    numbered = model.with_name(f"{model.stem}.{certificate.releases:04d}.certificate.json")
    chosen = certificate_path or numbered
    if chosen.resolve() in (model.resolve(), secret_path(model).resolve()):
        raise ValueError(f"--certificate: {chosen} is a file of the model itself: name another one")
    prepared = chosen.with_name(f".{chosen.name}.staging")
    estimator.save(folder / model.name)
    try:
        certificate.save(prepared)
        _replace_all(
            {
                secret_path(folder / model.name): secret_path(model),
                folder / model.name: model,
                prepared: chosen,
            },
            folder,
        )
    finally:
        prepared.unlink(missing_ok=True)
    return chosen


def _replace_all(moves: dict[Path, Path], folder: Path) -> None:
    """Move each file over its target; if one move fails, put the old files back."""
    from certified.certificates.record import sync_folder

    with ExitStack() as undo:
        for position, (source, named) in enumerate(moves.items()):
            target = located(named)
            if target.is_dir():
                raise IsADirectoryError(f"{target} is a folder: name a file")
            if target.exists():
                backup = folder / f"{position}.old"
                shutil.copy2(target, backup)
                undo.callback(os.replace, backup, target)
            else:
                undo.callback(target.unlink, missing_ok=True)
            os.replace(source, target)
            sync_folder(target.parent)
        undo.pop_all()
