"""Published bounds for objective perturbation as printed, beside which ``objective_perturbation`` is sharper (T15).

In the units of this library: sum scaling, L = sup ‖∇ℓ_i‖₂, β = sup ‖∇²ℓ_i‖₂, λ the total L2 strength, ℓ a convex loss
of a linear predictor. Transcribed from citations and reference code, not all from the printed pages; none is relied on
by a guarantee of this library, and only the third is implied by what is proved here. Each states its neighbours: where
rows are *replaced* the gradient moves by 2L.

Sources: Chaudhuri, Monteleoni & Sarwate 2011 (arXiv 0912.0071), Algorithm 2; Kifer, Smith & Thakurta 2012, Algorithm 1;
Iyengar, Near, Song, Thakkar, Thakurta & Wang 2019, Algorithm 1; Redberg, Koskela & Wang 2023 (arXiv 2401.00583).
"""

from __future__ import annotations

import math

from flint import arb

from certified.numerics.balls import exact, lower, round_up, upper, working_precision
from certified.numerics.scalar import exp, log, log1p, normal_cdf, sqrt
from certified.privacy.composition import counted
from certified.privacy.gaussian import gaussian_delta, nonnegative, probability, smallest_float


def chaudhuri_noise_std(
    epsilon: float, dimension: int, *, gradient_bound: float, smoothness: float, strength: float
) -> float:
    """Return √(d + 1)/rate, the root mean square per coordinate of b with density ∝ e^(−rate·‖b‖) (as printed, T15).

    Rate ε′/(2L) with ε′ = ε − 2·log(1 + β/λ): pure ε-privacy for *replacing* a row, no δ. The published noise is not
    Gaussian; a Gaussian form is `kifer_noise_std`. ``inf`` where ε′ ≤ 0, where the publication raises λ instead.

    >>> round(chaudhuri_noise_std(1.0, 3, gradient_bound=1.0, smoothness=0.25, strength=1.0), 6)
    7.22396
    """
    epsilon = nonnegative("epsilon", epsilon)
    bound, bend, alpha = _constants(gradient_bound, smoothness, strength)
    d = counted("dimension", dimension)

    def left() -> arb:
        return exact(epsilon) - 2 * log1p(exact(bend) / exact(alpha))

    with working_precision(128):
        if not left() > 0:
            return math.inf
    return round_up(lambda: 2 * exact(bound) * sqrt(arb(d + 1)) / left())


def kifer_noise_std(
    epsilon: float, delta: float, *, gradient_bound: float, smoothness: float, strength: float
) -> float:
    """Return σ = L·√(8·log(2/δ) + 4ε)/ε, ``inf`` where λ < 2β/ε (as printed, T15), for adding or removing a row.

    >>> round(kifer_noise_std(1.0, 1e-6, gradient_bound=1.0, smoothness=0.25, strength=1.0), 2)
    10.96
    """
    epsilon, delta = nonnegative("epsilon", epsilon), probability("delta", delta)
    bound, bend, alpha = _constants(gradient_bound, smoothness, strength)
    with working_precision(128):
        if delta == 0.0 or epsilon == 0.0 or not exact(alpha) * exact(epsilon) >= 2 * exact(bend):
            return math.inf
    return round_up(lambda: exact(bound) * sqrt(8 * log(2 / exact(delta)) + 4 * exact(epsilon)) / exact(epsilon))


def iyengar_noise_std(
    epsilon: float, delta: float, *, gradient_bound: float, smoothness: float, strength: float
) -> float:
    """Return σ = 2L·(1 + √(2·log(1/δ)))/ε₃ with ε₃ = ε − 2β/λ (as printed, T15), for *replacing* a row.

    ε₃ is the largest that the printed conditions λ ≥ 2β/(ε − ε₃) and ε − ε₃ < 1 leave; ``inf`` where there is none.
    This is the exact minimiser's share. For one within s of it the publication adds noise for a sensitivity of s; two
    worlds may err in opposite directions, so that the argument needs 2s, which T15 charges.

    >>> round(iyengar_noise_std(1.0, 1e-6, gradient_bound=1.0, smoothness=0.25, strength=1.0), 2)
    25.03
    """
    epsilon, delta = nonnegative("epsilon", epsilon), probability("delta", delta)
    bound, bend, alpha = _constants(gradient_bound, smoothness, strength)

    def share() -> arb:
        return 2 * exact(bend) / exact(alpha)

    with working_precision(128):
        if delta == 0.0 or not (share() < 1 and share() < exact(epsilon)):
            return math.inf
    return round_up(lambda: 2 * exact(bound) * (1 + sqrt(2 * log(1 / exact(delta)))) / (exact(epsilon) - share()))


def redberg_delta(
    epsilon: float, noise_std: float, *, gradient_bound: float, smoothness: float, strength: float
) -> float:
    """Return 2H_μ(ε − κ) if ε − κ > μ²/2, else 1 − 2e^(ε−κ)Φ(−μ), κ = −log(1 − β/λ), μ = L/σ (as printed, T15).

    For adding or removing a row; 1 where λ ≤ β, to which it does not apply.

    >>> round(redberg_delta(1.0, 5.9922, gradient_bound=1.0, smoothness=0.25, strength=1.0), 9)
    1e-06
    """
    epsilon, noise_std = nonnegative("epsilon", epsilon), nonnegative("noise_std", noise_std)
    bound, bend, alpha = _constants(gradient_bound, smoothness, strength)
    if alpha <= bend or noise_std == 0.0:
        return 1.0
    if noise_std == math.inf:
        raise ValueError("noise_std must be finite; an infinite one describes no mechanism")

    def rest() -> arb:
        return exact(epsilon) + log1p(-exact(bend) / exact(alpha))

    def mu() -> arb:
        return exact(bound) / exact(noise_std)

    with working_precision(256):
        if not rest() <= mu() * mu() / 2:
            return min(1.0, upper(2 * exact(gaussian_delta(max(0.0, lower(rest())), bound, noise_std))))
    return min(1.0, round_up(lambda: 1 - 2 * exp(rest()) * normal_cdf(-mu())))


def redberg_noise_std(
    epsilon: float, delta: float, *, gradient_bound: float, smoothness: float, strength: float
) -> float:
    """Return the smallest float64 σ with ``redberg_delta`` ≤ δ; ``inf`` where none suffices (as printed, T15).

    >>> round(redberg_noise_std(1.0, 1e-6, gradient_bound=1.0, smoothness=0.25, strength=1.0), 2)
    5.99
    """
    delta = probability("delta", delta)

    def holds(noise_std: float) -> bool:
        found = redberg_delta(
            epsilon, noise_std, gradient_bound=gradient_bound, smoothness=smoothness, strength=strength
        )
        return found <= delta

    return smallest_float(holds)


def _constants(gradient_bound: float, smoothness: float, strength: float) -> tuple[float, float, float]:
    named = (("gradient_bound", gradient_bound), ("smoothness", smoothness), ("strength", strength))
    values = [nonnegative(name, value) for name, value in named]
    for (name, _), value in zip(named, values, strict=True):
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}; the bound needs it")
    return values[0], values[1], values[2]
