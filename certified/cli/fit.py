"""``certified fit``: train on a file of rows, release once, certify."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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
from certified.cli.labels import read_label
from certified.cli.losses import HELP, LOSSES, LossName, accepting
from certified.cli.output import JsonOption, announcing
from certified.cli.request import Outcome, timed

ModelOption = Annotated[Path, typer.Option("--model", metavar="MODEL", help="Where to write the model.")]
StrengthOption = Annotated[
    float, typer.Option("--C", metavar="C", help="Inverse L2 strength, as in scikit-learn; smaller regularises more.")
]
NoInterceptOption = Annotated[bool, typer.Option("--no-intercept", help="Leave the intercept out.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing model.")]


class Scaling(StrEnum):
    """How the L2 strength grows with the number of rows."""

    total = "total"
    per_sample = "per_sample"


def fit(
    data: DataArgument,
    model: ModelOption,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    loss: Annotated[LossName, typer.Option(help=HELP)] = LossName.logistic,
    strength: StrengthOption = 1.0,
    epsilon: Annotated[float, typer.Option(help="ε of the guarantee for all releases together.")] = 1.0,
    delta: Annotated[float, typer.Option(help="δ of the guarantee for all releases together.")] = 1e-6,
    noise_std: Annotated[
        str, typer.Option(metavar="SIGMA", help='Standard deviation of the release noise, or "auto".')
    ] = "auto",
    no_intercept: NoInterceptOption = False,
    width: Annotated[
        float | None,
        typer.Option(help="Where huberised_hinge bends: a power of two from 2**-10 to 1.", show_default="0.5"),
    ] = None,
    class_weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=W",
            help="Multiply the weights of the rows with this label by W, fixed in advance; repeatable.",
            show_default="1 for every label",
        ),
    ] = None,
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
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train on the rows of DATA, release the model with noise and certify the release.

    Writes MODEL, with the released weights, and NAME.secret.model beside it, readable by you alone: the rows and the
    noise-free weights, which deleting needs. The release noise always comes from the operating system.

    JSON: {"command", "model", "secret", "certificate_path", "seconds", "update": {"passes", "steps",
    "relinearised", "route", "reason"}, "certificate": {...}}.

    Example: certified fit patients.csv --target outcome --id patient --model risk.model
    """
    columns, chosen = Columns(target or (), id_column, subject, weight), LOSSES[loss]
    special = _special(loss, {"width": width, "class_weight": _class_weight(class_weight)})
    model = modelfile.located(model)
    with modelfile.staging(model) as folder, announcing("training"):
        from certified.estimators.saved_model import secret_path

        modelfile.check_target(model, data)
        if (model.exists() or secret_path(model).exists()) and not overwrite:
            raise FileExistsError(f"--model: {model} exists already; add --overwrite to replace it and its secret file")
        rows = read_rows(data, columns, numeric_target=not chosen.labels)
        estimator = chosen.kind(
            **special,
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
        if chosen.labels and len(estimator.certificate_.classes) < 2:
            raise ValueError("--target: all rows that count have the same label: name another column")
        written = modelfile.commit(estimator, model, folder, certificate)
    Outcome("fit", estimator, model, written, clock.seconds).show(as_json=as_json)


def _special(loss: LossName, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters that only some estimators have, where they were given."""
    special = {name: value for name, value in given.items() if value is not None}
    for name in special:
        if name not in LOSSES[loss].options:
            raise ValueError(f"--{name.replace('_', '-')} is not for --loss {loss}, only for {accepting(name)}")
    return special


def _class_weight(texts: list[str] | None) -> dict[Any, float] | None:
    """The weight of each label, from LABEL=W."""
    weights: dict[Any, float] = {}
    for text in texts or ():
        label, _, weight = text.rpartition("=")
        try:
            value = float(weight)
        except ValueError:
            value = -1.0
        if not label or not value >= 0.0 or read_label(label) in weights:
            raise ValueError(f"--class-weight must be LABEL=W, W a number of at least 0, each label once; got {text!r}")
        weights[read_label(label)] = value
    return weights or None


def _noise(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'--noise-std must be a positive number or "auto"; got {text!r}') from None
