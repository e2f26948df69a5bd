"""Pictures of deletions: distances, what an observer sees, seconds, accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from certified.plots.canvas import CERTIFIED, MARKERS, OTHERS, TARGET, TRUTH, axes, checked, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    values = {name: checked(name, numbers, len(names)) for name, numbers in series.items()}
    ax = ax or axes(5.6, 4.2)
    positions = np.arange(len(names), dtype=float)
    floor = _floor([*values.values(), np.array([target or 1.0])])
    spread = 0.16
    rest = [name for name in values if name not in ("certified bound", "measured")]
    for number, name in enumerate(rest):
        colour, marker = OTHERS[number % len(OTHERS)], MARKERS[number % len(MARKERS)]
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
    clean(ax)
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
    (shift,) = checked("shift", [shift], 1)
    ax = ax or axes(5.6, 4.2)
    right = max(4.2, float(shift) + 3.5)
    grid = np.linspace(-3.8, right, 801)
    ax.fill_between(grid, _density(grid), color=TRUTH, alpha=0.08, lw=0)
    ax.plot(grid, _density(grid), color=TRUTH, lw=3.5, alpha=0.55, label="exact retraining + noise")
    ax.plot(grid, _density(grid - shift), color=CERTIFIED, lw=1.6, ls=(0, (5, 2)), label="this deletion + noise")
    success = 0.5 * (1.0 + math.erf(float(shift) / math.sqrt(8.0)))
    text = f"the best test is right\nin {success:.2%} of cases\n(guessing: 50%)"
    ax.text(-3.6, 0.25, text, fontsize=9.5, color=TRUTH, va="center")
    if kept_shift is not None:
        (kept_shift,) = checked("kept_shift", [kept_shift], 1)
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
    clean(ax, grid=False)
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
    values = {name: checked(name, numbers, len(names)) for name, numbers in seconds.items()}
    ax = ax or axes(5.6, 4.2)
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
    clean(ax, axis="x")
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
    values = {name: 100.0 * checked(name, numbers, len(names)) for name, numbers in accuracy.items()}
    ax = ax or axes(5.6, 4.2)
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
    clean(ax)
    return ax


def _floor(series: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> float:
    """A positive number below everything drawn, to stand for zero."""
    positive = [float(v) for numbers in series for v in numbers if v > 0.0]
    return min(positive, default=1.0) / 10.0


def _density(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _duration(seconds: float) -> str:
    return f"{1000.0 * seconds:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"
