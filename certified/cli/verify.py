"""``certified verify``: recompute a certificate from the remaining rows, apart from the code that issued it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from certified.cli import dp_files, modelfile
from certified.cli.datafile import (
    Columns,
    IdOption,
    SubjectOption,
    TargetOption,
    WeightOption,
    listed,
    match,
    read_for,
)
from certified.cli.output import JsonOption, announcing, print_json, print_rich
from certified.cli.request import timed

if TYPE_CHECKING:
    from certified.certificates.certificate import Certificate
    from certified.certificates.deletion import DeletionCertificate
    from certified.verification.report import VerificationReport


def verify(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="Certificate file.", show_default=False)],
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Model file, its secret file beside it.")],
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]", help="The remaining rows, as for fit; not for a private model.", show_default=False
        ),
    ] = None,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    without_ids: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Leave these rows of DATA out first, as deleted ones.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a certificate against the remaining rows: exit status 0 confirmed, 1 not confirmed, 2 wrong call.

    What could not be examined is said first. DATA must hold exactly the rows in force, in any order; a column of
    subjects is ignored. The released weights are those of MODEL itself, the noise-free weights those of its secret
    file. Everything is computed anew in ball arithmetic.

    A certificate of dp delete speaks of no rows: leave DATA out. It must be for MODEL, on what its training promised.

    JSON: {"command", "certificate_path", "seconds", "complete", "ok", "checks": [{"name", "passed", "detail"}]}; passed
    is null for a check that was not examined, and complete only true without such.

    Example: certified verify risk.0002.certificate.json patients.csv --target outcome --id patient
    --without-ids 3,5 --model risk.model
    """
    if not certificate.exists():
        raise FileNotFoundError(f"CERT: there is no file {certificate}")
    columns = Columns(target or (), id_column, subject, weight)
    with announcing("verifying") as say, timed() as clock:
        report = _examine(certificate, data, model, columns, without_ids, say)
    if as_json:
        print_json(
            {
                "command": "verify",
                "certificate_path": str(certificate),
                "seconds": clock.seconds,
                "complete": report.complete,
                **report.to_dict(),
            }
        )
    else:
        for check in report.skipped:
            typer.echo(f"NOT EXAMINED: {check.name}: {check.detail.removeprefix('not examined: ')}")
        print_rich(_table(report))
        confirmed = "confirmed" if report.complete else "confirmed as far as examined"
        typer.echo(f"{certificate.name}: {confirmed if report.ok else 'NOT confirmed'} in {clock.seconds:.1f} s")
    if not report.ok:
        raise typer.Exit(1)


def _examine(
    path: Path, data: Path | None, model: Path, columns: Columns, without_ids: str | None, say: Callable[[str], None]
) -> VerificationReport:
    from certified.certificates.certificate import Certificate
    from certified.certificates.deletion import DELETION_SCHEMA, DeletionCertificate
    from certified.certificates.record import CertificateFormatError, read_json, read_text
    from certified.verification.report import Check, VerificationReport

    try:
        record = read_json(read_text(path))
        if isinstance(record, dict) and record.get("schema") == DELETION_SCHEMA:
            deletion = DeletionCertificate.from_dict(record)
            if data is not None or columns or without_ids is not None:
                raise ValueError(
                    f"DATA and its options are not for {path.name}: deletions from a private model need no rows"
                )
            return _examine_deletion(deletion, model)
        certificate = Certificate.from_dict(record)
    except CertificateFormatError as error:
        return VerificationReport((Check("certificate_format", False, str(error)),))
    if data is None:
        raise ValueError(f"DATA is missing: {path.name} is checked against the remaining rows")
    return _examine_removal(certificate, data, model, columns, without_ids, say)


def _examine_deletion(certificate: DeletionCertificate, model: Path) -> VerificationReport:
    from certified.verification.deletion import verify_deletion

    held = dp_files.load(model)
    return verify_deletion(certificate, released=held.array(), guarantee=held.guarantee.to_dict())


def _examine_removal(
    certificate: Certificate,
    data: Path,
    model: Path,
    columns: Columns,
    without_ids: str | None,
    say: Callable[[str], None],
) -> VerificationReport:
    from certified.estimators.saved_model import released_weights
    from certified.verification.verify import verify as recompute

    estimator = modelfile.load(model)
    rows = read_for(estimator, data, columns)
    if without_ids is not None:
        ids = list(range(len(rows.y))) if rows.ids is None else rows.ids
        left_out = set(match(listed(without_ids), ids, "--without-ids"))
        rows = rows.take(np.array([i for i, key in enumerate(ids) if key not in left_out], dtype=np.int64))
    secrets = estimator.audit_bundle()
    return recompute(
        certificate,
        np.asarray(rows.X),
        rows.y,
        secrets.weights,
        sample_weight=estimator.row_weights(rows.y, rows.sample_weight),
        released=released_weights(model),
        nonce=secrets.nonce,
        progress=lambda done, total: say(f"verifying: {done} of {total} rows"),
    )


def _table(report: VerificationReport) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", "detail", box=SIMPLE_HEAD)
    verdicts = {True: Text("pass", "green"), False: Text("FAIL", "bold red"), None: Text("skip", "dim")}
    for check in report.checks:
        table.add_row(check.name, verdicts[check.passed], Text(check.detail))
    return table
