"""The search finds the violations that are known, and does not find what is proved not to exist."""

from __future__ import annotations

import math

import numpy as np
import pytest

from certified.audit.gap_search import (
    RESIDUALS,
    judge,
    judge_sampled,
    random_problems,
    random_vector_problems,
    worst_problem,
)
from certified.audit.objective_perturbation import ScalarDeletion, supremum
from certified.bounds.published.guo import guo_perturbed, guo_single
from tests.audit.gap_cases import CASES, PAIR, RARE


@pytest.mark.parametrize(("name", "residual"), [("a", "supremum"), ("c", "corollary 1"), ("e", "theorem 1")])
def test_counterexamples_are_recognised(name: str, residual: str) -> None:
    case = CASES[name]
    verdict = judge(case.problem, case.claimed_delta)[residual]
    assert verdict.violated and verdict.delta >= case.true_delta
    assert math.isclose(verdict.claim.epsilon, case.epsilon, rel_tol=1e-3)


@pytest.mark.parametrize("problem", [PAIR, RARE])
def test_residuals_are_the_published_formulas(problem: ScalarDeletion) -> None:
    found = judge(problem, 1e-5)
    published = {"n": problem.counts[0], "strength": problem.l2_strength, "gradient_bound": 1.0}
    printed = guo_single(**published, curvature_lipschitz=0.25)
    corrected = guo_perturbed(**published, curvature_lipschitz=0.25, perturbation_norm=7.0 * problem.noise_std)
    assert math.isclose(found["theorem 1"].claim.residual, printed, rel_tol=1e-12)
    assert math.isclose(found["theorem 1 corrected"].claim.residual, corrected, rel_tol=1e-12)
    assert tuple(found) == RESIDUALS


def test_random_problems_keep_the_published_conditions() -> None:
    for problem in random_problems(50, np.random.default_rng(0)):
        assert all(abs(a) <= 1.0 for a in (*problem.kept, problem.deleted))
        assert problem.counts[0] == problem.counts[1] + 1 >= len(problem.kept) + 1
        found = judge(problem, 1e-4, size=801)
        # Each published bound that is claimed to hold for the perturbed loss does.
        tight = found["supremum"].claim.residual
        assert tight <= found["corollary 1"].claim.residual * (1 + 1e-9)
        assert tight <= found["theorem 1 corrected"].claim.residual * (1 + 1e-9)


def test_search_finds_violations_of_corollary_one() -> None:
    problem, verdict = worst_problem("corollary 1", 1e-6, np.random.default_rng(1), generations=25, population=24)
    assert verdict.violated and verdict.delta > 10 * verdict.allowed
    assert supremum(problem) < verdict.claim.residual


def test_search_respects_the_proved_part() -> None:
    """T8, item 5: moderate σ and theorem 1 corrected for the perturbed loss."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        rows, strength = int(rng.integers(20, 400)), float(rng.uniform(0.02, 1.0))
        kept = np.where(rng.random(rows - 1) < 0.3, rng.uniform(-1.0, 1.0, rows - 1), 0.0)
        c = math.sqrt(2.0 * math.log(1.5e4))
        sigma = float(rng.uniform(0.3, 1.0)) * c * (rows - 1) / 23.0
        problem = ScalarDeletion.per_sample(kept.tolist(), float(rng.uniform(-1.0, 1.0)), strength, sigma)
        reach = (2.0 + 7.0 * sigma / rows) / problem.kept_alpha
        verdict = judge(problem, 1e-4, size=801)["theorem 1 corrected"]
        if reach <= 0.25 and verdict.applies:
            covered += 1
            slope = problem.slope(problem.grid(7.0, 801)[1:-1])
            assert np.max(np.abs(slope - 1.0)) <= 2.41 * reach**2
            assert not verdict.violated
    assert covered > 20


def test_sampled_verdicts_in_several_dimensions() -> None:
    rng = np.random.default_rng(2)
    found = [judge_sampled(problem, 1e-4, 3000, rng) for problem in random_vector_problems(12, 3, rng)]
    assert sum(verdicts["supremum"].violated for verdicts in found) >= 2
    for verdicts in found:
        assert verdicts["supremum"].claim.residual <= verdicts["corollary 1"].claim.residual
        assert not verdicts["theorem 1 corrected"].violated


def test_unknown_residual_is_refused() -> None:
    with pytest.raises(ValueError, match="residual must be one of"):
        worst_problem("corollary 7", 1e-4, np.random.default_rng(0))
