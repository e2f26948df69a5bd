"""``certified bound``: every published bound as a calculator that answers at once; JAX and scikit-learn stay away."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from certified.cli.output import JsonOption, facts, plain, print_json, print_rich, save_picture

if TYPE_CHECKING:
    from certified.bounds.published import PublishedBound

_POINTS = 81

Curve = list[tuple[float, float]]


class _Bounds(TyperGroup):
    """Adds one command for each published bound, made when the group is first asked for one."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_calculators()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or _calculators().get(cmd_name)


app = typer.Typer(cls=_Bounds, no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def bounds() -> None:
    """Calculate published bounds on the residual, distance or noise of deletions from convex models.

    Example: certified bound guo-single --n 11982 --strength 1e-3 --gradient-bound 1 --curvature-lipschitz 0.25
    """


@app.command("list")
def list_bounds(as_json: JsonOption = False) -> None:
    """List all bounds: what each bounds, where it is from, and how far it can be trusted.

    JSON: {"command", "bounds": [{"name", "quantity", "scaling", "source", "year", "claim", "status", "errata",
    "arguments"}]}.
    """
    from certified.bounds.published import PUBLISHED

    if as_json:
        print_json({"command": "bound list", "bounds": [_record(bound) for bound in PUBLISHED.values()]})
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading in ("bound", "of", "status", "claim"):
        table.add_column(heading, no_wrap=True)
    table.add_column("source", overflow="fold")
    for bound in PUBLISHED.values():
        table.add_row(_command(bound.name), bound.quantity, bound.status, bound.claim or "–", bound.source)
    print_rich(table)


@cache
def _calculators() -> dict[str, Any]:
    from certified.bounds.published import PUBLISHED

    commands = typer.Typer(rich_markup_mode="markdown")
    for bound in PUBLISHED.values():
        commands.command(_command(bound.name))(_calculator(bound))
    return dict(typer.main.get_group(commands).commands)


def _calculator(bound: PublishedBound) -> Callable[..., None]:
    """A function whose signature has one required option for each argument of the bound."""

    def calculate(over: str | None, plot: Path | None, as_json: bool, **arguments: float) -> None:
        value = bound.calculate(**{name: arguments[name] for name in bound.arguments})
        curve = None if over is None else _curve(bound, over, arguments)
        if plot is not None:
            if curve is None:
                raise ValueError("--plot needs --over: name the argument to vary, such as --over n=100:10000")
            _draw(plot, bound, str(over).partition("=")[0], curve)
        if as_json:
            head = {"command": f"bound {_command(bound.name)}", "value": plain(value)}
            points = None if curve is None else [(at, plain(there)) for at, there in curve]
            print_json({**head, **_record(bound), "arguments": arguments, "curve": points, "plot": plot and str(plot)})
            return
        _show(bound, value, curve)

    given = {name: Annotated[float, typer.Option(help=_domain(bound, name))] for name in bound.arguments}
    shared: dict[str, Any] = {
        "over": Annotated[str | None, typer.Option(metavar="NAME=LOW:HIGH", help="Also vary this argument.")],
        "plot": Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the varied bound into this file.")],
        "as_json": JsonOption,
    }
    parameter, keyword = inspect.Parameter, inspect.Parameter.KEYWORD_ONLY
    required = [parameter(name, keyword, annotation=kind) for name, kind in given.items()]
    optional = [
        parameter(name, keyword, annotation=kind, default=False if name == "as_json" else None)
        for name, kind in shared.items()
    ]
    calculate.__signature__ = inspect.Signature([*required, *optional])  # type: ignore[attr-defined]
    calculate.__annotations__ = {**given, **shared}
    calculate.__doc__ = _help(bound)
    return calculate


def _help(bound: PublishedBound) -> str:
    words = inspect.cleandoc(bound.calculate.__doc__ or "").partition(">>>")[0].strip()
    errata = f"\n\nTo know: {bound.errata}" if bound.errata else ""
    return f"{words}\n\nBounds: {bound.quantity}, {bound.scaling} scaling. Source: {bound.source}.{errata}"


def _domain(bound: PublishedBound, argument: str) -> str:
    return str(inspect.get_annotations(inspect.unwrap(bound.calculate), eval_str=True)[argument].__metadata__[0].text)


def _curve(bound: PublishedBound, over: str, arguments: dict[str, float]) -> Curve:
    """Evaluate the bound at points evenly spaced on a logarithmic axis, whole numbers where only those are allowed."""
    name, _, span = over.partition("=")
    try:
        low, high = (float(end) for end in span.split(":"))
    except ValueError:
        raise ValueError(f"--over must be NAME=LOW:HIGH, such as n=100:10000; got {over!r}") from None
    name = name.replace("-", "_")
    if name not in bound.arguments:
        raise ValueError(f"--over must name one of {', '.join(bound.arguments)}; got {name!r}")
    if not 0.0 < low < high < math.inf:
        raise ValueError(f"--over must have 0 < LOW < HIGH, finite; got {span!r}")
    shares = [step / (_POINTS - 1) for step in range(_POINTS)]
    points = [low ** (1.0 - share) * high**share for share in shares]
    if "whole" in _domain(bound, name):
        points = sorted({float(round(point)) for point in points})
    return [(point, bound.calculate(**{**arguments, name: point})) for point in points]


def _draw(path: Path, bound: PublishedBound, name: str, curve: Curve) -> None:
    from certified import plots

    finite = [(at, value) for at, value in curve if math.isfinite(value)]
    axes = plots.plot_curves({_command(bound.name): finite}, x_label=name.replace("_", " "), y_label=bound.quantity)
    save_picture(axes, path)


def _show(bound: PublishedBound, value: float, curve: Curve | None) -> None:
    rows = {_suffices(bound): repr(value), "scaling": bound.scaling, "source": bound.source}
    rows |= {"status": bound.status + (f", claim {bound.claim}" if bound.claim else "")}
    rows |= {"to know": bound.errata} if bound.errata else {}
    print_rich(facts(_command(bound.name), rows))
    if curve is not None:
        from rich.table import Table

        table = Table("at", _suffices(bound), box=None, pad_edge=False)
        for at, there in curve:
            table.add_row(f"{at:g}", f"{there}")
        print_rich("", table)


def _suffices(bound: PublishedBound) -> str:
    """The quantity and on which side of the value it may be: as much noise and as many steps, or more, suffice."""
    return f"{bound.quantity} {'≥' if bound.quantity in ('noise_std', 'iterations') else '≤'}"


def _record(bound: PublishedBound) -> dict[str, Any]:
    names = ("name", "quantity", "scaling", "source", "year", "claim", "status", "errata")
    return {name: getattr(bound, name) for name in names} | {"arguments": list(bound.arguments)}


def _command(name: str) -> str:
    return name.replace("_", "-")
