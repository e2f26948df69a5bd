"""The trace of Newton removals: measured residuals against a plain recomputation, and every bound above them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from certified.audit import NewtonTrace, trace_removals
from certified.privacy import idealized_gaussian

Array = npt.NDArray[np.float64]

STRENGTH, PERTURBATION, SEED = 0.02, 0.5, 3


@pytest.fixture(scope="module")
def rows() -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4))
    X = X / np.maximum(1.0, np.linalg.norm(X, axis=1, keepdims=True))
    return X, np.where(X[:, 0] + 0.3 * rng.normal(size=60) > 0.0, 1.0, -1.0)


@pytest.fixture(scope="module")
def trace(rows: tuple[Array, Array]) -> NewtonTrace:
    return trace_removals(*rows, range(20), strength=STRENGTH, perturbation_std=PERTURBATION, seed=SEED)


def test_residuals_are_those_of_plain_newton_steps(rows: tuple[Array, Array], trace: NewtonTrace) -> None:
    """Newton's method and the removals once more, in a few lines of NumPy."""
    X, y = rows
    b = idealized_gaussian(np.zeros((4, 1)), PERTURBATION, SEED)[:, 0]

    def derivatives(first: int, w: Array) -> tuple[Array, Array]:
        x, t = X[first:], y[first:]
        share = 1.0 / (1.0 + np.exp(t * (x @ w)))
        hessian = (x * (share * (1.0 - share))[:, None]).T @ x + STRENGTH * len(x) * np.eye(4)
        return x.T @ (-t * share) + STRENGTH * len(x) * w + b, hessian

    w = np.zeros(4)
    for _ in range(50):
        gradient, hessian = derivatives(0, w)
        w = w - np.linalg.solve(hessian, gradient)
    for count in range(1, 21):
        before, _ = derivatives(count - 1, w)
        gradient, hessian = derivatives(count, w)
        w = w + np.linalg.solve(hessian, before - gradient)
        residual = np.linalg.norm(derivatives(count, w)[0])
        assert residual == pytest.approx(trace.residual[count - 1], rel=1e-6)


def test_every_bound_is_above_the_residual(trace: NewtonTrace) -> None:
    assert np.all(trace.residual <= trace.rows)
    assert np.all(trace.residual <= trace.elementwise)
    assert np.all(trace.residual <= trace.corollary)
    assert np.all(trace.rows <= trace.corollary)
    assert np.all(trace.corollary <= trace.worst_case)


def test_short_rows_leave_the_defect_of_the_solve(rows: tuple[Array, Array]) -> None:
    """Their losses hardly bend, so that what the solver leaves of H′v = Δ is most of the residual."""
    X, y = rows
    trace = trace_removals(0.01 * X, y, range(20), strength=1.0, perturbation_std=PERTURBATION, seed=SEED)
    assert np.all(trace.residual <= trace.rows)
    assert np.all(trace.residual <= trace.elementwise)


def test_bounds_only_grow(trace: NewtonTrace) -> None:
    for bound in (trace.worst_case, trace.corollary, trace.elementwise, trace.rows):
        assert np.all(np.diff(bound) > 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": np.zeros(60)}, "targets must be −1 and 1"),
        ({"deletions": [1, 1]}, "deletions must name fewer than 60 rows, each once"),
        ({"deletions": list(range(60))}, "deletions must name fewer than 60 rows"),
        ({"features": np.full((60, 4), 2.0)}, "features must have rows of norm at most 1"),
        ({"perturbation_std": 0.0}, "noise_std must be positive"),
    ],
)
def test_bad_input(rows: tuple[Array, Array], change: dict[str, object], message: str) -> None:
    arguments = {"features": rows[0], "targets": rows[1], "deletions": [0], "perturbation_std": 1.0} | change
    with pytest.raises(ValueError, match=message):
        trace_removals(**arguments, strength=STRENGTH)  # type: ignore[arg-type]
