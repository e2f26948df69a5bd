"""The preconditioner of coupled outputs, beside the dense (Kp)×(Kp) Hessian."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.rows import Rows
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows
from certified.losses import SOFTMAX
from certified.objective import Objective
from certified.solvers import coupled_factor as module
from certified.solvers.conjugate_gradient import conjugate_gradient
from certified.solvers.coupled_factor import CoupledFactor, coupled_factor, sample

Array = npt.NDArray[np.float64]


def problem(n: int = 400, d: int = 5, outputs: int = 3, alpha: float = 0.1, seed: int = 0) -> tuple[Objective, Array]:
    """An objective, and weights that predict well: then most rows bend little and a few much."""
    rng = np.random.default_rng(seed)
    features, weights = rng.normal(size=(n, d)), 2.0 * rng.normal(size=(d, outputs))
    targets = np.eye(outputs)[(features @ weights + rng.gumbel(size=(n, outputs))).argmax(axis=1)]
    return Objective(SOFTMAX, Rows.from_arrays(features, targets, rng.uniform(0.5, 2.0, n)), alpha), weights


def dense(objective: Objective, weights: Array) -> Array:
    curvature = objective.curvature(weights)
    units = np.eye(weights.size).reshape(-1, *weights.shape)
    return np.stack([objective.hvp(curvature, unit).ravel() for unit in units], axis=1)


@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 400), st.sampled_from([0.0, 1.0, 6.0]))
def test_a_sample_keeps_the_largest_and_the_sum(seed: int, count: int, wanted: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = np.exp(spread * rng.normal(size=count)) * (rng.random(count) < 0.8)
    places, weights = sample(sizes, wanted)
    assert np.all(np.diff(places) > 0) and len(places) <= wanted + 1
    assert np.all(weights >= sizes[places])
    step = float(np.max(weights[weights > sizes[places]], initial=0.0))
    assert abs(weights.sum() - sizes.sum()) <= step + 1e-9 * sizes.sum()
    assert set(np.flatnonzero(sizes > step * (1 + 1e-12))) <= set(places)


def test_two_outputs_of_all_rows_are_solved_at_once() -> None:
    """For two outputs and all rows it is the Hessian, so one product solves the system."""
    objective, weights = problem(outputs=2)
    curvature = objective.curvature(weights)
    factor = coupled_factor(objective, SOFTMAX, curvature)
    gradient = np.random.default_rng(1).normal(size=weights.shape)
    solved = np.linalg.solve(dense(objective, weights), gradient.ravel()).reshape(weights.shape)
    np.testing.assert_allclose(factor.solve(gradient), solved, rtol=1e-9, atol=1e-12)
    assert conjugate_gradient(objective, curvature, factor, gradient, 1e-8)[1] == 1


@pytest.mark.parametrize("outputs", [2, 3, 10])
def test_it_is_symmetric_and_positive_definite(outputs: int) -> None:
    objective, weights = problem(outputs=outputs)
    factor = coupled_factor(objective, SOFTMAX, objective.curvature(weights))
    units = np.eye(weights.size).reshape(-1, *weights.shape)
    inverse = np.stack([factor.solve(unit).ravel() for unit in units], axis=1)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-12 * np.abs(inverse).max())
    assert np.linalg.eigvalsh(inverse)[0] > 0.0


def test_what_all_outputs_share_sees_the_penalty_alone() -> None:
    objective, weights = problem(alpha=0.25)
    factor = coupled_factor(objective, SOFTMAX, objective.curvature(weights))
    shared = np.ones_like(weights) * np.arange(1.0, 6.0)[:, None]
    np.testing.assert_allclose(factor.solve(shared), 4.0 * shared, rtol=1e-12)


def test_a_matrix_for_each_output_takes_fewer_products_than_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, weights = problem(n=3000, d=20, outputs=8, alpha=1e-3)
    curvature = objective.curvature(weights)
    gradient = objective.value_and_gradient(weights)[1]
    found = {}
    for name, share in (("each", 0.25), ("one", 0.0)):
        monkeypatch.setattr(module, "SHARE", share)
        monkeypatch.setattr(module, "SMALL", 1e7 if share else 1e3)
        factor = coupled_factor(objective, SOFTMAX, curvature)
        assert isinstance(factor, CoupledFactor) and len(factor.lower) == (8 if share else 2)
        found[name] = conjugate_gradient(objective, curvature, factor, gradient, 1e-6)[1]
    assert found["each"] < found["one"], found


def test_streamed_rows_give_the_same_matrices() -> None:
    objective, weights = problem(n=700)
    arrays = (np.asarray(a).reshape(-1, *a.shape[2:])[:700] for a in
              (objective.rows.features, objective.rows.targets, objective.rows.weights))  # fmt: skip
    streamed = Objective(SOFTMAX, StreamedRows.open(ArraySource(*arrays), 256), objective.alpha)
    gradient = np.random.default_rng(1).normal(size=weights.shape)
    held, read = (coupled_factor(o, SOFTMAX, o.curvature(weights)).solve(gradient) for o in (objective, streamed))
    np.testing.assert_allclose(held, read, rtol=1e-10)
