"""Chien, Wang, Chen & Li 2024: Langevin unlearning and unlearning by projected noisy SGD (claim T7e).

Mean scaling: f̂ = (1/n)Σ f_i with f_i m-strongly convex and L-smooth, ‖∇f_i − ∇f_j‖ ≤ 2M (a shared penalty cancels).
One step is w ← Π(w − η·(mean gradient of a batch) + √(2ησ²)·N(0, I)), η ≤ 1/L, with batches of b rows in one cyclic
order. ``noise_scale`` is σ; a step adds noise of standard deviation √(2η)·σ. Rows are replaced, so n stays. The
published formulas are those of the authors' implementation.
"""

from __future__ import annotations

from typing import Any

from certified.bounds.published.calculator import Count, Nonnegative, Order, Positive, published
from certified.numerics.scalar import exp

_LANGEVIN = "Chien, Wang, Chen & Li, NeurIPS 2024, arXiv 2401.10371"
_SGD = "Chien, Wang, Chen & Li, NeurIPS 2024, arXiv 2403.17105"
_STEP = (
    "step_size must be at most 1/smoothness and smoothness above strong_convexity",
    lambda step_size, smoothness, strong_convexity, **_: step_size * smoothness <= 1 and smoothness > strong_convexity,
)
_BATCHES = ("batch_size must divide n", lambda n, batch_size, **_: n / batch_size == (n / batch_size).floor())


@published(
    quantity="distance",
    scaling="mean",
    source=f"derived here, after {_SGD}",
    year=2024,
    claim="T7e",
    status="re-derived",
    requires=(_STEP, _BATCHES),
)
def pnsgd_distance(
    *,
    n: Count,
    removed: Count,
    batch_size: Count,
    epochs: Count,
    step_size: Positive,
    strong_convexity: Positive,
    smoothness: Positive,
    lipschitz: Nonnegative,
) -> Any:
    """Return Z·c^(Kn/b)/(1 − c^(Kn/b)), Z = 2kηM/(b(1 − c^(n/b))), c = 1 − ηm, a shift (claim T7e).

    It bounds the distance before the last noise is added, after any number of requests that replace at most k rows each
    and are followed by K epochs each. That noise has std √(2η)·σ, so claim T3 with this distance and that std gives
    (ε, δ) against training on the rows in force for as many epochs in all.

    >>> round(pnsgd_distance(n=100, removed=1, batch_size=100, epochs=10, step_size=1.0, strong_convexity=0.1,
    ...                              smoothness=1.0, lipschitz=1.0), 6)
    0.107068
    """
    epoch = (1 - step_size * strong_convexity) ** (n / batch_size)
    moved = 2 * removed * step_size * lipschitz / (batch_size * (1 - epoch))
    shrunk = epoch**epochs
    return moved * shrunk / (1 - shrunk)


@published(
    quantity="renyi divergence",
    scaling="mean",
    source=f"{_SGD}; as in the authors' implementation",
    year=2024,
    claim="",
    status="published",
    errata="Twice what the argument gives for noise of variance 2ησ². One row replaced; learning run to stationarity.",
    requires=(_STEP, _BATCHES),
)
def pnsgd_renyi(
    *,
    order: Order,
    n: Count,
    batch_size: Count,
    epochs: Count,
    step_size: Positive,
    strong_convexity: Positive,
    smoothness: Positive,
    lipschitz: Nonnegative,
    noise_scale: Positive,
) -> Any:
    """Return αZ²/(2ησ²)·(1 − c²)/(c^(−2Kn/b) − 1), Z = 2ηM/(b(1 − c^(n/b))): Rényi divergence after K epochs.

    Not proved here; ``certified.privacy.renyi`` converts to (ε, δ).

    >>> round(pnsgd_renyi(order=10.0, n=100, batch_size=100, epochs=20, step_size=1.0, strong_convexity=0.1,
    ...                   smoothness=1.0, lipschitz=1.0, noise_scale=0.1), 6)
    0.05701
    """
    contraction = 1 - step_size * strong_convexity
    epoch = contraction ** (n / batch_size)
    moved = 2 * step_size * lipschitz / (batch_size * (1 - epoch))
    shrunk = epoch ** (2 * epochs)
    amplification = step_size * strong_convexity * (1 + contraction) * shrunk / (1 - shrunk)
    return order * moved * moved * amplification / (2 * step_size * noise_scale * noise_scale)


@published(
    quantity="renyi divergence",
    scaling="mean",
    source=f"{_LANGEVIN}; as in the authors' implementation",
    year=2024,
    claim="",
    status="published",
    errata="Assumes learning run to stationarity from a start with log-Sobolev constant 2σ²/m.",
    requires=(_STEP, ("removed must be smaller than n", lambda n, removed, **_: removed < n)),
)
def langevin_renyi(
    *,
    order: Order,
    n: Count,
    removed: Count,
    iterations: Count,
    step_size: Positive,
    strong_convexity: Positive,
    smoothness: Positive,
    lipschitz: Nonnegative,
    noise_scale: Positive,
) -> Any:
    """Return 4αk²M²/(mσ²n²)·e^(−ηmK/α): Rényi divergence after K full-batch steps for k replaced rows.

    Not proved here; ``certified.privacy.renyi`` converts to (ε, δ).

    >>> round(langevin_renyi(order=10.0, n=100, removed=1, iterations=20, step_size=1.0, strong_convexity=0.1,
    ...                      smoothness=1.0, lipschitz=1.0, noise_scale=0.1), 6)
    3.274923
    """
    first = 2 * removed * lipschitz / (n * noise_scale)
    return order * first * first / strong_convexity * exp(-step_size * strong_convexity * iterations / order)
