"""The Monte-Carlo auditor: wrong no more often than its level, at the truth and at no difference, and with power."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from certified.audit import epsilon_lower_bound, mu_lower_bound
from certified.privacy import gaussian_epsilon
from tests.audit.levels import most_errors

Array = npt.NDArray[np.float64]
LEVEL = 0.05


def errors(trials: int, runs: int, mu: float, delta: float) -> tuple[int, int]:
    """How often the bounds on ε and μ exceed the truth, for Gaussians ``mu`` apart."""
    rng = np.random.default_rng()
    truth = gaussian_epsilon(delta, mu, 1.0)
    wrong = [0, 0]
    for _ in range(trials):
        first, second = rng.normal(mu, size=runs), rng.normal(size=runs)
        wrong[0] += epsilon_lower_bound(first, second, delta, 1.0 - LEVEL) > truth
        wrong[1] += mu_lower_bound(first, second, 1.0 - LEVEL) > mu
    return wrong[0], wrong[1]


@pytest.mark.parametrize(("mu", "delta"), [(0.0, 0.0), (1.0, 1e-2)])
def test_the_level_holds(mu: float, delta: float) -> None:
    assert max(errors(120, 300, mu, delta)) <= most_errors(120, LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize(("mu", "delta"), [(0.0, 0.0), (0.0, 1e-3), (0.5, 1e-2), (2.0, 1e-3)])
@pytest.mark.parametrize("runs", [2, 20, 2000])
def test_the_level_holds_over_many_trials(runs: int, mu: float, delta: float) -> None:
    assert max(errors(1000, runs, mu, delta)) <= most_errors(1000, LEVEL)


def test_the_level_holds_where_the_bound_is_attained() -> None:
    """Randomised response reaches its ε at one event, so that only the confidence limits stand between."""
    rng = np.random.default_rng()
    epsilon, trials = 1.0, 200
    truth = math.exp(epsilon) / (1.0 + math.exp(epsilon))
    wrong = 0
    for _ in range(trials):
        first, second = (rng.random(200) < truth).astype(float), (rng.random(200) >= truth).astype(float)
        wrong += epsilon_lower_bound(first, second, 0.0, 1.0 - LEVEL) > epsilon
    assert wrong <= most_errors(trials, LEVEL)


def test_equal_scores_prove_nothing() -> None:
    assert epsilon_lower_bound(np.zeros(1000), np.zeros(1000), 0.0) == 0.0
    assert mu_lower_bound(np.zeros(1000), np.zeros(1000)) == 0.0


@pytest.mark.parametrize("mu", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("swapped", [False, True])
def test_power(mu: float, swapped: bool) -> None:
    rng = np.random.default_rng(1)
    delta = 1e-3
    pairs = [(rng.normal(mu, size=4000), rng.normal(size=4000)) for _ in range(5)]
    found = [(pair[::-1] if swapped else pair) for pair in pairs]
    assert np.median([epsilon_lower_bound(*pair, delta) for pair in found]) > 0.2 * gaussian_epsilon(delta, mu, 1.0)
    assert np.median([mu_lower_bound(*pair) for pair in found]) > 0.5 * mu


def test_each_direction_is_found() -> None:
    """An event that one mechanism never shows, the other with probability 0.2, proves ε in one direction only."""
    rng = np.random.default_rng(2)
    often, never = (rng.random(20_000) < 0.2).astype(float), np.zeros(20_000)
    assert min(epsilon_lower_bound(often, never, 0.0), epsilon_lower_bound(never, often, 0.0)) > 4.0
    assert epsilon_lower_bound(often, never, 0.25) == 0.0


@pytest.mark.parametrize(
    ("first", "delta", "confidence", "message"),
    [
        ([1.0], 0.0, 0.9, "first must be a vector"),
        ([1.0, math.nan], 0.0, 0.9, "first must be a vector"),
        ([[1.0, 2.0]], 0.0, 0.9, "first must be a vector"),
        ([1.0, 2.0], -0.1, 0.9, "delta must not be negative"),
        ([1.0, 2.0], 0.0, 1.0, "confidence must lie strictly"),
    ],
)
def test_bad_input(first: list[float], delta: float, confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        epsilon_lower_bound(first, [0.0, 1.0], delta, confidence)
