"""Bounds for objective perturbation against their printed formulas, a dense maximum and plain quadrature."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.privacy.gaussian import gaussian_delta, gaussian_noise_std
from certified.privacy.logistic_perturbation import logistic_delta
from certified.privacy.objective_perturbation import (
    PerturbedProblem,
    Slopes,
    objective_delta,
    objective_epsilon,
    objective_noise_std,
)
from certified.privacy.published_perturbation import (
    chaudhuri_noise_std,
    iyengar_noise_std,
    kifer_noise_std,
    redberg_delta,
    redberg_noise_std,
)

UNIT = {"gradient_bound": 1.0, "smoothness": 0.25, "strength": 1.0}
KINDS: list[tuple[Slopes, int]] = [("any", 1), ("one sign", 1), ("logistic", 1), ("softmax", 4)]

epsilons = st.floats(1e-2, 8.0)
noises = st.floats(0.05, 50.0)
strengths = st.floats(1e-2, 1e3)


def curve(epsilon: mpmath.mpf, mu: mpmath.mpf) -> mpmath.mpf:
    return mpmath.ncdf(mu / 2 - epsilon / mu) - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)


def by_quadrature(epsilon: float, mu: float, ratio: float) -> float:
    """E[(1 − e^(ε−Z))₊] by the trapezoidal rule, Z by trying many p: from below, but for the rule's error."""
    p = np.sin(np.linspace(0.0, np.pi / 2, 1501)) ** 2
    u = np.linspace(-10.0, 12.0, 8001)
    fixed = np.log1p(ratio * p * (1 - p)) + 0.5 * (mu * p) ** 2
    z = np.concatenate([np.max(fixed + np.outer(part, mu * p), axis=1) for part in np.array_split(u, 80)])
    gain = -np.expm1(np.minimum(epsilon - z, 0.0))
    return float(np.trapezoid(gain * np.exp(-0.5 * u**2) / math.sqrt(2 * math.pi), u))


@pytest.mark.parametrize(
    ("slopes", "epsilon", "strength", "expected"),
    [
        ("any", 0.5, 1.0, 14.5456), ("one sign", 0.5, 1.0, 14.0062), ("any", 0.5, 10.0, 8.7546),
        ("any", 1.0, 1.0, 5.5252), ("one sign", 1.0, 1.0, 5.3421), ("logistic", 1.0, 1.0, 4.2247),
        ("any", 2.0, 0.1, 5.7297), ("one sign", 2.0, 10.0, 2.2559),
    ],
)  # fmt: skip
def test_noise_as_computed_apart(slopes: Slopes, epsilon: float, strength: float, expected: float) -> None:
    """The figures come from SciPy's normal distribution and root finder."""
    problem = PerturbedProblem(1.0, 0.25, strength, slopes)
    assert objective_noise_std(problem, epsilon, 1e-6) == pytest.approx(expected, abs=6e-5)


def test_sharper_each_time() -> None:
    for epsilon in (0.5, 1.0, 2.0):
        floor = gaussian_noise_std(epsilon, 1e-6, 1.0)
        ours = [
            objective_noise_std(PerturbedProblem(**UNIT, slopes=slopes), epsilon, 1e-6)
            for slopes in ("any", "one sign", "logistic")
        ]
        published = redberg_noise_std(epsilon, 1e-6, **UNIT), kifer_noise_std(epsilon, 1e-6, **UNIT)
        assert floor <= ours[2] < ours[1] < ours[0] < published[0] < published[1]


@pytest.mark.parametrize(
    ("epsilon", "mu", "ratio"),
    [(0.5, 0.111, 1.0), (2.0, 0.2965, 10.0), (1.0, 0.25, 4.0), (0.3, 0.5, 10.0), (2.0, 1.0, 30.0), (4.0, 1.0, 100.0)],
)
def test_the_quadrature_is_an_upper_bound_and_near(epsilon: float, mu: float, ratio: float) -> None:
    found, reference = logistic_delta(epsilon, mu, 1.0, ratio / 4, 1.0), by_quadrature(epsilon, mu, ratio)
    assert reference * (1 - 1e-5) <= found <= reference * 1.03


@pytest.mark.parametrize(
    ("epsilon", "mu", "ratio"),
    [
        (2.0, 3.0, 10.0),
        (10.0, 8.0, 100.0),
        (40.0, 1.0, 1e18),
        (41.0, 1.0, 1e300),
        (0.0, 1e-307, 5.0),
        (0.0, 5e-324, 9.0),
    ],
)
def test_the_quadrature_where_lines_are_hidden_or_coincide(epsilon: float, mu: float, ratio: float) -> None:
    """A steep shift hides the lines in between; next to p = 1 or for a tiny μ, several are one float64."""
    found, reference = logistic_delta(epsilon, mu, 1.0, ratio / 4, 1.0), by_quadrature(epsilon, mu, ratio)
    assert reference * (1 - 1e-5) <= found <= min(1.0, reference * 1.03)


