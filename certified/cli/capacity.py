"""``certified capacity``: deletions that each mechanism certifies before it must train again, without loading JAX."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certified.cli.output import JsonOption, plain, print_json, print_rich, save_picture

if TYPE_CHECKING:
    from certified.bounds.capacity import Capacity
    from certified.bounds.capacity_problem import CapacityProblem

_DECADES = (-2.0, 2.0)
_POINTS = 25


def capacity(
    n: Annotated[int, typer.Option(help="Rows at first.")],
    dimension: Annotated[int, typer.Option(help="Weights of the model.")],
    strength: Annotated[float, typer.Option(help="L2 strength λ per row: the objective has (nλ/2)‖w‖².")],
    epsilon: Annotated[float, typer.Option(help="ε of the guarantee.")],
    delta: Annotated[float, typer.Option(help="δ of the guarantee.")],
    noise_std: Annotated[float, typer.Option(help="Standard deviation of the noise on released weights.")],
    feature_norm: Annotated[float, typer.Option(help="R, upper bound on the norms of the rows.")] = 1.0,
    gradient_bound: Annotated[
        float | None, typer.Option(help="Upper bound on ‖∇ℓ‖ of a row.", show_default="R, the logistic loss")
    ] = None,
    curvature_limit: Annotated[float, typer.Option(help="sup ℓ″; that of the logistic loss by default.")] = 0.25,
    third_derivative: Annotated[
        float | None, typer.Option(help="sup |ℓ‴|.", show_default="1/(6√3), the logistic loss")
    ] = None,
    perturbation_std: Annotated[
        float, typer.Option(help="σ_b of objective perturbation (Guo et al.); 0 leaves it out.")
    ] = 0.0,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the deletions over the noise into this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare mechanisms before there is data: deletions certified in the worst case, and passes and work for each.

    The answers hold for all rows that satisfy the constants. A certificate measures instead, on the data at hand, and
    commonly needs two or three passes: see the last row.

    JSON: {"command", "problem", "distance_target", "capacities": [{"mechanism", "deletions", "passes", "flops",
    "bound", "note"}], "plot"}; infinity is "inf".

    Example: certified capacity --n 11982 --dimension 784 --strength 1e-3 --epsilon 1 --delta 1e-4 --noise-std 0.01
    """
    from certified.bounds.capacity import capacities
    from certified.bounds.capacity_problem import CapacityProblem
    from certified.bounds.published import LOGISTIC_THIRD_DERIVATIVE

    problem = CapacityProblem(
        n=n,
        dimension=dimension,
        strength=strength,
        gradient_bound=feature_norm if gradient_bound is None else gradient_bound,
        curvature_limit=curvature_limit,
        third_derivative=LOGISTIC_THIRD_DERIVATIVE if third_derivative is None else third_derivative,
        feature_norm=feature_norm,
        epsilon=epsilon,
        delta=delta,
        noise_std=noise_std,
        perturbation_std=perturbation_std,
    )
    found = capacities(problem)
    if plot is not None:
        _draw(plot, problem)
    if as_json:
        head = {"command": "capacity", "problem": asdict(problem), "distance_target": problem.distance_target}
        print_json({**head, "capacities": [_record(c) for c in found], "plot": None if plot is None else str(plot)})
        return
    _show(problem, found)
    if plot is not None:
        typer.echo(f"drew {plot}")


def _record(capacity: Capacity) -> dict[str, Any]:
    return asdict(capacity) | {"passes": plain(capacity.passes), "flops": plain(capacity.flops)}


def _show(problem: CapacityProblem, found: list[Capacity]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"noise {problem.noise_std:g} hides a distance of {problem.distance_target:.3g} at (ε, δ)"
    table = Table(box=SIMPLE_HEAD, title=Text(title), title_justify="left")
    for heading in ("mechanism", "deletions", "passes", "flops"):
        table.add_column(heading, justify="left" if heading == "mechanism" else "right")
    table.add_column("note", overflow="fold")
    for c in found:
        passes = f"{c.passes:,.0f}" if c.passes < 1e9 else f"{c.passes:.1e}"
        table.add_row(c.mechanism, f"{c.deletions:,}", passes, f"{c.flops:.1e}", c.note)
    print_rich(table)


def _draw(path: Path, problem: CapacityProblem) -> None:
    """Draw deletions over the noise, two decades to either side of the one asked for."""
    from certified import plots
    from certified.bounds.capacity import capacities

    low, high = _DECADES
    curves: dict[str, list[tuple[float, float]]] = {}
    for step in range(_POINTS):
        factor = 10.0 ** (low + (high - low) * step / (_POINTS - 1))
        scaled = replace(
            problem, noise_std=problem.noise_std * factor, perturbation_std=problem.perturbation_std * factor
        )
        for found in capacities(scaled):
            curves.setdefault(found.mechanism, []).append((scaled.noise_std, float(found.deletions)))
    axes = plots.plot_curves(curves, x_label="noise_std of released weights", y_label="deletions certified")
    save_picture(axes, path)
