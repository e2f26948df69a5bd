"""``certified calibrate``: noise, distance, ε and δ of a mechanism, each from the others, without loading JAX."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certified.cli.output import JsonOption, plain, print_json, print_rich, save_picture

_POINTS = 121

_MOST_RELEASES = 2**53
"""All whole numbers up to it are float64 numbers."""

_MOST_LAPLACE_RELEASES = 100_000
"""Their composition is a sum over the releases, evaluated for every trial value of the answer."""


class Mechanism(StrEnum):
    """The noise, and the theorem that judges it."""

    gaussian = "gaussian"
    laplace = "laplace"
    zcdp = "zcdp"
    classical = "classical"


_CLAIMS = {
    Mechanism.gaussian: ["T3"],
    Mechanism.laplace: ["T17e", "T17h"],
    Mechanism.zcdp: ["T17a", "T17h"],
    Mechanism.classical: ["T3", "T17f"],
}

_MEANING = {
    "epsilon": "ε of the guarantee, all releases together",
    "delta": "δ of the guarantee, all releases together",
    "sensitivity": "Euclidean distance before noise, at each release",
    "noise_std": "standard deviation σ of the noise per weight, at each release",
    "scale": "scale s of noise with density ∝ exp(−‖b‖/s), at each release",
}


def calibrate(
    mechanism: Annotated[
        Mechanism, typer.Option(help="Gaussian noise judged exactly, by zCDP or classically; or Laplace-type noise.")
    ] = Mechanism.gaussian,
    epsilon: Annotated[float | None, typer.Option(help="ε of the guarantee.")] = None,
    delta: Annotated[
        float | None, typer.Option(help="δ of the guarantee.", show_default="0 for laplace, if it can be")
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="Upper bound on the distance of the two outputs before noise.")
    ] = None,
    noise_std: Annotated[float | None, typer.Option(help="Standard deviation of Gaussian noise, per weight.")] = None,
    scale: Annotated[float | None, typer.Option(help="Scale of Laplace-type noise.")] = None,
    releases: Annotated[int, typer.Option(help="How many releases share the guarantee.")] = 1,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw δ(ε) into this file, such as curve.png.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Leave one of ε, δ, distance and noise out and get it from the others, rounded to the safe side.

    ε, δ and noise are rounded up, the distance is rounded down; ≥ and ≤ say on which side the guarantee still holds.
    For Laplace-type noise give --scale, not --noise-std; without --delta it is pure, δ = 0, unless δ is what is asked
    for. Later releases may depend on earlier ones.

    JSON: {"command", "mechanism", "releases", "computed", "epsilon", "delta", "sensitivity", "noise_std" or "scale",
    "claims", "plot"}; infinity is "inf".

    Example: certified calibrate --mechanism zcdp --epsilon 1 --delta 1e-6 --sensitivity 1e-8 --releases 10
    """
    if releases < 1:
        raise ValueError(f"--releases must be at least 1, got {releases}; count the releases planned")
    most = _MOST_LAPLACE_RELEASES if mechanism == Mechanism.laplace else _MOST_RELEASES
    if releases > most:
        raise ValueError(f"--releases must be at most {most} for {mechanism.value} noise, got {releases}; plan fewer")
    noise, other = ("scale", noise_std) if mechanism == Mechanism.laplace else ("noise_std", scale)
    if other is not None:
        wrong = "--noise-std" if noise == "scale" else "--scale"
        raise ValueError(f"{wrong} does not belong to {mechanism.value} noise; give {_option(noise)}")
    given = {"epsilon": epsilon, "delta": delta, "sensitivity": sensitivity}
    given[noise] = scale if noise == "scale" else noise_std
    if noise == "scale" and delta is None and sum(value is None for value in given.values()) == 2:
        given["delta"] = 0.0
    known = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in known]
    if len(missing) != 1:
        raise ValueError(f"give exactly three of {', '.join(map(_option, given))}; got {len(known)}")
    computed = missing[0]
    known[computed] = _solve(mechanism, computed, known, releases)
    values = {name: known[name] for name in given}
    if plot is not None:
        _draw(plot, mechanism, values, releases)
    if as_json:
        record = {name: plain(value) for name, value in values.items()}
        head = {"command": "calibrate", "mechanism": mechanism.value, "releases": releases, "computed": computed}
        print_json({**head, **record, "claims": _CLAIMS[mechanism], "plot": None if plot is None else str(plot)})
        return
    _show(mechanism, computed, values, releases)
    if plot is not None:
        typer.echo(f"drew {plot}")


