"""The numerical model of the published mechanism against multi-precision arithmetic and against its own densities."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from certified.audit.objective_perturbation import (
    PublishedClaim,
    ScalarDeletion,
    corollary_supremum,
    densities,
    divergences,
    monotone_branches,
    supremum,
)
from certified.bounds.published.guo import guo_noise_std
from certified.privacy.gaussian import hockey_stick
from tests.audit.gap_cases import CASES, PAIR, RARE, TIGHT, WIDE, Reference

FOLDED = ScalarDeletion.per_sample((-0.7647, 0.0119), 0.1021, 7.783e-4, 0.5794)
"""A problem in which b ↦ β turns back, so that several noises lead to one release."""
PROBLEMS = [TIGHT, WIDE, RARE, PAIR, FOLDED]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.53, 0.9])
def test_model_is_the_mechanism(problem: ScalarDeletion, share: float) -> None:
    grid = problem.grid(6.0, 1001)
    t = grid[[int(share * 1000)]]
    with mpmath.workdps(40):
        reference, at = Reference(problem), mpmath.mpf(float(t[0]))
        noise, residual = reference.noise(at), reference.residual(at)
        effective = reference.retraining_noise(reference.released(at))
        slope = mpmath.diff(lambda x: reference.retraining_noise(reference.released(x)), at) / mpmath.diff(
            reference.noise, at
        )
        step = reference.released(at) - at
    scale = 1.0 + abs(float(noise))
    assert abs(problem.training_noise(t)[0] - float(noise)) < 1e-12 * scale
    assert abs(problem.residual(t)[0] - float(residual)) < 1e-12 * scale
    assert abs(problem.effective_noise(t)[0] - float(effective)) < 1e-11 * scale
    assert math.isclose(problem.slope(t)[0], float(slope), rel_tol=1e-8, abs_tol=1e-10)
    bound = 0.25 * sum(a * a for a in problem.kept) * float(step) ** 2
    assert math.isclose(problem.corollary_bound(t)[0], bound, rel_tol=1e-9)
    assert abs(float(residual)) <= bound


@pytest.mark.parametrize("problem", PROBLEMS)
def test_grid_covers_the_noise(problem: ScalarDeletion) -> None:
    grid = problem.grid(6.0, 501)
    noise = problem.training_noise(grid) / problem.noise_std
    assert np.all(np.diff(grid) > 0.0) and np.all(np.diff(noise) < 0.0)
    assert noise[0] >= 6.0 and noise[-1] <= -6.0
    assert np.sum(np.abs(noise) <= 6.0) > 400


@pytest.mark.parametrize("case", [CASES["a"], CASES["b"]])
def test_divergences_of_the_counterexamples(case: object) -> None:
    """Claimed 1e-4, true 0.077 and 0.0615: as fine a grid as one likes changes nothing."""
    problem = case.problem  # type: ignore[attr-defined]
    claim = PublishedClaim.of(supremum(problem), problem.noise_std, 1e-4)
    coarse, fine = (divergences(problem, claim.epsilon, size=size).worst for size in (2001, 20001))
    assert coarse <= fine * (1.0 + 1e-9) < coarse * 1.0001
    assert fine > 600 * claim.delta


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("problem", [WIDE, RARE, PAIR])
def test_divergences_are_integrals_of_the_densities(problem: ScalarDeletion, epsilon: float) -> None:
    """Another way to the same number: Jacobians and the trapezoidal rule over released weights."""
    w, ours, theirs = densities(problem, cutoff=8.0, size=40001)
    assert math.isclose(np.trapezoid(theirs, w), 1.0, rel_tol=1e-4)
    assert math.isclose(np.trapezoid(ours, w), 1.0, rel_tol=1e-4)
    found = divergences(problem, epsilon, size=20001)
    forward = np.trapezoid(np.maximum(ours - math.exp(epsilon) * theirs, 0.0), w)
    backward = np.trapezoid(np.maximum(theirs - math.exp(epsilon) * ours, 0.0), w)
    assert math.isclose(found.forward, forward, rel_tol=1e-4, abs_tol=1e-7)
    assert math.isclose(found.backward, backward, rel_tol=1e-4, abs_tol=1e-7)


def test_folded_divergence_by_sampling() -> None:
    """Releases themselves, sorted into cells: no branch is lost and none counted twice."""
    rng = np.random.default_rng(3)
    assert len(monotone_branches(FOLDED.effective_noise(FOLDED.grid(6.0, 4001)))) > 1
    t = FOLDED.grid(9.0, 40001)
    b = FOLDED.training_noise(t)
    draws = 400_000
    trained = np.interp(rng.normal(size=draws) * FOLDED.noise_std, b[::-1], t[::-1])
    ours = FOLDED.effective_noise(trained) / FOLDED.noise_std
    theirs = rng.normal(size=draws)
    edges = np.linspace(-5.0, 5.0, 201)
    p, q = (np.histogram(x, edges)[0] / draws for x in (ours, theirs))
    found = divergences(FOLDED, 0.0).forward
    # The cells lose little, and sampling errors of 200 cells add at most √(200/draws) in total variation.
    assert abs(np.sum(np.maximum(p - q, 0.0)) - found) < 0.05


def test_squared_loss_limit_leaves_nothing() -> None:
    """Rows too short to bend the loss: the Newton step is exact, and M and A agree."""
    problem = ScalarDeletion((1e-4, -2e-4), 1e-4, 1.0, (1, 1), 1.0)
    assert supremum(problem) < 1e-15
    assert divergences(problem, 0.0).worst < 1e-10


def test_constant_shift_is_the_gaussian_curve() -> None:
    """δ of a shift that does not depend on b is T3's; the cells must give it, in both directions."""

    class Shifted(ScalarDeletion):
        def effective_noise(self, t: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return self.training_noise(t) - 0.4 * self.noise_std

    found = divergences(Shifted((0.5,), 1.0, 0.1, (1, 1), 2.0), 0.3)
    assert math.isclose(found.forward, hockey_stick(0.3, 0.4), rel_tol=1e-5)
    assert math.isclose(found.backward, hockey_stick(0.3, 0.4), rel_tol=1e-5)


def test_claim_is_the_published_formula() -> None:
    claim = PublishedClaim.of(0.7, 3.0, 1e-5)
    assert math.isclose(guo_noise_std(residual=0.7, epsilon=claim.epsilon, delta=1e-5), 3.0, rel_tol=1e-12)
    with pytest.raises(ValueError, match="delta must be between"):
        PublishedClaim.of(0.7, 3.0, 0.0)


def test_corollary_supremum_bounds_the_residual() -> None:
    assert supremum(RARE) < corollary_supremum(RARE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 1.0, 0.1, (1, 1), 1.0), "kept must not be empty"),
        (((math.nan,), 1.0, 0.1, (1, 1), 1.0), "must be finite"),
        (((1.0,), 1.0, 0.0, (1, 1), 1.0), "l2_strength must be positive"),
        (((1.0,), 1.0, 0.1, (1, 1), math.inf), "noise_std must be positive"),
        (((1.0,), 1.0, 0.1, (1, 2), 1.0), "counts must be"),
    ],
)
def test_bad_problems_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScalarDeletion(*arguments)  # type: ignore[arg-type]


def test_rows_are_counted() -> None:
    assert ScalarDeletion.per_sample((1.0, 2.0), 1.0, 0.5, 1.0).counts == (3, 2)
    with pytest.raises(ValueError, match="rows must be at least 3"):
        ScalarDeletion.per_sample((1.0, 2.0), 1.0, 0.5, 1.0, rows=2)
