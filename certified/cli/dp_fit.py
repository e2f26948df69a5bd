"""``certified dp fit``: train with differential privacy on a file of rows, and release once."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certified.cli import dp_files, modelfile
from certified.cli.datafile import (
    Columns,
    DataArgument,
    IdOption,
    RowData,
    SubjectOption,
    TargetOption,
    listed,
    read_rows,
)
from certified.cli.dp_account import Delta, Epsilon
from certified.cli.fit import ModelOption, NoInterceptOption, OverwriteOption, StrengthOption
from certified.cli.labels import read_label
from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich
from certified.cli.request import duration, timed


class Method(StrEnum):
    """How a private model is trained."""

    objective = "objective"
    output = "output"
    sgd = "sgd"


def fit(
    data: DataArgument,
    model: ModelOption,
    epsilon: Epsilon,
    delta: Delta,
    data_norm: Annotated[
        float,
        typer.Option(help="Longest row that could have been there, declared without looking; nothing is clipped."),
    ],
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    method: Annotated[
        Method,
        typer.Option(help="A random linear term (objective), noise on the minimiser (output), or noisy steps (sgd)."),
    ] = Method.objective,
    strength: StrengthOption = 1.0,
    no_intercept: NoInterceptOption = False,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="The labels, which are public.", show_default="those in DATA, published"),
    ] = None,
    group_size: Annotated[int, typer.Option(min=1, help="Rows of one person, protected together.")] = 1,
    public_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="For sgd, a limit on the number of rows, fixed without counting.",
            show_default="their number, published",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a logistic model with differential privacy on the rows of DATA and release it once.

    Writes MODEL, JSON with the released weights and their guarantee and with no secret: it may be published. Deletions
    then need no rows, see certified dp delete. Ids are left out of training. With --subject, a person with more rows
    than --group-size is refused. An error instead of a model depends on the rows: keep it as secret as them.

    JSON: {"command", "model", "seconds", "guarantee": {...}}.

    Example: certified dp fit patients.csv --target outcome --id patient --epsilon 1 --delta 1e-6 --data-norm 1
    --classes 0,1 --model risk.dp
    """
    columns = Columns(target or (), id_column, subject)
    model = modelfile.located(model)
    with modelfile.staging(model), announcing("training"):
        from certified.estimators.dp_logistic import DPLogisticRegression
        from certified.estimators.private_model import PrivateModel

        modelfile.check_target(model, data)
        _check_place(model, overwrite=overwrite)
        rows = read_rows(data, columns, numeric_target=False)
        _check_rows(rows, group_size)
        estimator = DPLogisticRegression(
            method.value,
            epsilon=epsilon,
            delta=delta,
            data_norm=data_norm,
            C=strength,
            fit_intercept=not no_intercept,
            classes=None if classes is None else [read_label(label) for label in listed(classes)],
            group_size=group_size,
            public_rows=public_rows,
        )
        with timed() as clock:
            estimator.fit(rows.X, rows.y)
        PrivateModel.of(estimator).save(model)
    guarantee = estimator.guarantee_
    if as_json:
        record = {"model": str(model), "seconds": clock.seconds, "guarantee": guarantee.to_dict()}
        print_json({"command": "dp fit", **record})
        return
    covered = "any one row" if group_size == 1 else f"any {group_size} rows"
    lines = {
        "guarantee": str(guarantee),
        "deletions": f"of {covered} cost nothing: certified dp delete {model} --rows {group_size}",
        "effort": f"{duration(clock.seconds)}, compilation included",
        "model": f"{model} (released weights and guarantee, no secrets)",
    }
    print_rich(facts(f"Trained with differential privacy by {guarantee.mechanism}", lines))


def _check_place(model: Path, *, overwrite: bool) -> None:
    from certified.estimators.saved_model import secret_path

    if secret_path(model).exists():
        raise FileExistsError(f"--model: {model} is a model of certified fit, with secrets: name another file")
    if model.exists() and not overwrite:
        raise FileExistsError(f"--model: {model} exists already; add --overwrite to replace it")
    if dp_files.certificates(model):
        raise FileExistsError(
            f"--model: deletion certificates lie beside {model}: move them to where evidence is kept, as a new model "
            "starts a new count"
        )


def _check_rows(rows: RowData, group_size: int) -> None:
    if rows.sample_weight is not None:
        raise ValueError("DATA: sample_weight is not for private training, where every row has weight 1: leave it out")
    if rows.subjects is not None and max(Counter(rows.subjects).values(), default=0) > group_size:
        raise ValueError(
            f"--subject: a person has more than --group-size={group_size} rows: declare a larger group without looking "
            "at the data, or leave rows out"
        )
