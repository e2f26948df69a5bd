"""One-run auditing against exact probabilities of mechanisms that reach the bounds, by counting and by enumeration."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from certified.audit import audit_one_run, one_run_epsilon, one_run_mu, one_run_p_value
from certified.audit.one_run import contradicts_trade_off
from certified.privacy import gaussian_epsilon, gaussian_trade_off
from tests.audit.levels import most_errors

LEVEL = 0.05


@pytest.mark.parametrize(
    ("guesses", "epsilon", "delta"), [(1, 0.5, 0.0), (10, 1.0, 0.0), (100, 0.1, 1e-5), (60, 3.0, 1e-3)]
)
def test_p_value_in_high_precision(guesses: int, epsilon: float, delta: float) -> None:
    canaries = 2 * guesses
    with mpmath.workdps(60):
        chance = 1 / (1 + mpmath.exp(-mpmath.mpf(epsilon)))
        mass = [mpmath.binomial(guesses, j) * chance**j * (1 - chance) ** (guesses - j) for j in range(guesses + 1)]
        for correct in {1, guesses // 2 + 1, guesses}:
            tail = mpmath.fsum(mass[correct:])
            extra = canaries * mpmath.mpf(delta) * tail * mpmath.fsum(mass[:correct]) / (correct * mass[correct])
            bound = one_run_p_value(correct, guesses, canaries, epsilon=epsilon, delta=delta)
            truth = min(mpmath.mpf(1), tail + extra)
            assert truth <= bound <= truth * (1 + mpmath.mpf(2) ** -50)


@pytest.mark.parametrize(("guesses", "correct", "epsilon"), [(100, 88, 1.0), (1000, 775, 1.0), (500, 300, 0.1)])
def test_the_term_for_delta_is_sharper_than_the_published_one(guesses: int, correct: int, epsilon: float) -> None:
    """Steinke et al. 2023: P(W ≥ v) + 2mδ·max_i P(v − i ≤ W < v)/i; compared in the tail, where audits decide."""
    canaries, delta = 2 * guesses, 1e-5
    law = stats.binom(guesses, 1.0 / (1.0 + math.exp(-epsilon)))
    reach = np.arange(1, correct + 1)
    factor = np.max((law.cdf(correct - 1) - law.cdf(correct - 1 - reach)) / reach)
    tail = law.sf(correct - 1)
    assert tail < 0.01
    ours = one_run_p_value(correct, guesses, canaries, epsilon=epsilon, delta=delta)
    assert tail < ours < tail + canaries * delta * factor


def leaking(canaries: int, chance: float, leak: float) -> tuple[np.ndarray, float, float]:
    """A mechanism that is not a product: P(right = v), and the least δ at ε = log(chance/(1 − chance)).

    Each bit is told truly with probability ``chance``; but with probability ``leak`` all are told as they are.
    """
    counts = np.arange(canaries + 1)
    right = (1.0 - leak) * stats.binom.pmf(counts, canaries, chance)
    right[-1] += leak
    return right, math.log(chance / (1.0 - chance)), leak


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.floats(0.5, 0.95), st.sampled_from([0.0, 1e-6, 1e-3, 0.1]))
def test_a_mechanism_that_leaks_all_at_once(canaries: int, chance: float, leak: float) -> None:
    right, epsilon, delta = leaking(canaries, chance, leak)
    for correct in range(1, canaries + 1):
        # Computed ε is a rounded one: a hair above the mechanism's.
        bound = one_run_p_value(correct, canaries, canaries, epsilon=abs(epsilon) * (1 + 1e-12), delta=delta)
        assert right[correct:].sum() <= bound * (1 + 1e-9)


@pytest.mark.parametrize("canaries", [1, 2, 3])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), epsilon=st.floats(0.0, 2.0))
def test_any_mechanism_on_few_canaries(canaries: int, seed: int, epsilon: float) -> None:
    """Random tables P(output | bits), every guess a function of the output: the least δ by its definition."""
    rng = np.random.default_rng(seed)
    worlds = list(itertools.product([0, 1], repeat=canaries))
    table = rng.dirichlet(np.full(6, rng.choice([0.1, 1.0, 10.0])), size=len(worlds))
    told = rng.integers(0, 2, size=(6, canaries))
    made = rng.permuted(np.tile(np.arange(canaries) < rng.integers(1, canaries + 1), (6, 1)), axis=1)
    guesses = int(made[0].sum())
    delta, right = 0.0, np.zeros(guesses + 1)
    for number, bits in enumerate(worlds):
        for flipped in range(canaries):
            other = worlds.index(tuple(b ^ (i == flipped) for i, b in enumerate(bits)))
            delta = max(delta, float(np.maximum(table[number] - math.exp(epsilon) * table[other], 0.0).sum()))
        for output in range(6):
            right[int(np.sum(made[output] & (told[output] == bits)))] += table[number, output] / len(worlds)
    for correct in range(1, guesses + 1):
        bound = one_run_p_value(correct, guesses, canaries, epsilon=epsilon, delta=min(1.0, delta * (1 + 1e-9)))
        assert right[correct:].sum() <= bound * (1 + 1e-9)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("canaries", [1, 5, 40])
def test_independent_gaussians_do_not_contradict_their_trade_off(canaries: int, mu: float) -> None:
    """N(±μ/2, 1) for each canary, told by its sign: right with probability Φ(μ/2), and μ-GDP exactly."""
    chance = stats.norm.cdf(mu / 2)
    for correct in range(1, canaries + 1):
        level = float(stats.binom.sf(correct - 1, canaries, chance))
        arguments = correct, canaries, canaries, level * (1.0 - 1e-9)
        assert not contradicts_trade_off(*arguments, lambda y: gaussian_trade_off(min(1.0, 1.0 - y + 2**-53), mu))


def test_one_canary_is_the_trade_off_itself() -> None:
    """P(right) = p means errors that add up to 2(1 − p): possible if and only if μ ≥ 2Φ⁻¹(p)."""
    found = one_run_mu(1, 1, 1, confidence=0.1)
    assert math.isclose(found, 2.0 * stats.norm.ppf(0.9), rel_tol=5e-6)
    assert found <= 2.0 * stats.norm.ppf(0.9)


@pytest.mark.parametrize(("mu", "delta", "guesses"), [(0.0, 0.0, 100), (1.0, 1e-3, 100), (1.0, 1e-5, 20)])
def test_the_level_holds(mu: float, delta: float, guesses: int) -> None:
    """The counts of all trials at once; bounds are looked up, as a count has only so many values."""
    check_level(2000, mu, delta, guesses)


@pytest.mark.slow
@pytest.mark.parametrize("mu", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(("canaries", "guesses"), [(100, 100), (400, 40), (1000, 500)])
def test_the_level_holds_over_many_trials(canaries: int, guesses: int, mu: float) -> None:
    check_level(20_000, mu, 1e-5, guesses, canaries)


def check_level(trials: int, mu: float, delta: float, guesses: int, canaries: int = 100) -> None:
    rng = np.random.default_rng()
    wrong = np.zeros(2)
    truth = gaussian_epsilon(delta, mu, 1.0)
    for _ in range(trials):
        included = rng.random(canaries) < 0.5
        order = np.argsort(rng.normal(size=canaries) + mu * included)
        right = int(included[order[-(guesses // 2) :]].sum() + (~included[order[: guesses // 2]]).sum())
        counts = right, guesses, canaries
        wrong += (
            one_run_epsilon(*counts, delta=delta, confidence=1 - LEVEL) > truth,
            one_run_mu(*counts, confidence=1 - LEVEL) > mu,
        )
    assert np.all(wrong <= most_errors(trials, LEVEL))


def test_the_whole_audit_has_power() -> None:
    rng = np.random.default_rng(5)
    included = rng.random(2000) < 0.5
    found = audit_one_run(3.0 * included + rng.normal(size=2000), included, guesses=1000, delta=1e-5)
    assert found.guesses == 1000 and found.canaries == 2000
    assert 1.0 < found.mu <= 3.0
    assert 4.0 < found.epsilon <= gaussian_epsilon(1e-5, 3.0, 1.0)
    assert found.epsilon == one_run_epsilon(found.correct, 1000, 2000, delta=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.data())
def test_a_bound_is_what_its_own_test_rejects(guesses: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(1, guesses))
    epsilon = one_run_epsilon(correct, guesses, 100, delta=1e-6, confidence=0.9)
    if epsilon > 0.0:
        assert one_run_p_value(correct, guesses, 100, epsilon=epsilon, delta=1e-6) < 0.1
    if epsilon < 59.0:
        assert one_run_p_value(correct, guesses, 100, epsilon=epsilon + 1e-3, delta=1e-6) >= 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [1.0, math.inf, 0.0]}, "scores must be a vector"),
        ({"included": [1, 0, 1]}, "one boolean"),
        ({"included": [True, False]}, "one boolean"),
        ({"guesses": 3}, "even number"),
        ({"guesses": 4}, "even number"),
        ({"delta": 2.0}, "delta must not exceed 1"),
    ],
)
def test_bad_input(changes: dict[str, object], message: str) -> None:
    arguments = {"scores": [1.0, 2.0, 3.0], "included": [True, False, True], "guesses": 2, "delta": 0.0} | changes
    with pytest.raises(ValueError, match=message):
        audit_one_run(**arguments)


def test_counts_out_of_order() -> None:
    with pytest.raises(ValueError, match="whole numbers in increasing order"):
        one_run_p_value(3, 2, 5, epsilon=1.0, delta=0.0)
