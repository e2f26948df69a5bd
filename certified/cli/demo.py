"""``certified demo``: the whole story on real data, in less than a minute."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich
from certified.cli.request import best_guess, duration, guarantee

if TYPE_CHECKING:
    from rich.table import Table

    from certified.certificates.report import VerificationReport
    from certified.cli.story import Story


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
    print_rich(_distances(story), "", _costs(story), "", _accuracies(story), "", _checks(story), "")
    for path in files:
        typer.echo(f"wrote {path}")
    if not any(path.suffix == ".png" for path in files):
        typer.echo("no picture: it needs matplotlib, pip install 'certified-removal[plots]'")


def _table(title: str, columns: list[str], note: str = "") -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, caption=note, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _distances(story: Story) -> Table:
    sigma, names = story.training.noise_std, list(story.deletions[0].retrainings)[1:]
    table = _table(
        "How far the weights are from exact retraining",
        ["deleted", "rows", "certified", "measured", *names, "not updated"],
        f"Before noise; {story.training.distance_target:.3g} is allowed, the noise has σ = {sigma:.3g}. Measured against "
        "an independent\nsolution from zero on the remaining rows, ± its own certified distance.",
    )
    for d in story.deletions:
        table.add_row(
            d.name,
            str(d.certificate.removed_count),
            f"≤ {d.certificate.distance_bound:.1e}",
            f"{d.true_distance:.1e} ± {d.reference_distance:.0e}",
            *[f"{d.retrainings[name].distance:.1e}" for name in names],
            f"{d.kept_distance:.1e}",
        )
    return table


def _costs(story: Story) -> Table:
    names = list(story.deletions[0].retrainings)
    table = _table(
        "What it costs",
        ["deleted", "first time", "again", "passes", *[f"retraining:\n{name}" for name in names]],
        "The first request of a kind compiles. Deleting includes certifying; retraining only solves.",
    )
    for d in story.deletions:
        times = [duration(d.retrainings[name].seconds) for name in names]
        table.add_row(d.name, duration(d.first_seconds), duration(d.seconds), str(d.passes), *times)
    return table


def _accuracies(story: Story) -> Table:
    table = _table(
        "Whether the model still works: held-out accuracy on the classes in force",
        ["deleted", "before", "after", "exact retraining"],
    )
    for d in story.deletions:
        accuracies = (d.accuracy_before, d.accuracy_after, d.retrained_accuracy)
        table.add_row(d.name, *[f"{accuracy:.1%}" for accuracy in accuracies])
    return table


def _checks(story: Story) -> Table:
    from rich.text import Text

    table = _table("What the independent verifier says", ["certificate", "verdict"])
    table.columns[1].justify = "left"
    for d in story.deletions:
        table.add_row(f"{d.name} deleted", Text(_verdict(d.report, f"confirmed: {len(d.report.checks)} checks passed")))
    for cheat in story.cheats:
        table.add_row(f"forged: {cheat.name}", Text(_verdict(cheat.report, "NOT CAUGHT")))
    return table


def _verdict(report: VerificationReport, passed: str) -> str:
    return passed if report.ok else f"rejected: {report.failures[0].detail}"


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
        f"{story.data.name}: {len(story.data.y_train)} rows, {certificate.n_features} features. Guarantee for all "
        f"{certificate.releases} releases: ε = {certificate.epsilon:g}, δ = {certificate.delta:g}; the best test "
        f"tells them from retraining with a success of at most {best_guess(certificate.mu):.2%}.",
        [
            "How far from exact retraining on the remaining rows?",
            f"What does the release show? ({last.name} deleted)",
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
            "retrained by scikit-learn": [r.distance for r in retraining["scikit-learn"]],
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
