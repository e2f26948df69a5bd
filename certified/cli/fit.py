"""``certified fit``: train on a file of rows, release once, certify."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certified.cli import modelfile
from certified.cli.datafile import (
    Columns,
    DataArgument,
    IdOption,
    SubjectOption,
    TargetOption,
    WeightOption,
    read_rows,
)
from certified.cli.output import JsonOption, announcing
from certified.cli.request import Outcome, timed


class Task(StrEnum):
    """What the target is."""

    classify = "classify"
    regress = "regress"


class Scaling(StrEnum):
    """How the L2 strength grows with the number of rows."""

    total = "total"
    per_sample = "per_sample"


def fit(
    data: DataArgument,
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Where to write the model.")],
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    task: Annotated[
        Task, typer.Option(help="Logistic regression on labels, or ridge regression on numbers.")
    ] = Task.classify,
    strength: Annotated[
        float,
        typer.Option("--C", metavar="C", help="Inverse L2 strength, as in scikit-learn; smaller regularises more."),
    ] = 1.0,
    epsilon: Annotated[float, typer.Option(help="ε of the guarantee for all releases together.")] = 1.0,
    delta: Annotated[float, typer.Option(help="δ of the guarantee for all releases together.")] = 1e-6,
    noise_std: Annotated[
        str, typer.Option(metavar="SIGMA", help='Standard deviation of the release noise, or "auto".')
    ] = "auto",
    no_intercept: Annotated[bool, typer.Option("--no-intercept", help="Leave the intercept out.")] = False,
    l2_scaling: Annotated[
        Scaling, typer.Option(help="L2 strength 1/C (total), or the sum of the sample weights over C (per_sample).")
    ] = Scaling.total,
    max_releases: Annotated[int, typer.Option(help="How many releases to plan for; later ones must be closer.")] = 100,
    norm_bound: Annotated[
        float | None, typer.Option(help="Refuse rows longer than this.", show_default="any length")
    ] = None,
    assumption: Annotated[
        list[str] | None,
        typer.Option(help="A sentence to add to every certificate, such as where a scaler was fitted; repeatable."),
    ] = None,
    certificate: modelfile.CertificateOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train on the rows of DATA, release the model with noise and certify the release.

    Writes MODEL, with the released weights, and NAME.secret.model beside it, readable by you alone: the rows and the
    noise-free weights, which deleting needs. The release noise always comes from the operating system.

    JSON: {"command", "model", "secret", "certificate_path", "seconds", "update": {"passes", "steps",
    "relinearised", "route", "reason"}, "certificate": {...}}.

    Example: certified fit patients.csv --target outcome --id patient --model risk.model
    """
    columns = Columns(target or (), id_column, subject, weight)
    with modelfile.staging(model) as folder, announcing("training"):
        from certified.estimators import CertifiedLogisticRegression, CertifiedRidge
        from certified.estimators.persistence import secret_path

        if (model.exists() or secret_path(model).exists()) and not overwrite:
            raise FileExistsError(f"--model: {model} exists already; add --overwrite to replace it and its secret file")
        rows = read_rows(data, columns, numeric_target=task is Task.regress)
        kind = CertifiedLogisticRegression if task is Task.classify else CertifiedRidge
        estimator = kind(
            C=strength,
            epsilon=epsilon,
            delta=delta,
            noise_std=_noise(noise_std),
            fit_intercept=not no_intercept,
            l2_scaling=l2_scaling.value,
            max_releases=max_releases,
            norm_bound=norm_bound,
            assumptions=tuple(assumption or ()),
        )
        with timed() as clock:
            estimator.fit(rows.X, rows.y, sample_weight=rows.sample_weight, ids=rows.ids, subjects=rows.subjects)
        written = modelfile.commit(estimator, model, folder, certificate)
    Outcome("fit", estimator, model, written, clock.seconds).show(as_json=as_json)


def _noise(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'--noise-std must be a positive number or "auto"; got {text!r}') from None
