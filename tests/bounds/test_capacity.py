"""Capacities: the largest number that the bound allows, found independently, and no more."""

from __future__ import annotations

import dataclasses
import math

import mpmath
import pytest

from certified.bounds import capacity
from certified.bounds.capacity import Capacity, capacities
from certified.bounds.capacity_problem import CapacityProblem
from certified.bounds.published import LOGISTIC_THIRD_DERIVATIVE, PUBLISHED
from certified.privacy.gaussian import gaussian_delta

BASE = CapacityProblem(
    n=2000,
    dimension=10,
    strength=0.1,
    gradient_bound=1.0,
    curvature_limit=0.25,
    third_derivative=LOGISTIC_THIRD_DERIVATIVE,
    feature_norm=1.0,
    epsilon=0.8,
    delta=1e-5,
    noise_std=2.0,
    perturbation_std=30.0,
)
PROBLEMS = [
    BASE,
    dataclasses.replace(BASE, n=50, noise_std=50.0),
    dataclasses.replace(BASE, strength=1.0, feature_norm=2.0, gradient_bound=2.0),
    dataclasses.replace(BASE, epsilon=3.0),
    dataclasses.replace(BASE, noise_std=1e-6, perturbation_std=1e-3),
]


def largest(limit: int, value: object, target: object) -> int:
    """Scan for the largest m with value(m) ≤ target, in 40 digits."""
    best = 0
    for m in range(1, limit):
        if value(m) > target:  # type: ignore[operator]
            break
        best = m
    return best


@pytest.mark.parametrize("problem", PROBLEMS)
def test_counts_match_a_scan_in_high_precision(problem: CapacityProblem) -> None:
    """Claims T7, T7b: every count is where the formula, written anew, passes the target."""
    mpmath.mp.dps = 40
    n, s = problem.n, mpmath.mpf(problem.distance_target)
    lam, c = mpmath.mpf(problem.strength), mpmath.mpf(problem.gradient_bound)
    curved = mpmath.mpf(problem.third_derivative) * mpmath.mpf(problem.feature_norm) ** 3
    smooth = mpmath.mpf(problem.curvature_limit) * mpmath.mpf(problem.feature_norm) ** 2 + lam
    shift = lambda m: 2 * m * c / (lam * n)  # noqa: E731
    newton = lambda m: curved * shift(m) ** 2 / (2 * lam)  # noqa: E731
    stale = lambda m: m * smooth / (lam * (n - m)) * shift(m)  # noqa: E731
    eps = mpmath.mpf(problem.epsilon)
    factor = mpmath.sqrt(2 * mpmath.log(mpmath.mpf("1.25") / mpmath.mpf(problem.delta))) / eps
    budget = mpmath.mpf(problem.perturbation_std) * eps
    budget /= mpmath.sqrt(2 * mpmath.log(mpmath.mpf("1.5") / mpmath.mpf(problem.delta)))
    rate = curved / 2 * ((2 * c + lam * s) / lam) ** 2
    harmonic = lambda m: mpmath.harmonic(n - 1) - mpmath.harmonic(n - 1 - m)  # noqa: E731
    expected = {
        "old weights, noise": largest(n, shift, s),
        "Newton step, batch": largest(n, newton, s),
        "infinitesimal jackknife, batch": largest(n, lambda m: newton(m) + stale(m), s),
        "Newton steps, one by one": largest(n, lambda m: rate * harmonic(m) - lam * (n - m) * s, 0),
        "Newton step, batch (Guo)": largest(n, lambda m: 4 * curved * (m * c / lam) ** 2 / (n - m), budget),
        "Newton steps, one by one (Guo)": largest(n, lambda m: 4 * curved * (c / lam) ** 2 * harmonic(m), budget),
        "Newton step, batch (Sekhari)": (
            largest(n, lambda m: 4 * newton(m) * factor, mpmath.mpf(problem.noise_std)) if eps < 1 else 0
        ),
    }
    found = {row.mechanism: row for row in capacities(problem)}
    assert {name: found[name].deletions for name in expected} == expected