@settings(max_examples=5, deadline=None)
@given(epsilons, st.floats(0.1, 3.0), st.floats(0.05, 200.0))
def test_the_quadrature_bounds_whatever_is_asked(epsilon: float, mu: float, ratio: float) -> None:
    assert logistic_delta(epsilon, mu, 1.0, ratio / 4, 1.0) >= by_quadrature(epsilon, mu, ratio) * (1 - 1e-4) - 1e-12


@settings(deadline=None)
@given(epsilons, noises, strengths)
def test_the_floor(epsilon: float, noise_std: float, strength: float) -> None:
    """The logistic bound is the Gaussian curve where 4β/λ ≤ ε + μ²/2, never below it, and falls with the strength."""
    problem = PerturbedProblem(1.0, 0.25, strength, "logistic")
    found, floor = objective_delta(problem, epsilon, noise_std), gaussian_delta(epsilon, 1.0, noise_std)
    assert found >= floor
    if 1.0 / strength <= epsilon:
        assert found == floor


@settings(deadline=None)
@given(epsilons, noises, strengths)
def test_formulas_of_one_row(epsilon: float, noise_std: float, strength: float) -> None:
    with mpmath.workdps(40):
        kappa, mu = mpmath.log1p(mpmath.mpf(0.25) / strength), 1 / mpmath.mpf(noise_std)
        rest = epsilon - kappa
        two = 2 * curve(rest, mu) if rest > mu**2 / 2 else 1 - 2 * mpmath.exp(rest) * mpmath.ncdf(-mu)
        one = curve(rest, mu) if rest >= 0 else 1 - 2 * mpmath.exp(rest) * mpmath.ncdf(-mu / 2)
        printed = mpmath.mpf(1)
        if strength > 0.25:
            rest = epsilon + mpmath.log1p(-mpmath.mpf(0.25) / strength)
            printed = 2 * curve(rest, mu) if rest > mu**2 / 2 else 1 - 2 * mpmath.exp(rest) * mpmath.ncdf(-mu)
        for slopes, truth in (("any", two), ("one sign", one)):
            found = objective_delta(PerturbedProblem(1.0, 0.25, strength, slopes), epsilon, noise_std)
            assert min(truth, 1) <= found <= truth * (1 + mpmath.mpf(1e-9)) + 1e-300
        found = redberg_delta(epsilon, noise_std, gradient_bound=1.0, smoothness=0.25, strength=strength)
        assert min(printed, 1) <= found <= printed * (1 + mpmath.mpf(1e-9)) + 1e-300
    assert objective_delta(PerturbedProblem(1.0, 0.25, strength), epsilon, noise_std) <= found * (1 + 1e-9) + 1e-300


@settings(deadline=None)
@given(noises, strengths, st.integers(2, 12))
def test_curvature_costs_are_the_largest_possible(noise_std: float, strength: float, outputs: int) -> None:
    t = np.linspace(0.0, 0.25, 4001)
    binary = np.max(np.log1p(t / strength) - 0.5 * t / noise_std**2)
    found = PerturbedProblem(1.0, 0.25, strength, "logistic").curvature_cost(noise_std)
    assert binary * (1 - 1e-12) <= found <= binary + 1e-6 * (1 + 1 / strength)
    p = np.random.default_rng(outputs).dirichlet(np.full(outputs, 0.7), 400)
    p = np.vstack([p, np.full(outputs, 1.0 / outputs), np.eye(outputs)[0]])
    spread = p[:, :, None] * np.eye(outputs) - p[:, :, None] * p[:, None, :]
    log_det = np.linalg.slogdet(np.eye(outputs) + spread / strength)[1]
    shift = 0.5 * (1.0 - np.sum(p * p, axis=1)) / noise_std**2
    problem = PerturbedProblem(math.sqrt(2.0), 0.5, strength, "softmax", outputs)
    assert problem.curvature_cost(noise_std) >= np.max(log_det - shift) - 1e-12


def test_a_rank_one_bound_is_false_for_softmax() -> None:
    """The determinant at equal probabilities exceeds 1 + β/λ, so that its own form is needed."""
    p, strength = np.full(5, 0.2), 3.0
    ratio = np.linalg.det(np.eye(5) + (np.diag(p) - np.outer(p, p)) / strength)
    assert ratio > 1.0 + 0.5 / strength
    assert math.log(ratio) <= PerturbedProblem(math.sqrt(2.0), 0.5, strength, "softmax", 5).curvature_cost(1e9)


