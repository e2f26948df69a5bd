"""Every loss through the whole command line, and the targets that each refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier

from certified import estimators
from certified.certificates.certificate import Certificate
from certified.cli import modelfile
from certified.cli.losses import LOSSES, LossName, accepting
from certified.estimators.base import CertifiedEstimator
from certified.estimators.saved_model import read, secret_path
from certified.losses import PROVED
from tests.cli.conftest import COUNT, FEATURES, run

TARGETS = {
    LossName.logistic: "kind",
    LossName.softmax: "kind",
    LossName.huberised_hinge: "outcome",
    LossName.squared: "cost",
    LossName.poisson: "visits",
    LossName.gamma: "price",
}


@pytest.fixture
def rows(tmp_path: Path, frame: pd.DataFrame) -> Path:
    """The rows with a target for every loss."""
    rng = np.random.default_rng(8)
    frame["kind"] = rng.choice(["ash", "birch", "cedar"], COUNT)
    frame["visits"] = rng.poisson(1.0, COUNT)
    frame["price"] = rng.gamma(2.0, 1.0, COUNT)
    path = tmp_path / "all.csv"
    frame.to_csv(path, index=False)
    return path


def only(rows: Path, target: str, chosen: slice = slice(None)) -> Path:
    """A file with the features, ids, weights and one target, for some of the rows."""
    path = rows.with_name(f"{target}.{chosen.start}.csv")
    pd.read_csv(rows)[[*FEATURES, "id", "count", target]][chosen].to_csv(path, index=False)
    return path


def test_every_loss_and_estimator_is_on_offer() -> None:
    kinds = {
        kind for kind in vars(estimators).values() if isinstance(kind, type) and issubclass(kind, CertifiedEstimator)
    }
    # The combinator needs a loss as an object.
    assert {choice.kind for choice in LOSSES.values()} == kinds - {estimators.CertifiedOneVsRestClassifier}
    assert set(LOSSES) == set(LossName) == {name.partition("/")[0] for name in PROVED}
    for name, choice in LOSSES.items():
        assert choice.labels == is_classifier(choice.kind())
        assert choice.options <= set(choice.kind().get_params())
        assert choice.kind._loss.name.partition("/")[0] == name
    assert accepting("class_weight") == "logistic, softmax, huberised_hinge"


def test_help_names_each_loss_and_what_it_takes() -> None:
    text = " ".join(run("fit", "--help").out.replace("│", " ").split())
    assert all(name in text for name in LOSSES)
    assert "counts and other numbers of at least 0" in text and "positive numbers" in text


SLOW = [LossName.poisson, LossName.huberised_hinge, LossName.squared]
"""What is different about these losses, their estimators' tests show."""


@pytest.mark.parametrize("loss", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in LossName])
def test_fit_change_release_and_verify(loss: LossName, rows: Path, tmp_path: Path) -> None:
    target, model = TARGETS[loss], tmp_path / "my.model"
    roles = ("--target", target, "--id", "id", "--weight", "count")
    first, more = only(rows, target, slice(0, 40)), only(rows, target, slice(40, COUNT))
    result = run("fit", first, *roles, "--model", model, "--loss", loss, "--json")
    assert result.status == 0 and result.json["certificate"]["loss"].partition("/")[0] == loss
    for path in (model, secret_path(model)):
        held = modelfile.load(model) if path == model else read(path)
        assert (held.certificate_.loss if path == model else held.statement["loss"]).partition("/")[0] == loss  # type: ignore[union-attr]
    assert type(modelfile.load(model)) is LOSSES[loss].kind
    assert run("remove", model, "--ids", "101,107", "--json").status == 0
    assert run("add", model, more, *roles, "--json").json["certificate"]["added_count"] == COUNT - 40
    changed = pd.read_csv(only(rows, target))
    changed.loc[5, "width"] += 0.5
    changed.to_csv(tmp_path / "changed.csv", index=False)
    changed[5:6].to_csv(tmp_path / "row.csv", index=False)
    assert run("correct", model, tmp_path / "row.csv", *roles, "--json").status == 0
    said = run("release", model)
    assert said.status == 0 and "Released again" in said.out and loss in said.out
    last = tmp_path / "my.0005.certificate.json"
    assert Certificate.load(last).event == "release"
    verified = run(
        "verify", last, tmp_path / "changed.csv", *roles, "--model", model, "--without-ids", "101,107", "--json"
    )
    assert verified.status == 0, verified.out
    assert {check["passed"] for check in verified.json["checks"]} == {True}
    planned = run("plan", "--model", model, "--row-step", "0.01", "--json")
    if loss in ("softmax", "huberised_hinge"):
        assert planned.status == 2 and f"has the loss {loss}" in planned.err
    else:
        assert planned.status == 0 and planned.json["distance_target"] == Certificate.load(last).distance_target


