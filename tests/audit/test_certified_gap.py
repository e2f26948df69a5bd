"""Proved violations, checked against multi-precision arithmetic that shares no code with the proof."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest

from certified.audit.certified_gap import (
    NotProvedError,
    event_delta,
    refute,
    residual_limit,
    separating_intervals,
)
from certified.audit.objective_perturbation import ScalarDeletion, corollary_supremum, divergences, supremum
from tests.audit.gap_cases import CASES, PAIR, RARE, TIGHT, WIDE, Case, Reference


@pytest.mark.parametrize("name", CASES)
def test_published_claims_are_false(name: str) -> None:
    """Every row of the table in proofs/T8, and its event weighed by other means."""
    case = CASES[name]
    found = refute(case.problem, case.claimed_delta, quantity=case.quantity)
    assert found.holds
    assert found.delta > case.true_delta > 1.4 * case.claimed_delta
    assert found.epsilon < case.epsilon
    assert found.tail < 2.6e-12
    _check_event(case, found.epsilon, found.delta, found.direction, found.intervals)


def _check_event(
    case: Case, epsilon: float, delta: float, direction: str, intervals: tuple[tuple[float, float], ...]
) -> None:
    with mpmath.workdps(40):
        reference = Reference(case.problem)
        ours = theirs = mpmath.mpf(0)
        for left, right in (map(mpmath.mpf, interval) for interval in intervals):
            ours += reference.mass(reference.noise, left, right)
            released = reference.released(left), reference.released(right)
            assert released[0] < released[1]
            theirs += reference.mass(reference.retraining_noise, *released)
        first, second = (ours, theirs) if direction == "forward" else (theirs, ours)
        gap = first - mpmath.exp(mpmath.mpf(epsilon)) * second
        assert delta <= gap < delta + 1e-9


@pytest.mark.parametrize("problem", [TIGHT, WIDE, RARE])
def test_residual_limit_is_a_tight_bound(problem: ScalarDeletion) -> None:
    limit = residual_limit(problem)
    assert supremum(problem, size=20001) <= limit <= 1.001 * supremum(problem, size=20001)
    with mpmath.workdps(40):
        reference = Reference(problem)
        for t in problem.grid(7.0, 60).tolist()[1:-1]:
            assert abs(reference.residual(mpmath.mpf(t))) <= limit


def test_corollary_limit_is_a_tight_bound() -> None:
    limit = residual_limit(RARE, "corollary")
    assert corollary_supremum(RARE) * (1 - 1e-9) <= limit <= 1.001 * corollary_supremum(RARE)


@pytest.mark.parametrize("problem", [WIDE, RARE, PAIR])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_event_never_exceeds_the_divergence(problem: ScalarDeletion, direction: str) -> None:
    for epsilon in (0.01, 0.1):
        true = getattr(divergences(problem, epsilon, size=20001), direction)
        intervals = separating_intervals(problem, epsilon, direction)  # type: ignore[arg-type]
        proved = event_delta(problem, epsilon, intervals, direction)  # type: ignore[arg-type]
        assert proved <= true * (1 + 1e-6) + 1e-15
        assert proved >= 0.999 * true - 1e-9


def test_any_event_gives_a_bound() -> None:
    rng = np.random.default_rng(4)
    true = divergences(WIDE, 0.3, size=20001)
    for _ in range(20):
        left, right = sorted(rng.uniform(-12.0, 12.0, size=2).tolist())
        assert event_delta(WIDE, 0.3, [(left, right)], "forward") <= true.forward + 1e-12


def test_a_sound_claim_is_not_refuted() -> None:
    """Enough noise for the Jacobian as well: nothing to find."""
    calm = replace(RARE, l2_strength=1e-2, noise_std=20.0)
    found = refute(calm, 1e-4, quantity="corollary")
    assert not found.holds and found.delta == 0.0


def test_theorem_one_must_bound_the_residual() -> None:
    """As printed it ignores that b makes the weights larger; with a strong penalty it is no bound."""
    with pytest.raises(NotProvedError, match="theorem 1"):
        refute(replace(PAIR, l2_strength=100.0, noise_std=200.0), 1e-5, quantity="theorem")


@pytest.mark.parametrize("intervals", [[(1.0, 0.0)], [(0.0, 2.0), (1.0, 3.0)]])
def test_intervals_must_be_disjoint(intervals: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="increasing and disjoint"):
        event_delta(WIDE, 0.1, intervals, "forward")


def test_intervals_must_be_covered() -> None:
    with pytest.raises(ValueError, match="cutoff"):
        event_delta(WIDE, 0.1, [(0.0, 1e9)], "backward")


def test_a_fold_is_not_proved_away() -> None:
    folded = ScalarDeletion.per_sample((-0.7647, 0.0119), 0.1021, 7.783e-4, 0.5794)
    with pytest.raises(NotProvedError, match="increasing"):
        event_delta(folded, 0.1, [(0.0, 1.0)], "backward")
