"""``certified dp epsilon``, ``delta``, ``calibrate`` and ``group``: what steps of private training promise."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certified.cli.output import JsonOption, facts, plain, print_json, print_rich

if TYPE_CHECKING:
    from certified.accounting import Relation, SubsampledGaussian


class Neighbours(StrEnum):
    """Which two data sets must be hard to tell apart."""

    add_or_remove = "add-or-remove"
    zero_out = "zero-out"
    replace_rows = "replace"


_MEANING = {
    Neighbours.add_or_remove: "rows are there in one world and not in the other, both directions",
    Neighbours.zero_out: "rows contribute zero in one world, both directions",
    Neighbours.replace_rows: "rows are exchanged for as many others",
}
_CLAIMS = ["T10", "T19"]

_NOISE = typer.Option(help="Noise standard deviation over the clip norm of one row.")
_RATE = typer.Option(help="Probability of a row to be in a batch (Poisson sampling).")
_STEPS = typer.Option(help="Number of steps.")

Noise = Annotated[float, _NOISE]
Rate = Annotated[float, _RATE]
Steps = Annotated[int, _STEPS]
Epsilon = Annotated[float, typer.Option(help="ε of the guarantee.")]
Delta = Annotated[float, typer.Option(help="δ of the guarantee.")]
Rows = Annotated[int, typer.Option(help="How many rows may differ at once.")]
RelationOption = Annotated[Neighbours, typer.Option(help="Which data sets are neighbours.")]
Also = Annotated[
    list[str] | None,
    typer.Option(metavar="NOISE:RATE:STEPS", help="A further phase of the same training; may be repeated."),
]


def epsilon(
    noise_multiplier: Noise,
    sampling_rate: Rate,
    steps: Steps,
    delta: Delta,
    rows: Rows = 1,
    relation: RelationOption = Neighbours.add_or_remove,
    also: Also = None,
    as_json: JsonOption = False,
) -> None:
    """Bound ε at a given δ.

    JSON: {"command", "computed", "relation", "rows", "phases": [{"noise_multiplier", "sampling_rate", "steps"}],
    "epsilon", "delta", "claims"}; infinity is "inf".
    """
    from certified.accounting import dp_epsilon

    phases = _phases((noise_multiplier, sampling_rate, steps), also)
    found = dp_epsilon(delta, phases, relation=_relation(relation), rows=rows)
    _report("dp epsilon", "epsilon", {"epsilon": found, "delta": delta}, phases, relation, rows, as_json)


def delta(
    noise_multiplier: Noise,
    sampling_rate: Rate,
    steps: Steps,
    epsilon: Epsilon,
    rows: Rows = 1,
    relation: RelationOption = Neighbours.add_or_remove,
    also: Also = None,
    as_json: JsonOption = False,
) -> None:
    """Bound δ at a given ε.

    JSON: as for ``certified dp epsilon``.
    """
    from certified.accounting import dp_delta

    phases = _phases((noise_multiplier, sampling_rate, steps), also)
    found = dp_delta(epsilon, phases, relation=_relation(relation), rows=rows)
    _report("dp delta", "delta", {"epsilon": epsilon, "delta": found}, phases, relation, rows, as_json)


def calibrate(
    epsilon: Epsilon,
    delta: Delta,
    noise_multiplier: Annotated[float | None, _NOISE] = None,
    sampling_rate: Annotated[float | None, _RATE] = None,
    steps: Annotated[int | None, _STEPS] = None,
    rows: Rows = 1,
    relation: RelationOption = Neighbours.add_or_remove,
    also: Also = None,
    as_json: JsonOption = False,
) -> None:
    """Leave out one of noise, sampling rate and steps, and get one that meets (ε, δ): little noise, or many steps.

    JSON: as for ``certified dp epsilon``.

    Example: certified dp calibrate --epsilon 1 --delta 1e-5 --sampling-rate 0.01 --steps 1000
    """
    from certified import accounting

    values = {"noise_multiplier": noise_multiplier, "sampling_rate": sampling_rate, "steps": steps}
    known: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    missing = [name for name in values if name not in known]
    if len(missing) != 1:
        raise ValueError(f"give exactly two of --noise-multiplier, --sampling-rate and --steps; got {len(known)}")
    others = _phases(None, also)
    solve = getattr(accounting, f"dp_{missing[0]}")
    known[missing[0]] = solve(epsilon, delta, relation=_relation(relation), rows=rows, also=others, **known)
    phases = [accounting.SubsampledGaussian(**known), *others]
    _report("dp calibrate", missing[0], {"epsilon": epsilon, "delta": delta}, phases, relation, rows, as_json)


def group(
    noise_multiplier: Noise,
    sampling_rate: Rate,
    steps: Steps,
    delta: Delta,
    largest: Annotated[int, typer.Option(min=1, max=100, help="Groups of 1, 2, … up to so many rows.")] = 10,
    relation: RelationOption = Neighbours.add_or_remove,
    also: Also = None,
    as_json: JsonOption = False,
) -> None:
    """Bound ε for groups of rows, each by the mixtures of Gaussians that are the worst case.

    JSON: {"command", "relation", "phases", "delta", "groups": [{"rows", "epsilon"}], "claims"}; infinity is "inf".
    """
    from certified.accounting import group_epsilons

    phases = _phases((noise_multiplier, sampling_rate, steps), also)
    found = group_epsilons(delta, phases, range(1, largest + 1), relation=_relation(relation))
    if as_json:
        head = {"command": "dp group", "relation": relation.value, "phases": [vars(phase) for phase in phases]}
        groups = [{"rows": size, "epsilon": plain(value)} for size, value in found.items()]
        print_json({**head, "delta": delta, "groups": groups, "claims": _CLAIMS})
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"δ = {delta!r} (claims {', '.join(_CLAIMS)})"
    table = Table("rows", "ε ≤", box=SIMPLE_HEAD, title=Text(title), title_justify="left")
    for size, value in found.items():
        table.add_row(str(size), repr(value))
    print_rich(table)


def _relation(neighbours: Neighbours) -> Relation:
    from certified.accounting import Relation

    return Relation(neighbours.value)


def _phases(first: tuple[float, float, int] | None, also: list[str] | None) -> list[SubsampledGaussian]:
    """The first phase, where it is known, and those of --also."""
    from certified.accounting import SubsampledGaussian

    phases = [] if first is None else [first]
    for text in also or ():
        try:
            noise, rate, steps = text.split(":")
            phases.append((float(noise), float(rate), int(steps)))
        except ValueError:
            raise ValueError(f"--also must be NOISE:RATE:STEPS, such as 1.1:0.01:500; got {text!r}") from None
    return [SubsampledGaussian(*phase) for phase in phases]


def _report(
    command: str,
    computed: str,
    values: dict[str, float],
    phases: list[SubsampledGaussian],
    relation: Neighbours,
    rows: int,
    as_json: bool,
) -> None:
    if as_json:
        head = {"command": command, "computed": computed, "relation": relation.value, "rows": rows}
        record = {name: plain(value) for name, value in values.items()}
        print_json({**head, "phases": [vars(phase) for phase in phases], **record, "claims": _CLAIMS})
        return
    lines = {f"phase {number}": _words(phase) for number, phase in enumerate(phases, 1)}
    lines |= {"neighbours": f"{rows} {'row' if rows == 1 else 'rows'}: {_MEANING[relation]}"}
    lines |= {f"{'ε' if name == 'epsilon' else 'δ'} ≤": repr(value) for name, value in values.items()}
    print_rich(facts(f"{command}: {computed.replace('_', ' ')} (claims {', '.join(_CLAIMS)})", lines))


def _words(phase: SubsampledGaussian) -> str:
    return f"{phase.steps} steps, noise multiplier {phase.noise_multiplier!r}, sampling rate {phase.sampling_rate!r}"
