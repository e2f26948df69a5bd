"""``certified plan``: what a stream of deletions will cost and how often it needs the remaining rows, estimated."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from certified.cli.output import JsonOption, facts, plain, print_json, print_rich


def plan(
    n: Annotated[int | None, typer.Option(min=1, help="Rows in force.", show_default=False)] = None,
    dimension: Annotated[int | None, typer.Option(min=1, help="Weights per output.", show_default=False)] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="L2 strength λ per row: the objective has (nλ/2)‖w‖².", show_default=False),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="ε of the guarantee, over all releases.", show_default=False)
    ] = None,
    delta: Annotated[float | None, typer.Option(help="δ of the guarantee.", show_default=False)] = None,
    noise_std: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the noise on released weights.", show_default=False),
    ] = None,
    max_releases: Annotated[
        int | None, typer.Option(min=1, help="Releases that the guarantee is planned for.", show_default="100")
    ] = None,
    outputs: Annotated[
        int | None, typer.Option(min=1, help="Outputs, each with a Hessian of its own.", show_default="1")
    ] = None,
    feature_norm: Annotated[
        float | None, typer.Option(help="R, upper bound on the norms of the rows.", show_default="1")
    ] = None,
    row_step: Annotated[
        float | None,
        typer.Option(help="How far one deletion moves the weights, typically.", show_default="R/(4nλ), if logistic"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="MODEL", help="Read all of the above but --row-step from a saved model."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine instead of assuming a common one with two cores.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate what single deletions from a model will cost, and which routes they will take.

    Describe a logistic model by numbers, or name a saved MODEL of any loss that has ledger steps. A deletion first
    takes a ledger step, which reads no remaining row; where its bound exceeds the distance that (ε, δ) and the noise
    permit, a pass follows; where passes wear out, the Hessian is formed anew; the last resort is to train again.
    Estimates, no bounds: certificates measure, and update_info_ of the estimator says what happened.

    JSON: {"command", "distance_target", "speeds": {"bandwidth", "flops"}, "costs": {"step", "row", "gradient_pass",
    "linearise", "solve"} in seconds, "forecast": {"rows_per_pass", "rows_per_linearisation", "seconds_per_row"},
    "cheapest"}; infinity is "inf".

    Example: certified plan --n 11982 --dimension 784 --strength 1e-3 --epsilon 1 --delta 1e-4 --noise-std 0.05
    """
    from certified.removal.costs import REFERENCE, measured_speeds, modelled_costs
    from certified.removal.forecast import forecast

    numbers = {"n": n, "dimension": dimension, "strength": strength, "epsilon": epsilon, "delta": delta,
               "noise_std": noise_std}  # fmt: skip
    further = {"max_releases": max_releases, "outputs": outputs, "feature_norm": feature_norm}
    problem = _described(numbers, further) if model is None else _saved(model, {**numbers, **further})
    step = problem.row_step if row_step is None else row_step
    if step is None:
        raise ValueError("--row-step is needed for this loss: give how far one deletion moves the weights, typically")
    if not 0.0 < step < math.inf:
        raise ValueError(f"--row-step must be positive and finite; got {step!r}")
    target, speeds = problem.target, measured_speeds() if measure else REFERENCE
    hessians = 1 if problem.kappa == 0.0 else problem.outputs
    costs = modelled_costs(speeds, problem.n, problem.dimension, problem.outputs, hessians)
    expected = forecast(target, problem.kappa, step, costs)
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


@dataclass(frozen=True)
class _Problem:
    """What a forecast depends on: κ = ν·R, and how far a row moves the weights where the loss suggests it."""

    n: int
    dimension: int
    outputs: int
    target: float
    kappa: float
    row_step: float | None


def _described(numbers: dict[str, Any], further: dict[str, Any]) -> _Problem:
    """A logistic model, from the options."""
    from certified.privacy.budget import ReleaseBudget

    missing = [_option(name) for name, value in numbers.items() if value is None]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing: describe the model by numbers, or name it with --model")
    given = {**numbers, "max_releases": 100, "outputs": 1, "feature_norm": 1.0}
    given |= {name: value for name, value in further.items() if value is not None}
    for name in ("strength", "feature_norm", "noise_std"):
        if not 0.0 < given[name] < math.inf:
            raise ValueError(f"{_option(name)} must be positive and finite; got {given[name]!r}")
    budget = ReleaseBudget.create(given["epsilon"], given["delta"], given["noise_std"], given["max_releases"])
    norm = given["feature_norm"]
    step = norm / (4.0 * given["n"] * given["strength"])
    return _Problem(given["n"], given["dimension"], given["outputs"], budget.target, norm, step)


def _saved(path: Path, numbers: dict[str, Any]) -> _Problem:
    """The model at ``path``, as its last certificate describes it."""
    from certified.cli import modelfile

    given = [_option(name) for name, value in numbers.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: leave out what --model says by itself")
    last = modelfile.load(path).certificate_
    if last.loss == "softmax" or math.isinf(last.self_concordance):
        raise ValueError(
            f"--model: {path} has the loss {last.loss}, for which there are no ledger steps to forecast: every "
            "deletion passes over the remaining rows"
        )
    if last.n_outputs == 0 or last.remaining_count == 0:
        raise ValueError(f"--model: {path} is a constant, so that deletions cost nothing")
    norm, dimension = last.row_norm_bound, last.n_features + last.fit_intercept
    step = norm / (4.0 * last.alpha) if last.loss == "logistic" else None
    kappa = last.self_concordance * norm
    # Where the curvature is constant no deletion drifts, however far it moves the weights.
    step = 1.0 if kappa == 0.0 else step
    return _Problem(last.remaining_count, dimension, last.n_outputs, last.distance_target, kappa, step)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1e3 * seconds:.3g} ms"
