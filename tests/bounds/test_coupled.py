"""Certified sums and distances of a loss that couples its outputs, against balls and an independent minimiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.bounds import certify_distance
from certified.bounds.distance import assess
from certified.bounds.row_sums import certified_gradient, certified_hvp
from certified.data.rows import Rows
from certified.losses import SOFTMAX
from certified.objective import Objective
from certified.removal import TargetNotReachedError, ledger_step, newton
from certified.solvers import solve

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    objective: Objective
    X: Array
    T: Array
    c: Array

    def exact_gradient(self, W: Array) -> list[arb]:
        """∇F(W) in balls, row by row from the definition."""
        p, K = W.shape
        total = [arb(self.objective.alpha) * arb(v) for v in W.ravel().tolist()]
        for x, t, weight in zip(self.X.tolist(), self.T.tolist(), self.c.tolist(), strict=True):
            z = [sum((arb(x[j]) * arb(W[j, k]) for j in range(p)), arb(0)) for k in range(K)]
            slopes = SOFTMAX.ball_derivatives(z, [arb(v) for v in t])
            for j in range(p):
                for k in range(K):
                    total[j * K + k] += arb(weight) * slopes[k] * arb(x[j])
        return total

    def exact_product(self, W: Array, V: Array) -> list[arb]:
        p, K = W.shape
        total = [arb(self.objective.alpha) * arb(v) for v in V.ravel().tolist()]
        for x, weight in zip(self.X.tolist(), self.c.tolist(), strict=True):
            z, u = ([sum((arb(x[j]) * arb(M[j, k]) for j in range(p)), arb(0)) for k in range(K)] for M in (W, V))
            q = SOFTMAX.ball_derivatives(z, [arb(0)] * K)
            mean = sum((a * b for a, b in zip(q, u, strict=True)), arb(0))
            for j in range(p):
                for k in range(K):
                    total[j * K + k] += arb(weight) * q[k] * (u[k] - mean) * arb(x[j])
        return total


def make(seed: int, n: int = 12, scale: float = 1.0, alpha: float = 0.1, intercept: bool = False) -> Problem:
    rng = np.random.default_rng(seed)
    K = int(rng.choice([2, 4]))
    X = scale * rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-2, 3, (n, 1))
    T = np.eye(K)[rng.integers(K, size=n)]
    c = np.where(rng.random(n) < 0.2, 0.0, rng.uniform(0.1, 3.0, n))
    objective = Objective(SOFTMAX, Rows.from_arrays(X, T, c), alpha, intercept)
    extended = np.hstack([X, np.ones((n, 1))]) if intercept else X
    return Problem(objective, extended, T, c)


def off(computed: Array, exact: list[arb]) -> float:
    squares = ((arb(v) - e) ** 2 for v, e in zip(computed.ravel().tolist(), exact, strict=True))
    return float(sum(squares, arb(0)).sqrt().upper())


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1e-8, 1.0, 30.0]), intercept=st.booleans())
def test_gradient_and_product_are_enclosed(seed: int, size: float, intercept: bool) -> None:
    problem = make(seed, intercept=intercept)
    rng = np.random.default_rng(seed)
    W, V = size * rng.normal(size=problem.objective.shape), rng.normal(size=problem.objective.shape)
    gradient, product = certified_gradient(problem.objective, W), certified_hvp(problem.objective, W, V)
    with ctx.workprec(200):
        assert off(gradient.value, problem.exact_gradient(W)) <= gradient.error
        assert off(product.value, problem.exact_product(W, V)) <= product.error
    scale = np.sum(problem.c * np.linalg.norm(problem.X, axis=1)) * (1.0 + np.abs(W).max() * np.abs(problem.X).max())
    assert gradient.error <= 1e-11 * scale + 1e-12 * np.abs(W).max()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.sampled_from([1e-6, 1e-2, 1.0, 1e3]),
    shift=st.sampled_from([0.0, 1e-9, 1e-4, 1e-1]),
    intercept=st.booleans(),
)
def test_distances_are_bounds(seed: int, alpha: float, shift: float, intercept: bool) -> None:
    problem = make(seed, alpha=alpha, intercept=intercept)
    objective = problem.objective
    solution = solve(objective).weights
    with ctx.workprec(200):
        error = float(sum((g * g for g in problem.exact_gradient(solution)), arb(0)).sqrt().upper()) / alpha
    rng = np.random.default_rng(seed + 1)
    W = solution + shift * rng.normal(size=solution.shape)
    truth = float(np.linalg.norm(W - solution))
    quick, sharp = assess(objective, W)[0], certify_distance(objective, W)
    for bound in (quick, sharp):
        assert truth - error <= bound.value * (1 + 1e-12)
    assert sharp.value <= quick.value and sharp.claim in ("T1", "T2", "T2w")


def test_a_witness_is_much_sharper_than_strong_convexity() -> None:
    problem = make(3, n=40, alpha=1e-2, scale=0.01)
    solution = solve(problem.objective).weights
    W = solution + 1e-5 * np.random.default_rng(0).normal(size=solution.shape)
    assert certify_distance(problem.objective, W).value < 0.05 * assess(problem.objective, W)[0].value


@pytest.mark.parametrize("mechanism", [newton, ledger_step])
def test_a_target_below_float64_is_refused(mechanism: object) -> None:
    problem = make(5)
    with pytest.raises(TargetNotReachedError):
        mechanism.initialise(problem.objective, 1e-30)  # type: ignore[attr-defined]


def test_the_direction_common_to_all_outputs_does_not_matter_to_the_rows() -> None:
    """Adding the same column to all outputs changes the penalty alone, so the minimiser has mean zero."""
    problem = make(7, n=30, alpha=1.0, intercept=True)
    weights = solve(problem.objective).weights
    assert np.abs(weights.mean(axis=1)).max() < 1e-9
