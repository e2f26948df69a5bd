"""``certified plan``: what a stream of deletions will cost and how often it needs the remaining rows, estimated."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from certified.cli.output import JsonOption, facts, plain, print_json, print_rich


def plan(
    n: Annotated[int, typer.Option(min=1, help="Rows in force.")],
    dimension: Annotated[int, typer.Option(min=1, help="Weights per output.")],
    strength: Annotated[float, typer.Option(help="L2 strength λ per row: the objective has (nλ/2)‖w‖².")],
    epsilon: Annotated[float, typer.Option(help="ε of the guarantee, over all releases.")],
    delta: Annotated[float, typer.Option(help="δ of the guarantee.")],
    noise_std: Annotated[float, typer.Option(help="Standard deviation of the noise on released weights.")],
    max_releases: Annotated[int, typer.Option(min=1, help="Releases that the guarantee is planned for.")] = 100,
    outputs: Annotated[int, typer.Option(min=1, help="Outputs, each with a Hessian of its own.")] = 1,
    feature_norm: Annotated[float, typer.Option(help="R, upper bound on the norms of the rows.")] = 1.0,
    row_step: Annotated[
        float | None,
        typer.Option(help="How far one deletion moves the weights, typically.", show_default="R/(4nλ)"),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine instead of assuming a common one with two cores.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate what single deletions from a logistic model will cost, and which routes they will take.

    A deletion first takes a ledger step, which reads no remaining row; where its bound exceeds the distance that
    (ε, δ) and the noise permit, a pass follows; where passes wear out, the Hessian is formed anew; the last resort is
    to train again. Estimates, no bounds: certificates measure, and update_info_ of the estimator says what happened.

    JSON: {"command", "distance_target", "speeds": {"bandwidth", "flops"}, "costs": {"step", "row", "gradient_pass",
    "linearise", "solve"} in seconds, "forecast": {"rows_per_pass", "rows_per_linearisation", "seconds_per_row"},
    "cheapest"}; infinity is "inf".

    Example: certified plan --n 11982 --dimension 784 --strength 1e-3 --epsilon 1 --delta 1e-4 --noise-std 0.05
    """
    from certified.privacy.budget import ReleaseBudget
    from certified.removal.costs import REFERENCE, measured_speeds, modelled_costs
    from certified.removal.forecast import forecast

    for name, value in (("strength", strength), ("feature-norm", feature_norm), ("noise-std", noise_std)):
        if not 0.0 < value < float("inf"):
            raise ValueError(f"--{name} must be positive and finite; got {value!r}")
    target = ReleaseBudget.create(epsilon, delta, noise_std, max_releases).target
    speeds = measured_speeds() if measure else REFERENCE
    costs = modelled_costs(speeds, n, dimension, outputs, outputs)
    expected = forecast(target, feature_norm, row_step or feature_norm / (4.0 * n * strength), costs)
    routes = {"ledger step": expected.seconds_per_row, "train again": costs.solve}
    cheapest = min(routes, key=lambda route: routes[route])
    if as_json:
        print_json(
            {
                "command": "plan",
                "distance_target": target,
                "speeds": asdict(speeds),
                "costs": asdict(costs),
                "forecast": {name: plain(value) for name, value in asdict(expected).items()},
                "cheapest": cheapest,
            }
        )
        return
    print_rich(
        facts(
            "One deletion at a time, estimated",
            {
                "distance allowed": f"{target:.3g} per release",
                "ledger step": _time(costs.step),
                "pass over the rows": _time(costs.gradient_pass),
                "new Hessian": _time(costs.linearise),
                "train again": _time(costs.solve),
                "deletions per pass": f"{expected.rows_per_pass:.3g}",
                "deletions per Hessian": f"{expected.rows_per_linearisation:.3g}",
                "average per deletion": _time(expected.seconds_per_row),
                "cheapest": f"{cheapest} ({costs.solve / expected.seconds_per_row:.3g} deletions for one training)",
            },
        )
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1e3 * seconds:.3g} ms"
