"""The choice between training again, certified removal and differential privacy: order, reasons and numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from certified.data import load_breast_cancer
from certified.dp import Demand, Option, choose
from certified.privacy.budget import ReleaseBudget
from certified.removal.costs import REFERENCE, Speeds, modelled_costs

DEMAND = Demand(rows=60_000, dimension=784, strength=60.0, deletions=20, epsilon=1.0, delta=1e-6, tolerance=0.1)
PRIVATE = ("objective perturbation", "output perturbation", "DP-SGD")


def by_method(demand: Demand, speeds: Speeds = REFERENCE) -> dict[str, Option]:
    options = choose(demand, speeds)
    assert len(options) == 5
    assert [o.meets for o in options] == sorted((o.meets for o in options), reverse=True)
    return {option.method: option for option in options}


def test_released_models_only() -> None:
    found = by_method(DEMAND)
    again, removal = found["train again"], found["certified removal"]
    assert (again.epsilon, again.delta, again.noise_std) == (0.0, 0.0, 0.0)
    costs = modelled_costs(REFERENCE, 60_000, 784, 1, 1)
    assert again.deletion_seconds == 20 * costs.solve
    assert (removal.epsilon, removal.delta) == (1.0, 1e-6)
    assert choose(DEMAND)[0] == removal and removal.meets
    assert removal.deletion_seconds < 1e-2 * again.deletion_seconds
    assert removal.noise_std == 0.1
    distance = ReleaseBudget.create(1.0, 1e-6, 0.1, 20).target
    assert f"within {distance:.2g} of training again" in removal.reason
    assert all(found[name].deletion_seconds == 0.0 for name in PRIVATE)


def test_before_and_after_only_differential_privacy_remains() -> None:
    demand = replace(DEMAND, observer="before-and-after", tolerance=2.0)
    found = by_method(demand)
    for name in ("train again", "certified removal"):
        assert not found[name].meets and (found[name].epsilon, found[name].delta) == (math.inf, 1.0)
    assert choose(demand)[0].method in PRIVATE and choose(demand)[0].meets
    assert not any(option.meets for option in choose(replace(demand, tolerance=1e-3)))


def test_internal_state_excludes_removal_for_the_weights_that_it_keeps() -> None:
    found = by_method(replace(DEMAND, observer="internal-state"))
    assert found["train again"].meets and not found["certified removal"].meets
    assert "noise-free weights are kept" in found["certified removal"].reason


def test_noise_is_what_the_guarantee_needs() -> None:
    found = by_method(DEMAND)

    def curve(mu: float) -> float:
        return float(norm.cdf(mu / 2 - 1.0 / mu) - math.e * norm.cdf(-mu / 2 - 1.0 / mu))

    # k rows move the minimiser by kL/λ, and the sum of a full batch by kL in each of 100 steps.
    assert curve(20 / 60.0 / found["output perturbation"].noise_std) == pytest.approx(1e-6, rel=1e-6)
    assert curve(20 * math.sqrt(100) / found["DP-SGD"].noise_std) == pytest.approx(1e-6, rel=1e-6)
    one = by_method(replace(DEMAND, deletions=1))["objective perturbation"]
    assert curve(1.0 / one.noise_std) == pytest.approx(1e-6, rel=1e-6)


def test_too_little_noise_or_too_little_strength_says_why() -> None:
    found = by_method(replace(DEMAND, deletions=2000, strength=6.0))
    assert "the curvature of the rows alone" in found["objective perturbation"].reason
    assert found["objective perturbation"].epsilon == math.inf
    assert "beyond the tolerance 0.1: room for about 0 of the " in found["output perturbation"].reason
    tiny = by_method(replace(DEMAND, tolerance=1e-9))["certified removal"]
    assert not tiny.meets and "allow more noise" in tiny.reason
    fits = by_method(replace(DEMAND, deletions=10, tolerance=0.35))["output perturbation"]
    allowed = int(fits.reason.split("about ")[-1].split()[0])
    assert 1 <= allowed < 10
    assert by_method(replace(DEMAND, deletions=allowed, tolerance=0.35))["output perturbation"].meets


def test_batches_are_fewer_releases_and_slow_deletions_never_exceed_training_again() -> None:
    found = by_method(replace(DEMAND, deletions=3000, per_release=1000))
    assert found["train again"].deletion_seconds == pytest.approx(
        3 * modelled_costs(REFERENCE, 60_000, 784, 1, 1).solve
    )
    hard = by_method(replace(DEMAND, deletions=3000, per_release=1000, strength=1e-3))
    assert hard["certified removal"].deletion_seconds <= hard["train again"].deletion_seconds


def test_classes_cost_more() -> None:
    two, ten = by_method(DEMAND), by_method(replace(DEMAND, classes=10))
    ratio = ten["output perturbation"].noise_std / two["output perturbation"].noise_std
    assert ratio == pytest.approx(math.sqrt(2))
    assert ten["train again"].deletion_seconds > 5 * two["train again"].deletion_seconds


def test_noise_in_scores_is_bounded_by_the_estimate_where_its_curvature_holds() -> None:
    data = load_breast_cancer(unit_rows=True)
    X, t = data.X_train, np.where(data.y_train > 0, 1.0, -1.0)
    n, p, strength = *X.shape, 2.0
    w = np.zeros(p)
    for _ in range(50):
        q = 1 / (1 + np.exp(-X @ w))
        a = q * (1 - q)
        H = (X * a[:, None]).T @ X + strength * np.eye(p)
        w -= np.linalg.solve(H, X.T @ (q - (t + 1) / 2) + strength * w)
    moved = np.sqrt(np.mean(np.sum(np.linalg.solve(H, X.T) ** 2, axis=0)))
    demand = Demand(rows=n, dimension=p, strength=strength, deletions=1, epsilon=1.0, delta=1e-6, tolerance=1.0,
                    curvature=float(a.min()))  # fmt: skip
    option = by_method(demand)["objective perturbation"]
    assert moved <= option.score_noise / option.noise_std <= 1 / strength


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"deletions": 70_000}, "deletions=70000 exceeds rows"),
        ({"epsilon": 0.0}, "epsilon must be positive and finite"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"delta": 1.0}, "delta must lie strictly between 0 and 1"),
        ({"classes": 1}, "classes must be at least 2"),
        ({"curvature": 0.3}, "curvature must be at most 0.25"),
        ({"observer": "nobody"}, "observer must be one of 'released', 'before-and-after', 'internal-state'"),
    ],
)
def test_bad_input(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DEMAND, **changes)  # type: ignore[arg-type]
