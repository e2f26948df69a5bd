from __future__ import annotations

import numpy as np
import pytest

from certified.solvers.factor import factorise


def test_solves_each_output_with_its_own_factor() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 4, 4))
    hessians = [r @ r.T + np.eye(4) for r in roots]
    penalty = np.full((4, 1), 0.5)
    gradient = rng.normal(size=(4, 3))
    solved = factorise(hessians, penalty).solve(gradient)
    for k, hessian in enumerate(hessians):
        assert np.allclose((hessian + 0.5 * np.eye(4)) @ solved[:, k], gradient[:, k])


def test_one_factor_serves_all_outputs() -> None:
    gradient = np.arange(6.0).reshape(2, 3)
    assert np.allclose(factorise([np.eye(2)], np.ones((2, 1))).solve(gradient), gradient / 2)


def test_no_outputs() -> None:
    assert factorise([], np.ones((2, 1))).solve(np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("hessian", [
    np.zeros((3, 3)),
    np.ones((3, 3)),
    np.diag([1.0, 1.0, 0.0]),
    np.diag([1.0, 1e-200, 0.0]),
    np.ones((3, 3)) - 1e-12 * np.eye(3),
    1e100 * np.ones((3, 3)),
])  # fmt: skip
def test_a_singular_matrix_is_shifted(hessian: np.ndarray) -> None:
    """The factor is then of hessian + τI with a small τ, so its solutions are finite descent directions."""
    factor = factorise([hessian], np.zeros((3, 1)))
    shifted = np.tril(factor.lower[0]) @ np.tril(factor.lower[0]).T
    assert np.allclose(shifted, hessian, rtol=1e-10, atol=1e-10 * max(np.abs(hessian).max(), 1e-4))
    gradient = np.array([[1.0], [2.0], [-1.0]])
    step = factor.solve(gradient)
    assert np.all(np.isfinite(step))
    assert np.sum(step * gradient) > 0.0


def test_leaves_its_arguments_alone() -> None:
    hessian, penalty = np.eye(2), np.ones((2, 1))
    factorise([hessian], penalty)
    assert np.array_equal(hessian, np.eye(2))
    assert np.array_equal(penalty, np.ones((2, 1)))


def test_repr_hides_the_factor() -> None:
    assert "[" not in repr(factorise([np.eye(2)], np.ones((2, 1))))
