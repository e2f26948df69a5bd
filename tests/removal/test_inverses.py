from __future__ import annotations

import numpy as np
import pytest

from certified.bounds.curvature import Linearisation
from certified.bounds.enclosure import Enclosure
from certified.removal.inverses import inverses_of, largest_eigenvalue, precondition


def linearisation(outputs: int, rank: int = 4) -> Linearisation:
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(rank, 4)) for _ in range(outputs)]
    return Linearisation(np.zeros((4, outputs)), tuple(Enclosure(f.T @ f, 0.0) for f in factors), np.full((4, 1), 0.5))


@pytest.mark.parametrize("outputs", [1, 3])
def test_inverses(outputs: int) -> None:
    point = linearisation(outputs)
    inverses = inverses_of(point)
    residual = np.random.default_rng(1).normal(size=(4, outputs))
    solved = precondition(inverses, residual)
    for k, enclosure in enumerate(point.data_hessians):
        assert np.array_equal(inverses[k], inverses[k].T)
        assert (enclosure.value + 0.5 * np.eye(4)) @ solved[:, k] == pytest.approx(residual[:, k])


def test_one_inverse_serves_all_outputs_of_a_constant_curvature() -> None:
    inverses = inverses_of(linearisation(1))
    residual = np.random.default_rng(1).normal(size=(4, 3))
    assert precondition(inverses, residual) == pytest.approx(inverses[0] @ residual)


def test_a_singular_hessian_is_shifted() -> None:
    singular = Linearisation(np.zeros((2, 1)), (Enclosure(np.ones((2, 2)), 0.0),), np.zeros((2, 1)))
    assert np.all(np.isfinite(inverses_of(singular)[0]))


def test_largest_eigenvalue() -> None:
    assert largest_eigenvalue(np.diag([1.0, 2.0, 50.0])) == pytest.approx(50.0, rel=1e-6)
    assert largest_eigenvalue(np.zeros((3, 3))) == np.inf
