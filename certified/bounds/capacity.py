"""How many deletions each mechanism certifies before it must train again, and at what cost (claims T1, T3, T7).

Every answer is a priori: it holds for all rows that satisfy the constants, whatever is deleted. A number of deletions
is rounded down, because the bound that decides is rounded up. Exact training and exact arithmetic are assumed, as in
the publications; a certificate of this library assumes neither. The guarantee is for one release after the last
deletion; several compose as in claim T3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from flint import arb

from certified.bounds.capacity_problem import CapacityProblem
from certified.bounds.published import (
    guo_batch,
    guo_noise_std,
    guo_single,
    jackknife_distance,
    minimiser_shift,
    neel_iterations,
    newton_distance,
    pnsgd_distance,
    sekhari_noise_std,
)
from certified.numerics.balls import exact, round_up


@dataclass(frozen=True)
class Capacity:
    """What one mechanism certifies.

    Attributes:
        mechanism: its name.
        deletions: rows that may go before training anew.
        passes: passes over the remaining rows per request.
        flops: floating-point operations per request, leading order, at n rows.
        bound: name of the bound that decides, in ``PUBLISHED``, or the claim.
        note: what limits the statement, empty if nothing.
    """

    mechanism: str
    deletions: int
    passes: float
    flops: float
    bound: str
    note: str = ""


def capacities(problem: CapacityProblem) -> list[Capacity]:
    """Return the capacity and the cost of every mechanism for one problem (claims T1, T3, T7, T7b, T7d, T7e).

    >>> problem = CapacityProblem(n=100000, dimension=50, strength=0.1, gradient_bound=1.0, curvature_limit=0.25,
    ...     third_derivative=0.0963, feature_norm=1.0, epsilon=0.5, delta=1e-5, noise_std=0.05)
    >>> for capacity in capacities(problem):
    ...     print(f"{capacity.mechanism:32} {capacity.deletions:5d} {capacity.passes:4g}")
    old weights, noise                  35    0
    Newton step, batch (Sekhari)       258    1
    Newton step, batch                 607    1
    Newton steps, one by one         68600    1
    infinitesimal jackknife, batch     519    0
    descent (Neel)                   50000    1
    noisy descent (Chien)            99999    1
    polishing, measured              99999   14
    """
    rows = [
        shift_capacity(problem),
        sekhari_capacity(problem),
        newton_batch_capacity(problem),
        newton_sequence_capacity(problem),
        jackknife_capacity(problem),
        descent_capacity(problem),
        noisy_descent_capacity(problem),
        polishing_capacity(problem),
    ]
    if problem.perturbation_std > 0.0:
        rows += [guo_single_capacity(problem), guo_batch_capacity(problem)]
    return rows


def shift_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions hidden by noise on the old weights: mL/(λn) ≤ s (claims T7b, T3)."""
    target = problem.distance_target
    count = _largest(problem, lambda m: minimiser_shift(**_means(problem, m)) <= target)
    return Capacity("old weights, noise", count, 0.0, 0.0, "minimiser_shift")


def sekhari_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions in one batch for which the published noise is at most ``noise_std`` (Sekhari et al. 2021)."""
    if not problem.epsilon < 1.0:
        note = "published for ε < 1 only"
        return Capacity("Newton step, batch (Sekhari)", 0, 1.0, _newton_flops(problem), "sekhari_noise_std", note)
    count = _largest(
        problem,
        lambda m: (
            sekhari_noise_std(
                **_means(problem, m),
                hessian_lipschitz=problem.hessian_lipschitz,
                epsilon=problem.epsilon,
                delta=problem.delta,
            )
            <= problem.noise_std
        ),
    )
    return Capacity("Newton step, batch (Sekhari)", count, 1.0, _newton_flops(problem), "sekhari_noise_std")


def newton_batch_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions in one batch by one Newton step with noise calibrated exactly (claims T7b, T3)."""
    target, lipschitz = problem.distance_target, problem.hessian_lipschitz
    count = _largest(problem, lambda m: newton_distance(**_means(problem, m), hessian_lipschitz=lipschitz) <= target)
    return Capacity("Newton step, batch", count, 1.0, _newton_flops(problem), "newton_distance")


def newton_sequence_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions one by one, a Newton step each, residuals added up (claims T7, T1, T3).

    After T steps the residual is at most K·Σ_j 1/(n − j), K = MR³(2C + λs)²/(2λ²), if that is at most λ(n − T)s.
    """
    target = problem.distance_target

    def holds(m: int) -> bool:
        def excess() -> arb:
            strength, distance = exact(problem.strength), exact(target)
            step = (2 * exact(problem.gradient_bound) + strength * distance) / strength
            rate = exact(problem.third_derivative) * exact(problem.feature_norm) ** 3 * step * step / 2
            return rate * _harmonic(problem.n, m) - strength * (problem.n - m) * distance

        return round_up(excess) <= 0.0

    count = _largest(problem, holds)
    return Capacity("Newton steps, one by one", count, 1.0, _newton_flops(problem), "newton_worst_case")


def jackknife_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions in one batch by the infinitesimal jackknife, the Hessian factorised beforehand (claims T7b, T3)."""
    target, lipschitz, smoothness = problem.distance_target, problem.hessian_lipschitz, problem.row_smoothness
    count = _largest(
        problem,
        lambda m: (
            jackknife_distance(**_means(problem, m), smoothness=smoothness, hessian_lipschitz=lipschitz) <= target
        ),
    )
    return Capacity("infinitesimal jackknife, batch", count, 0.0, 2.0 * problem.dimension**2, "jackknife_distance")


