"""What commands print: results on stdout, as words or as JSON; progress on stderr, on a terminal only."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType
    from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object, keys in the documented order."""
    typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2))


def print_rich(*parts: RenderableType) -> None:
    """Print tables and text; as plain text where stdout is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    for part in parts:
        console.print(part)


def facts(title: str, rows: dict[str, str]) -> Table:
    """A two-column table of names and values."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def save_picture(axes: Axes, path: Path) -> None:
    """Write the figure of ``axes`` to exactly ``path``, whose ending is the format."""
    if not path.suffix:
        raise ValueError(f"--plot must name a file with an ending such as .png, got {path}; add one")
    axes.figure.canvas.print_figure(path)


def plain(value: float) -> float | str:
    """Return ``value`` for JSON, which has no infinity: "inf" in its place."""
    return value if math.isfinite(value) else str(value)


@contextmanager
def announcing(message: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr what is under way and for how long; yield a function that changes the message."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(message, total=None)
        yield lambda text: progress.update(task, description=text)
