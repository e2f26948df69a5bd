"""``certified bound``: calculators that answer at once; they load neither JAX nor scikit-learn."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from certified.cli.output import JsonOption, print_json

app = typer.Typer(
    no_args_is_help=True, help="Calculate what a distance, a noise level and (ε, δ) imply for each other."
)

_MEANING = {
    "epsilon": "ε of the guarantee",
    "delta": "δ of the guarantee",
    "sensitivity": "distance of the two models before noise",
    "noise_std": "standard deviation σ of the noise per weight",
}


@app.callback()
def bounds() -> None:
    """Calculate what a distance, a noise level and (ε, δ) imply for each other."""


@app.command()
def gaussian(
    epsilon: Annotated[float | None, typer.Option(help="ε of the guarantee.")] = None,
    delta: Annotated[float | None, typer.Option(help="δ of the guarantee.")] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="Upper bound on the distance of the two models before noise.")
    ] = None,
    noise_std: Annotated[float | None, typer.Option(help="Standard deviation of the noise, per weight.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give any three of the options and get the fourth, exact and rounded to the safe side.

    Two models at most SENSITIVITY apart, each released with Gaussian noise of NOISE_STD, cannot be told apart
    beyond (EPSILON, DELTA), in both directions (Balle & Wang 2018; claim T3). ε, δ and σ are rounded up, the
    distance is rounded down.

    JSON: {"mechanism", "computed", "epsilon", "delta", "sensitivity", "noise_std"}; infinity is "inf".

    Example: certified bound gaussian --epsilon 1 --delta 1e-6 --sensitivity 1e-8
    """
    from certified.privacy import gaussian as calculators

    given = {"epsilon": epsilon, "delta": delta, "sensitivity": sensitivity, "noise_std": noise_std}
    known = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in known]
    if len(missing) != 1:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"give exactly three of {options}; got {len(known)}")
    computed = missing[0]
    known[computed] = getattr(calculators, f"gaussian_{computed}")(**known)
    if as_json:
        values = {name: known[name] if math.isfinite(known[name]) else str(known[name]) for name in given}
        print_json({"mechanism": "gaussian", "computed": computed, **values})
        return
    for name, meaning in _MEANING.items():
        mark = "=" if name != computed else "≥" if name == "sensitivity" else "≤"
        typer.echo(f"{name:12} {mark} {known[name]:<24.17g} {meaning}")
