"""Files of a private model: the model, and beside it its deletion certificates, which are the count of deletions.

A certificate for k rows in all is ``NAME.k.deletion.json``, k with at least four digits. It is written complete or not
at all, so that a request is counted exactly if it has its certificate; there is no second file that could disagree.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certified.estimators.private_model import PrivateModel


SUFFIX = ".deletion.json"


def load(model: Path) -> PrivateModel:
    """Read a model that ``certified dp fit`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else, or was altered.
    """
    from certified.certificates.record import CertificateFormatError
    from certified.estimators.private_model import PrivateModel

    try:
        return PrivateModel.load(model)
    except FileNotFoundError:
        raise FileNotFoundError(f"MODEL: there is no file {model}") from None
    except CertificateFormatError as error:
        raise ValueError(
            f"MODEL: {model} is no model of certified dp fit, or was altered ({error}); rows are deleted from models "
            "of certified fit by certified remove"
        ) from None


def certificates(model: Path) -> dict[int, Path]:
    """The deletion certificates beside ``model``, by the number of rows in their names."""
    name = re.compile(re.escape(model.stem) + r"\.([0-9]{4,})" + re.escape(SUFFIX))
    found = [(name.fullmatch(path.name), path) for path in model.parent.iterdir()]
    return {int(match[1]): path for match, path in found if match is not None}


def certificate_path(model: Path, rows: int) -> Path:
    """Where the certificate for ``rows`` rows in all belongs."""
    return model.with_name(f"{model.stem}.{rows:04d}{SUFFIX}")


def deleted(model: Path, digest: str) -> int:
    """How many rows were deleted since the training, by the certificates beside the model with weights of ``digest``.

    Certificates for these weights under another name count too: the model may have been renamed, or be a copy.

    Raises:
        RuntimeError: one of its own cannot be read, says something else than its name, or belongs to another model.
    """
    from certified.certificates.deletion import DeletionCertificate
    from certified.certificates.record import CertificateFormatError

    own = {path: rows for rows, path in certificates(model).items()}
    counts = [0]
    for path in sorted(entry for entry in model.parent.iterdir() if entry.name.endswith(SUFFIX)):
        try:
            certificate = DeletionCertificate.load(path)
        except (CertificateFormatError, OSError) as error:
            if path not in own:
                continue
            raise RuntimeError(f"{path} counts deletions and was altered ({error}): put the original back") from None
        if certificate.model == digest:
            counts.append(certificate.deleted_total)
        elif path in own:
            raise RuntimeError(f"{path} is of another model: move it to where that model's evidence is kept")
        if own.get(path, certificate.deleted_total) != certificate.deleted_total:
            raise RuntimeError(f"{path} is for {certificate.deleted_total} rows: give it its own name back")
    return max(counts)