def _solve(mechanism: Mechanism, computed: str, known: dict[str, float], releases: int) -> float:
    """Return the missing value; k Gaussian releases at distance s are one release at distance √k·s (claim T3)."""
    from certified.numerics.balls import exact, round_down, round_up
    from certified.privacy.gaussian import nonnegative

    if mechanism == Mechanism.laplace:
        return _solve_laplace(computed, known, releases)
    if computed == "sensitivity":
        joint = _solve_gaussian(mechanism, computed, known)
        return joint if releases == 1 else round_down(lambda: exact(joint) / exact(releases).sqrt())
    each = nonnegative("sensitivity", known["sensitivity"])
    if releases > 1 and math.isfinite(each):
        known = known | {"sensitivity": round_up(lambda: exact(each) * exact(releases).sqrt())}
    return _solve_gaussian(mechanism, computed, known)


def _solve_gaussian(mechanism: Mechanism, computed: str, known: dict[str, float]) -> float:
    from certified import privacy

    if mechanism != Mechanism.zcdp:
        return float(getattr(privacy, f"{mechanism.value}_{computed}")(**known))
    if computed in ("epsilon", "delta"):
        rho = privacy.gaussian_rho(known["sensitivity"], known["noise_std"])
        if computed == "epsilon":
            return privacy.zcdp_epsilon(known["delta"], rho)
        return privacy.zcdp_delta(known["epsilon"], rho)
    rho = privacy.zcdp_rho(known["epsilon"], known["delta"])
    if computed == "noise_std":
        return privacy.zcdp_noise_std(rho, known["sensitivity"])
    return privacy.zcdp_sensitivity(rho, known["noise_std"])


def _solve_laplace(computed: str, known: dict[str, float], releases: int) -> float:
    from certified import privacy

    if computed in ("epsilon", "delta"):
        each = privacy.laplace_epsilon(known["sensitivity"], known["scale"])
        if computed == "epsilon":
            return privacy.compose_optimal_epsilon(known["delta"], each, 0.0, releases)
        return privacy.compose_optimal_delta(known["epsilon"], each, 0.0, releases)
    each = privacy.optimal_release_epsilon(known["epsilon"], known["delta"], releases)
    if computed == "scale":
        return privacy.laplace_scale(each, known["sensitivity"])
    return privacy.laplace_sensitivity(each, known["scale"])


def _show(mechanism: Mechanism, computed: str, values: dict[str, float], releases: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    count = "1 release" if releases == 1 else f"{releases} releases"
    title = f"{mechanism.value}, {count} (claims {', '.join(_CLAIMS[mechanism])})"
    table = Table("", "", "value", "meaning", box=SIMPLE_HEAD, title=Text(title), title_justify="left")
    for name, value in values.items():
        # Noise of at least this much, a distance of at most this much: whoever follows the mark is safe.
        mark = "=" if name != computed else "≥" if name in ("noise_std", "scale") else "≤"
        style = "bold" if name == computed else ""
        table.add_row(Text(name, style), Text(mark, style), Text(repr(value), style), Text(_MEANING[name]))
    print_rich(table)


def _draw(path: Path, mechanism: Mechanism, values: dict[str, float], releases: int) -> None:
    """Draw δ(ε) of the mechanism, and of exact Gaussian accounting where that is another curve."""
    from certified import plots

    if not (math.isfinite(values["epsilon"]) and all(0.0 < v < math.inf for v in list(values.values())[2:])):
        raise ValueError("--plot needs finite ε, and finite distance and noise above 0; change the options")
    largest = 1.5 * values["epsilon"] or 1.0
    drawn = [mechanism] if mechanism in (Mechanism.gaussian, Mechanism.laplace) else [mechanism, Mechanism.gaussian]
    mechanics = {name: value for name, value in values.items() if name not in ("epsilon", "delta")}
    curves = {}
    for judged in drawn:
        # The classical theorem speaks of ε < 1 only.
        end = min(largest, 0.999) if judged == Mechanism.classical else largest
        grid = [end * step / (_POINTS - 1) for step in range(_POINTS)]
        curves[judged.value] = [(at, _solve(judged, "delta", mechanics | {"epsilon": at}, releases)) for at in grid]
    axes = plots.plot_privacy_curve(curves, point=(values["epsilon"], values["delta"]))
    save_picture(axes, path)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
