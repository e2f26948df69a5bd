"""The commands in one application, and the one place where an error becomes a message and exit status 2."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from certified.cli import bound, calibrate, capacity, change, demo, dp, fit, plan, store, verify
from certified.version import __version__

_REFUSALS = (ValueError, TypeError, OSError, RuntimeError, ModuleNotFoundError)
"""What the library raises for a request that it refuses, beside `UnknownIdError`; messages name argument and remedy."""


class _Commands(TyperGroup):
    """Turns refusals into a message on stderr: no traceback, which could show rows."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if ctx.params["traceback"] or not _is_refusal(error):
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, _REFUSALS):
        return True
    from certified.data.index import UnknownIdError

    return isinstance(error, UnknownIdError)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"certified-removal {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error was raised, for bug reports.")
    ] = False,
) -> None:
    """Delete training rows from convex models, and prove how far the result is from retraining.

    Every command takes --json for machine-readable output on stdout. Exit status: 0 done, 1 a verification
    failed or deletions from a private model are used up, 2 the call was wrong and nothing was changed.
    """


app.command("fit")(fit.fit)
app.command("remove")(change.remove)
app.command("add")(change.add)
app.command("correct")(change.correct)
app.command("release")(change.release)
app.command("verify")(verify.verify)
app.add_typer(bound.app, name="bound")
app.command("calibrate")(calibrate.calibrate)
app.command("capacity")(capacity.capacity)
app.command("plan")(plan.plan)
app.add_typer(dp.app, name="dp")
app.add_typer(store.app, name="store")
app.command("demo")(demo.demo)
