"""Certified norms against exact ones, and the data-dependent bounds evaluated from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from certified.bounds.published import LOGISTIC_THIRD_DERIVATIVE
from certified.bounds.published.data_dependent import newton_step_bounds, spectral_norm_bound, step_norms
from tests.oracle import is_positive_definite

SHAPES = ((1, 1), (3, 2), (40, 5), (5, 30))


def matrices(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    n, d = SHAPES[seed % len(SHAPES)]
    plain = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-8, 8)
    scaled = plain * 10.0 ** rng.uniform(-6, 0, size=d)
    return [plain, scaled, np.ones((n, d)), np.outer(rng.normal(size=n), rng.normal(size=d))]


@pytest.mark.parametrize("seed", range(12))
def test_the_spectral_norm_is_an_upper_bound_and_tight(seed: int) -> None:
    """t²I − XᵀX is positive semidefinite in exact arithmetic (claim T7a)."""
    for features in matrices(seed):
        bound = spectral_norm_bound(features)
        n, d = features.shape
        with ctx.workprec(400):
            x = arb_mat(n, d, features.ravel().tolist())
            gap = x.transpose() * x * arb(-1)
            square = arb(bound) ** 2
            gap = gap + arb_mat(d, d, [square if i % (d + 1) == 0 else 0 for i in range(d * d)])
            assert is_positive_definite(gap, 0.0)
        assert bound <= np.linalg.norm(features, 2) * 1.002


def test_a_row_of_whole_weight_is_repeated_and_fractional_weights_do_not_scale_rows() -> None:
    """Claim T7a with ℓ‴ = M: one row x = 1 of weight c leaves c·(M/2)·v² exactly."""
    third, step = 0.25, np.array([0.5])
    repeated = newton_step_bounds(np.ones((3, 1)), step, third)
    assert all(bound >= 3 * third / 2 * 0.25 for bound in repeated.values())
    scaled = newton_step_bounds(np.full((1, 1), 0.5), step, third)
    assert scaled["newton_rows"] < 0.25 * third / 2 * 0.25 and scaled["newton_elementwise"] < 0.25 * third / 2 * 0.25


@pytest.mark.parametrize("third", [-1.0, math.nan, math.inf])
def test_a_bad_third_derivative_is_named(third: float) -> None:
    with pytest.raises(ValueError, match="third_derivative must"):
        newton_step_bounds(np.eye(2), np.ones(2), third)


def test_power_iteration_is_below() -> None:
    """The estimate of the published script is a lower bound, so that it proves nothing."""
    features = np.diag(np.linspace(1.0, 0.99, 30))
    vector = np.random.default_rng(0).normal(size=30)
    for _ in range(20):
        vector = features.T @ (features @ vector)
        norm = np.linalg.norm(vector)
        vector /= norm
    assert math.sqrt(norm) < np.linalg.norm(features, 2) <= spectral_norm_bound(features)


@pytest.mark.parametrize("seed", range(12))
def test_norms_are_upper_bounds(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for features in matrices(seed):
        step = rng.normal(size=features.shape[1]) * 10.0 ** rng.uniform(-8, 8)
        norms = step_norms(features, step)
        with ctx.workprec(400):
            v = arb_mat(len(step), 1, step.tolist())
            products = arb_mat(*features.shape, features.ravel().tolist()) * v
            entries = [products[i, 0] for i in range(products.nrows())]
            assert sum((e * e for e in entries), arb(0)).sqrt() <= norms.product
            assert sum((e**4 for e in entries), arb(0)).sqrt() <= norms.squared_product
            assert sum((arb(float(s)) ** 2 for s in step), arb(0)).sqrt() <= norms.step
            for row in features:
                assert sum((arb(float(entry)) ** 2 for entry in row), arb(0)).sqrt() <= norms.feature
        scale = np.linalg.norm(features, axis=1).max() * np.linalg.norm(step)
        assert norms.product <= np.linalg.norm(features @ step) + 1e-10 * scale * len(features)


def test_products_that_cancel_keep_their_rounding_error() -> None:
    features = np.array([[1.0, 2.0**-60, -1.0], [2.0**-60, 1.0, -1.0]])
    norms = step_norms(features, np.ones(3))
    assert norms.product >= math.sqrt(2.0) * 2.0**-60
    assert norms.squared_product >= math.sqrt(2.0) * 2.0**-120


def test_the_bounds_hold_and_keep_their_order() -> None:
    """Claim T7a on rows of any norm, against the remainder of the logistic gradient in balls."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        n, d = int(rng.integers(1, 15)), int(rng.integers(1, 5))
        features, w = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-1, 1), rng.normal(size=d)
        step = rng.normal(size=d) * 10.0 ** rng.uniform(-3, 0)
        bounds = newton_step_bounds(features, step, LOGISTIC_THIRD_DERIVATIVE)
        with ctx.workprec(300):
            x = arb_mat(n, d, features.ravel().tolist())
            z, move = x * arb_mat(d, 1, w.tolist()), x * arb_mat(d, 1, step.tolist())
            rest = []
            for i in range(n):
                s, t = (1 / (1 + (-u).exp()) for u in (z[i, 0], z[i, 0] + move[i, 0]))
                rest.append(t - s - s * (1 - s) * move[i, 0])
            gradient = x.transpose() * arb_mat(n, 1, rest)
            size = sum((gradient[i, 0].abs_lower() ** 2 for i in range(d)), arb(0)).sqrt()
            assert all(size <= arb(bound) * (1 + arb(2) ** -250) for bound in bounds.values())
        assert bounds["newton_rows"] <= bounds["newton_integral"] * (1 + 1e-2)
        assert bounds["newton_elementwise"] <= bounds["newton_integral"] * (1 + 1e-2)


def test_neither_of_the_two_sharp_forms_wins_always() -> None:
    orthogonal = newton_step_bounds(np.eye(9), np.ones(9), 0.25)
    assert 2.9 < orthogonal["newton_rows"] / orthogonal["newton_elementwise"] < 3.1
    aligned = newton_step_bounds(np.vstack([np.tile([1.0, 0.0], (9, 1)), [[0.0, 1.0]]]), np.array([0.0, 1.0]), 0.25)
    assert 2.9 < aligned["newton_elementwise"] / aligned["newton_rows"] < 3.1


def test_no_rows_leave_nothing() -> None:
    assert set(newton_step_bounds(np.zeros((0, 2)), np.ones(2), 0.25).values()) == {0.0}
    assert spectral_norm_bound(np.zeros((3, 2))) < 1e-60
    assert spectral_norm_bound(np.zeros((0, 2))) == 0.0


@pytest.mark.parametrize(
    ("features", "step", "error", "message"),
    [
        (
            np.eye(2, dtype=np.float32),
            np.ones(2),
            TypeError,
            r"^features must be a float64 NumPy array of shape \(n, d\)",
        ),
        (np.eye(2), np.ones(3), TypeError, r"^step must be a float64 NumPy array of shape \(2,\)"),
        (np.eye(2), np.array([1.0, math.nan]), ValueError, r"^step must be finite"),
        (np.array([[math.inf]]), np.ones(1), ValueError, r"^features must be finite"),
    ],
)
def test_bad_arrays_are_named(features: np.ndarray, step: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        step_norms(features, step)
