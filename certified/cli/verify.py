"""``certified verify``: recompute a certificate from the remaining rows, apart from the code that issued it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
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
from certified.cli.output import JsonOption, announcing, print_json, print_rich
from certified.cli.request import timed

if TYPE_CHECKING:
    from certified.verification.report import VerificationReport


def verify(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="Certificate file.", show_default=False)],
    data: DataArgument,
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Model file, its secret file beside it.")],
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

    DATA must hold exactly the rows in force, in any order; a column of subjects is ignored. The released weights are
    those of MODEL itself, the noise-free weights those of its secret file. Everything is computed anew in ball
    arithmetic.

    JSON: {"command", "certificate_path", "seconds", "ok", "checks": [{"name", "passed", "detail"}]}; passed is null for
    a check that was not examined.

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
                **report.to_dict(),
            }
        )
    else:
        print_rich(_table(report))
        typer.echo(f"{certificate.name}: {'confirmed' if report.ok else 'NOT confirmed'} in {clock.seconds:.1f} s")
    if not report.ok:
        raise typer.Exit(1)


def _examine(
    path: Path, data: Path, model: Path, columns: Columns, without_ids: str | None, say: Callable[[str], None]
) -> VerificationReport:
    from certified.certificates.certificate import Certificate, CertificateFormatError
    from certified.estimators.persistence import released_weights
    from certified.verification.report import Check, VerificationReport
    from certified.verification.verify import verify as recompute

    try:
        certificate = Certificate.load(path)
    except (CertificateFormatError, UnicodeDecodeError) as error:
        return VerificationReport((Check("certificate_format", False, str(error)),))
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
