"""Langevin unlearning and projected noisy SGD share one process; what is said of it holds for both."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from certified.audit import epsilon_lower_bound
from certified.data.rows import Rows
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_epsilon
from certified.removal.published.langevin import Langevin
from certified.removal.published.noisy_descent import NoisyDescent, NoisyState
from certified.removal.published.projected_noisy_sgd import ProjectedNoisySGD
from certified.removal.published.protocol import Sampler
from certified.solvers import solve
from tests.oracle import Problem
from tests.strategies import objective_of

Array = npt.NDArray[np.float64]
DELTA = 1e-3


def quiet(center: Array, noise_std: float) -> Array:
    """No noise: what remains is gradient descent."""
    return center


def seeded(seed: int) -> Sampler:
    generator = np.random.default_rng(seed)
    return lambda center, noise_std: center + noise_std * generator.standard_normal(center.shape)


def request(objective: Objective, *positions: int, alpha: float | None = None) -> tuple[Objective, Rows]:
    chosen = np.array(positions, dtype=np.int64)
    rest = replace(objective, rows=objective.rows.without(chosen), alpha=objective.alpha if alpha is None else alpha)
    return rest, objective.rows.take(chosen)


def example(n: int = 12, alpha: float = 2.0, loss: str = "logistic", outputs: int = 1) -> Problem:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(n, 3)) / 2.0
    scores = features @ rng.normal(size=(3, outputs)) + 0.3 * rng.normal(size=(n, outputs))
    return Problem(
        loss, features, scores if loss == "squared" else np.where(scores > 0.0, 1.0, -1.0), np.ones(n), alpha
    )


def both(**options: float) -> list[NoisyDescent]:
    settings = {"noise_std": 0.05, "delta": DELTA, "steps": 4, "training_steps": 12, **options}
    return [Langevin(**settings), ProjectedNoisySGD(**settings, batches=3)]  # type: ignore[arg-type]


def forgotten(mechanism: NoisyDescent, problem: Problem, *requests: tuple[int, ...]) -> NoisyState:
    state = mechanism.initialise(objective_of(problem), quiet)
    for positions in requests:
        state = mechanism.remove(state, *request(state.objective, *positions), quiet)
    return state


@pytest.mark.parametrize("mechanism", both(), ids=lambda m: m.name)
@pytest.mark.parametrize("requests", [((0,),), ((0, 5),), ((0,), (5, 7), (3,))])
def test_without_noise_the_paths_stay_within_the_shifts(
    mechanism: NoisyDescent, requests: tuple[tuple[int, ...], ...]
) -> None:
    """Claim T7m, recursion (1) with a = 0: the process with deletions against that on the rows that are left."""
    problem = example()
    state = forgotten(mechanism, problem, *requests)
    steps = mechanism.training_steps + len(requests) * mechanism.steps
    reference = replace(mechanism, training_steps=steps, step_size=state.step)
    theirs = reference.initialise(state.objective, quiet)
    allowed = 0.0
    for shift in state.shifts:
        allowed = state.contraction * allowed + float(shift)
    gap = float(np.linalg.norm(state.weights - theirs.weights))
    assert 0.0 < gap <= allowed
    assert len(state.shifts) == steps * mechanism.cycle == len(theirs.shifts)


@settings(max_examples=10)
@given(st.sampled_from([0, 1]), st.lists(st.integers(0, 11), min_size=1, max_size=4, unique=True))
def test_a_batch_moves_the_training_as_a_sequence_does(which: int, positions: list[int]) -> None:
    mechanism, problem = both()[which], example()
    batch = forgotten(mechanism, problem, tuple(positions))
    sequence = forgotten(mechanism, problem, *((position,) for position in positions))
    training = mechanism.training_steps * mechanism.cycle
    assert np.allclose(batch.shifts[:training], sequence.shifts[:training], rtol=1e-12)
    assert batch.removed == sequence.removed == len(positions)
    assert batch.requests == (len(positions),) and sequence.requests == (1,) * len(positions)
    assert np.all(np.diff(sequence.shifts.reshape(-1, mechanism.cycle), axis=0) <= 1e-15)


@pytest.mark.parametrize("mechanism", both(step_size=0.02), ids=lambda m: m.name)
def test_more_steps_forget_more(mechanism: NoisyDescent) -> None:
    states = [forgotten(replace(mechanism, steps=steps), example(), (1,)) for steps in (1, 4, 16, 256)]
    for fewer, more in pairwise(states):
        assert more.proved.epsilon < fewer.proved.epsilon
        assert more.claim.epsilon < fewer.claim.epsilon
    assert states[-1].proved.epsilon == 0.0  # within δ


@pytest.mark.parametrize("mechanism", both(step_size=0.02), ids=lambda m: m.name)
@pytest.mark.parametrize("requests", [((0,),), ((0, 5, 6),), ((0,), (5, 7), (3,))])
@pytest.mark.parametrize("steps", [1, 5, 15])
def test_what_is_proved_is_below_what_is_published(
    mechanism: NoisyDescent, requests: tuple[tuple[int, ...], ...], steps: int
) -> None:
    state = forgotten(replace(mechanism, steps=steps), example(), *requests)
    assert 0.0 < state.proved.epsilon < state.claim.epsilon
    assert (state.proved.verdict, state.claim.verdict) == ("proved", "published")


def test_nothing_is_lost_before_a_deletion() -> None:
    for mechanism in both():
        state = mechanism.initialise(objective_of(example()), quiet)
        assert (state.claim.epsilon, state.proved.epsilon, state.passes) == (0.0, 0.0, 12)


def test_a_row_that_comes_back_is_refused() -> None:
    """Two rows leave, one deleted before returns: the count is right, and no shift would account for the one back."""
    for mechanism in both():
        whole = objective_of(example())
        first, gone = request(whole, 0)
        state = mechanism.remove(mechanism.initialise(whole, quiet), first, gone, quiet)
        swapped, _ = request(whole, 1, 2)
        with pytest.raises(ValueError, match="no row more weight than before"):
            mechanism.remove(state, swapped, whole.rows.take(np.array([1])), quiet)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_the_exact_divergence_on_a_quadratic(steps: int) -> None:
    """Claim T7m: with squared loss in one dimension both last iterates are Gaussians with known mean and variance."""
    features, targets = np.array([[1.0], [0.5], [-1.0], [0.7]]), np.array([[1.0], [0.2], [-1.0], [-2.0]])
    problem = Problem("squared", features, targets, np.ones(4), 3.0)
    mechanism = Langevin(noise_std=0.4, delta=DELTA, steps=steps, training_steps=6, radius=8.0)
    state = mechanism.initialise(objective_of(problem), quiet)
    state = mechanism.remove(state, *request(state.objective, 3), quiet)

    def law(kept: list[slice], lengths: list[int]) -> stats.rv_continuous:
        mean = variance = 0.0
        for part, length in zip(kept, lengths, strict=True):
            x, t = features[part, 0], targets[part, 0]
            for _ in range(length):
                slope = 1.0 - state.step * (float(x @ x) + 3.0)
                mean, variance = slope * mean + state.step * float(x @ t), slope**2 * variance + 0.4**2
        assert abs(mean) + 15.0 * math.sqrt(variance) < 8.0  # the projection never happens
        return stats.norm(mean, math.sqrt(variance))

    ours = law([slice(4), slice(3)], [6, steps])
    theirs = law([slice(3)], [6 + steps])
    for first, second in ((ours, theirs), (theirs, ours)):
        for epsilon in (0.0, 0.5 * state.proved.epsilon, state.proved.epsilon):
            integral, error = integrate.quad(
                lambda w, p=first, q=second, e=epsilon: max(p.pdf(w) - math.exp(e) * q.pdf(w), 0.0), -8, 8, limit=500
            )
            mu = _mu(state)
            assert integral - error <= _hockey_stick(epsilon, mu) + 1e-9
    assert gaussian_epsilon(DELTA, _mu(state), 1.0) == pytest.approx(state.proved.epsilon, rel=1e-9)


def _mu(state: NoisyState) -> float:
    """Claim T7m, item 2, written down anew."""
    gains = state.contraction ** np.arange(len(state.shifts) - 1, -1, -1, dtype=np.float64)
    return float(gains @ state.shifts) / (state.claim.noise_std * float(np.linalg.norm(gains)))


def _hockey_stick(epsilon: float, mu: float) -> float:
    return float(stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu))


@pytest.mark.parametrize("mechanism", both(noise_std=0.3, steps=2, training_steps=4), ids=lambda m: m.name)
def test_no_attack_beats_what_is_proved(mechanism: NoisyDescent) -> None:
    """The process with a deletion against that on the rows that are left; iterates before unlearning are convicted."""
    problem = example(n=6, alpha=1.0)
    objective = objective_of(problem)
    rest = request(objective, 2)
    step = mechanism.initialise(objective, quiet).step
    fixed = replace(mechanism, step_size=step)
    longer = replace(fixed, training_steps=6)
    sampler, runs = seeded(5), 120
    state = fixed.remove(fixed.initialise(objective, quiet), *rest, quiet)
    goal = longer.initialise(rest[0], quiet).weights
    along = (state.weights - goal) / np.linalg.norm(state.weights - goal)
    ours, theirs, forged = np.zeros((3, runs))
    for run in range(runs):
        moved = fixed.remove(fixed.initialise(objective, sampler), *rest, sampler)
        ours[run] = np.sum(fixed.release(moved, sampler) * along)
        theirs[run] = np.sum(longer.initialise(rest[0], sampler).weights * along)
        forged[run] = ours[run] + 8.0 * fixed.noise_std
    assert epsilon_lower_bound(ours, theirs, DELTA) <= state.proved.epsilon
    assert epsilon_lower_bound(forged, theirs, DELTA) > state.proved.epsilon


def test_one_batch_of_sgd_is_langevin() -> None:
    options = {"noise_std": 0.1, "delta": DELTA, "steps": 3, "training_steps": 5}
    problem = example(outputs=2)
    states = []
    for mechanism in (Langevin(**options), ProjectedNoisySGD(**options, batches=1)):  # type: ignore[arg-type]
        sampler = seeded(0)
        state = mechanism.initialise(objective_of(problem), sampler)
        states.append(mechanism.remove(state, *request(state.objective, 1, 4), sampler))
    assert np.array_equal(states[0].weights, states[1].weights)
    assert states[0].proved.epsilon == states[1].proved.epsilon


def test_without_noise_it_descends_to_the_minimiser() -> None:
    state = forgotten(Langevin(0.1, DELTA, steps=300, training_steps=10), example(), (3,))
    assert np.allclose(state.weights, solve(state.objective).weights, atol=1e-10)


def test_a_pass_over_all_batches_steps_along_the_whole_gradient() -> None:
    """For short steps: each batch weighs J times what it does in the objective."""
    problem = example()
    objective = objective_of(problem)
    sgd = ProjectedNoisySGD(0.1, DELTA, steps=1, training_steps=1, step_size=1e-6, batches=4)
    moved = sgd.initialise(objective, quiet).weights
    gradient = objective.value_and_gradient(np.zeros(objective.shape))[1]
    assert np.allclose(moved, -4e-6 * gradient, rtol=1e-4)


def test_iterates_stay_in_the_ball() -> None:
    for mechanism in both(noise_std=5.0, radius=0.5):
        state = mechanism.initialise(objective_of(example(loss="squared")), seeded(1))
        assert np.linalg.norm(state.weights) <= 0.5 * (1.0 + 1e-15)
        state = mechanism.remove(state, *request(state.objective, 0, alpha=1.5), seeded(2))
        assert np.linalg.norm(state.weights) <= 0.5 * (1.0 + 1e-15)
        assert state.shifts[0] >= state.step * 0.5 * 0.5


def test_a_penalty_that_changes_needs_a_ball() -> None:
    for mechanism in both():
        state = mechanism.initialise(objective_of(example()), quiet)
        with pytest.raises(ValueError, match=r"alpha changes with this request.*finite radius"):
            mechanism.remove(state, *request(state.objective, 0, alpha=1.5), quiet)


def test_a_step_beyond_the_curvature_is_refused() -> None:
    for mechanism in both(step_size=1.0):
        with pytest.raises(ValueError, match=r"step_size=1\.0 must be at most 1/L"):
            mechanism.initialise(objective_of(example()), quiet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_std": 0.0}, "noise_std must be positive"),
        ({"noise_std": math.nan}, "noise_std must"),
        ({"delta": 1.0}, "delta must be below 1"),
        ({"delta": 0.0}, "delta must be positive"),
        ({"steps": 0}, "steps must be an integer"),
        ({"training_steps": 1.5}, "training_steps must be an integer"),
        ({"step_size": -1.0}, "step_size must"),
        ({"radius": 0.0}, "radius must be positive"),
        ({"radius": math.nan}, "radius must be positive"),
    ],
)
def test_bad_parameters_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        both(**options)
