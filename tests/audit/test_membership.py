"""ROC curves against scikit-learn, and limits at low rates that hold their level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from certified.audit import rate_at, roc
from certified.plots import plot_curves
from tests.audit.levels import most_errors

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(scores, scores)
def test_the_curve_is_scikit_learns(members: list[float], others: list[float]) -> None:
    labels, values = [1] * len(members) + [0] * len(others), members + others
    found = roc(members, others)
    false, true, _ = roc_curve(labels, values, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive, false, atol=1e-12)
    np.testing.assert_allclose(found.true_positive, true, atol=1e-12)
    assert found.area == pytest.approx(roc_auc_score(labels, values))


def test_it_can_be_drawn() -> None:
    curve = roc([2.0, 3.0], [0.0, 1.0])
    axes = plot_curves({"loss": curve.points[1:]}, x_label="false-positive rate", y_label="true-positive rate")
    assert axes.get_xscale() == "log" and curve.area == 1.0


@pytest.mark.parametrize("aim", [0.0, 0.01, 0.2, 1.0])
def test_the_limits_hold_their_level(aim: float) -> None:
    """All four at once, against the true rates at the threshold that was chosen."""
    rng = np.random.default_rng()
    wrong, level = 0, 0.05
    for _ in range(250):
        found = rate_at(rng.normal(1.0, size=100), rng.normal(size=300), aim, confidence=1 - level)
        true, false = stats.norm.sf(found.threshold - 1.0), stats.norm.sf(found.threshold)
        wrong += not (
            found.true_interval[0] <= true <= found.true_interval[1]
            and found.false_interval[0] <= false <= found.false_interval[1]
        )
    assert wrong <= most_errors(250, level)


def test_the_rate_aimed_at_is_kept_on_the_half_that_chose() -> None:
    others = np.arange(2000.0)
    found = rate_at(np.full(10, 1990.0), others, 0.01)
    assert np.mean(others[::2] > found.threshold) == 0.01
    assert found.true_positive == 1.0 and found.false_positive == np.mean(others[1::2] > found.threshold)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="members must be a vector"):
        roc([], [1.0])
    with pytest.raises(ValueError, match="others must be a vector of at least 2"):
        rate_at([1.0], [1.0], 0.1)
    with pytest.raises(ValueError, match="false_positive must not exceed 1"):
        rate_at([1.0], [1.0, 2.0], 1.5)
