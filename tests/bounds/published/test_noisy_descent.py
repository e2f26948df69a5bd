from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from certified.bounds.published.noisy_descent import noisy_descent_mu

SHIFTS = arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([0.0, 0.0, 1.0]) | st.floats(1e-3, 10.0))
CONTRACTIONS = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0.01, 1.0)


def unlearning_mu(shift: float, contraction: float, noise_std: float, training: int, steps: int) -> float:
    """Claim T7m, item 2, in the closed form of its special case."""
    c, total = contraction, training + steps
    moved = shift * c**steps * (1.0 - c**training)
    return moved / noise_std * math.sqrt((1.0 + c) / ((1.0 - c) * (1.0 - c ** (2 * total))))


@given(st.floats(1e-3, 1e3), st.floats(0.05, 0.999), st.floats(1e-3, 1e3), st.integers(1, 300), st.integers(0, 300))
def test_closed_form(shift: float, contraction: float, noise_std: float, training: int, steps: int) -> None:
    """A deleted row moves every training step alike and no later one."""
    mu = noisy_descent_mu([shift] * training + [0.0] * steps, contraction, noise_std)
    assert math.isclose(mu, unlearning_mu(shift, contraction, noise_std, training, steps), rel_tol=1e-9, abs_tol=1e-120)


@given(SHIFTS, st.floats(0.05, 1.0), st.floats(1e-3, 1e3))
def test_affine_maps_attain_it(shifts: np.ndarray, contraction: float, noise_std: float) -> None:
    """Claim T7m: w ↦ c·w + s_t against w ↦ c·w, exact Gaussians with one covariance; equal where shifts do not grow."""
    mean = mean_of_other = variance = 0.0
    for shift in np.sort(shifts)[::-1]:
        mean, mean_of_other = contraction * mean + shift, contraction * mean_of_other
        variance = contraction**2 * variance + noise_std**2
    exact = abs(mean - mean_of_other) / math.sqrt(variance)
    assert math.isclose(noisy_descent_mu(np.sort(shifts)[::-1], contraction, noise_std), exact, rel_tol=1e-9)
    assert noisy_descent_mu(shifts, contraction, noise_std) >= _affine_mu(shifts, contraction, noise_std) * (1.0 - 1e-9)


def _affine_mu(shifts: np.ndarray, contraction: float, noise_std: float) -> float:
    gains = contraction ** np.arange(len(shifts) - 1, -1, -1, dtype=np.float64)
    return float(gains @ shifts) / (noise_std * float(np.linalg.norm(gains)))


@given(SHIFTS, CONTRACTIONS)
def test_no_valid_schedule_costs_less(shifts: np.ndarray, contraction: float) -> None:
    """Claim T7m: an independent solver of the same convex programme finds nothing cheaper, and nothing much dearer."""
    steps = len(shifts)
    reach = np.tril(contraction ** np.maximum(np.subtract.outer(np.arange(steps), np.arange(steps)), 0.0))
    moved = reach @ shifts
    mu = noisy_descent_mu(shifts, contraction, 1.0)
    constraints = [
        {"type": "ineq", "fun": lambda a: (moved - reach @ a)[:-1], "jac": lambda a: -reach[:-1]},
        {"type": "eq", "fun": lambda a: (moved - reach @ a)[-1:], "jac": lambda a: -reach[-1:]},
    ]
    found = optimize.minimize(
        lambda a: (a @ a, 2.0 * a), shifts, jac=True, bounds=[(0.0, None)] * steps, constraints=constraints,
        method="SLSQP", options={"maxiter": 500, "ftol": 1e-14},
    )  # fmt: skip
    best = math.sqrt(max(found.fun, 0.0))
    assert mu <= best * (1.0 + 1e-5) + 1e-6
    valid = np.all(moved - reach @ found.x >= -1e-9) and abs((moved - reach @ found.x)[-1]) < 1e-9
    assert not (valid and found.success) or mu >= best * (1.0 - 1e-4) - 1e-5


@given(SHIFTS, CONTRACTIONS, st.floats(0.0, 5.0), st.integers(0, 11))
def test_more_shift_or_less_contraction_never_lowers_it(
    shifts: np.ndarray, contraction: float, more: float, where: int
) -> None:
    mu = noisy_descent_mu(shifts, contraction, 1.0)
    moved = shifts.copy()
    moved[where % len(shifts)] += more
    assert noisy_descent_mu(moved, contraction, 1.0) >= mu * (1.0 - 1e-9)
    assert noisy_descent_mu(shifts, min(1.0, contraction + 0.1), 1.0) >= mu * (1.0 - 1e-9)


@given(SHIFTS, CONTRACTIONS)
def test_it_lies_between_what_reaches_the_end_and_plain_composition(shifts: np.ndarray, contraction: float) -> None:
    """At most as if every step were absorbed at once; at least the final distance through all the noise."""
    mu = noisy_descent_mu(shifts, contraction, 1.0)
    assert mu <= float(np.linalg.norm(shifts)) * (1.0 + 1e-9) + 1e-300
    assert mu >= _affine_mu(shifts, contraction, 1.0) * (1.0 - 1e-9) - 1e-300


def test_nothing_shifted_is_perfect() -> None:
    assert noisy_descent_mu([0.0] * 5, 0.9, 1.0) == 0.0
    assert noisy_descent_mu([], 0.9, 1.0) == 0.0


def test_underflowing_gains_stay_a_bound() -> None:
    mu = noisy_descent_mu([1.0] * 5000 + [0.0] * 100, 0.5, 1.0)
    assert math.isclose(mu, unlearning_mu(1.0, 0.5, 1.0, 5000, 100), rel_tol=1e-9)
    assert noisy_descent_mu([1.0] + [0.0] * 5000, 0.5, 1.0) >= 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1.0], 0.5, 1.0), r"shifts\[0\] must"),
        (([0.0, math.nan], 0.5, 1.0), r"shifts\[1\] must"),
        (([math.inf], 0.5, 1.0), r"shifts\[0\] must be finite"),
        (([1.0], 1.5, 1.0), "contraction must be at most 1"),
        (([1.0], -0.5, 1.0), "contraction must"),
        (([1.0], 0.5, 0.0), "noise_std must be positive"),
        (([1.0], 0.5, math.nan), "noise_std must"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[list[float], float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noisy_descent_mu(*arguments)
