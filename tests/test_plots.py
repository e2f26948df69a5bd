from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from certified import plots

NAMES = ["one row", "50 rows"]


def test_import_is_lazy_and_leaves_pyplot_alone() -> None:
    call = (
        "import sys; from certified import plots; print('matplotlib' in sys.modules);"
        "plots.plot_release(0.1).figure.canvas.draw(); print('matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_distances_are_drawn_where_they_are() -> None:
    ax = plots.plot_distances(NAMES, [4e-9, 6e-9], target=1e-8, true=[1e-12, 0.0], others={"not updated": [0.1, 2.0]})
    assert ax.get_yscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == NAMES
    drawn = {c.get_label(): c for c in ax.collections}
    assert [segment[0][1] for segment in drawn["certified bound"].get_segments()] == [4e-9, 6e-9]  # type: ignore[attr-defined]
    assert np.ma.getdata(drawn["not updated"].get_offsets())[:, 1].tolist() == [0.1, 2.0]
    measured = np.ma.getdata(drawn["measured"].get_offsets())[:, 1]
    assert measured[0] == 1e-12
    assert 0.0 < measured[1] < 1e-12, "zero is drawn at the bottom of a logarithmic axis"
    assert any(list(line.get_ydata()) == [1e-8, 1e-8] for line in ax.get_lines())
    assert any("1e-08" in text.get_text() for text in ax.texts)


def test_release_draws_two_gaussians_at_the_shift() -> None:
    ax = plots.plot_release(1.5, kept_shift=2.5)
    peaks = {
        line.get_label(): float(np.asarray(line.get_xdata())[np.argmax(line.get_ydata())]) for line in ax.get_lines()
    }
    expected = {"exact retraining + noise": 0.0, "this deletion + noise": 1.5, "not updated + noise": 2.5}
    assert peaks == pytest.approx(expected, abs=0.01)
    assert any("77.34%" in text.get_text() for text in ax.texts), "Φ(0.75)"


def test_release_far_away_becomes_an_arrow() -> None:
    ax = plots.plot_release(0.02, kept_shift=48213.4)
    assert len(ax.get_lines()) == 2
    assert any("48,213 σ away" in text.get_text() for text in ax.texts)


def test_bars_have_the_given_lengths_and_labels() -> None:
    ax = plots.plot_seconds(NAMES, {"delete": [0.05, 0.0], "retrain": [2.0, 1.5]})
    assert [bar.get_width() for bar in ax.patches] == [0.05, 0.0, 2.0, 1.5]  # type: ignore[attr-defined]
    assert [text.get_text() for text in ax.texts] == ["50 ms", "0 ms", "2.0 s", "1.5 s"]
    assert ax.get_xlim()[0] == 0.0, "bars start at zero"
    ax = plots.plot_accuracy(NAMES, {"before": [0.5, 1.0], "after": [0.25, 0.0]})
    assert [bar.get_height() for bar in ax.patches] == [50.0, 100.0, 25.0, 0.0]  # type: ignore[attr-defined]
    assert ax.get_ylim()[0] == 0.0


def test_panels_are_drawn_into_given_axes_without_overlap(tmp_path: Path) -> None:
    figure, axes = plots.compose("Title", "subtitle", ["a", "b", "c", "d"])
    names = ["one row", "1000 rows", "all 139 eights"]
    others = {"not updated": [1.0, 2.0, 3.0], "retrained by scikit-learn": [0.1, 0.2, 0.3]}
    drawn = [
        plots.plot_distances(names, [1e-9] * 3, target=1e-8, true=[1e-12] * 3, others=others, ax=axes[0]),
        plots.plot_release(0.01, kept_shift=1e7, ax=axes[1]),
        plots.plot_seconds(names, {f"way {i} of retraining": [1.0, 2.0, 3.0] for i in range(4)}, ax=axes[2]),
        plots.plot_accuracy(names, {name: [0.9, 0.95, 1.0] for name in ("before", "after", "again")}, ax=axes[3]),
    ]
    assert drawn == axes
    figure.savefig(tmp_path / "figure.png")
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [ax.get_tightbbox(renderer) for ax in axes]
    for number, box in enumerate(boxes):
        assert box is not None
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1)
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1)
        assert not any(other is not None and box.overlaps(other) for other in boxes[:number])


def test_privacy_curve_draws_the_points_with_positive_delta() -> None:
    curves = {"exact": [(0.0, 0.4), (1.0, 0.1), (2.0, 0.0)], "zcdp": [(0.0, 1.0), (1.0, 0.3)]}
    ax = plots.plot_privacy_curve(curves, point=(1.0, 0.1))
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(np.asarray(lines["exact"].get_xdata())) == [0.0, 1.0]
    assert list(np.asarray(lines["exact"].get_ydata())) == [0.4, 0.1]
    assert list(np.asarray(lines["zcdp"].get_ydata())) == [1.0, 0.3]
    assert (lines["guarantee"].get_xdata(), lines["guarantee"].get_ydata()) == ([1.0], [0.1])
    assert ax.get_yscale() == "log"


def test_first_bars_stand_out() -> None:
    ax = plots.plot_seconds(NAMES, {"delete": [1.0, 1.0], "retrain": [1.0, 1.0]})
    colours = [patch.get_facecolor() for patch in ax.patches]
    assert colours[0] == colours[1] == to_rgba(plots.CERTIFIED) != colours[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.plot_distances(NAMES, [1.0]), "'certified bound' has 1 values for 2 names"),
        (lambda: plots.plot_distances(NAMES, [1.0, float("inf")]), "finite numbers that are not negative"),
        (lambda: plots.plot_distances(NAMES, [1.0, 1.0], true=[-1.0, 1.0]), "'measured' must hold finite"),
        (lambda: plots.plot_release(-0.1), "'shift' must hold finite"),
        (lambda: plots.plot_release(0.1, kept_shift=float("nan")), "'kept_shift' must hold finite"),
        (lambda: plots.plot_seconds(NAMES, {"a": [1.0]}), "'a' has 1 values for 2 names"),
        (lambda: plots.plot_accuracy(NAMES, {"a": [1.0, -1.0]}), "'a' must hold finite"),
        (lambda: plots.plot_privacy_curve({"a": [(0.0, float("nan"))]}), "'a' must hold finite"),
        (lambda: plots.plot_privacy_curve({"a": [(0.0, 0.0)]}), "curves must hold a positive δ"),
        (lambda: plots.plot_privacy_curve({}), "curves must hold a positive δ"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
