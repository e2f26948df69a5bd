"""``certified dp choose``: train again, certified removal or private training, ranked for a stream of deletions."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from certified.cli.output import JsonOption, facts, plain, print_json, print_rich

_CLAIMS = ["T3", "T10", "T14", "T15", "T17c"]


class Observers(StrEnum):
    """Who must not learn the deleted rows."""

    released = "released"
    before_and_after = "before-and-after"
    internal_state = "internal-state"


def choose(
    n: Annotated[int, typer.Option(min=1, help="Rows.")],
    dimension: Annotated[int, typer.Option(min=1, help="Weights per output.")],
    strength: Annotated[float, typer.Option(help="L2 strength λ per row: the objective has (nλ/2)‖w‖².")],
    deletions: Annotated[int, typer.Option(min=1, help="Rows to be deleted in the period planned for.")],
    epsilon: Annotated[float, typer.Option(help="ε of the guarantee, for all deletions together.")],
    delta: Annotated[float, typer.Option(help="δ of the guarantee.")],
    tolerance: Annotated[
        float, typer.Option(help="Standard deviation that noise may add to a score x·w, such as 0.1.")
    ],
    observer: Annotated[Observers, typer.Option(help="Who must not learn the deleted rows.")] = Observers.released,
    per_release: Annotated[int, typer.Option(min=1, help="Rows deleted between two releases.")] = 1,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 2,
    data_norm: Annotated[float, typer.Option(help="R, upper bound on the norms of the rows.")] = 1.0,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine instead of assuming a common one with two cores.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rank training again, certified removal and private training for a stream of deletions, with reasons.

    Observers: "released" sees released models; "before-and-after" also compares models from before and after a
    deletion; "internal-state" sees what is kept after a deletion. Guarantees and noise are proved for a logistic model
    (softmax beyond two classes); seconds and what noise does to scores are estimates.

    JSON: {"command", "options": [{"method", "meets", "epsilon", "delta", "noise_std", "score_noise",
    "training_seconds", "deletion_seconds", "reason"}], "claims"}, the best first; infinity is "inf".

    Example: certified dp choose --n 60000 --dimension 784 --strength 1e-3 --deletions 50 --epsilon 1 --delta 1e-6
    --tolerance 0.1
    """
    from certified.dp.choice import Demand
    from certified.dp.choice import choose as ranked
    from certified.removal.costs import REFERENCE, measured_speeds

    demand = Demand(
        rows=n,
        dimension=dimension,
        strength=n * strength,
        deletions=deletions,
        epsilon=epsilon,
        delta=delta,
        tolerance=tolerance,
        observer=observer.value,
        per_release=per_release,
        classes=classes,
        norm=data_norm,
    )
    options = ranked(demand, measured_speeds() if measure else REFERENCE)
    if as_json:
        records = [{name: _plain(value) for name, value in asdict(option).items()} for option in options]
        print_json({"command": "dp choose", "options": records, "claims": _CLAIMS})
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"{deletions} rows deleted, observer: {observer.value} (claims {', '.join(_CLAIMS)})"
    columns = ("", "meets", "(ε, δ)", "noise σ", "in a score", "training", "deletions")
    table = Table(*columns, box=SIMPLE_HEAD, title=Text(title), title_justify="left")
    for option in options:
        promised = "none" if option.epsilon == float("inf") else f"({option.epsilon:g}, {option.delta:g})"
        noise = (f"{option.noise_std:.2g}", f"{option.score_noise:.2g}")
        seconds = (f"{option.training_seconds:.3g} s", f"{option.deletion_seconds:.3g} s")
        table.add_row(option.method, "yes" if option.meets else "no", promised, *noise, *seconds)
    print_rich(table, facts("Why", {option.method: option.reason for option in options}))


def _plain(value: str | bool | float) -> str | bool | float:
    return plain(value) if isinstance(value, float) else value
