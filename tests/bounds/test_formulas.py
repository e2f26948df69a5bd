"""The scalar formulas against matrices and integrals computed otherwise, and on every kind of scalar."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.formulas import (
    decrement_ratio,
    intercept_curvature,
    self_concordant_radius,
    self_concordant_remainder,
    strong_convexity_distance,
    witness_decrement_squared,
    witness_newton_step,
)
from tests.oracle import Problem, is_positive_definite, minimise

POSITIVE = st.floats(-12, 12).map(lambda e: 10.0**e)
RATIOS = st.floats(1e-6, 1.0 - 1e-6)
SEEDS = st.integers(0, 2**32 - 1)


@given(st.floats(-3, 3), POSITIVE, st.floats(-3, 3))
def test_strong_convexity_distance(point: float, alpha: float, target: float) -> None:
    """Claim T1, with equality for a quadratic: F = (α/2)(w − b)²."""
    with ctx.workprec(200):
        residual = arb(alpha) * abs(arb(point) - arb(target))
        bound = strong_convexity_distance(residual, arb(alpha))
        assert bound.overlaps(abs(arb(point) - arb(target)))
    assert strong_convexity_distance(3.0, 1.5) == 2.0


@given(SEEDS, st.integers(1, 6), st.floats(0, 6), st.floats(-12, 3))
def test_witness_bounds(seed: int, p: int, condition: float, quality: float) -> None:
    """Claim T2w for any witness, from exact to useless: ‖H⁻¹g‖ and λ_N² stay below their bounds, proved in balls."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(p, p)))[0]
    matrix = basis * 10.0 ** (-np.linspace(0, condition, p)) @ basis.T
    hessian, gradient = 0.5 * (matrix + matrix.T), rng.normal(size=p)
    guess = np.linalg.solve(hessian, gradient)
    guess = guess + 10.0**quality * np.linalg.norm(guess) * rng.normal(size=p)
    with ctx.workprec(400):
        h, g, w = (arb_mat(*a.shape, a.ravel().tolist()) for a in (hessian, gradient[:, None], guess[:, None]))
        smallest = 0.9 * 10.0**-condition
        assert is_positive_definite(h, smallest)
        exact = h.solve(g)
        defect = g - h * w
        norms = [sum((v[i, 0] * v[i, 0] for i in range(p)), arb(0)).sqrt() for v in (exact, g, w, defect)]
        step, _, witness, rho = norms
        squared = (g.transpose() * exact)[0, 0]
        overlap = abs((g.transpose() * w)[0, 0])
        slack = 1 + arb(2) ** -300
        assert step <= witness_newton_step(witness, rho, arb(smallest)) * slack
        assert squared <= witness_decrement_squared(overlap, witness, rho, arb(smallest)) * slack


@given(RATIOS, POSITIVE)
def test_self_concordant_radius_solves_its_equation(ratio: float, kappa: float) -> None:
    """1 − e^{−κs} = q at the radius s, where T2's inequality turns."""
    with ctx.workprec(200):
        radius = self_concordant_radius(arb(ratio), arb(kappa))
        assert (1 - (-arb(kappa) * radius).exp()).overlaps(arb(ratio))


@given(st.floats(-4, 4), st.floats(-2, 2), st.floats(-8, 8))
def test_local_forms_on_exact_quantities(scale: float, strength: float, point: float) -> None:
    """Claim T2, forms (i) and (iii), for one logistic row and one weight with everything in balls."""
    feature, alpha = 10.0**scale, 10.0**strength
    w = point / feature
    problem = Problem("logistic", np.array([[feature]]), np.ones((1, 1)), np.ones(1), alpha)
    truth = minimise(problem).distance(np.array([[w]]))
    with ctx.workprec(300):
        x, alpha_ball, weight = arb(feature), arb(alpha), arb(w)
        tail = (-x * weight).exp()
        gradient = abs(alpha_ball * weight - x * tail / (1 + tail))
        curvature = alpha_ball + x * x * tail / ((1 + tail) * (1 + tail))
        decrement = gradient / curvature.sqrt()
        ratio = decrement_ratio(x, decrement, curvature)
        if not ratio < 1:
            return
        slack = 1 + arb(2) ** -150
        assert truth.lower() <= self_concordant_radius(ratio, x) * slack + arb(2) ** -250
        third = gradient / curvature + self_concordant_remainder(ratio, x)
        assert truth.lower() <= third * slack + arb(2) ** -250


@given(POSITIVE, POSITIVE, POSITIVE)
def test_intercept_curvature(alpha: float, total: float, moment: float) -> None:
    """Claim T2s: the smaller eigenvalue of [[α + h²/A, h], [h, A]]: it is a root of the characteristic polynomial."""
    with ctx.workprec(600):
        a, big, h = arb(alpha), arb(total), arb(moment)
        root = intercept_curvature(a, big, h)
        corner = a + h * h / big
        assert ((corner - root) * (big - root) - h * h).contains(0)
        assert root <= (corner + big) / 2
        assert 0 < root <= a
    if max(alpha, total, moment) < 1e6 * min(alpha, total, moment):
        matrix = np.array([[alpha + moment**2 / total, moment], [moment, total]])
        assert intercept_curvature(alpha, total, moment) == pytest.approx(np.linalg.eigvalsh(matrix)[0], rel=1e-3)


@given(POSITIVE, POSITIVE, POSITIVE, st.floats(1.0, 10.0))
def test_intercept_curvature_falls_with_the_moment(alpha: float, total: float, moment: float, factor: float) -> None:
    """So an upper bound on the moment gives a lower bound on the curvature."""
    with ctx.workprec(400):
        low, high = (intercept_curvature(arb(alpha), arb(total), arb(m)) for m in (moment, moment * factor))
        assert high <= low * (1 + arb(2) ** -200)


@given(RATIOS, RATIOS)
def test_bounds_grow_with_the_ratio(first: float, second: float) -> None:
    """So a bound on q gives a bound on the distance."""
    low, high = sorted((first, second))
    with ctx.workprec(200):
        slack = 1 + arb(2) ** -100
        for bound in (self_concordant_radius, self_concordant_remainder):
            assert 0 < bound(arb(low), arb(1)) <= bound(arb(high), arb(1)) * slack


def test_small_ratios_recover_the_newton_step() -> None:
    """t/κ → λ_N/√m, and the remainder → q²/(2κ), as q → 0."""
    with ctx.workprec(192):
        ratio = arb(2) ** -40
        assert abs(self_concordant_radius(ratio, arb(3)) / (ratio / 3) - 1) < arb(2) ** -39
        assert abs(self_concordant_remainder(ratio, arb(3)) / (ratio * ratio / 6) - 1) < arb(2) ** -37


def test_runs_on_floats_and_under_jax() -> None:
    with jax.enable_x64(True):
        slope = jax.grad(lambda q: self_concordant_radius(q, 2.0))(jnp.asarray(0.5))
        traced = jax.jit(self_concordant_remainder)(jnp.asarray(0.5), jnp.asarray(2.0))
        curved = jax.jit(intercept_curvature)(jnp.asarray(1.0), jnp.asarray(2.0), jnp.asarray(3.0))
    assert float(slope) == pytest.approx(1.0)
    assert float(traced) == pytest.approx(self_concordant_remainder(0.5, 2.0))
    assert float(curved) == pytest.approx(intercept_curvature(1.0, 2.0, 3.0))
    assert self_concordant_radius(0.5, 2.0) == pytest.approx(math.log(2.0) / 2.0)
