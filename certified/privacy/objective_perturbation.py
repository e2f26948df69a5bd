"""Objective perturbation for convex linear models: its exact price where known, sharp bounds elsewhere (claim T15).

Training minimises J(w) = Σ ℓ(x_i·w; y_i) + (λ/2)‖w‖² + b·w with b ~ N(0, σ²I), and the exact minimiser is released.
Adding or removing k rows changes its density by a shift of the gradient, at most kL, and by a ratio of determinants.
With μ = L/σ and H_μ(ε) the Gaussian curve (claim T3), in both directions

    δ_k(ε) ≤ Σ_{j=1..k} C(k, j) m^j H_{jμ}(ε − kκ)   for ε ≥ kκ,

where m counts the extreme slopes of a row and κ the most that its curvature can add. For one row sharper forms apply;
for the logistic loss the price is H_μ(ε) itself, which no mechanism of this kind can beat, wherever 4β/λ ≤ ε + μ²/2.

All of it in sum scaling: nothing is divided by the number of rows, and the strength λ does not depend on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from flint import arb

from certified.numerics.balls import exact, lower, round_up, upper, working_precision
from certified.numerics.scalar import exp, log1p, normal_cdf
from certified.privacy.composition import counted
from certified.privacy.gaussian import gaussian_delta, nonnegative, probability, smallest_float
from certified.privacy.logistic_perturbation import logistic_delta

Slopes = Literal["any", "one sign", "logistic", "softmax"]

_PRECISION = 256


@dataclass(frozen=True)
class PerturbedProblem:
    """What objective perturbation must know of a problem, all of it public (claim T15).

    A row of norm at most R and weight at most c has L = c·R·sup|ℓ'| and β = c·R²·sup ℓ''; a constant feature counts in
    R. Every weight is penalised.

    Attributes:
        gradient_bound: L ≥ ‖∇ℓ_i(w)‖₂ for every possible row and every w.
        smoothness: β ≥ ‖∇²ℓ_i(w)‖₂.
        strength: λ > 0, the total L2 strength.
        slopes: what is known of ℓ' of one row: "any" (both signs), "one sign" (it has the same sign for all w, as for
            every loss that falls with the margin), "logistic" (ℓ'' = |ℓ'|(1 − |ℓ'|), up to the weight) or "softmax".
        outputs: number of classes K of a softmax; 1 otherwise.

    Raises:
        ValueError: a constant is not positive and finite, or slopes and outputs do not fit together.
    """

    gradient_bound: float
    smoothness: float
    strength: float
    slopes: Slopes = "any"
    outputs: int = 1

    def __post_init__(self) -> None:
        for name in ("gradient_bound", "smoothness", "strength"):
            if not 0.0 < nonnegative(name, getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be positive and finite; the mechanism is not private without it")
        if self.slopes not in ("any", "one sign", "logistic", "softmax"):
            raise ValueError(f"slopes must be 'any', 'one sign', 'logistic' or 'softmax', got {self.slopes!r}")
        object.__setattr__(self, "outputs", counted("outputs", self.outputs))
        if (self.outputs >= 2) != (self.slopes == "softmax"):
            raise ValueError(
                "outputs must be at least 2 for softmax and 1 for the other slopes: they are one predictor"
            )

    @property
    def extremes(self) -> int:
        """m: the extreme values that ℓ' of a row has beside 0: ±1, one, or K − 1."""
        return {"any": 2, "one sign": 1, "logistic": 1, "softmax": self.outputs - 1}[self.slopes]

    def curvature_cost(self, noise_std: float) -> float:
        """Return κ ≥ 0, the most that the determinant adds to the privacy loss of one row, rounded up (claim T15).

        "any" and "one sign": log(1 + β/λ). Where curvature needs a slope between the extremes, which costs shift, the
        two are weighed: max over t of r·log(1 + at/r) − bt with (r, a, b) = (1, 4β/λ, μ²/2), t ≤ 1/4 (logistic), and
        (K − 1, 2β/λ, μ²/4), t ≤ 1 − 1/K (softmax); 0 from λ ≥ 2σ²·4β/L² on.
        """
        with working_precision(_PRECISION):
            ratio = exact(self.smoothness) / exact(self.strength)
            squared = (exact(self.gradient_bound) / exact(noise_std)) ** 2
            if self.slopes in ("any", "one sign"):
                return upper(log1p(ratio))
            if self.slopes == "logistic":
                return _largest_cost(arb(1), 4 * ratio, squared / 2, arb(1) / 4)
            classes = arb(self.outputs)
            return _largest_cost(classes - 1, 2 * ratio, squared / 4, 1 - 1 / classes)