def descent_capacity(problem: CapacityProblem) -> Capacity:
    """Steps per request for n/2 deletions one by one by descent-to-delete, half of s for each side (claims T7d, T3)."""
    count = problem.n // 2
    steps = _descent_steps(problem, problem.n - count, problem.distance_target / 2.0, problem.lipschitz)
    note = "both sides are trained by descent"
    return Capacity("descent (Neel)", count, steps, steps * _pass_flops(problem), "neel_iterations", note)


def noisy_descent_capacity(problem: CapacityProblem) -> Capacity:
    """Full-batch epochs per request by noisy descent whose last step adds ``noise_std`` (claims T7e, T3)."""
    smoothness, target = problem.row_smoothness, problem.distance_target

    def holds(epochs: int) -> bool:
        distance = pnsgd_distance(
            n=problem.n,
            removed=1,
            batch_size=problem.n,
            epochs=epochs,
            step_size=math.nextafter(1.0 / smoothness, 0.0),
            strong_convexity=problem.strength,
            smoothness=smoothness,
            lipschitz=problem.gradient_bound,
        )
        return bool(distance <= target)

    note = "rows are replaced, not removed"
    epochs = 1
    while not holds(epochs):
        epochs *= 2
        if epochs > _MOST_EPOCHS:
            return Capacity("noisy descent (Chien)", 0, math.inf, math.inf, "pnsgd_distance", note)
    low = epochs // 2
    while epochs - low > 1:
        middle = (low + epochs) // 2
        low, epochs = (low, middle) if holds(middle) else (middle, epochs)
    cost = epochs * _pass_flops(problem)
    return Capacity("noisy descent (Chien)", problem.n - 1, float(epochs), cost, "pnsgd_distance", note)


def polishing_capacity(problem: CapacityProblem) -> Capacity:
    """All rows but one: a state without noise is polished until the measured residual suffices (claims T1, T3, T7d).

    The passes are gradient steps in the worst case, at the last row, until the gradient is at most λs; a certificate
    measures instead, and a Newton step commonly needs two or three passes.
    """
    target = problem.distance_target
    lipschitz = round_up(lambda: 2 * (exact(problem.gradient_bound) + exact(problem.strength) * exact(target)))
    steps = _descent_steps(problem, 1, target, lipschitz)
    note = "worst case; the measured residual decides"
    return Capacity("polishing, measured", problem.n - 1, steps, steps * _pass_flops(problem), "neel_iterations", note)


def guo_single_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions one by one whose published residuals add up to the budget σ_b·ε/c (Guo et al. 2020, theorem 1)."""
    unit = guo_single(
        n=2,
        strength=problem.strength,
        gradient_bound=problem.gradient_bound,
        curvature_lipschitz=problem.hessian_lipschitz,
    )
    count = _largest(problem, lambda m: _guo_holds(problem, round_up(lambda: exact(unit) * _harmonic(problem.n, m))))
    return Capacity("Newton steps, one by one (Guo)", count, 1.0, _newton_flops(problem), "guo_single", _GUO_NOTE)


def guo_batch_capacity(problem: CapacityProblem) -> Capacity:
    """Deletions in one batch whose published residual is within the budget σ_b·ε/c (Guo et al. 2020)."""
    lipschitz = problem.hessian_lipschitz
    count = _largest(
        problem,
        lambda m: _guo_holds(
            problem,
            guo_batch(
                n=problem.n,
                removed=m,
                strength=problem.strength,
                gradient_bound=problem.gradient_bound,
                curvature_lipschitz=lipschitz,
            ),
        ),
    )
    return Capacity("Newton step, batch (Guo)", count, 1.0, _newton_flops(problem), "guo_batch", _GUO_NOTE)


_MOST_EPOCHS = 2**50

_GUO_NOTE = "as published; the theorem on its noise is false in general (claim T8), and b enlarges the residual"


def _guo_holds(problem: CapacityProblem, residual: float) -> bool:
    if residual == math.inf:
        return False
    noise = guo_noise_std(residual=residual, epsilon=problem.epsilon, delta=problem.delta)
    return bool(noise <= problem.perturbation_std)


def _means(problem: CapacityProblem, removed: int) -> dict[str, float]:
    return {
        "n": problem.n,
        "removed": removed,
        "strong_convexity": problem.strength,
        "lipschitz": problem.lipschitz,
    }


def _descent_steps(problem: CapacityProblem, rows: int, distance: float, lipschitz: float) -> float:
    steps = neel_iterations(
        n=rows,
        distance=distance,
        strong_convexity=problem.strength,
        smoothness=problem.row_smoothness,
        lipschitz=lipschitz,
    )
    return float(max(1, math.ceil(steps)))


def _harmonic(n: int, removed: int) -> arb:
    """Enclose Σ_{j=1}^{m} 1/(n − j) = ψ(n) − ψ(n − m)."""
    return arb(n).digamma() - arb(n - removed).digamma()


def _pass_flops(problem: CapacityProblem) -> float:
    return 4.0 * problem.n * problem.dimension


def _newton_flops(problem: CapacityProblem) -> float:
    """Form and factorise the Hessian on the remaining rows."""
    return problem.n * float(problem.dimension) ** 2 + problem.dimension**3 / 3.0


def _largest(problem: CapacityProblem, holds: Callable[[int], bool]) -> int:
    """Return the largest m < n with ``holds(m)``, which is monotone, or 0."""
    low, high = 0, problem.n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
