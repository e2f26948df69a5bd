"""Output perturbation: the minimiser plus Gaussian noise for the most that k rows can move it (claim T14).

The minimisers with and without k rows are at most kL/λ apart, whatever the other rows, and no smaller distance holds
for all data. Both computed ones are certified to within s of the exact ones (claims T1, T2), so the released vectors
are Gaussians at distance at most kL/λ + 2s and the exact Gaussian curve applies (claims T3, T13).

Source: Chaudhuri, Monteleoni & Sarwate 2011 (arXiv 0912.0071) with Laplace-type noise; calibration Balle & Wang 2018.
"""

from __future__ import annotations

from certified.dp.guarantee import DPGuarantee, DPRelease
from certified.dp.limits import RowLimits, check_problem
from certified.dp.minimiser import Sampler, checked_goal, declared_distance, minimise_within
from certified.dp.output_curve import OutputCurve, output_sensitivity
from certified.objective import Objective
from certified.privacy.gaussian import gaussian_noise_std
from certified.privacy.noise import release_gaussian


def output_perturbation(
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
    """Train and release W + N(0, σ²I), (ε, δ)-private for adding or removing ``group_size`` rows (claim T14).

    Args:
        objective: loss, rows and total strength, every weight penalised; several outputs are released jointly.
        limits: what every possible row keeps to; a row beyond them is refused.
        epsilon, delta: the guarantee; σ is the smallest that gives it.
        group_size: k, the rows of one person.
        distance: s, demanded of the computed minimiser; 2⁻³⁰L/λ by default.
        sampler: draws the noise; by default exactly, from the operating system (T13).
        noise: what the guarantee calls it.

    Raises:
        ValueError: an argument out of range, a row beyond the limits, or a problem that no noise makes private.
        MinimiserNotReachedError: the distance could not be certified; nothing is released.
    """
    epsilon, delta, group_size = checked_goal(epsilon, delta, group_size)
    check_problem(objective)
    limits.check(objective)
    gradient = limits.gradient_bound(objective)
    accuracy = declared_distance(distance, gradient, objective.alpha)
    shift = output_sensitivity(gradient, objective.alpha, accuracy, group_size)
    noise_std = gaussian_noise_std(epsilon, delta, shift)
    weights = minimise_within(objective, accuracy)
    guarantee = DPGuarantee(
        mechanism="output perturbation",
        stated_epsilon=epsilon,
        stated_delta=delta,
        group_size=group_size,
        curve=OutputCurve(gradient, objective.alpha, accuracy, noise_std),
        loss=objective.loss.name,
        n_features=objective.shape[0],
        n_outputs=objective.shape[1],
        noise=noise,
    )
    return DPRelease(sampler(weights, noise_std), guarantee)
