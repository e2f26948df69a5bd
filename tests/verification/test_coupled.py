"""The verifier on coupled outputs: products in balls, witnesses by conjugate gradients, issued and tampered figures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from certified.bounds.distance import certify_distance
from certified.data.rows import Rows
from certified.losses import SOFTMAX
from certified.objective import Objective
from certified.verification import coupled
from certified.verification.coupled import coupled_solver
from certified.verification.distance import prove_distance
from certified.verification.objective import ArbObjective, matrix, norm
from tests.verification.cases import make_case, restated

Array = npt.NDArray[np.float64]


def arb_objective(seed: int, outputs: int, alpha: float = 0.1, n: int = 15, *, intercept: bool = True) -> ArbObjective:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3))
    targets = np.eye(outputs)[rng.integers(outputs, size=n)]
    weights = rng.normal(size=(3 + intercept, outputs))
    return ArbObjective("softmax", features, targets, rng.uniform(0.1, 3.0, n), alpha, intercept, weights)


def extended(objective: ArbObjective) -> Array:
    x = np.asarray(objective.features)
    return np.hstack([x, np.ones((len(x), 1))]) if objective.fit_intercept else x


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 5]), st.booleans())
def test_products_are_enclosed(seed: int, outputs: int, intercept: bool) -> None:
    """Against the definition, Σ c_i(diag p − ppᵀ) ⊗ x̃x̃ᵀ + αI, in 50 digits."""
    objective = arb_objective(seed, outputs, intercept=intercept)
    direction = np.random.default_rng(seed + 1).normal(size=objective.shape)
    with ctx.workprec(113):
        found = objective.hessian_product(matrix(direction))
    with mp.workdps(50):
        x, w, v = (mp.matrix(a.tolist()) for a in (extended(objective), objective.weights, direction))
        z, slope = x * w, x * v
        total = mpf(objective.alpha) * v
        for i, c in enumerate(objective.sample_weights.tolist()):
            e = [mp.exp(z[i, k]) for k in range(outputs)]
            p = [value / sum(e) for value in e]
            for k in range(outputs):
                bent = sum((p[k] * (k == j) - p[k] * p[j]) * slope[i, j] for j in range(outputs))
                for j in range(x.cols):
                    total[j, k] += mpf(c) * bent * x[i, j]
        for k, j in np.ndindex(outputs, x.cols):
            # The reference carries its own rounding, far below the radius of a float.
            assert found[k, j].overlaps(arb(mp.nstr(total[j, k], 45), 1e-40))
            assert float(found[k, j].rad()) < 1e-25


@given(st.integers(0, 10**6), st.sampled_from([2, 4]), st.sampled_from([1e-4, 0.1, 10.0]))
def test_its_solver_solves(seed: int, outputs: int, alpha: float) -> None:
    objective = arb_objective(seed, outputs, alpha, n=40)
    gradient = np.random.default_rng(seed + 1).normal(size=objective.shape[::-1])
    solution = coupled_solver(objective)(gradient)
    with ctx.workprec(113):
        product = objective.hessian_product(matrix(solution))
        defect = norm((product - matrix(gradient)).entries())
    assert float(defect) <= 1e-6 * np.linalg.norm(gradient)


def test_the_solver_takes_no_rows_at_all_for_an_answer() -> None:
    objective = arb_objective(0, 2, n=0)
    assert np.allclose(coupled_solver(objective)(np.ones((2, 4))), 10.0)


def test_the_solver_has_nothing_to_do_for_no_gradient() -> None:
    objective = arb_objective(0, 3)
    assert np.array_equal(coupled_solver(objective)(np.zeros((3, 4))), np.zeros((4, 3)))


def test_a_search_cut_short_is_as_near_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients lower the energy ½⟨V, HV⟩ − ⟨G, V⟩ with every product."""
    objective = arb_objective(0, 4, 1e-3)
    gradient = np.random.default_rng(1).normal(size=objective.shape[::-1])
    energies = [0.0]
    for products in (1, 2, 4, 300):
        monkeypatch.setattr(coupled, "PRODUCTS", products)
        solution = coupled_solver(objective)(gradient)
        with ctx.workprec(113):
            image = objective.hessian_product(matrix(solution)).entries()
            total = sum(
                ((v / 2 - g) * s for v, g, s in zip(image, gradient.flat, solution.T.flat, strict=True)), arb(0)
            )
        energies.append(float(total))
    assert np.all(np.diff(energies) < 0.0)


def test_a_curvature_beyond_the_penalty_s_is_not_proved() -> None:
    """However near the minimiser is: of coupled outputs no Hessian is formed."""
    objective = arb_objective(0, 3, intercept=False)
    with ctx.workprec(113):
        proof = prove_distance(objective, objective.moments(), objective.row_sizes(), 1e9, 1.01 * objective.alpha)
    assert bool(proof.distance <= 1e9) and bool(proof.curvature <= objective.alpha) and not proof.refuted


@settings(max_examples=10)
@given(
    st.integers(0, 10**6),
    st.sampled_from([2, 4]),
    st.sampled_from([1e-3, 0.1, 10.0]),
    st.sampled_from([1e-9, 1e-6, 1e-3]),
)
def test_what_is_issued_is_proved_and_less_is_not(seed: int, outputs: int, alpha: float, shift: float) -> None:
    """At any point near the minimiser; half of the true distance is claimed in vain."""
    rng = np.random.default_rng(seed)
    features, targets = rng.normal(size=(20, 3)), np.eye(outputs)[rng.integers(outputs, size=20)]
    objective = Objective(SOFTMAX, Rows.from_arrays(features, targets, np.ones(20)), alpha)
    minimiser = exact_minimiser(features, targets, alpha)
    weights = minimiser + shift * rng.normal(size=minimiser.shape)
    issued = certify_distance(objective, weights)
    arbs = ArbObjective("softmax", features, targets, np.ones(20), alpha, False, weights)
    truth = float(np.linalg.norm(weights - minimiser))
    with ctx.workprec(113):
        moments, sizes = arbs.moments(), arbs.row_sizes()
        if issued.value < np.inf:
            proof = prove_distance(arbs, moments, sizes, issued.value, issued.curvature)
            assert bool(proof.distance <= issued.value) and bool(proof.curvature >= issued.curvature)
        refused = prove_distance(arbs, moments, sizes, 0.5 * truth, issued.curvature)
        assert not bool(refused.distance <= 0.5 * truth)


def exact_minimiser(features: Array, targets: Array, alpha: float) -> Array:
    """By Newton's method on the dense Hessian in 200 bits, from the definition; rounded to float64."""
    (n, p), outputs = features.shape, targets.shape[1]
    with ctx.workprec(200):
        x, w = matrix(features), arb_mat(p, outputs)
        for damping in [0.5] * 8 + [1.0] * 12:
            z = x * w
            gradient = [arb(alpha) * v for v in w.entries()]
            size = p * outputs
            hessian = arb_mat(size, size, [arb(alpha) if i % (size + 1) == 0 else arb(0) for i in range(size * size)])
            for i in range(n):
                e = [z[i, k].exp() for k in range(outputs)]
                share = [v / sum(e, arb(0)) for v in e]
                for a, k in np.ndindex(p, outputs):
                    gradient[a * outputs + k] += (share[k] - float(targets[i, k])) * x[i, a]
                    for b, j in np.ndindex(p, outputs):
                        hessian[a * outputs + k, b * outputs + j] += (
                            share[k] * ((k == j) - share[j]) * x[i, a] * x[i, b]
                        )
            step = hessian.mid().solve(arb_mat(size, 1, [v.mid() for v in gradient]))
            w = arb_mat(p, outputs, [v - damping * s for v, s in zip(w.entries(), step.entries(), strict=True)]).mid()
        return np.array([float(v) for v in w.entries()]).reshape(p, outputs)


@pytest.mark.parametrize("classes", [(0, 1), ("a", "b", "c", "d")])
@pytest.mark.parametrize("intercept", [False, True])
def test_certificates_by_a_witness(classes: tuple[object, ...], intercept: bool) -> None:
    """A point off the minimiser, where α says little: only a witness confirms the figure, and a smaller one fails."""
    case = make_case("softmax", classes=classes, fit_intercept=intercept, l2_strength=1e-3, sharpened=True, shift=1e-5)
    c = case.certificate
    assert c.distance_claim == "T2w" and {"T1", "T2", "T2w", "C-softmax"} <= set(c.claims)
    assert c.distance_bound < 0.2 * c.gradient_residual / c.alpha
    assert case.verify()
    report = restated(case, distance_bound=0.9e-5).verify()
    assert not report
    assert {check.name for check in report.checks if check.passed is False} == {"distance_bound"}


def test_moved_weights_are_refused() -> None:
    case = make_case("softmax", classes=(0, 1, 2), l2_strength=1e-3)
    assert case.verify()
    moved = case.weights + 1e-6
    assert not case.verify(weights=moved, nonce=None, released=None)