def test_options_of_single_losses_reach_the_estimator_and_the_verifier(rows: Path, tmp_path: Path) -> None:
    data, model = only(rows, "outcome"), tmp_path / "svc.model"
    roles = ("--target", "outcome", "--id", "id", "--weight", "count")
    weights = ("--class-weight", "ill=3", "--class-weight", "well=0.5")
    assert (
        run("fit", data, *roles, *weights, "--model", model, "--loss", "huberised_hinge", "--width", "0.25").status == 0
    )
    loaded = modelfile.load(model)
    assert isinstance(loaded, estimators.CertifiedLinearSVC)
    assert (loaded.width, loaded.class_weight) == (0.25, {"ill": 3.0, "well": 0.5})
    assert loaded.certificate_.loss == "huberised_hinge/0.25"
    assert run("remove", model, "--ids", "101").status == 0
    last = tmp_path / "svc.0002.certificate.json"
    verify = ("verify", last, data, *roles, "--model", model, "--without-ids", "101", "--json")
    assert run(*verify).json["ok"] is True


WRONG = {
    "negative counts": ("poisson", "cost", "y holds negative targets, but counts are at least zero"),
    "gamma of zero": ("gamma", "visits", "y must be positive for a gamma model"),
    "words as numbers": ("squared", "kind", "--target: this loss predicts numbers, but"),
    "words as counts": ("poisson", "outcome", "the columns outcome do not hold numbers"),
    "fractions as labels": (
        "softmax",
        "price",
        "holds fractions, and labels are words or whole numbers: choose a loss",
    ),
    "one class": ("logistic", "same", "all rows that count have the same label: name another column"),
    "one class of a machine": ("huberised_hinge", "same", "all rows that count have the same label"),
    "no count": ("poisson", "nothing", "y is zero in every row"),
    "huge counts": ("poisson", "huge", "y holds values beyond 1e+15"),
    "tiny amounts": ("gamma", "tiny", "y holds values below 1e-15"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_targets_are_refused_and_nothing_is_written(case: str, rows: Path, tmp_path: Path) -> None:
    loss, target, message = WRONG[case]
    frame = pd.read_csv(rows).assign(same="ill", nothing=0, huge=1e16, tiny=1e-16)
    frame[[*FEATURES, target]].to_csv(tmp_path / "wrong.csv", index=False)
    before = sorted(tmp_path.iterdir())
    result = run("fit", tmp_path / "wrong.csv", "--target", target, "--loss", loss, "--model", tmp_path / "new.model")
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert sorted(tmp_path.iterdir()) == before


OPTIONS = {
    "two targets for counts": ("poisson", "visits", ("--target", "count"), "y should be a 1d array"),
    "width": ("softmax", "kind", ("--width", "0.5"), "--width is not for --loss softmax, only for huberised_hinge"),
    "width of no power": ("huberised_hinge", "kind", ("--width", "0.3"), "width must be a power of two"),
    "class weights of numbers": (
        "squared",
        "cost",
        ("--class-weight", "a=1"),
        "--class-weight is not for --loss squared, only for logistic, softmax, huberised_hinge",
    ),
    "no weight": ("logistic", "kind", ("--class-weight", "ash"), "--class-weight must be LABEL=W"),
    "negative weight": ("logistic", "kind", ("--class-weight", "ash=-1"), "--class-weight must be LABEL=W"),
    "weight twice": ("logistic", "kind", ("--class-weight", "ash=1", "--class-weight", "ash=2"), "each label once"),
    "unknown label": ("softmax", "kind", ("--class-weight", "elm=2"), "names labels that no row has: ['elm']"),
    "unknown loss": ("hinge", "kind", (), "'hinge' is not one of"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options_are_refused(case: str, rows: Path, tmp_path: Path) -> None:
    loss, target, options, message = OPTIONS[case]
    targets = [target, *(["count"] if "count" in options else [])]
    pd.read_csv(rows)[[*FEATURES, *targets]].to_csv(tmp_path / "wrong.csv", index=False)
    common = ("--loss", loss, "--target", target, "--model", tmp_path / "new.model")
    result = run("fit", tmp_path / "wrong.csv", *common, *options)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.replace("│", " ").split())


def test_a_model_loses_all_rows_but_one_class_and_all_rows(rows: Path, tmp_path: Path) -> None:
    data, model = only(rows, "kind"), tmp_path / "kind.model"
    assert run("fit", data, "--target", "kind", "--id", "id", "--model", model, "--loss", "softmax").status == 0
    for label in ("ash", "cedar", "birch"):
        assert run("remove", model, "--labels", label).status == 0
    assert modelfile.load(model).certificate_.remaining_count == 0
    plan = run("plan", "--model", model)
    assert plan.status == 2
    assert run("add", model, data, "--target", "kind", "--id", "id").status == 0


def test_help_and_wrong_options_load_neither_jax_nor_scikit_learn() -> None:
    report = "\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    for arguments in (["fit", "--help"], ["fit", "none.csv", "--model", "m", "--width", "1"]):
        call = f"import sys\nsys.argv = {['certified', *arguments]}\nfrom certified.cli import main{report}"
        loaded = subprocess.run(
            [sys.executable, "-c", call], capture_output=True, text=True, check=False
        ).stderr.split()
        assert "certified.cli.losses" in loaded and not {"jax", "sklearn", "flint"} & set(loaded)
