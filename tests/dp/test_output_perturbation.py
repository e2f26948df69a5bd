"""Output perturbation against minimisers found apart, its sensitivity against searches, and what it refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit

from certified.data.rows import Rows
from certified.dp import MinimiserNotReachedError, RowLimits, output_perturbation
from certified.dp.output_curve import OutputCurve, output_sensitivity
from certified.losses import LOGISTIC, POISSON, SOFTMAX, SQUARED, HuberisedHinge, Loss
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_delta

Array = npt.NDArray[np.float64]
rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4))
X /= np.linalg.norm(X, axis=1, keepdims=True)
SIGNS = np.where(X[:, :1] + 0.3 * rng.normal(size=(60, 1)) > 0, 1.0, -1.0)
CLASSES = np.eye(3)[rng.integers(0, 3, 60)]


def problem(loss: Loss = LOGISTIC, targets: Array = SIGNS, alpha: float = 2.0, features: Array = X) -> Objective:
    return Objective(loss, Rows.from_arrays(features, targets, np.ones(len(features))), alpha)


def silent(center: Array, noise_std: float) -> Array:
    """No noise at all: shows what would be released under it."""
    return center


def minimiser(a: Array, strength: float) -> float:
    """Of Σ log(1 + e^(−a_i w)) + (λ/2)w², by bisection."""
    reach = (np.sum(np.abs(a)) + 1.0) / strength
    return float(brentq(lambda w: strength * w - np.sum(a * expit(-a * w)), -reach, reach, xtol=1e-14))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.05, 20.0))
def test_minimisers_keep_to_the_sensitivity(seed: int, size: int, strength: float) -> None:
    generator = np.random.default_rng(seed)
    kept = generator.uniform(-1, 1, generator.integers(0, 9)) * generator.choice([1.0, 0.05])
    changed = generator.uniform(-1, 1, size)
    moved = abs(minimiser(kept, strength) - minimiser(np.concatenate([kept, changed]), strength))
    assert moved <= output_sensitivity(1.0, strength, group_size=size) + 1e-9


def test_the_sensitivity_is_approached() -> None:
    kept = np.full(200_000, -60.0 / 200_000)
    moved = minimiser(np.concatenate([kept, [1.0, 1.0]]), 1.0) - minimiser(kept, 1.0)
    assert 0.99 * output_sensitivity(1.0, 1.0, group_size=2) < moved <= output_sensitivity(1.0, 1.0, group_size=2)


@pytest.mark.parametrize(
    ("loss", "targets", "bound"),
    [
        (LOGISTIC, SIGNS, 1.0),
        (HuberisedHinge(0.5), SIGNS, 1.0),
        (SOFTMAX, CLASSES, math.sqrt(2)),
        (LOGISTIC, 2 * CLASSES - 1, math.sqrt(3)),
    ],
)
def test_the_minimiser_is_released_with_the_noise_it_needs(loss: Loss, targets: Array, bound: float) -> None:
    drawn: list[float] = []

    def recording(center: Array, noise_std: float) -> Array:
        drawn.append(noise_std)
        return center

    objective = problem(loss, targets)
    release = output_perturbation(objective, RowLimits(1.0), 0.8, 1e-5, group_size=2, sampler=recording)
    _, gradient, _ = objective.value_and_gradient(release.weights)
    curve = release.guarantee.curve
    assert isinstance(curve, OutputCurve)
    assert np.linalg.norm(gradient) <= 2.0 * curve.distance
    assert curve.gradient_bound == pytest.approx(bound, rel=1e-11)
    assert curve.gradient_bound > bound
    assert drawn == [curve.noise_std]
    assert gaussian_delta(0.8, 2 * bound / 2.0, curve.noise_std) == pytest.approx(1e-5, rel=1e-6)
    assert release.guarantee.delta(0.8) <= 1e-5 < release.guarantee.delta(0.79)


def test_the_guarantee_states_its_curve_and_no_secret() -> None:
    release = output_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6)
    guarantee = release.guarantee
    assert guarantee.epsilon(1e-6) <= 1.0
    assert guarantee.delta(guarantee.epsilon(1e-3)) <= 1e-3
    assert guarantee.delta(1.0, group_size=3) > guarantee.delta(1.0)
    fields = json.loads(guarantee.to_json())
    assert fields["relation"] == "add or remove"
    assert {"T13", "T14"} <= set(fields["claims"])
    assert fields["curve"]["noise_std"] == guarantee.curve.constants()["noise_std"]
    assert "60" not in guarantee.to_json(), "the number of rows is a secret under this relation"
    assert not np.array_equal(release.weights, output_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6).weights)


def test_without_rows_the_minimiser_is_zero() -> None:
    empty = problem(features=X[:0], targets=SIGNS[:0])
    assert not output_perturbation(empty, RowLimits(1.0), 1.0, 1e-6, sampler=silent).weights.any()


@pytest.mark.parametrize(
    ("objective", "limits", "word"),
    [
        (problem(SQUARED), RowLimits(1.0), "gradients without a bound"),
        (problem(POISSON), RowLimits(1.0), "gradients without a bound"),
        (problem(), RowLimits(0.99), "longer than the declared norm"),
        (problem(targets=0.5 * SIGNS), RowLimits(1.0), "targets"),
        (problem(SOFTMAX, 0.5 * CLASSES), RowLimits(1.0), "targets"),
        (problem(alpha=0.0), RowLimits(1.0), "alpha"),
        (Objective(LOGISTIC, problem().rows, 1.0, fit_intercept=True), RowLimits(1.0), "fit_intercept"),
        (Objective(LOGISTIC, problem().rows, 1.0, linear=np.zeros((4, 1))), RowLimits(1.0), "linear"),
        (Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.full(60, 2.0)), 1.0), RowLimits(1.0), "weight"),
    ],
)
def test_what_is_refused(objective: Objective, limits: RowLimits, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        output_perturbation(objective, limits, 1.0, 1e-6)


@pytest.mark.parametrize(
    ("epsilon", "delta", "options", "word"),
    [
        (0.0, 1e-6, {}, "epsilon"), (math.inf, 1e-6, {}, "epsilon"), (1.0, 0.0, {}, "delta"), (1.0, 1.0, {}, "delta"),
        (1.0, 1e-6, {"group_size": 0}, "group_size"), (1.0, 1e-6, {"group_size": True}, "group_size"),
        (1.0, 1e-6, {"distance": 0.0}, "distance"),
    ],
)  # fmt: skip
def test_arguments_out_of_range(epsilon: float, delta: float, options: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        output_perturbation(problem(), RowLimits(1.0), epsilon, delta, **options)  # type: ignore[arg-type]


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="norm"):
        RowLimits(0.0)
    with pytest.raises(ValueError, match="weight"):
        RowLimits(1.0, weight=math.inf)


def test_heavier_rows_cost_as_much_more() -> None:
    heavy = Objective(LOGISTIC, Rows.from_arrays(X, SIGNS, np.full(60, 2.0)), 2.0)
    release = output_perturbation(heavy, RowLimits(1.0, weight=2.0), 1.0, 1e-6)
    assert release.guarantee.curve.constants()["gradient_bound"] == pytest.approx(2.0)


def test_a_distance_out_of_reach_releases_nothing() -> None:
    with pytest.raises(MinimiserNotReachedError, match="keep it secret") as caught:
        output_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6, distance=1e-30)
    # The error beneath holds the distance that was certified, which depends on the rows.
    assert caught.value.__context__ is None and caught.value.__cause__ is None


def test_a_group_is_a_whole_number_of_rows() -> None:
    found = output_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6, group_size=np.int64(2)).guarantee  # type: ignore[arg-type]
    assert found.group_size == 2 and type(found.group_size) is int
    for bad in (True, 2.0):
        with pytest.raises(ValueError, match="group_size must be an integer"):
            output_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6, group_size=bad)  # type: ignore[arg-type]
    for name in ("epsilon", "delta"):
        with pytest.raises(TypeError, match=f"{name} must be a real number, got bool"):
            output_perturbation(problem(), RowLimits(1.0), **{"epsilon": 1.0, "delta": 1e-6, name: True})
