"""Neel, Roth & Sharifi-Malvajerdi 2021, "Descent-to-delete" (claim T7d).

Mean scaling: f̂ = (1/n)Σ f_i, m-strongly convex (``strong_convexity``) and L-smooth (``smoothness``), ‖∇f_i‖ ≤ M
(``lipschitz``, penalty included) on the convex set that descent is projected on. After every request, I steps of length
2/(L + m) on the rows in force, each of which contracts by γ = (L − m)/(L + m). The published constants are
those of the paper's public implementation; its text was not available.
"""

from __future__ import annotations

from typing import Any

from certified.bounds.published.calculator import Count, Nonnegative, Positive, Probability, published
from certified.numerics.scalar import log, log1p, sqrt

_SOURCE = "Neel, Roth & Sharifi-Malvajerdi, ALT 2021, arXiv 2007.02923"
_SMOOTH = (
    "smoothness must exceed strong_convexity",
    lambda smoothness, strong_convexity, **_: smoothness > strong_convexity,
)


def _contraction(strong_convexity: Any, smoothness: Any) -> Any:
    return (smoothness - strong_convexity) / (smoothness + strong_convexity)


def _inverse_rate(strong_convexity: Any, smoothness: Any) -> Any:
    """Return 1/log(1/γ)."""
    return 1 / log((smoothness + strong_convexity) / (smoothness - strong_convexity))


@published(
    quantity="distance",
    scaling="mean",
    source=f"derived here, after {_SOURCE}",
    year=2021,
    claim="T7d",
    status="re-derived",
    requires=(_SMOOTH,),
)
def neel_distance(
    *, n: Count, iterations: Count, strong_convexity: Positive, smoothness: Positive, lipschitz: Nonnegative
) -> Any:
    """Return Mγ^I/(mn(1 − γ^I)) ≥ ‖w − w*‖ after any sequence of single additions and deletions (claim T7d).

    n is the smallest number of rows ever in force after a request. The first training must reach the same distance.

    >>> round(neel_distance(n=1000, iterations=10, strong_convexity=0.1, smoothness=0.3, lipschitz=1.0), 12)
    9.775171e-06
    """
    shrunk = _contraction(strong_convexity, smoothness) ** iterations
    return lipschitz * shrunk / (strong_convexity * n * (1 - shrunk))


@published(
    quantity="iterations",
    scaling="mean",
    source=f"derived here, after {_SOURCE}",
    year=2021,
    claim="T7d",
    status="re-derived",
    requires=(_SMOOTH,),
)
def neel_iterations(
    *, n: Count, distance: Positive, strong_convexity: Positive, smoothness: Positive, lipschitz: Nonnegative
) -> Any:
    """Return log(1 + M/(mns))/log(1/γ): that many steps per request, or more, keep ‖w − w*‖ ≤ s (claim T7d).

    Inverse of ``neel_distance``; a real number, to be rounded up to a whole one of at least 1.

    >>> round(neel_iterations(n=1000, distance=1e-5, strong_convexity=0.1, smoothness=0.3, lipschitz=1.0), 3)
    9.967
    """
    return log1p(lipschitz / (strong_convexity * n * distance)) * _inverse_rate(strong_convexity, smoothness)


@published(
    quantity="noise_std",
    scaling="mean",
    source=f"{_SOURCE}, basic perturbed gradient descent",
    year=2021,
    claim="T7d",
    status="proved",
    errata="Twice too large under its own hypotheses; for single requests, at least n/2 rows in force throughout.",
    requires=(_SMOOTH,),
)
def neel_noise_std(
    *,
    n: Count,
    iterations: Count,
    strong_convexity: Positive,
    smoothness: Positive,
    lipschitz: Nonnegative,
    epsilon: Positive,
    delta: Probability,
) -> Any:
    """Return 4√2·Mγ^I/(mn(1 − γ^I)(√(log(1/δ) + ε) − √log(1/δ))), the published output noise (claim T7d).

    n rows at first and at least n/2 ever after; reference: the same training on the rows in force. Only the released
    weights are protected, not the state.

    >>> round(neel_noise_std(n=1000, iterations=10, strong_convexity=0.1, smoothness=0.3, lipschitz=1.0,
    ...                      epsilon=1.0, delta=1e-6), 6)
    0.000418
    """
    shrunk = _contraction(strong_convexity, smoothness) ** iterations
    tail = -log(delta)
    widening = (sqrt(2 * (tail + epsilon)) + sqrt(2 * tail)) / epsilon
    return 4 * lipschitz * shrunk * widening / (strong_convexity * n * (1 - shrunk))


@published(
    quantity="noise_std",
    scaling="mean",
    source=f"{_SOURCE}, perturbed gradient descent with a perturbed state; as implemented by Chien et al. 2024",
    year=2021,
    claim="",
    status="published",
    errata="Transcribed from an implementation by others; the text was not available.",
    requires=(_SMOOTH,),
)
def neel_state_noise_std(
    *,
    n: Count,
    iterations: Count,
    strong_convexity: Positive,
    smoothness: Positive,
    lipschitz: Nonnegative,
    epsilon: Positive,
    delta: Probability,
) -> Any:
    """Return 8Mγ^I/(mn(1 − γ^I)(√(2log(2/δ) + 3ε) − √(2log(2/δ) + 2ε))): noise that protects the state too.

    Not proved here. Needs at least ``neel_state_iterations`` steps per request.

    >>> round(neel_state_noise_std(n=1000, iterations=10, strong_convexity=0.1, smoothness=0.3, lipschitz=1.0,
    ...                            epsilon=1.0, delta=1e-6), 6)
    0.000878
    """
    shrunk = _contraction(strong_convexity, smoothness) ** iterations
    tail = 2 * log(2 / delta)
    widening = (sqrt(tail + 3 * epsilon) + sqrt(tail + 2 * epsilon)) / epsilon
    return 8 * lipschitz * shrunk * widening / (strong_convexity * n * (1 - shrunk))


@published(
    quantity="iterations",
    scaling="mean",
    source=f"{_SOURCE}, perturbed gradient descent with a perturbed state; as implemented by Chien et al. 2024",
    year=2021,
    claim="",
    status="published",
    errata="Transcribed from an implementation by others; the text was not available.",
    requires=(_SMOOTH,),
)
def neel_state_iterations(
    *, dimension: Count, strong_convexity: Positive, smoothness: Positive, epsilon: Positive, delta: Probability
) -> Any:
    """Return log(√(2d)/((1 − γ)(√(2log(2/δ) + ε) − √(2log(2/δ)))))/log(1/γ), fewest steps per request.

    For a state with noise; not proved here. Request number i takes log(log(4di/δ))/log(1/γ) steps more.

    >>> round(neel_state_iterations(dimension=100, strong_convexity=0.1, smoothness=0.3, epsilon=1.0, delta=1e-6), 3)
    8.264
    """
    tail = 2 * log(2 / delta)
    widening = (sqrt(tail + epsilon) + sqrt(tail)) / epsilon
    remaining = 2 * strong_convexity / (smoothness + strong_convexity)
    return log(sqrt(2 * dimension) * widening / remaining) * _inverse_rate(strong_convexity, smoothness)
