"""Objective perturbation: what is released, what it costs that no minimiser is exact, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from certified.data.rows import Rows
from certified.dp import MinimiserNotReachedError, RowLimits, objective_perturbation
from certified.dp.objective_curve import ObjectiveCurve
from certified.dp.objective_perturbation import SHARE, calibrated, perturbed_problem
from certified.losses import LOGISTIC, SOFTMAX, SQUARED, HuberisedHinge, Loss
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_delta, gaussian_noise_std
from certified.privacy.objective_perturbation import PerturbedProblem, objective_delta

Array = npt.NDArray[np.float64]
rng = np.random.default_rng(8)
X = rng.normal(size=(50, 3))
X /= np.linalg.norm(X, axis=1, keepdims=True)
SIGNS = np.where(X[:, :1] > 0, 1.0, -1.0)
CLASSES = np.eye(4)[rng.integers(0, 4, 50)]


def problem(loss: Loss = LOGISTIC, targets: Array = SIGNS, alpha: float = 5.0, features: Array = X) -> Objective:
    return Objective(loss, Rows.from_arrays(features, targets, np.ones(len(features))), alpha)


def scripted(seed: int) -> tuple[Callable[[Array, float], Array], list[tuple[Array, float]]]:
    """The first draw is noise, the second none; what was drawn is listed."""
    drawn: list[tuple[Array, float]] = []
    generator = np.random.default_rng(seed)

    def sampler(center: Array, noise_std: float) -> Array:
        value = center if drawn else center + noise_std * generator.normal(size=center.shape)
        drawn.append((value, noise_std))
        return value

    return sampler, drawn


@pytest.mark.parametrize(("loss", "targets"), [(LOGISTIC, SIGNS), (HuberisedHinge(0.5), SIGNS), (SOFTMAX, CLASSES)])
def test_the_release_is_near_the_minimiser_of_the_real_noise(loss: Loss, targets: Array) -> None:
    sampler, drawn = scripted(1)
    objective = problem(loss, targets)
    release = objective_perturbation(objective, RowLimits(1.0), 1.5, 1e-6, sampler=sampler)
    (b, noise_std), (_, release_noise_std) = drawn
    curve = release.guarantee.curve
    assert isinstance(curve, ObjectiveCurve)
    _, gradient, _ = objective.value_and_gradient(release.weights)
    rounding = 2.0**-53 * np.linalg.norm(b)
    assert (np.linalg.norm(gradient + b) + rounding) / objective.alpha <= curve.distance
    assert (noise_std, release_noise_std) == (curve.noise_std, curve.release_noise_std)
    assert release.guarantee.delta(1.5) <= 1e-6 < release.guarantee.delta(1.49)


def test_inexact_minimisers_are_paid_for() -> None:
    curve = calibrated(PerturbedProblem(1.0, 0.25, 5.0, "logistic"), 1.0, 1e-6)
    assert gaussian_delta(curve.spent_epsilon, 2.0 * curve.distance, curve.release_noise_std) <= curve.spent_delta
    assert (curve.spent_epsilon, curve.spent_delta) == (SHARE * 1.0, SHARE * 1e-6)
    exact = objective_delta(curve.problem, 1.0 - curve.spent_epsilon, curve.noise_std)
    assert exact + curve.spent_delta <= curve.delta(1.0, 1) <= 1e-6
    assert curve.delta(0.5 * curve.spent_epsilon, 1) == 1.0
    # All of it together costs a tenth of a per cent of the noise of the Gaussian mechanism.
    assert 1.0 < curve.noise_std / gaussian_noise_std(1.0, 1e-6, 1.0) < 1.0015


def test_rounding_of_the_noise_is_charged() -> None:
    def huge(center: Array, noise_std: float) -> Array:
        return center + 1e9

    with pytest.raises(MinimiserNotReachedError):
        objective_perturbation(problem(), RowLimits(1.0), 1.0, 1e-6, distance=1e-8, sampler=huge)


@pytest.mark.parametrize("loss", [LOGISTIC, SOFTMAX])
def test_without_rows_the_noise_alone_is_minimised(loss: Loss) -> None:
    targets = SIGNS[:0] if loss is LOGISTIC else CLASSES[:0]
    sampler, drawn = scripted(2)
    release = objective_perturbation(problem(loss, targets, features=X[:0]), RowLimits(1.0), 1.0, 1e-6, sampler=sampler)
    assert np.allclose(release.weights, -drawn[0][0] / 5.0, rtol=1e-9)


def test_public_constants() -> None:
    logistic = perturbed_problem(problem(), RowLimits(3.0, weight=2.0))
    assert (logistic.slopes, logistic.outputs) == ("logistic", 1)
    assert logistic.gradient_bound == pytest.approx(6.0) and logistic.smoothness == pytest.approx(4.5)
    hinge = perturbed_problem(problem(HuberisedHinge(0.25)), RowLimits(3.0))
    assert hinge.slopes == "one sign" and hinge.smoothness == pytest.approx(36.0)
    softmax = perturbed_problem(problem(SOFTMAX, CLASSES), RowLimits(3.0))
    assert (softmax.slopes, softmax.outputs, softmax.extremes) == ("softmax", 4, 3)
    assert softmax.gradient_bound == pytest.approx(3.0 * math.sqrt(2))


def test_the_guarantee_states_its_curve_and_no_secret() -> None:
    release = objective_perturbation(problem(SOFTMAX, CLASSES), RowLimits(1.0), 2.0, 1e-5, group_size=2)
    guarantee = release.guarantee
    assert (guarantee.stated_epsilon, guarantee.stated_delta, guarantee.group_size) == (2.0, 1e-5, 2)
    assert guarantee.delta(2.0) <= 1e-5 and guarantee.delta(2.0, group_size=1) < guarantee.delta(2.0)
    fields = json.loads(guarantee.to_json(indent=1))
    assert fields["curve"]["problem"]["outputs"] == 4
    assert {"T13", "T15"} <= set(fields["claims"]) and "T15" in str(guarantee)
    assert release.weights.shape == (3, 4)


@pytest.mark.parametrize(
    ("objective", "limits", "epsilon", "word"),
    [
        (problem(SQUARED), RowLimits(1.0), 1.0, "gradients without a bound"),
        (problem(), RowLimits(0.9), 1.0, "longer than the declared norm"),
        (problem(targets=np.hstack([SIGNS, SIGNS])), RowLimits(1.0), 1.0, "2 outputs"),
        (problem(alpha=0.1), RowLimits(1.0), 1.0, "strength 0.1 is too small"),
        (problem(), RowLimits(1.0), -1.0, "epsilon"),
    ],
)
def test_what_is_refused(objective: Objective, limits: RowLimits, epsilon: float, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        objective_perturbation(objective, limits, epsilon, 1e-6)


def test_an_infinite_epsilon_leaves_what_the_inexact_minimiser_costs() -> None:
    curve = calibrated(PerturbedProblem(1.0, 0.25, 1.0, "logistic"), 1.0, 1e-6)
    assert curve.delta(math.inf, 1) == curve.spent_delta <= curve.delta(1e6, 1)
