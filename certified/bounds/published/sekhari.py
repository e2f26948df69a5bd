"""Sekhari, Acharya, Kamath & Suresh 2021, "Remember what you want to forget" (claim T7b).

Mean scaling: f̂(w) = (1/n)Σ f_i(w), each f_i with its penalty inside, λ-strongly convex (``strong_convexity``), its
Hessian Lipschitz with constant M (``hessian_lipschitz``). No strongly convex function is Lipschitz on the whole space,
as the paper asks; needed is ‖∇f_i‖ ≤ L (``lipschitz``) for the removed rows at the minimiser on the remaining ones.
f_i = ℓ(x_i·w) + (λ/2)‖w‖² with ‖∇ℓ‖ ≤ C has L = 2C there, and M = sup|ℓ‴|·R³.
"""

from __future__ import annotations

from typing import Any

from certified.bounds.published.calculator import Count, Nonnegative, Positive, Probability, published
from certified.numerics.scalar import log, sqrt

_SOURCE = "Sekhari, Acharya, Kamath & Suresh, NeurIPS 2021, arXiv 2103.03279"
_REMOVED_BELOW_N = ("removed must be smaller than n", lambda n, removed, **_: removed < n)
_CLASSICAL = ("epsilon must be below 1, where the classical Gaussian mechanism holds", lambda epsilon, **_: epsilon < 1)


@published(
    quantity="distance",
    scaling="mean",
    source="Shalev-Shwartz, Shamir, Srebro & Sridharan, COLT 2009 (stability); form derived here",
    year=2009,
    claim="T7b",
    status="re-derived",
    requires=(_REMOVED_BELOW_N,),
)
def minimiser_shift(*, n: Count, removed: Count, strong_convexity: Positive, lipschitz: Nonnegative) -> Any:
    """Return mL/(λn) ≥ ‖ŵ − w*‖, how far the minimiser moves when m of n rows go (claim T7b).

    Mean scaling. This is what releasing the old weights with noise has to hide.

    >>> minimiser_shift(n=1000, removed=5, strong_convexity=0.5, lipschitz=2.0)
    0.02
    """
    return removed * lipschitz / (strong_convexity * n)


@published(
    quantity="distance",
    scaling="mean",
    source=f"{_SOURCE}, unlearning algorithm for strongly convex losses",
    year=2021,
    claim="T7b",
    status="proved",
    errata="Four times too large: the minimiser moves by mL/(λn), half of what is charged, and enters squared.",
    requires=(_REMOVED_BELOW_N,),
)
def sekhari_distance(
    *, n: Count, removed: Count, strong_convexity: Positive, lipschitz: Nonnegative, hessian_lipschitz: Nonnegative
) -> Any:
    """Return 2Mm²L²/(λ³n²) ≥ ‖w⁻ − w*‖ after one Newton step for m of n rows (claim T7b; Sekhari et al. 2021).

    Mean scaling, unit of the weights.

    >>> sekhari_distance(n=100, removed=10, strong_convexity=0.5, lipschitz=1.0, hessian_lipschitz=0.25)
    0.04
    """
    gradient = removed * lipschitz / n
    return 2 * hessian_lipschitz * gradient * gradient / (strong_convexity * strong_convexity * strong_convexity)


@published(
    quantity="distance",
    scaling="mean",
    source="derived here, after Sekhari et al. 2021",
    year=2021,
    claim="T7b",
    status="re-derived",
    requires=(_REMOVED_BELOW_N,),
)
def newton_distance(
    *, n: Count, removed: Count, strong_convexity: Positive, lipschitz: Nonnegative, hessian_lipschitz: Nonnegative
) -> Any:
    """Return Mm²L²/(2λ³n²) ≥ ‖w⁻ − w*‖, a quarter of ``sekhari_distance`` under the same hypotheses (claim T7b).

    >>> newton_distance(n=100, removed=10, strong_convexity=0.5, lipschitz=1.0, hessian_lipschitz=0.25)
    0.01
    """
    gradient = removed * lipschitz / n
    return hessian_lipschitz * gradient * gradient / (2 * strong_convexity * strong_convexity * strong_convexity)


@published(
    quantity="noise_std",
    scaling="mean",
    source=f"{_SOURCE}, noise of the unlearning algorithm",
    year=2021,
    claim="",
    status="published",
    errata="The classical Gaussian mechanism is a theorem for ε < 1 only and false for large ε: refused there.",
    requires=(_REMOVED_BELOW_N, _CLASSICAL),
)
def sekhari_noise_std(
    *,
    n: Count,
    removed: Count,
    strong_convexity: Positive,
    lipschitz: Nonnegative,
    hessian_lipschitz: Nonnegative,
    epsilon: Positive,
    delta: Probability,
) -> Any:
    """Return s√(2·log(1.25/δ))/ε with s = 2Mm²L²/(λ³n²): the published noise, ε < 1 (Sekhari et al. 2021).

    Not proved here: it rests on the classical Gaussian mechanism (Dwork & Roth 2014, theorem A.1). Exact for the same
    distance is ``certified.privacy.gaussian.gaussian_noise_std``.

    >>> round(sekhari_noise_std(n=100, removed=10, strong_convexity=0.5, lipschitz=1.0, hessian_lipschitz=0.25,
    ...                         epsilon=0.5, delta=1e-5), 6)
    0.387584
    """
    gradient = removed * lipschitz / n
    distance = 2 * hessian_lipschitz * gradient * gradient / (strong_convexity * strong_convexity * strong_convexity)
    return distance * sqrt(2 * log(5 / (4 * delta))) / epsilon
