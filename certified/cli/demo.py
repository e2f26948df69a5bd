"""``certified demo``: the whole story on real data, in less than a minute."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich
from certified.cli.request import duration, guarantee

if TYPE_CHECKING:
    from rich.console import Group

    from certified.cli.story import Story
    from certified.verification.report import VerificationReport


SKLEARN = ("scikit-learn", "scikit-learn, tol=1e-10")
"""Names of the retrainings by scikit-learn: as most people do it, and as exact as it goes."""


class Data(StrEnum):
    """Data sets of the demo."""

    breast_cancer = "breast-cancer"
    digits = "digits"
    mnist_3_vs_8 = "mnist-3-vs-8"


def demo(
    data: Annotated[
        Data, typer.Option(help="digits and breast-cancer come with scikit-learn; mnist-3-vs-8 is downloaded.")
    ] = Data.digits,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write certificates and picture.")] = Path(
        "certified-demo"
    ),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of mnist-3-vs-8.",
            show_default="$CERTIFIED_DATA, or a folder of the user's cache",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which rows are deleted; noise always comes from the system.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train, delete a row, a batch and a class or a person, and compare each with exact retraining.

    Every deletion is certified, verified by an independent checker and compared with training again on the remaining
    rows; then three forgeries are tried. Times are those of the second identical request, as the first one compiles.
    Writes certificates and, where matplotlib is installed, a picture to DIR.

    JSON: {"data", "training", "deletions": [{"name", "removed", "first_seconds", "seconds", "passes",
    "certified_distance", "true_distance", "true_distance_error", "kept_distance", "accuracy_before",
    "accuracy_after", "accuracy_retrained", "retraining": {name: {"seconds", "distance"}}, "verified",
    "certificate"}], "cheats": [{"name", "caught", "failures"}], "files"}.
    """
    out.mkdir(parents=True, exist_ok=True)
    with announcing("loading") as say:
        from certified.cli.story import scenario, tell

        story = tell(scenario(data.value, data_dir, seed), say)
        say("drawing")
        files = _write(story, out)
    if as_json:
        print_json(_record(story, files))
    else:
        _print(story, files)
    sound = all(d.report.ok for d in story.deletions) and not any(c.report.ok for c in story.cheats)
    if not sound:
        raise typer.Exit(1)


def _print(story: Story, files: list[Path]) -> None:
    last = story.deletions[-1].certificate
    told = guarantee(last)
    facts_of_training = {
        "data": f"{story.data.name}: {len(story.data.y_train)} rows, {last.n_features} features",
        "training": f"{duration(story.training_seconds)}, the first certified release",
        **{name: told[name] for name in ("guarantee", "best test", "noise")},
    }
    print_rich(facts("Logistic regression with certified deletion", facts_of_training), "")
    print_rich(_distances(story), _costs(story), _accuracies(story), _checks(story))
    for path in files:
        typer.echo(f"wrote {path}")
    if not any(path.suffix == ".png" for path in files):
        typer.echo("no picture: it needs matplotlib, pip install 'certified-removal[plots]'")


