"""μ-GDP against the Gaussian mechanism, and the shift under correlated noise against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon, gaussian_mu
from certified.privacy.gdp import gaussian_shift_mu, gdp_delta, gdp_epsilon


def mahalanobis_squared(shift: list[float], covariance: list[list[float]]) -> Fraction:
    """vᵀΣ⁻¹v by Gaussian elimination on fractions."""
    d = len(shift)
    table = [[Fraction(x) for x in row] + [Fraction(v)] for row, v in zip(covariance, shift, strict=True)]
    for i in range(d):
        pivot = next(r for r in range(i, d) if table[r][i] != 0)
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [x / table[i][i] for x in table[i]]
        for r in range(d):
            if r != i:
                table[r] = [x - table[r][i] * y for x, y in zip(table[r], table[i], strict=True)]
    return sum((Fraction(v) * row[d] for v, row in zip(shift, table, strict=True)), Fraction(0))


def random_problem(rng: np.random.Generator) -> tuple[list[float], list[list[float]]]:
    d = int(rng.integers(1, 7))
    root = rng.normal(size=(d, d)) * 10.0 ** rng.uniform(-6, 6, d)
    covariance = root @ root.T
    covariance = np.tril(covariance) + np.tril(covariance, -1).T
    return rng.normal(size=d).tolist(), covariance.tolist()


def test_shift_is_the_oracle_rounded_up() -> None:
    rng, checked = np.random.default_rng(1), 0
    for _ in range(400):
        shift, covariance = random_problem(rng)
        try:
            mu = gaussian_shift_mu(shift, covariance)
        except ValueError:
            assert np.linalg.eigvalsh(covariance)[0] < 1e-12 * np.linalg.eigvalsh(covariance)[-1]
            continue
        truth = mahalanobis_squared(shift, covariance)
        assert Fraction(mu) ** 2 >= truth > Fraction(math.nextafter(mu, 0.0)) ** 2
        checked += 1
    assert checked >= 300


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_equal_variances_give_distance_over_noise(distance: float, noise_std: float) -> None:
    mu = gaussian_shift_mu([distance, 0.0, 0.0], (noise_std**2 * np.eye(3)).tolist())
    assert mu == pytest.approx(distance / noise_std, rel=1e-12)


def test_curve_of_correlated_noise_is_that_of_samples() -> None:
    """P(L > ε) − e^ε Q(L > ε) from 200,000 draws of each world."""
    covariance, shift, epsilon = [[2.0, 1.2], [1.2, 1.0]], [0.6, -0.3], 0.4
    rng = np.random.default_rng(2)
    noise = rng.multivariate_normal([0.0, 0.0], covariance, 200_000)
    precision = np.linalg.inv(covariance)

    def losses(draws: np.ndarray) -> np.ndarray:
        return np.asarray((draws - np.array(shift) / 2) @ precision @ shift)

    near, far = np.mean(losses(noise + shift) > epsilon), np.mean(losses(noise) > epsilon)
    delta = gdp_delta(epsilon, gaussian_shift_mu(shift, covariance))
    assert near - math.exp(epsilon) * far == pytest.approx(delta, abs=0.01)


def test_numpy_arrays_are_accepted() -> None:
    assert gaussian_shift_mu(np.array([3.0, 4.0]), np.eye(2)) == 5.0


def test_no_shift_is_no_loss() -> None:
    assert gaussian_shift_mu([0.0, 0.0], [[1.0, 0.3], [0.3, 1.0]]) == 0.0


@given(st.floats(0.0, 100.0), st.floats(1e-6, 1e6), st.floats(0.0, 1.0))
def test_conversions_are_those_of_the_gaussian_mechanism(epsilon: float, mu: float, delta: float) -> None:
    assert gdp_delta(epsilon, mu) == gaussian_delta(epsilon, mu, 1.0)
    assert gdp_epsilon(delta, mu) == gaussian_epsilon(delta, mu, 1.0)
    assert gdp_delta(epsilon, gaussian_mu(epsilon, delta)) <= delta


def test_delta_at_zero_is_the_total_variation_distance() -> None:
    assert gdp_delta(0.0, 1.0) == pytest.approx(2 * stats.norm.cdf(0.5) - 1, rel=1e-13)


@pytest.mark.parametrize(
    ("shift", "covariance", "error", "message"),
    [
        ([], [], ValueError, "covariance must have 0 rows"),
        ([1.0], [[1.0, 0.0]], ValueError, "covariance must have 1 rows of 1 entries"),
        ([1.0, 2.0], [[1.0, 0.0]], ValueError, "covariance must have 2 rows of 2 entries"),
        ([1.0, 2.0], [[1.0, 0.1], [0.2, 1.0]], ValueError, "covariance must be symmetric"),
        ([1.0, 2.0], [[1.0, 1.0], [1.0, 1.0]], ValueError, "covariance must be positive definite"),
        ([1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], ValueError, "covariance must be positive definite"),
        ([0.0, 0.0], [[-1.0, 0.0], [0.0, 1.0]], ValueError, "covariance must be positive definite"),
        ([math.nan], [[1.0]], ValueError, r"shift\[0\] must be a finite float64 number"),
        ([1.0], [[math.inf]], ValueError, r"covariance\[0\]\[0\] must be a finite float64 number"),
        ([1.0], [["1"]], TypeError, r"covariance\[0\]\[0\] must be a real number, got str"),
    ],
)
def test_bad_arguments_are_named(shift: list[float], covariance: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        gaussian_shift_mu(shift, covariance)  # type: ignore[arg-type]
