"""Figures, colours and checks that all pictures share; no pyplot, so nothing global changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CERTIFIED = "#0b6e99"
TRUTH = "#12203a"
TARGET = "#c0392b"
OTHERS = ("#e08a1e", "#8e6bbf", "#7f8c8d", "#4a9c6d")
"""Colours; also told apart by marker and by label, for print and for colour-blind readers."""
MARKERS = ("s", "^", "v", "P")
_GRID = "#d9dee4"


def compose(title: str, subtitle: str, panels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Return a figure of 2 × 2 panels with headings, ready for the ``plot_*`` functions.

    Args:
        title, subtitle: what the picture says, and of which data.
        panels: heading of each of the four panels.

    Example:
        >>> figure, axes = compose("A title", "a subtitle", ["a", "b", "c", "d"])
        >>> len(axes)
        4
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 9.2), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, left=0.1, right=0.975, bottom=0.07, top=0.8, wspace=0.22, hspace=0.52)
    figure.text(0.02, 0.965, title, fontsize=18, fontweight="bold", color=TRUTH, va="center")
    figure.text(0.02, 0.925, subtitle, fontsize=11, color="#4d5a6b", va="center")
    axes = [figure.add_subplot(grid[row, column]) for row in range(2) for column in range(2)]
    for ax, heading in zip(axes, panels, strict=True):
        ax.set_title(heading, loc="left", fontsize=12, fontweight="bold", color=TRUTH, pad=46)
    return figure, axes


def axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of this size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def clean(ax: Axes, *, grid: bool = True, axis: str = "y") -> None:
    """Draw a light frame, a grid behind everything, and the legend above the panel."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#9aa5b1")
    ax.tick_params(colors="#3b4654", labelsize=10)
    if grid:
        ax.grid(True, axis=axis, color=_GRID, lw=0.7, zorder=0)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    # Above the panel, where it can hide nothing.
    columns = 2 if len(ax.get_legend_handles_labels()[0]) == 4 else 3
    ax.legend(
        frameon=False, fontsize=9, ncols=columns, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.3,
        borderpad=0.0, handlelength=1.8, columnspacing=1.6, labelspacing=0.35,
    )  # fmt: skip


def checked(name: str, values: Sequence[float], count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return ``count`` finite numbers that are not negative, or raise ``ValueError`` by this name."""
    numbers = np.array(values, dtype=np.float64)
    if numbers.shape != (count,):
        raise ValueError(f"{name!r} has {numbers.size} values for {count} names: give one for each")
    if not np.all(np.isfinite(numbers)) or np.any(numbers < 0.0):
        raise ValueError(f"{name!r} must hold finite numbers that are not negative")
    return numbers