def objective_delta(problem: PerturbedProblem, epsilon: float, noise_std: float, group_size: int = 1) -> float:
    """Return an upper bound on δ(ε) for adding or removing ``group_size`` rows, both directions (claim T15).

    ``noise_std`` is σ > 0 of b per coordinate, in the unit of the gradient. It is the bound for the exact minimiser as
    released; what approximate ones cost is for `certified.dp.objective_perturbation`. Raises ``ValueError`` for a
    negative or NaN argument and ``group_size`` < 1.

    >>> problem = PerturbedProblem(gradient_bound=1.0, smoothness=0.25, strength=1.0, slopes="logistic")
    >>> objective_delta(problem, epsilon=1.0, noise_std=4.3) == gaussian_delta(1.0, 1.0, 4.3)
    True
    >>> round(objective_delta(problem, epsilon=1.0, noise_std=12.0, group_size=2), 8)
    2.464e-05
    """
    epsilon, noise_std = nonnegative("epsilon", epsilon), nonnegative("noise_std", noise_std)
    size = counted("group_size", group_size)
    if size < 1:
        raise ValueError("group_size must be at least 1; a group without rows changes nothing")
    if noise_std == 0.0:
        return 1.0
    if math.inf in (epsilon, noise_std):
        raise ValueError("epsilon and noise_std must be finite; infinite ones describe no mechanism")
    if size == 1 and problem.slopes == "logistic":
        return _logistic(problem, epsilon, noise_std)
    kappa = problem.curvature_cost(noise_std)
    if size == 1 and problem.slopes == "any":
        return _any_slope(epsilon, kappa, problem.gradient_bound, noise_std)
    if size == 1 and problem.slopes == "one sign":
        return _one_sign(epsilon, kappa, problem.gradient_bound, noise_std)
    if kappa == 0.0 and problem.slopes == "logistic":
        return gaussian_delta(epsilon, _times(size, problem.gradient_bound), noise_std)
    with working_precision(_PRECISION):
        rest = lower(exact(epsilon) - size * exact(kappa))
        if rest < 0.0:
            return 1.0
        total = arb(0)
        for j in range(1, size + 1):
            ways = arb(math.comb(size, j)) * arb(problem.extremes) ** j
            total += ways * exact(gaussian_delta(rest, _times(j, problem.gradient_bound), noise_std))
        return min(1.0, upper(total))


def objective_epsilon(problem: PerturbedProblem, delta: float, noise_std: float, group_size: int = 1) -> float:
    """Return an ε ≥ 0 with δ(ε) ≤ ``delta``, the smallest where the bound falls; ``inf`` if there is none (claim T15).

    >>> problem = PerturbedProblem(gradient_bound=1.0, smoothness=0.25, strength=1.0, slopes="one sign")
    >>> round(objective_epsilon(problem, delta=1e-6, noise_std=5.343), 3)
    1.0
    """
    delta = probability("delta", delta)
    return smallest_float(lambda epsilon: objective_delta(problem, epsilon, noise_std, group_size) <= delta)


def objective_noise_std(problem: PerturbedProblem, epsilon: float, delta: float, group_size: int = 1) -> float:
    """Return a σ with δ(ε) ≤ ``delta``, the smallest where the bound falls; ``inf`` if there is none (claim T15).

    No σ does where log(1 + β/λ) alone exceeds what ε leaves: the strength must grow, to about β/(e^(ε/k) − 1).

    >>> problem = PerturbedProblem(gradient_bound=1.0, smoothness=0.25, strength=1.0, slopes="one sign")
    >>> round(objective_noise_std(problem, epsilon=1.0, delta=1e-6), 3)
    5.342
    """
    delta = probability("delta", delta)
    return smallest_float(lambda noise_std: objective_delta(problem, epsilon, noise_std, group_size) <= delta)


def _logistic(problem: PerturbedProblem, epsilon: float, noise_std: float) -> float:
    floor = gaussian_delta(epsilon, problem.gradient_bound, noise_std)
    with working_precision(_PRECISION):
        mu = exact(problem.gradient_bound) / exact(noise_std)
        ratio = 4 * exact(problem.smoothness) / exact(problem.strength)
        if ratio <= exact(epsilon) + mu * mu / 2:
            return floor
    closed = _one_sign(epsilon, problem.curvature_cost(noise_std), problem.gradient_bound, noise_std)
    return min(closed, logistic_delta(epsilon, problem.gradient_bound, noise_std, problem.smoothness, problem.strength))


def _any_slope(epsilon: float, kappa: float, sensitivity: float, noise_std: float) -> float:
    """1 − 2e^(ε−κ)Φ(−μ) where ε − κ ≤ μ²/2, else 2H_μ(ε − κ): T15 (1)."""

    def near() -> arb:
        return 1 - 2 * exp(exact(epsilon) - exact(kappa)) * normal_cdf(-exact(sensitivity) / exact(noise_std))

    with working_precision(_PRECISION):
        rest, mu = exact(epsilon) - exact(kappa), exact(sensitivity) / exact(noise_std)
        if not rest <= mu * mu / 2:
            far = exact(gaussian_delta(max(0.0, lower(rest)), sensitivity, noise_std))
            return min(1.0, upper(2 * far))
    return min(1.0, round_up(near))


def _one_sign(epsilon: float, kappa: float, sensitivity: float, noise_std: float) -> float:
    """H_μ(ε − κ) where ε ≥ κ, else 1 − 2e^(ε−κ)Φ(−μ/2): T15 (2)."""

    def near() -> arb:
        return 1 - 2 * exp(exact(epsilon) - exact(kappa)) * normal_cdf(-exact(sensitivity) / exact(noise_std) / 2)

    if epsilon < kappa:
        return min(1.0, round_up(near))
    with working_precision(_PRECISION):
        rest = max(0.0, lower(exact(epsilon) - exact(kappa)))
    return gaussian_delta(rest, sensitivity, noise_std)


def _largest_cost(rank: arb, gain: arb, loss: arb, limit: arb) -> float:
    """The largest r·log(1 + at/r) − bt over 0 ≤ t ≤ T, a concave function of t, rounded up."""
    t = (rank * (1 / loss - 1 / gain)).max(arb(0)).min(limit)
    return max(0.0, upper(rank * log1p(gain * t / rank) - loss * t))


def _times(count: int, value: float) -> float:
    with working_precision(_PRECISION):
        return upper(count * exact(value))