@pytest.mark.parametrize(("slopes", "outputs"), KINDS)
@pytest.mark.parametrize("size", [2, 5])
def test_groups(slopes: Slopes, outputs: int, size: int) -> None:
    problem = PerturbedProblem(1.0, 0.25, 2.0, slopes, outputs)
    kappa = problem.curvature_cost(9.0)
    with mpmath.workdps(40):
        rest = mpmath.mpf(3.0) - size * mpmath.mpf(kappa)
        terms = [
            mpmath.binomial(size, j) * problem.extremes**j * curve(rest, j / mpmath.mpf(9)) for j in range(1, size + 1)
        ]
        truth = mpmath.fsum(terms)
    found = objective_delta(problem, 3.0, 9.0, size)
    assert truth <= found <= truth * (1 + mpmath.mpf(1e-9))
    assert found >= gaussian_delta(3.0, float(size), 9.0)
    assert objective_delta(problem, 0.5 * size * kappa, 9.0, size) == 1.0 or kappa == 0.0


def test_a_strong_penalty_makes_logistic_groups_gaussian() -> None:
    """From λ = 2σ² on, for rows of norm and weight at most 1."""
    problem = PerturbedProblem(1.0, 0.25, 128.0, "logistic")
    assert problem.curvature_cost(8.0) == 0.0
    assert problem.curvature_cost(8.1) > 0.0
    assert objective_delta(problem, 1.0, 8.0, 4) == gaussian_delta(1.0, 4.0, 8.0)


@pytest.mark.parametrize(("slopes", "outputs"), KINDS)
def test_inverses(slopes: Slopes, outputs: int) -> None:
    problem = PerturbedProblem(1.0, 0.25, 4.0, slopes, outputs)
    noise_std = objective_noise_std(problem, 1.5, 1e-5)
    assert objective_delta(problem, 1.5, noise_std) <= 1e-5 < objective_delta(problem, 1.5, 0.99 * noise_std)
    epsilon = objective_epsilon(problem, 1e-5, noise_std)
    assert objective_delta(problem, epsilon, noise_std) <= 1e-5
    assert epsilon == pytest.approx(1.5, rel=1e-6)


def test_units_cancel() -> None:
    for slopes, outputs in KINDS:
        small = PerturbedProblem(1.0, 0.25, 1.0, slopes, outputs)
        large = PerturbedProblem(8.0, 0.25 * 64, 64.0, slopes, outputs)
        assert objective_delta(small, 2.0, 3.0) == pytest.approx(objective_delta(large, 2.0, 24.0), rel=1e-12)


def test_too_little_strength_has_no_noise() -> None:
    weak = {"gradient_bound": 1.0, "smoothness": 0.25, "strength": 0.1}
    for slopes in ("any", "one sign", "logistic"):
        assert objective_noise_std(PerturbedProblem(**weak, slopes=slopes), 1.0, 1e-6) == math.inf
    assert redberg_noise_std(2.0, 1e-6, **weak) == kifer_noise_std(2.0, 1e-6, **weak) == math.inf
    assert iyengar_noise_std(2.0, 1e-6, **weak) == chaudhuri_noise_std(1.0, 1, **weak) == math.inf
    assert objective_noise_std(PerturbedProblem(**weak, slopes="logistic"), 2.0, 1e-6) < 3.4


def test_published_figures() -> None:
    assert kifer_noise_std(1.0, 1e-6, **UNIT) == pytest.approx(math.sqrt(8 * math.log(2e6) + 4))
    assert iyengar_noise_std(1.0, 1e-6, **UNIT) == pytest.approx(4 * (1 + math.sqrt(2 * math.log(1e6))))
    assert chaudhuri_noise_std(1.0, 8, **UNIT) == pytest.approx(6 / (1 - 2 * math.log(1.25)))
    assert redberg_noise_std(1.0, 1e-6, **UNIT) == pytest.approx(5.9921, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"gradient_bound": 0.0}, "gradient_bound"), ({"smoothness": math.inf}, "smoothness"),
        ({"strength": -1.0}, "strength"), ({"strength": math.nan}, "strength"), ({"slopes": "convex"}, "slopes"),
        ({"outputs": 2}, "outputs"), ({"slopes": "softmax"}, "outputs"),
    ],
)  # fmt: skip
def test_a_problem_must_make_sense(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        PerturbedProblem(**(UNIT | change))  # type: ignore[arg-type]


def test_bad_arguments_are_named() -> None:
    problem = PerturbedProblem(**UNIT)
    with pytest.raises(ValueError, match="epsilon"):
        objective_delta(problem, -1.0, 1.0)
    with pytest.raises(ValueError, match="noise_std"):
        objective_delta(problem, 1.0, math.nan)
    for epsilon, noise_std in ((math.inf, 1.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="must be finite"):
            objective_delta(problem, epsilon, noise_std)
    with pytest.raises(ValueError, match="noise_std must be finite"):
        redberg_delta(1.0, math.inf, **UNIT)
    with pytest.raises(ValueError, match="group_size"):
        objective_delta(problem, 1.0, 1.0, 0)
    with pytest.raises(ValueError, match="delta"):
        objective_noise_std(problem, 1.0, 2.0)
    with pytest.raises(ValueError, match="strength"):
        kifer_noise_std(1.0, 1e-6, gradient_bound=1.0, smoothness=0.25, strength=0.0)
    assert objective_delta(problem, 1.0, 0.0) == 1.0
