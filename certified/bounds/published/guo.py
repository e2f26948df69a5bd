"""Guo, Goldstein, Hannun & van der Maaten 2020, "Certified data removal from machine learning models" (claim T7).

Their convention: F(w) = Σ_i (ℓ(x_i·w; y_i) + (λ/2)‖w‖²) over n rows, so ``strength`` is λ per row and the residual
‖∇F(w⁻)‖ is a sum over the remaining rows. Rows are removed by one Newton step w⁻ = w* + H⁻¹Δ, with Δ the sum of their
gradients (their share of the penalty included) and H the Hessian on the remaining rows. Hypotheses: ‖x_i‖ ≤ 1,
‖∇ℓ‖ ≤ ``gradient_bound`` = C, and ℓ″ Lipschitz in x·w with constant ``curvature_lipschitz`` = γ. Their γ = 1/4 for the
logistic loss is valid and 2.6 times too large: ``LOGISTIC_THIRD_DERIVATIVE`` is the smallest. For rows of norm up to R
pass γR³.

No statement of theirs charges the residual that training itself leaves; ``newton_worst_case`` does.
"""

from __future__ import annotations

from typing import Any

from certified.bounds.published.calculator import Count, Nonnegative, Positive, Probability, published
from certified.numerics.scalar import log, sqrt

_SOURCE = "Guo, Goldstein, Hannun & van der Maaten, ICML 2020, arXiv 1911.03030"


def _removed_below_n(n: Any, removed: Any, **_: Any) -> bool:
    return bool(removed < n)


@published(
    quantity="gradient residual",
    scaling="sum",
    source=f"{_SOURCE}, theorem 1",
    year=2020,
    claim="T7",
    status="proved",
    errata="Holds for exactly trained weights and without the perturbation that the mechanism uses. Twice too large.",
    requires=(("n must be at least 2, so that a row remains", lambda n, **_: n >= 2),),
)
def guo_single(*, n: Count, strength: Positive, gradient_bound: Nonnegative, curvature_lipschitz: Nonnegative) -> Any:
    """Return 4γC²/(λ²(n − 1)) ≥ ‖∇F(w⁻)‖ after the removal of one of n rows (claim T7; Guo et al. 2020, theorem 1).

    Sum scaling, λ per row, unit of a gradient. The loss must not be perturbed: else use ``guo_perturbed``.

    >>> guo_single(n=101, strength=0.5, gradient_bound=1.0, curvature_lipschitz=0.25)
    0.04
    """
    return 4 * curvature_lipschitz * gradient_bound * gradient_bound / (strength * strength * (n - 1))


@published(
    quantity="gradient residual",
    scaling="sum",
    source=f"{_SOURCE}, batch removal",
    year=2020,
    claim="T7",
    status="proved",
    errata="Holds without objective perturbation and for exactly trained weights. Twice too large.",
    requires=(("removed must be smaller than n", _removed_below_n),),
)
def guo_batch(
    *, n: Count, removed: Count, strength: Positive, gradient_bound: Nonnegative, curvature_lipschitz: Nonnegative
) -> Any:
    """Return 4γm²C²/(λ²(n − m)) ≥ ‖∇F(w⁻)‖ after one step for m rows together (claim T7; Guo et al. 2020).

    Sum scaling, λ per row, unit of a gradient.

    >>> guo_batch(n=110, removed=10, strength=0.5, gradient_bound=1.0, curvature_lipschitz=0.25)
    4.0
    """
    total = removed * gradient_bound
    return 4 * curvature_lipschitz * total * total / (strength * strength * (n - removed))


@published(
    quantity="gradient residual",
    scaling="sum",
    source=f"{_SOURCE}, theorem 1 corrected for the perturbed loss",
    year=2020,
    claim="T7",
    status="proved",
    errata="‖b‖ is random and secret: bound it for every draw, or add the failure probability to δ.",
    requires=(("n must be at least 2, so that a row remains", lambda n, **_: n >= 2),),
)
def guo_perturbed(
    *,
    n: Count,
    strength: Positive,
    gradient_bound: Nonnegative,
    curvature_lipschitz: Nonnegative,
    perturbation_norm: Nonnegative,
) -> Any:
    """Return γ(2C + ‖b‖/n)²/(λ²(n − 1)) ≥ ‖∇F(w⁻) + b‖ where F(w) + b·w was trained (claim T7).

    Sum scaling, λ per row. The perturbation makes the weights larger, ‖w*‖ ≤ (C + ‖b‖/n)/λ, which theorem 1 leaves out.

    >>> guo_perturbed(n=101, strength=0.5, gradient_bound=1.0, curvature_lipschitz=0.25, perturbation_norm=202.0)
    0.16
    """
    gradient = 2 * gradient_bound + perturbation_norm / n
    return curvature_lipschitz * gradient * gradient / (strength * strength * (n - 1))


@published(
    quantity="gradient residual",
    scaling="sum",
    source=f"{_SOURCE}, corollary 1",
    year=2020,
    claim="T7a",
    status="proved",
    errata="Twice too large. The published script evaluates ‖X‖₂ by power iteration, a lower bound.",
)
def guo_corollary(
    *, curvature_lipschitz: Nonnegative, spectral_norm: Nonnegative, step_norm: Nonnegative, product_norm: Nonnegative
) -> Any:
    """Return γ‖X‖₂‖v‖‖Xv‖ ≥ ‖∇F(w⁻)‖, v = H⁻¹Δ, X the remaining rows (claim T7a; Guo et al. 2020, corollary 1).

    ``spectral_norm`` ≥ ‖X‖₂, ``step_norm`` ≥ ‖v‖, ``product_norm`` ≥ ‖Xv‖; rows of norm at most 1. The
    perturbed loss has the same bound, as b leaves the Hessian alone.

    >>> guo_corollary(curvature_lipschitz=0.25, spectral_norm=4.0, step_norm=0.5, product_norm=1.0)
    0.5
    """
    return curvature_lipschitz * spectral_norm * step_norm * product_norm


@published(
    quantity="noise_std",
    scaling="sum",
    source=f"{_SOURCE}, theorem 3",
    year=2020,
    claim="",
    status="published",
    errata="False (claim T8): the residual depends on b. Refuted for tight residuals, rarely for corollary 1 itself.",
)
def guo_noise_std(*, residual: Nonnegative, epsilon: Positive, delta: Probability) -> Any:
    """Return c·ε′/ε with δ = 1.5e^(−c²/2): the published std of b for a residual of at most ε′ (not proved here).

    Unit of a gradient, sum scaling. Published for comparison only: the stated (ε, δ) is false on most problems if the
    residual is tight, and on some with the published bounds (claim T8).

    >>> round(guo_noise_std(residual=0.04, epsilon=1.0, delta=1e-4), 6)
    0.175415
    """
    return residual * sqrt(2 * log(3 / (2 * delta))) / epsilon
