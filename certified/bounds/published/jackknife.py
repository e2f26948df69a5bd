"""Suriyakumar & Wilson 2022, "Algorithms that approximate data removal": the infinitesimal jackknife (claim T7b)."""

from __future__ import annotations

from typing import Any

from certified.bounds.published.calculator import Count, Nonnegative, Positive, published


@published(
    quantity="distance",
    scaling="mean",
    source="Suriyakumar & Wilson, NeurIPS 2022 (algorithm); bound derived here",
    year=2022,
    claim="T7b",
    status="re-derived",
    errata="Only the abstract and the algorithm were available: the constants as printed could not be checked.",
    requires=(("removed must be smaller than n", lambda n, removed, **_: removed < n),),
)
def jackknife_distance(
    *,
    n: Count,
    removed: Count,
    strong_convexity: Positive,
    lipschitz: Nonnegative,
    smoothness: Nonnegative,
    hessian_lipschitz: Nonnegative,
) -> Any:
    """Return Mm²L²/(2λ³n²) + m²BL/(λ²n(n − m)) ≥ ‖w⁻ − w*‖ for w⁻ = ŵ + (1/n)∇²f̂(ŵ)⁻¹Σ_S∇f_i(ŵ) (claim T7b).

    Mean scaling as in ``sekhari_distance``, L also at ŵ; ``smoothness`` B ≥ ‖∇²f_i‖. The Hessian is that of all n rows,
    so it can be factorised before any request; the second term is what that costs.

    >>> jackknife_distance(n=100, removed=10, strong_convexity=0.5, lipschitz=1.0, smoothness=0.9,
    ...                    hessian_lipschitz=0.25)
    0.05
    """
    newton = hessian_lipschitz * (removed * lipschitz / n) * (removed * lipschitz / n) / (2 * strong_convexity)
    stale = removed * removed * smoothness * lipschitz / (n * (n - removed))
    return (newton + stale) / (strong_convexity * strong_convexity)