def _section(title: str, columns: list[str], rows: list[list[str]], note: str = "") -> Group:
    """A heading, a table of text and a note."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = number > 0 and column != "verdict"
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return Group(Text(title, "bold"), table, Text(f"{note}\n" if note else "", "dim"))


def _distances(story: Story) -> Group:
    return _section(
        "How far are the weights from exact retraining?",
        ["rows deleted", "certified", "measured", "scikit-learn", "tol=1e-10", "not updated"],
        [
            [
                d.name,
                f"≤ {d.certificate.distance_bound:.0e}",
                f"{d.true_distance:.0e} ± {d.reference_distance:.0e}",
                *[f"{d.retrainings[name].distance:.0e}" for name in SKLEARN],
                f"{d.kept_distance:.0e}",
            ]
            for d in story.deletions
        ],
        f"Before noise of σ = {story.training.noise_std:.3g}; up to {story.training.distance_target:.3g} is allowed.\n"
        "Measured: to a solution from zero on the remaining rows, itself known up to ±.\n"
        "scikit-learn: training again with it, by its default tolerance and by 1e-10.",
    )


def _costs(story: Story) -> Group:
    return _section(
        "What does it cost to delete, and to train again?",
        ["rows deleted", "first", "again", "passes", "this library", "scikit-learn", "tol=1e-10"],
        [
            [
                d.name,
                duration(d.first_seconds),
                duration(d.seconds),
                str(d.passes),
                *[duration(retraining.seconds) for retraining in d.retrainings.values()],
            ]
            for d in story.deletions
        ],
        "First and again: identical requests, certified and released; the first compiles.\n"
        "The others: training again on the remaining rows, without a certificate.",
    )


def _accuracies(story: Story) -> Group:
    return _section(
        "Does the model still work? Held-out accuracy on the classes in force",
        ["rows deleted", "before", "after", "exact retraining"],
        [
            [d.name, *[f"{share:.1%}" for share in (d.accuracy_before, d.accuracy_after, d.retrained_accuracy)]]
            for d in story.deletions
        ],
    )


def _checks(story: Story) -> Group:
    return _section(
        "What does the independent verifier say?",
        ["certificate", "verdict"],
        [
            *[[f"{d.name} deleted", _verdict(d.report, "confirmed")] for d in story.deletions],
            *[[f"forged: {cheat.name}", _verdict(cheat.report, "NOT CAUGHT")] for cheat in story.cheats],
        ],
    )


def _verdict(report: VerificationReport, passed: str) -> str:
    if report.ok:
        return f"{passed} in {len(report.checks)} checks"
    return f"rejected: {report.failures[0].detail}"


def _record(story: Story, files: list[Path]) -> dict[str, Any]:
    return {
        "data": story.data.name,
        "training": {"seconds": story.training_seconds, "certificate": story.training.to_dict()},
        "deletions": [
            {
                "name": d.name,
                "removed": d.certificate.removed_count,
                "first_seconds": d.first_seconds,
                "seconds": d.seconds,
                "passes": d.passes,
                "certified_distance": d.certificate.distance_bound,
                "true_distance": d.true_distance,
                "true_distance_error": d.reference_distance,
                "kept_distance": d.kept_distance,
                "accuracy_before": d.accuracy_before,
                "accuracy_after": d.accuracy_after,
                "accuracy_retrained": d.retrained_accuracy,
                "retraining": {
                    name: {"seconds": r.seconds, "distance": r.distance} for name, r in d.retrainings.items()
                },
                "verified": d.report.ok,
                "certificate": d.certificate.to_dict(),
            }
            for d in story.deletions
        ],
        "cheats": [
            {"name": c.name, "caught": not c.report.ok, "failures": [failed.name for failed in c.report.failures]}
            for c in story.cheats
        ],
        "files": [str(path) for path in files],
    }


def _write(story: Story, out: Path) -> list[Path]:
    """Write certificates and picture; return their paths."""
    written = []
    for certificate in (story.training, *(d.certificate for d in story.deletions)):
        path = out / f"demo.{certificate.releases:04d}.certificate.json"
        certificate.save(path)
        written.append(path)
    if importlib.util.find_spec("matplotlib") is not None:
        path = out / "demo.png"
        _draw(story, path)
        written.append(path)
    return written


def _draw(story: Story, path: Path) -> None:
    from certified.plots import compose, plot_accuracy, plot_distances, plot_release, plot_seconds

    deletions, last = story.deletions, story.deletions[-1]
    names = [d.name for d in deletions]
    certificate = last.certificate
    figure, (distances, release, seconds, accuracy) = compose(
        "Training rows deleted, with proof",
        f"{story.data.name}, {len(story.data.y_train)} rows × {certificate.n_features} features, logistic regression; "
        f"ε = {certificate.epsilon:g}, δ = {certificate.delta:g} for all {certificate.releases} releases together",
        [
            "How far from exact retraining on the remaining rows?",
            "What does the last release show?",
            "What does it cost?",
            "Does the model still work?",
        ],
    )
    retraining = {name: [d.retrainings[name] for d in deletions] for name in last.retrainings}
    plot_distances(
        names,
        [d.certificate.distance_bound for d in deletions],
        target=certificate.distance_target,
        true=[d.true_distance for d in deletions],
        others={
            "not updated": [d.kept_distance for d in deletions],
            "retrained by scikit-learn": [r.distance for r in retraining[SKLEARN[0]]],
        },
        ax=distances,
    )
    sigma = certificate.noise_std
    plot_release(certificate.distance_bound / sigma, kept_shift=last.kept_distance / sigma, ax=release)
    plot_seconds(
        names,
        {
            "certified deletion": [d.seconds for d in deletions],
            **{f"retraining: {name}": [r.seconds for r in runs] for name, runs in retraining.items()},
        },
        ax=seconds,
    )
    plot_accuracy(
        names,
        {
            "before the deletion": [d.accuracy_before for d in deletions],
            "after": [d.accuracy_after for d in deletions],
            "exact retraining": [d.retrained_accuracy for d in deletions],
        },
        ax=accuracy,
    )
    figure.savefig(path)