@pytest.mark.parametrize("problem", PROBLEMS)
def test_descent_steps_reach_the_target(problem: CapacityProblem) -> None:
    """Claims T7d, T7e: that many passes suffice, and one fewer does not."""
    rows = {row.mechanism: row for row in capacities(problem)}
    lam, smooth = problem.strength, problem.row_smoothness
    gamma = (smooth - lam) / (smooth + lam)
    target = problem.distance_target

    def reached(passes: float, n: int) -> float:
        return 2 * problem.gradient_bound * gamma**passes / (lam * n * (1 - gamma**passes))

    passes, n = rows["descent (Neel)"].passes, n_after_half(problem)
    assert reached(passes, n) <= target / 2 * (1 + 1e-9)
    assert passes == 1 or reached(passes - 1, n) > target / 2 * (1 - 1e-9)

    def measured(passes: float) -> float:
        """The gradient on the last of two rows, λ per row, from a gradient of 2λs on both (claim T7d)."""
        return (2 * lam * target + 2 * problem.gradient_bound + lam * target) * gamma**passes

    passes = rows["polishing, measured"].passes
    assert measured(passes) <= lam * target * (1 + 1e-9)
    assert passes == 1 or measured(passes - 1) > lam * target * (1 - 1e-9)
    epochs, c = rows["noisy descent (Chien)"].passes, 1 - lam / smooth
    shift = 2 * problem.gradient_bound / (smooth * problem.n * (1 - c))
    assert shift * c**epochs / (1 - c**epochs) <= target * (1 + 1e-9)
    assert epochs == 1 or shift * c ** (epochs - 1) / (1 - c ** (epochs - 1)) > target * (1 - 1e-9)
    assert rows["polishing, measured"].deletions == problem.n - 1


def n_after_half(problem: CapacityProblem) -> int:
    return problem.n - problem.n // 2


def test_one_by_one_follows_the_recursion() -> None:
    """Claim T7: the closed form covers the residual that the steps really add up to, and the noise then suffices."""
    count = capacity.newton_sequence_capacity(BASE).deletions
    assert 0 < count < BASE.n - 1
    residual, n = 0.0, BASE.n
    for _ in range(count):
        residual = PUBLISHED["newton_worst_case"].calculate(
            n=n,
            removed=1,
            strength=BASE.strength,
            gradient_bound=BASE.gradient_bound,
            third_derivative=BASE.third_derivative,
            feature_norm=BASE.feature_norm,
            perturbation_norm=0.0,
            training_residual=residual,
        )
        n -= 1
    distance = residual / (BASE.strength * n)
    assert gaussian_delta(BASE.epsilon, distance, BASE.noise_std) <= BASE.delta


def test_more_noise_never_lowers_a_capacity() -> None:
    before = [row.deletions for row in capacities(BASE)]
    after = [row.deletions for row in capacities(dataclasses.replace(BASE, noise_std=4.0, perturbation_std=60.0))]
    assert all(b >= a for a, b in zip(before, after, strict=True)) and before != after


def test_almost_no_penalty_certifies_nothing_in_advance() -> None:
    rows = {row.mechanism: row for row in capacities(dataclasses.replace(BASE, strength=1e-160))}
    assert rows["noisy descent (Chien)"].passes == math.inf
    assert rows["polishing, measured"].passes > 1e150
    assert all(row.deletions == 0 for name, row in rows.items() if "Newton" in name or "jackknife" in name)


def test_every_row_names_its_bound_and_its_cost() -> None:
    rows = capacities(BASE)
    assert len({row.mechanism for row in rows}) == len(rows) == 10
    for row in rows:
        assert isinstance(row, Capacity) and row.bound in PUBLISHED
        assert 0 <= row.deletions < BASE.n and row.passes >= 0.0 and row.flops >= 0.0
    assert len(capacities(dataclasses.replace(BASE, perturbation_std=0.0))) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 1}, "n must be a whole number of at least 2, got 1"),
        ({"n": 10.0}, "n must be a whole number"),
        ({"dimension": 0}, "dimension must be a whole number"),
        ({"strength": 0.0}, "strength must be positive and finite, got 0.0"),
        ({"epsilon": math.nan}, "epsilon must be positive and finite, got nan"),
        ({"delta": 1.0}, "delta must be below 1"),
        ({"third_derivative": -1.0}, "third_derivative must be at least 0"),
        ({"noise_std": math.inf}, "noise_std must be positive and finite"),
        ({"noise_std": 5e-324}, "noise_std=5e-324 hides no distance"),
    ],
)
def test_bad_constants_are_named(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        dataclasses.replace(BASE, **change)
