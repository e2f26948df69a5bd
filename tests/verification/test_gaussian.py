"""The verifier's privacy curve against high-precision arithmetic."""

from __future__ import annotations

import mpmath
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from certified.verification.gaussian import gaussian_delta, largest_mu


def _delta(epsilon: float, mu: float) -> mpmath.mpf:
    e, m = mpmath.mpf(epsilon), mpmath.mpf(mu)
    return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


@given(st.floats(0.0, 50.0), st.floats(-3.0, 1.5))
def test_delta_is_the_exact_curve(epsilon: float, exponent: float) -> None:
    mu = 10.0**exponent
    with mpmath.workdps(60):
        exact = _delta(epsilon, mu)
        if exact < mpmath.mpf("1e-300"):
            return
        computed = gaussian_delta(epsilon, mu)
        assert abs(float(computed) / float(exact) - 1.0) < 1e-12
        assert computed > arb(float(exact * (1 - mpmath.mpf("1e-15"))))


def test_no_distance_costs_nothing() -> None:
    assert gaussian_delta(0.0, 0.0) == 0


@pytest.mark.parametrize(("epsilon", "mu"), [(1.0, 1e-9), (1e-6, 1e-12), (1.0, 1e-300)])
def test_a_tiny_distance_costs_less_than_any_float(epsilon: float, mu: float) -> None:
    assert 0 <= gaussian_delta(epsilon, mu) < 1e-300


@pytest.mark.parametrize("mu", [1e10, 1e300])
def test_a_huge_distance_costs_everything(mu: float) -> None:
    assert 1.0 - 1e-12 < float(gaussian_delta(1.0, mu)) <= 1.0


@given(st.floats(0.0, 100.0), st.floats(-12.0, -0.01))
def test_largest_mu_is_the_last_that_is_permitted(epsilon: float, exponent: float) -> None:
    delta = 10.0**exponent
    mu = largest_mu(epsilon, delta)
    assert gaussian_delta(epsilon, mu) <= delta
    assert gaussian_delta(epsilon, mu * (1.0 + 1e-12)) > delta
