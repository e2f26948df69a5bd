"""``certified remove``, ``add``, ``correct`` and ``release``: change a saved model and certify the new release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certified.cli import modelfile
from certified.cli.datafile import (
    Columns,
    DataArgument,
    IdOption,
    SubjectOption,
    TargetOption,
    WeightOption,
    listed,
    match,
    read_for,
)
from certified.cli.output import JsonOption, announcing
from certified.cli.request import Outcome, timed

if TYPE_CHECKING:
    from certified.estimators.base import CertifiedEstimator

IdsOption = Annotated[str | None, typer.Option("--ids", metavar="A,B,…", help="Ids of rows, separated by commas.")]
IdsFileOption = Annotated[
    Path | None, typer.Option("--ids-file", metavar="FILE", help="Text file of row ids, one on each line.")
]


def remove(
    model: modelfile.ModelArgument,
    ids: IdsOption = None,
    ids_file: IdsFileOption = None,
    subjects: Annotated[str | None, typer.Option(metavar="A,B,…", help="Delete every row of these subjects.")] = None,
    labels: Annotated[str | None, typer.Option(metavar="A,B,…", help="Delete every row with these labels.")] = None,
    certificate: modelfile.CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete rows from a model, release it anew and certify how far the release can be from retraining.

    Name the rows in exactly one way. MODEL, its secret file and the certificate are written together; on any error
    none of them changes. The rows are gone from both files afterwards; DATA files and backups are yours to clean.

    JSON: as for fit, with "command": "remove".

    Example: certified remove risk.model --ids 3,5
    """
    given = {"ids": ids, "ids-file": ids_file, "subjects": subjects, "labels": labels}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        options = ", ".join(f"--{name}" for name in given)
        raise ValueError(f"give exactly one of {options}; got {', '.join(f'--{c}' for c in chosen) or 'none'}")

    def request(estimator: CertifiedEstimator) -> None:
        if subjects is not None:
            estimator.remove(subjects=match(listed(subjects), estimator.subjects_, "--subjects"))
        elif labels is not None:
            if not hasattr(estimator, "classes_"):
                raise ValueError("--labels needs a classifier, and this model predicts numbers: use --ids")
            estimator.remove(labels=match(listed(labels), estimator.classes_.tolist(), "--labels"))
        else:
            estimator.remove(match(named_ids(ids, ids_file), estimator.ids_.tolist(), "--" + chosen[0]))

    _change("remove", model, certificate, request, as_json=as_json)


def add(
    model: modelfile.ModelArgument,
    data: DataArgument,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    certificate: modelfile.CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the rows of DATA to a model, release it anew and certify the release.

    DATA needs the columns that the model was trained on. Without ids the rows are numbered on from the largest number
    in force. Files are written as for remove.

    JSON: as for fit, with "command": "add".

    Example: certified add risk.model new-patients.csv --target outcome --id patient
    """
    columns = Columns(target or (), id_column, subject, weight)

    def request(estimator: CertifiedEstimator) -> None:
        rows = read_for(estimator, data, columns)
        estimator.add(rows.X, rows.y, sample_weight=rows.sample_weight, ids=rows.ids, subjects=rows.subjects)

    _change("add", model, certificate, request, as_json=as_json)


def correct(
    model: modelfile.ModelArgument,
    data: DataArgument,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    certificate: modelfile.CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace rows of a model by those of DATA with the same ids, release it anew and certify the release.

    DATA needs ids (--id, or the array ids) and the columns that the model was trained on. Rows stay with their
    subjects; a column of subjects is ignored. Files are written as for remove.

    JSON: as for fit, with "command": "correct".

    Example: certified correct risk.model corrections.csv --target outcome --id patient
    """
    columns = Columns(target or (), id_column, subject, weight)

    def request(estimator: CertifiedEstimator) -> None:
        rows = read_for(estimator, data, columns)
        if rows.ids is None:
            raise ValueError("DATA must say which rows to correct: give --id, or an array ids in an .npz file")
        estimator.correct(rows.ids, rows.X, rows.y, sample_weight=rows.sample_weight)

    _change("correct", model, certificate, request, as_json=as_json)


def release(
    model: modelfile.ModelArgument,
    certificate: modelfile.CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a model once more with fresh noise, its rows unchanged, and certify the release.

    It counts against the guarantee like every other release. Files are written as for remove.

    JSON: as for fit, with "command": "release".

    Example: certified release risk.model
    """
    _change("release", model, certificate, lambda estimator: estimator.release(), as_json=as_json)


def named_ids(ids: str | None, ids_file: Path | None) -> list[str]:
    """Ids from the command line or from a file, as text."""
    if ids is not None:
        return listed(ids)
    if ids_file is None:
        return []
    try:
        lines = ids_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"--ids-file: there is no file {ids_file}") from None
    return [line.strip() for line in lines if line.strip()]


def _change(
    command: str,
    model: Path,
    certificate: Path | None,
    request: Callable[[CertifiedEstimator], object],
    *,
    as_json: bool,
) -> None:
    """Load, change and write the model while holding it; what ``request`` returns is of no account."""
    model = modelfile.located(model)
    with modelfile.staging(model) as folder, announcing(f"{command}: {model.name}"):
        estimator = modelfile.load(model)
        with timed() as clock:
            request(estimator)
        written = modelfile.commit(estimator, model, folder, certificate)
    Outcome(command, estimator, model, written, clock.seconds).show(as_json=as_json)
