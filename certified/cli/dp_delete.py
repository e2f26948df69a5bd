"""``certified dp delete``: delete rows from a privately trained model, which stays as it is, and certify it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certified.cli import dp_files, modelfile
from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich


def delete(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="As written by dp fit.", show_default=False)],
    rows: Annotated[int, typer.Option(min=1, max=10**6, help="How many rows this request deletes.")],
    epsilon: Annotated[
        float | None, typer.Option(help="ε promised for all deletions together.", show_default="that of the training")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="δ promised for all deletions together.", show_default="that of the training")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Certify that a privately trained model is as good as one that never saw the deleted rows.

    MODEL stays as it is and is not even read for its rows: it has none. Deletions add up over all requests since the
    training. Their count is kept by the certificates beside MODEL, NAME.0003.deletion.json after three rows: leave them
    there. A request counts once its certificate is on disk, which it is when this ends with exit status 0.

    Exit status 1: so many rows are not within (ε, δ), and nothing was certified or counted. Train again without the
    rows. DATA files and backups are yours to clean in any case.

    JSON: {"command", "model", "certificate_path", "certificate": {...}}.

    Example: certified dp delete risk.dp --rows 2
    """
    model = modelfile.located(model)
    with modelfile.staging(model), announcing(f"dp delete: {model.name}"):
        from certified.dp.deletion import DeletionLimitError, certify_deletion

        held = dp_files.load(model)
        promised, total = held.guarantee, dp_files.deleted(model, held.digest) + rows
        try:
            certificate = certify_deletion(
                promised,
                total,
                promised.stated_epsilon if epsilon is None else epsilon,
                promised.stated_delta if delta is None else delta,
                model=held.array(),
            )
        except DeletionLimitError as error:
            typer.echo(f"error: {error}; nothing was counted", err=True)
            raise typer.Exit(1) from None
        written = dp_files.certificate_path(model, total)
        certificate.save(written)
    if as_json:
        files = {"model": str(model), "certificate_path": str(written)}
        print_json({"command": "dp delete", **files, "certificate": certificate.to_dict()})
        return
    since, claims = "1 row" if total == 1 else f"{total} rows", ", ".join(certificate.claims)
    lines = {
        "guarantee": f"ε = {certificate.epsilon:g}, δ = {certificate.delta:g} for all {since} together, against "
        f"training without them (claims {claims})",
        "left": f"{certificate.deletions_left} more within ε = {certificate.epsilon_limit:g}; then train again",
        "model": f"{model} (unchanged)",
        "certificate": f"{written} (for auditors; leave it here, it counts the deletions)",
    }
    print_rich(facts(f"Deleted {rows} of {since} since the training, certified", lines))
