"""Pictures of functions: privacy curves, and curves on logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from certified.plots.canvas import CERTIFIED, OTHERS, TARGET, axes, checked, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_privacy_curve(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    point: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw δ as a function of ε, on a logarithmic axis: what lies on or above a curve is guaranteed.

    Args:
        curves: for each mechanism or bound, points (ε, δ) in the order of ε; those with δ = 0 are left out.
        point: the guarantee that was asked for.
        ax: where to draw.

    Raises:
        ValueError: a coordinate is negative or not finite, or no δ is positive.

    Example:
        >>> axes = plot_privacy_curve({"exact": [(0.0, 0.4), (1.0, 0.1)]}, point=(1.0, 0.1))
        >>> axes.get_yscale()
        'log'
    """
    values = {
        name: checked(name, [v for pair in pairs for v in pair], 2 * len(pairs)) for name, pairs in curves.items()
    }
    if not any(np.any(numbers[1::2] > 0.0) for numbers in values.values()):
        raise ValueError("curves must hold a positive δ: there is nothing to draw on a logarithmic axis")
    ax = ax or axes(5.6, 4.2)
    for number, (name, numbers) in enumerate(values.items()):
        shown = numbers[1::2] > 0.0
        colour, style = (CERTIFIED, "-") if number == 0 else (OTHERS[(number - 1) % len(OTHERS)], "--")
        ax.plot(numbers[::2][shown], numbers[1::2][shown], color=colour, ls=style, lw=1.8, label=name, zorder=3)
    if point is not None and point[1] > 0.0:
        ax.plot(*checked("point", point, 2), marker="o", ls="none", color=TARGET, label="guarantee", zorder=4)
    ax.set_yscale("log")
    ax.set_xlabel("ε")
    ax.set_ylabel("δ")
    clean(ax, axis="both")
    return ax


def plot_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str, y_label: str, ax: Axes | None = None
) -> Axes:
    """Draw curves on two logarithmic axes; points that are zero are left out.

    Args:
        curves: points (x, y) by name, in the order of x.
        x_label, y_label: what the axes show, with units.
        ax: where to draw.

    Raises:
        ValueError: a coordinate is negative or not finite, or none is positive.

    Example:
        >>> axes = plot_curves({"bound": [(1.0, 0.5), (10.0, 0.05)]}, x_label="rows", y_label="distance")
        >>> axes.get_xscale(), axes.get_yscale()
        ('log', 'log')
    """
    crowded = len(curves) > 4
    ax = ax or axes(9.6 if crowded else 6.4, 4.6)
    styles = ("-", "--", "-.", ":")
    shown = 0
    for number, (name, points) in enumerate(curves.items()):
        flat = checked(name, [value for point in points for value in point], 2 * len(points))
        x, y = flat[::2], flat[1::2]
        positive = (x > 0.0) & (y > 0.0)
        shown += int(np.sum(positive))
        colour = CERTIFIED if number == 0 else OTHERS[(number - 1) % len(OTHERS)]
        style = styles[(number + len(OTHERS) - 1) // len(OTHERS) % len(styles)]
        label = name if np.any(positive) else f"{name}: 0"
        ax.plot(x[positive], y[positive], color=colour, ls=style, lw=1.8, label=label, zorder=3)
    if shown == 0:
        raise ValueError("curves must hold a positive point: there is nothing to draw on logarithmic axes")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    clean(ax, axis="both")
    if crowded:
        ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax
