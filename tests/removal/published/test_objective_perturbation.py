from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.bounds.row_sums import certified_gradient
from certified.removal.published.objective_perturbation import VERDICT, ObjectivePerturbation, PerturbedState
from tests.removal.published.problems import Data, data, rest, seeded


def budget(mechanism: ObjectivePerturbation) -> float:
    """σε/c with δ = 1.5·e^(−c²/2)."""
    c = math.sqrt(2.0 * math.log(1.5 / mechanism.delta))
    return mechanism.noise_std * mechanism.epsilon / c


def generous() -> ObjectivePerturbation:
    """Never trains again."""
    return ObjectivePerturbation(1e6, 1e-4, noise_std=2.0)


def perturbation(state: PerturbedState) -> np.ndarray:
    linear = state.objective.linear
    assert linear is not None
    return linear


def test_training_minimises_the_perturbed_objective() -> None:
    problem = data()
    state = ObjectivePerturbation(1.0, 1e-4, noise_std=2.0).initialise(problem.objective(), seeded(1))
    b = 2.0 * np.random.default_rng(1).standard_normal((4, 1))
    assert np.array_equal(perturbation(state), b)
    everything = np.arange(60)
    gradient = problem.gradient(state.weights, everything) + state.objective.alpha * state.weights + b
    assert np.linalg.norm(gradient) < 1e-12
    assert (state.residual, state.removed, state.claim.residual) == (0.0, 0, 0.0)


@pytest.mark.parametrize("gone", [[7], [3, 11, 40]])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("per_sample", [True, False])
def test_removal_is_the_published_newton_step(gone: list[int], outputs: int, per_sample: bool) -> None:
    problem = data(outputs=outputs)
    mechanism = generous()
    start = mechanism.initialise(problem.objective(), seeded(2))
    after, removed = problem.request(problem.objective(), gone, per_sample)
    state = mechanism.remove(start, after, removed)
    kept, charge = rest(60, gone), 0.0
    share = problem.strength * len(gone) * start.weights if per_sample else 0.0
    missing = problem.gradient(start.weights, gone) + share
    for k in range(outputs):
        hessian = problem.hessian(start.weights, kept, k) + after.alpha * np.eye(4)
        step = np.linalg.solve(hessian, missing[:, k])
        assert np.allclose(state.weights[:, k] - start.weights[:, k], step, rtol=1e-7, atol=1e-12)
        lengths = np.linalg.norm(step) * np.linalg.norm(problem.X[kept] @ step)
        charge += 0.25 * np.linalg.norm(problem.X, 2) * lengths
    assert charge * (1.0 - 1e-7) <= state.residual <= charge * 1.001 + 1e-9
    assert not state.retrained
    assert state.removed == len(gone)
    assert np.array_equal(perturbation(state), perturbation(start))


def test_the_worst_case_bound_is_the_printed_one() -> None:
    problem = data()
    mechanism = ObjectivePerturbation(1.0, 1e-4, noise_std=1e4, residual_bound="theorem1")
    state = mechanism.initialise(problem.objective(), seeded(0))
    objective, expected = problem.objective(), 0.0
    for gone, left in ([3], 59), ([4, 5], 57):
        objective, removed = problem.request(objective, gone)
        state = mechanism.remove(state, objective, removed)
        expected += 4.0 * 0.25 * len(gone) ** 2 / (problem.strength**2 * left)
        assert state.residual == pytest.approx(expected, rel=1e-8)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.floats(-2.0, 0.5))
def test_the_account_covers_the_residual(seed: int, outputs: int, log_strength: float) -> None:
    """Corollary 1, perturbed loss and sequences included: ‖∇F(W) + b‖ ≤ account + what training left (claim T7a)."""
    problem = data(n=40, outputs=outputs, strength=10.0**log_strength, seed=seed)
    mechanism = ObjectivePerturbation(1.0, 1e-4, noise_std=5.0)
    objective = problem.objective()
    state = mechanism.initialise(objective, seeded(seed))
    trained = certified_gradient(state.objective, state.weights).norm
    order = np.random.default_rng(seed).permutation(40)
    for gone in ([order[0]], list(order[1:4]), [order[4]]):
        objective, removed = problem.request(objective, gone)
        state = mechanism.remove(state, objective, removed, seeded(seed + 1))
        if state.retrained:
            trained = certified_gradient(state.objective, state.weights).norm
        gradient = certified_gradient(state.objective, state.weights)
        assert np.linalg.norm(gradient.value) - gradient.error <= state.residual + trained


def test_the_account_decides_when_to_train_again() -> None:
    """As many requests as fit into σε/c; the next one trains again with fresh noise and an empty account."""
    problem = data(strength=0.05)
    mechanism = ObjectivePerturbation(1.0, 1e-4, noise_std=0.6)
    objective = problem.objective()
    state = first = mechanism.initialise(objective, seeded(5))
    patient, ongoing = replace(mechanism, epsilon=1e6), first
    accounts = []
    for position in range(50):
        objective, removed = problem.request(objective, [position])
        state = mechanism.remove(state, objective, removed, seeded(100 + position))
        ongoing = patient.remove(ongoing, objective, removed)
        if state.retrained:
            break
        accounts.append(state.residual)
    assert len(accounts) >= 3
    assert accounts == sorted(accounts)
    assert accounts[-1] <= budget(mechanism)
    assert ongoing.residual > budget(mechanism)
    assert (state.residual, state.removed, state.claim.residual) == (0.0, 0, 0.0)
    assert not np.array_equal(perturbation(state), perturbation(first))
    assert certified_gradient(state.objective, state.weights).norm < 1e-11


def test_the_capacity_follows_noise_and_epsilon() -> None:
    """A residual just below σε/c is covered, one just above is not."""
    for epsilon, delta, noise_std in ((1.0, 1e-4, 10.0), (0.3, 1e-8, 2.0)):
        mechanism = ObjectivePerturbation(epsilon, delta, noise_std)
        assert mechanism._is_covered(budget(mechanism) * (1.0 - 1e-9))
        assert not mechanism._is_covered(budget(mechanism) * (1.0 + 1e-9))
        assert not mechanism._is_covered(math.nan)
    assert budget(ObjectivePerturbation(1.0, 1e-4, 10.0)) == pytest.approx(2.2803, rel=1e-4)


def test_squared_loss_leaves_nothing_but_the_defect_of_the_solve() -> None:
    problem = data(loss="squared")
    mechanism = generous()
    start = mechanism.initialise(problem.objective(), seeded(0))
    after, removed = problem.request(problem.objective(), [1, 2])
    state = mechanism.remove(start, after, removed)
    assert state.residual < 1e-9
    assert certified_gradient(state.objective, state.weights).norm < 1e-9


def test_longer_rows_are_charged_more_and_shorter_ones_not_less() -> None:
    problem = data()
    charges = []
    for factor in (0.5, 1.0, 2.0):
        scaled = Data(problem.X * factor, problem.Y, problem.strength)
        mechanism = ObjectivePerturbation(1.0, 1e-4, noise_std=1e5, residual_bound="theorem1")
        start = mechanism.initialise(scaled.objective(), seeded(0))
        after, removed = scaled.request(scaled.objective(), [0])
        charges.append(mechanism.remove(start, after, removed).residual)
    longest = float(np.max(np.linalg.norm(problem.X, axis=1)))
    assert charges[0] == pytest.approx(charges[1], rel=1e-6)
    assert charges[2] == pytest.approx(charges[1] * (2.0 * longest) ** 5, rel=1e-6)


def test_an_old_factor_is_replaced() -> None:
    """Most rows leave one by one: every step still solves its system."""
    problem = data(strength=0.01)
    mechanism, objective = generous(), problem.objective()
    state = start = mechanism.initialise(objective, seeded(0))
    for position in range(45):
        objective, removed = problem.request(objective, [position])
        before, state = state, mechanism.remove(state, objective, removed)
        hessian = problem.hessian(before.weights, np.arange(position + 1, 60)) + objective.alpha * np.eye(4)
        missing = problem.gradient(before.weights, [position]) + problem.strength * before.weights
        assert np.allclose(hessian @ (state.weights - before.weights), missing, rtol=0.0, atol=1e-8)
    assert not state.retrained
    assert state.factor is not start.factor


def test_the_release_is_the_weights() -> None:
    state = generous().initialise(data().objective(), seeded(0))
    assert np.array_equal(generous().release(state, seeded(1)), state.weights)


def test_the_claim_says_what_is_wrong_with_it() -> None:
    claim = generous().initialise(data().objective(), seeded(0)).claim
    assert (
        claim.verdict
        == VERDICT
        == ("published; noise theorem not valid for arbitrary residual bounds, nor always for its own: T8")
    )
    assert (claim.epsilon, claim.delta, claim.noise_std, claim.distance) == (1e6, 1e-4, 2.0, None)
    assert any("T8" in assumption for assumption in claim.assumptions)


@pytest.mark.parametrize("tighter", ["exact", "measured", "newton_elementwise", "", None, 0.5])
def test_a_tighter_residual_is_refused_with_the_reason(tighter: object) -> None:
    with pytest.raises(ValueError, match=r'"theorem1" or "corollary1".*T8.*SmoothedPerturbation'):
        ObjectivePerturbation(1.0, 1e-4, 10.0, residual_bound=tighter)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((0.0, 1e-4, 1.0), "epsilon"),
        ((math.nan, 1e-4, 1.0), "epsilon"),
        ((1.0, 0.0, 1.0), "delta"),
        ((1.0, 1.0, 1.0), "delta"),
        ((1.0, 1e-4, 0.0), "noise_std"),
        ((1.0, 1e-4, math.inf), "noise_std"),
        ((1.0, 1e-4, math.nan), "noise_std"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments: tuple[float, float, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ObjectivePerturbation(*arguments)
