"""The classical mechanism against 60-digit arithmetic and against the exact one."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.classical import (
    PREFACTORS,
    Form,
    classical_delta,
    classical_epsilon,
    classical_multiplier,
    classical_noise_std,
    classical_sensitivity,
    classical_tail,
)
from certified.privacy.gaussian import gaussian_delta, gaussian_noise_std
from tests.privacy.derivatives import check_formula

TINY, MAX = math.ulp(0.0), sys.float_info.max
FORMS: tuple[Form, ...] = ("dwork-roth", "guo")
forms = st.sampled_from(FORMS)
epsilons = st.one_of(st.floats(1e-6, 1.0, exclude_max=True), st.floats(1e-100, 1.0, exclude_max=True))
deltas = st.one_of(st.floats(1e-15, 1.0), st.floats(TINY, 1.0))
positives = st.one_of(st.floats(1e-6, 1e6), st.floats(1e-50, 1e50))


def random_parameters(count: int, seed: int) -> list[tuple[float, float, float]]:
    generator = np.random.default_rng(seed)
    exponents = generator.uniform([-12, -300, -50], [0, 0, 50], (count, 3))
    return [(min(e, 0.999999), d, s) for e, d, s in (10.0**exponents).tolist()]


@pytest.mark.parametrize("form", FORMS)
def test_values_are_the_oracle_rounded_to_the_safe_side(form: Form) -> None:
    for epsilon, delta, value in random_parameters(1_500, seed=1):
        with mpmath.workdps(60):
            c = mpmath.sqrt(2 * mpmath.log(mpmath.mpf(PREFACTORS[form]) / mpmath.mpf(delta)))
            noise_std = classical_noise_std(epsilon, delta, value, form)
            truth = c * mpmath.mpf(value) / mpmath.mpf(epsilon)
            assert mpmath.mpf(noise_std) >= truth > mpmath.mpf(math.nextafter(noise_std, 0.0))
            sensitivity = classical_sensitivity(epsilon, delta, value, form)
            truth = mpmath.mpf(value) * mpmath.mpf(epsilon) / c
            assert mpmath.mpf(sensitivity) <= truth < mpmath.mpf(math.nextafter(sensitivity, math.inf))
            near = classical_epsilon(delta, value, noise_std, form)
            truth = c * mpmath.mpf(value) / mpmath.mpf(noise_std)
            assert epsilon >= near >= truth > mpmath.mpf(math.nextafter(near, 0.0))


@pytest.mark.parametrize("form", FORMS)
def test_delta_is_the_oracle_rounded_up(form: Form) -> None:
    rng = np.random.default_rng(2)
    for epsilon, _, s in random_parameters(1_500, seed=3):
        noise_std = s / epsilon * rng.uniform(0.0, 39.0)
        delta = classical_delta(epsilon, s, noise_std, form)
        with mpmath.workdps(60):
            c = mpmath.mpf(noise_std) * mpmath.mpf(epsilon) / mpmath.mpf(s)
            truth = min(mpmath.mpf(1), mpmath.mpf(PREFACTORS[form]) * mpmath.exp(-c * c / 2))
            assert mpmath.mpf(delta) >= truth > mpmath.mpf(math.nextafter(delta, 0.0))


@given(epsilons, deltas, positives, forms)
def test_classical_noise_is_never_less_than_exact_noise(epsilon: float, delta: float, s: float, form: Form) -> None:
    """Claim T17f, down to δ = 1 and up to ε = 1."""
    noise_std = classical_noise_std(epsilon, delta, s, form)
    assert gaussian_delta(epsilon, s, noise_std) <= delta
    assert noise_std >= gaussian_noise_std(epsilon, delta, s)


def test_the_theorem_fails_for_large_epsilon() -> None:
    """Why ε ≥ 1 is refused: at ε = 10 the formula would prove δ = 0.01 where 0.08 is true."""
    epsilon, delta = 10.0, 0.01
    sigma = classical_multiplier(delta, 1.25) / epsilon
    assert gaussian_delta(epsilon, 1.0, sigma) > 1.5 * delta


@given(epsilons, deltas, positives, forms)
def test_round_trips(epsilon: float, delta: float, value: float, form: Form) -> None:
    noise_std = classical_noise_std(epsilon, delta, value, form)
    assert classical_delta(epsilon, value, noise_std, form) <= delta
    assert classical_epsilon(delta, value, noise_std, form) <= epsilon
    sensitivity = classical_sensitivity(epsilon, delta, value, form)
    assert classical_delta(epsilon, sensitivity, value, form) <= delta
    assert classical_sensitivity(epsilon, delta, noise_std, form) >= value


@given(epsilons, epsilons, deltas, deltas, positives, forms)
def test_noise_falls_with_epsilon_and_delta(
    first: float, second: float, third: float, fourth: float, s: float, form: Form
) -> None:
    low, high = sorted((first, second))
    small, large = sorted((third, fourth))
    assert classical_noise_std(low, small, s, form) >= classical_noise_std(high, small, s, form)
    assert classical_noise_std(high, small, s, form) >= classical_noise_std(high, large, s, form)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (classical_noise_std(0.5, 0.0, 1.0), math.inf),
        (classical_noise_std(0.0, 0.5, 1.0), math.inf),
        (classical_noise_std(0.0, 0.0, 0.0), 0.0),
        (classical_epsilon(0.5, 0.0, 0.0), 0.0),
        (classical_epsilon(0.5, 1.0, math.inf), 0.0),
        (classical_delta(0.5, 0.0, 0.0), 0.0),
        (classical_delta(0.5, 1.0, 0.0), 1.0),
        (classical_delta(0.0, 1.0, 1.0), 1.0),
        (classical_delta(0.5, 1.0, math.inf), 0.0),
        (classical_delta(0.5, 1.0, 1e6), TINY),
        (classical_sensitivity(0.5, 0.0, 1.0), 0.0),
        (classical_sensitivity(0.5, 1.0, MAX), 0.5 * MAX / math.sqrt(2 * math.log(1.25))),
        (classical_sensitivity(0.5, 0.5, math.inf), MAX),
    ],
)
def test_edges(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    "call",
    [
        lambda: classical_noise_std(1.0, 1e-5, 1.0),
        lambda: classical_delta(1.0, 1.0, 1.0),
        lambda: classical_sensitivity(2.0, 1e-5, 1.0),
        lambda: classical_epsilon(1e-5, 1.0, 1.0),
        lambda: classical_epsilon(0.0, 1.0, 1.0),
    ],
)
def test_epsilon_of_one_and_more_is_refused(call: Callable[[], float]) -> None:
    with pytest.raises(ValueError, match=r"^epsilon must be below 1, .*use the exact gaussian_"):
        call()


def test_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^form must be one of 'dwork-roth', 'guo', got 'other'"):
        classical_noise_std(0.5, 1e-5, 1.0, "other")  # type: ignore[arg-type]


def test_formulas_run_on_every_scalar() -> None:
    check_formula(classical_multiplier, 1e-5, 1.25)
    check_formula(classical_tail, 3.0, 1.5)


def test_an_infinite_distance_under_infinite_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^sensitivity must be finite under infinite noise_std"):
        classical_delta(0.5, math.inf, math.inf)
