"""Objective perturbation: training with a random linear term, for minimisers that are only nearly exact (claim T15).

The exact minimiser z of F(W) + ⟨b, W⟩ is private by claim T15, but no computer holds z, nor the real b. What is held is
a W certified to within s of z: the distance to the minimiser for the rounded b (claims T1, T2) plus ‖rounding of b‖/λ.
So W + N(0, τ²I) is released. Given z both worlds' W are within s of it, their releases within 2s of each other, and the
second step is Gaussian at μ = 2s/τ: with its (ε₁, δ₁), δ(ε) ≤ δ_z(ε − ε₁) + δ₁. Here ε₁ and δ₁ are 1/1024 of the
budget, and τ is what they need.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from certified.bounds.enclosure import norm_bound
from certified.data.rows import Rows
from certified.dp.guarantee import DPGuarantee, DPRelease
from certified.dp.limits import RowLimits, check_problem, slopes
from certified.dp.minimiser import (
    Array,
    MinimiserNotReachedError,
    Sampler,
    checked_goal,
    declared_distance,
    minimise_within,
)
from certified.dp.objective_curve import ObjectiveCurve
from certified.numerics.balls import exact, lower, working_precision
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_noise_std
from certified.privacy.noise import release_gaussian
from certified.privacy.objective_perturbation import PerturbedProblem, objective_noise_std

SHARE = 2.0**-10
"""The share of ε and of δ that pays for the minimiser not being exact."""


def objective_perturbation(
    objective: Objective,
    limits: RowLimits,
    epsilon: float,
    delta: float,
    *,
    group_size: int = 1,
    distance: float | None = None,
    sampler: Sampler = release_gaussian,
    noise: str = "rounded_gaussian",
) -> DPRelease:
    """Train with ⟨b, W⟩ and release, (ε, δ)-private for adding or removing ``group_size`` rows (claim T15).

    Args:
        objective: loss, rows and total strength, every weight penalised; one output, or softmax.
        limits: what every possible row keeps to; a row beyond them is refused.
        epsilon, delta: the guarantee; σ is the smallest that the sharpest bound allows.
        group_size: k, the rows of one person.
        distance: s, demanded of the computed minimiser, rounding of b included; 2⁻³⁰L/λ by default.
        sampler: draws both noises; by default exactly, from the operating system (T13).
        noise: what the guarantee calls it.

    Raises:
        ValueError: an argument out of range, a row beyond the limits, a problem that no noise makes private, or a
            strength so small that no σ gives this ε; the message names the remedy.
        MinimiserNotReachedError: the distance could not be certified; nothing is released.
    """
    epsilon, delta, group_size = checked_goal(epsilon, delta, group_size)
    check_problem(objective)
    limits.check(objective)
    curve = calibrated(perturbed_problem(objective, limits), epsilon, delta, group_size, distance)
    objective = _with_a_row(objective)
    b = sampler(np.zeros(objective.shape), curve.noise_std)
    weights = minimise_within(replace(objective, linear=b), _left_by(b, curve.distance, objective.alpha))
    guarantee = DPGuarantee(
        mechanism="objective perturbation",
        stated_epsilon=epsilon,
        stated_delta=delta,
        group_size=group_size,
        curve=curve,
        loss=objective.loss.name,
        n_features=objective.shape[0],
        n_outputs=objective.shape[1],
        noise=noise,
    )
    return DPRelease(sampler(weights, curve.release_noise_std), guarantee)


def perturbed_problem(objective: Objective, limits: RowLimits) -> PerturbedProblem:
    """Return the public constants of the problem (claim T15).

    Raises:
        ValueError: several outputs of a separable loss.
    """
    known, outputs = slopes(objective), objective.rows.n_outputs
    if known != "softmax" and outputs != 1:
        raise ValueError(
            f"objective has {outputs} outputs of a separable loss, of which claim T15 covers one: use softmax, or "
            "output perturbation, which covers any number"
        )
    return PerturbedProblem(
        gradient_bound=limits.gradient_bound(objective),
        smoothness=limits.smoothness(objective),
        strength=objective.alpha,
        slopes=known,
        outputs=outputs,
    )


def calibrated(
    problem: PerturbedProblem, epsilon: float, delta: float, group_size: int = 1, distance: float | None = None
) -> ObjectiveCurve:
    """Return the curve with the least σ for (ε, δ) and ``group_size`` rows (claim T15); needs no data.

    Raises:
        ValueError: no σ gives this ε at this strength.
    """
    accuracy = declared_distance(distance, problem.gradient_bound, problem.strength)
    spent_epsilon, spent_delta = SHARE * epsilon, SHARE * delta
    with working_precision(128):
        goal = lower(exact(epsilon) - exact(spent_epsilon)), lower(exact(delta) - exact(spent_delta))
    noise_std = objective_noise_std(problem, *goal, group_size)
    if noise_std == math.inf:
        raise ValueError(
            f"strength {problem.strength:g} is too small for epsilon={epsilon:g}: the curvature of {group_size} row(s) "
            "alone gives more away, whatever the noise; regularise more (smaller C), to above about "
            f"{problem.smoothness / math.expm1(min(epsilon / group_size, 500.0)):.3g}, or use output perturbation"
        )
    release_noise_std = gaussian_noise_std(spent_epsilon, spent_delta, 2.0 * accuracy)
    if release_noise_std == math.inf:
        raise ValueError(f"delta={delta!r} is too small: no share of it can pay for an inexact minimiser; raise it")
    return ObjectiveCurve(problem, noise_std, accuracy, release_noise_std, spent_epsilon, spent_delta)


def _with_a_row(objective: Objective) -> Objective:
    """The same objective up to a constant, never without rows: then z = −b/λ, not the 0 of claim T0."""
    if objective.rows.any_in_force:
        return objective
    d, outputs = objective.rows.n_features, objective.rows.n_outputs
    target = np.zeros((1, outputs))
    target[0, 0] = 1.0
    return replace(objective, rows=Rows.from_arrays(np.zeros((1, d)), target, np.ones(1)))


def _left_by(b: Array, distance: float, strength: float) -> float:
    """s less ‖b̂ − b‖/λ, where b̂ holds the real b rounded to nearest: the share of the solver."""
    with working_precision(128):
        lost = (exact(2.0**-52) * exact(norm_bound(b)) + exact(2.0**-1000)) / exact(strength)
        left = lower(exact(distance) - lost)
    if not left > 0.0:
        raise MinimiserNotReachedError(distance)
    return left
