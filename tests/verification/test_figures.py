"""Problems meant to break bounds: the verifier confirms the issuer, and the truth confirms both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb_mat, ctx
from hypothesis import example, given, settings

from certified.bounds.distance import DistanceBound, certify_distance, max_extended_norm
from certified.certificates.certificate import Certificate
from certified.verification import distance
from certified.verification.distance import _Approximation, _exceeds, prove_distance
from certified.verification.figures import check_figures
from certified.verification.losses import LOSSES
from certified.verification.objective import PRECISION, ArbObjective, norm
from tests.oracle import NoMinimiserError, Problem, minimise
from tests.strategies import objective_of, problems_and_points
from tests.verification.cases import make_case

Array = npt.NDArray[np.float64]


def in_balls(problem: Problem, weights: Array) -> ArbObjective:
    """The verifier's objective of a problem, without rows of weight zero."""
    used = problem.weights > 0.0
    return ArbObjective(
        problem.loss,
        problem.features[used],
        problem.targets[used],
        problem.weights[used],
        problem.alpha,
        problem.fit_intercept,
        weights,
    )


def stated(problem: Problem, weights: Array, bound: DistanceBound) -> Certificate:
    """A certificate with the figures of a bound."""
    constants = LOSSES[problem.loss]
    return replace(
        make_case().certificate,
        distance_bound=bound.value,
        distance_claim=bound.claim,
        gradient_residual=bound.gradient_residual,
        rounding_error=bound.rounding_error,
        curvature=bound.curvature,
        loss=problem.loss,
        self_concordance=constants.self_concordance,
        row_norm_bound=max_extended_norm(objective_of(problem)),
        alpha=problem.alpha,
        fit_intercept=problem.fit_intercept,
    )


def check_agreement(problem: Problem, weights: Array) -> None:
    """The verifier confirms every finite bound of the library."""
    problem = replace(problem, linear=None)
    with np.errstate(all="ignore"):
        bound = certify_distance(objective_of(problem), weights)
    if not np.isfinite(bound.value):
        return
    failed = [c for c in check_figures(stated(problem, weights, bound), in_balls(problem, weights)) if not c.passed]
    assert not failed, "\n".join(map(str, failed))


def check_truth(problem: Problem, weights: Array) -> None:
    """What the verifier proves by itself is true."""
    problem = replace(problem, linear=None)
    if problem.is_degenerate:
        return
    objective = in_balls(problem, weights)
    with ctx.workprec(PRECISION):
        sizes, moments = objective.row_sizes(), objective.moments()
        # The smallest claim that a large gradient does not refute makes the verifier use every argument it has.
        steepest = problem.alpha + LOSSES[problem.loss].curvature_limit * sizes.weighted
        claimed = float((norm(moments.gradient.entries()) / steepest).upper()) * (1.0 + 1e-12)
        proof = prove_distance(objective, moments, sizes, claimed, 0.0)
    if not proof.distance.is_finite():
        return
    try:
        truth = minimise(problem, weights).distance(weights)
    except NoMinimiserError:
        return
    assert proof.distance.upper() >= truth.lower()


@given(problems_and_points(scaled=False))
def test_verifier_confirms_issuer(case: tuple[Problem, Array]) -> None:
    check_agreement(*case)


@example((Problem("squared", np.array([[0.0, 1.0], [1e9, 1e12]]), np.ones((2, 2)), np.ones(2), 1.0), np.zeros((2, 2))))
@given(problems_and_points())
def test_verifier_confirms_issuer_at_wild_scales(case: tuple[Problem, Array]) -> None:
    check_agreement(*case)


@settings(max_examples=20)
@given(problems_and_points(scaled=False))
def test_proved_distance_is_at_least_the_truth(case: tuple[Problem, Array]) -> None:
    check_truth(*case)


@pytest.mark.slow
@settings(max_examples=5000)
@given(problems_and_points())
def test_verifier_confirms_issuer_many_times(case: tuple[Problem, Array]) -> None:
    check_agreement(*case)


@pytest.mark.slow
@settings(max_examples=1000)
@given(problems_and_points())
def test_proved_distance_is_at_least_the_truth_many_times(case: tuple[Problem, Array]) -> None:
    check_truth(*case)


def test_curvature_is_not_proved_without_a_factor() -> None:
    with ctx.workprec(PRECISION):
        hessian = arb_mat(2, 2, [1.0, 0.0, 0.0, 1.0])
        assert _exceeds(hessian, np.eye(2), 0.5)
        assert not _exceeds(hessian, np.eye(2), 1.5)
        assert not _exceeds(hessian, np.full((2, 2), np.inf), 0.5)


def test_large_systems_are_not_solved_in_balls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a true bound at scales where float64 is no guide stays unconfirmed, which is no refutation."""
    monkeypatch.setattr(distance, "_SMALL", 0)
    problem = Problem("squared", np.array([[0.0, 1.0], [1e9, 1e12]]), np.ones((2, 2)), np.ones(2), 1.0)
    weights = np.zeros((2, 2))
    bound = certify_distance(objective_of(problem), weights)
    checks = check_figures(stated(problem, weights, bound), in_balls(problem, weights))
    assert {check.name for check in checks if not check.passed} == {"distance_bound"}


@pytest.mark.parametrize("hessian", [np.zeros((2, 2)), np.full((2, 2), np.inf), np.diag([1.0, -1.0])])
def test_a_useless_hessian_guides_like_the_identity(hessian: Array) -> None:
    np.testing.assert_allclose(_Approximation.of(hessian).solve(np.array([1.0, -2.0])), [1.0, -2.0])
