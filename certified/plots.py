"""Pictures of certified deletions, on matplotlib (the ``plots`` extra); it is imported when a function draws.

Each ``plot_*`` function draws into ``ax``, or into a new figure of its own, and returns the axes. Figures are made
without pyplot, so nothing global changes and no window opens: save them with ``figure.savefig``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
_MARKERS = ("s", "^", "v", "P")
_GRID = "#d9dee4"


def plot_distances(
    names: Sequence[str],
    certified: Sequence[float],
    *,
    target: float | None = None,
    true: Sequence[float] | None = None,
    others: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far the weights are from exact retraining, one column for each deletion, on a logarithmic axis.

    Args:
        names: what each deletion was.
        certified: certified upper bounds on the distance, in units of the weights.
        target: the largest distance that (ε, δ) and the noise allow.
        true: measured distances.
        others: further distances by name, such as that of weights that were not updated.
        ax: where to draw.

    Raises:
        ValueError: a series is not as long as ``names``, or a distance is negative or not finite.

    Example:
        >>> axes = plot_distances(["one row"], [5e-9], target=1e-8, true=[2e-12])
        >>> axes.get_yscale()
        'log'
    """
    series = {"certified bound": certified, **({} if true is None else {"measured": true}), **(others or {})}
    values = {name: _checked(name, numbers, len(names)) for name, numbers in series.items()}
    ax = ax or _axes(5.6, 4.2)
    positions = np.arange(len(names), dtype=float)
    floor = _floor([*values.values(), np.array([target or 1.0])])
    spread = 0.16
    rest = [name for name in values if name not in ("certified bound", "measured")]
    for number, name in enumerate(rest):
        colour, marker = OTHERS[number % len(OTHERS)], _MARKERS[number % len(_MARKERS)]
        drawn, shift = np.maximum(values[name], floor), 0.14 * (number - (len(rest) - 1) / 2)
        ax.scatter(positions + shift, drawn, s=46, color=colour, marker=marker, label=name, zorder=3)
    bound = np.maximum(values["certified bound"], floor)
    ax.hlines(bound, positions - spread, positions + spread, colors=CERTIFIED, lw=3, label="certified bound", zorder=4)
    if true is not None:
        measured = np.maximum(values["measured"], floor)
        ax.vlines(positions, measured, bound, colors=CERTIFIED, lw=1, linestyles="dotted", zorder=2)
        ax.scatter(positions, measured, s=46, color=TRUTH, marker="o", label="measured", zorder=4)
    if target is not None:
        ax.axhline(target, color=TARGET, lw=1.2, ls="--", zorder=1)
        ax.annotate(
            f"allowed: {target:.2g}", (1.0, target), (-4, 4), xycoords=("axes fraction", "data"), ha="right",
            textcoords="offset points", color=TARGET, fontsize=9,
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xticks(positions, names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylabel("distance ‖W − W*‖ of the weights")
    _clean(ax)
    return ax


def plot_release(shift: float, *, kept_shift: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw what an observer sees along the line from one model to the other: two Gaussians ``shift`` = s/σ apart.

    The success of the best test between them, Φ(μ/2), is written beside them (50 % is guessing).

    Args:
        shift: distance of the deleted and the retrained model over the noise, μ = s/σ, non-negative.
        kept_shift: the same for the model that was not updated, drawn where it fits and otherwise as an arrow.
        ax: where to draw.

    Raises:
        ValueError: a shift is negative or not finite.

    Example:
        >>> axes = plot_release(0.02)
        >>> [line.get_label() for line in axes.get_lines()][:2]
        ['exact retraining + noise', 'this deletion + noise']
    """
    (shift,) = _checked("shift", [shift], 1)
    ax = ax or _axes(5.6, 4.2)
    right = max(4.2, float(shift) + 3.5)
    grid = np.linspace(-3.8, right, 801)
    ax.fill_between(grid, _density(grid), color=TRUTH, alpha=0.08, lw=0)
    ax.plot(grid, _density(grid), color=TRUTH, lw=3.5, alpha=0.55, label="exact retraining + noise")
    ax.plot(grid, _density(grid - shift), color=CERTIFIED, lw=1.6, ls=(0, (5, 2)), label="this deletion + noise")
    success = 0.5 * (1.0 + math.erf(float(shift) / math.sqrt(8.0)))
    text = f"the best test is right\nin {success:.2%} of cases\n(guessing: 50%)"
    ax.text(-3.6, 0.25, text, fontsize=9.5, color=TRUTH, va="center")
    if kept_shift is not None:
        (kept_shift,) = _checked("kept_shift", [kept_shift], 1)
        if kept_shift <= right - 1.0:
            ax.plot(grid, _density(grid - kept_shift), color=OTHERS[0], lw=1.6, label="not updated + noise")
        else:
            ax.annotate(
                f"not updated:\n{kept_shift:,.0f} σ away", (right, 0.25), (right - 0.75, 0.25), ha="right", va="center",
                fontsize=9.5, color=OTHERS[0], arrowprops={"arrowstyle": "-|>", "color": OTHERS[0], "lw": 1.8},
            )  # fmt: skip
    ax.set_xlim(-3.8, right)
    ax.set_ylim(0.0, 0.43)
    ax.set_yticks([])
    ax.set_xlabel("released weight, in noise units σ from exact retraining")
    ax.set_ylabel("probability density")
    _clean(ax, grid=False)
    return ax


def plot_seconds(names: Sequence[str], seconds: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Draw seconds as horizontal bars, grouped by deletion, the first series highlighted.

    Args:
        names: what each deletion was.
        seconds: for each way of doing it, the seconds that each deletion took.
        ax: where to draw.

    Raises:
        ValueError: a series is not as long as ``names``, or a time is negative or not finite.

    Example:
        >>> axes = plot_seconds(["one row"], {"delete": [0.04], "retrain": [0.8]})
        >>> [text.get_text() for text in axes.texts]
        ['40 ms', '800 ms']
    """
    values = {name: _checked(name, numbers, len(names)) for name, numbers in seconds.items()}
    ax = ax or _axes(5.6, 4.2)
    colours = (CERTIFIED, TRUTH, *OTHERS[1:])
    height = 0.8 / len(values)
    for number, (name, numbers) in enumerate(values.items()):
        positions = np.arange(len(names)) + (number - (len(values) - 1) / 2) * height
        colour = colours[number % len(colours)]
        bars = ax.barh(positions, numbers, 0.88 * height, color=colour, label=name, zorder=3)
        ax.bar_label(bars, [_duration(v) for v in numbers], padding=3, fontsize=8.5, color=TRUTH)
    ax.set_xlim(0.0, 1.15 * max(float(np.max(v)) for v in values.values()) or 1.0)
    ax.set_yticks(np.arange(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    _clean(ax, axis="x")
    ax.tick_params(axis="y", length=0)
    return ax


def plot_accuracy(names: Sequence[str], accuracy: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Draw held-out accuracies in per cent, grouped by deletion.

    Args:
        names: what each deletion was.
        accuracy: for each model, its share of right answers after each deletion.
        ax: where to draw.

    Raises:
        ValueError: a series is not as long as ``names``.

    Example:
        >>> axes = plot_accuracy(["one row"], {"before": [0.95], "after": [0.95]})
        >>> axes.get_ylabel()
        'held-out accuracy (%)'
    """
    values = {name: 100.0 * _checked(name, numbers, len(names)) for name, numbers in accuracy.items()}
    ax = ax or _axes(5.6, 4.2)
    colours = (OTHERS[2], CERTIFIED, TRUTH)
    width = 0.75 / len(values)
    for number, (name, numbers) in enumerate(values.items()):
        positions = np.arange(len(names)) + (number - (len(values) - 1) / 2) * width
        bars = ax.bar(positions, numbers, 0.9 * width, color=colours[number % len(colours)], label=name, zorder=3)
        ax.bar_label(bars, [f"{v:.1f}" for v in numbers], padding=2, fontsize=8.5, color=TRUTH)
    ax.set_ylim(0.0, 109.0)
    ax.set_yticks(range(0, 101, 20))
    ax.set_xticks(np.arange(len(names)), names)
    ax.set_ylabel("held-out accuracy (%)")
    _clean(ax)
    return ax


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
        name: _checked(name, [v for pair in pairs for v in pair], 2 * len(pairs)) for name, pairs in curves.items()
    }
    if not any(np.any(numbers[1::2] > 0.0) for numbers in values.values()):
        raise ValueError("curves must hold a positive δ: there is nothing to draw on a logarithmic axis")
    ax = ax or _axes(5.6, 4.2)
    for number, (name, numbers) in enumerate(values.items()):
        shown = numbers[1::2] > 0.0
        colour, style = (CERTIFIED, "-") if number == 0 else (OTHERS[(number - 1) % len(OTHERS)], "--")
        ax.plot(numbers[::2][shown], numbers[1::2][shown], color=colour, ls=style, lw=1.8, label=name, zorder=3)
    if point is not None and point[1] > 0.0:
        ax.plot(*_checked("point", point, 2), marker="o", ls="none", color=TARGET, label="guarantee", zorder=4)
    ax.set_yscale("log")
    ax.set_xlabel("ε")
    ax.set_ylabel("δ")
    _clean(ax, axis="both")
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
    ax = ax or _axes(9.6 if crowded else 6.4, 4.6)
    styles = ("-", "--", "-.", ":")
    shown = 0
    for number, (name, points) in enumerate(curves.items()):
        flat = _checked(name, [value for point in points for value in point], 2 * len(points))
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
    _clean(ax, axis="both")
    if crowded:
        ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax


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


def _axes(width: float, height: float) -> Axes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def _clean(ax: Axes, *, grid: bool = True, axis: str = "y") -> None:
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


def _checked(name: str, values: Sequence[float], count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    numbers = np.array(values, dtype=np.float64)
    if numbers.shape != (count,):
        raise ValueError(f"{name!r} has {numbers.size} values for {count} names: give one for each")
    if not np.all(np.isfinite(numbers)) or np.any(numbers < 0.0):
        raise ValueError(f"{name!r} must hold finite numbers that are not negative")
    return numbers


def _floor(series: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> float:
    """A positive number below everything drawn, to stand for zero."""
    positive = [float(v) for numbers in series for v in numbers if v > 0.0]
    return min(positive, default=1.0) / 10.0


def _density(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _duration(seconds: float) -> str:
    return f"{1000.0 * seconds:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"
