"""Sharper forms of the bounds on a Newton step, derived for this library (claims T7, T7a).

The remainder of the step is Σ_i x_i ρ_i with |ρ_i| ≤ (M/2)(x_i·v)², M = sup|ℓ‴|: the factor ½ of Taylor's formula, no
mean value of a vector-valued map, the norm R of the rows where it belongs, and the residual of training charged.
"""

from __future__ import annotations

from typing import Any

from flint import arb

from certified.bounds.published.calculator import Count, Nonnegative, Positive, published
from certified.numerics.balls import round_up

LOGISTIC_THIRD_DERIVATIVE = round_up(lambda: 1 / (6 * arb(3).sqrt()))
"""M = 1/(6√3) rounded up: sup|ℓ‴| of the logistic loss (claim C-logistic)."""


@published(
    quantity="gradient residual",
    scaling="sum",
    source="derived here, after Guo et al. 2020, theorem 1",
    year=2020,
    claim="T7",
    status="re-derived",
    requires=(("removed must be smaller than n", lambda n, removed, **_: removed < n),),
)
def newton_worst_case(
    *,
    n: Count,
    removed: Count,
    strength: Positive,
    gradient_bound: Nonnegative,
    third_derivative: Nonnegative,
    feature_norm: Nonnegative,
    perturbation_norm: Nonnegative,
    training_residual: Nonnegative,
) -> Any:
    """Return r + MR³m²(2C + (‖b‖ + r)/n)²/(2λ²(n − m)), a bound on the residual after one step (claim T7).

    Sum scaling, λ per row, ‖x_i‖ ≤ R, ‖∇ℓ_i‖ ≤ C. w need only satisfy ‖∇F(w) + b‖ ≤ r on all n rows before the step. At
    b = r = 0, R = 1 this is half of ``guo_batch``.

    >>> newton_worst_case(n=110, removed=10, strength=0.5, gradient_bound=1.0, third_derivative=0.25, feature_norm=1.0,
    ...                   perturbation_norm=0.0, training_residual=0.0)
    2.0
    """
    gradient = removed * (2 * gradient_bound + (perturbation_norm + training_residual) / n)
    step = gradient / strength
    cubed = feature_norm * feature_norm * feature_norm
    return training_residual + third_derivative * cubed * step * step / (2 * (n - removed))


@published(
    quantity="gradient residual",
    scaling="sum",
    source="derived here, after Guo et al. 2020, corollary 1",
    year=2020,
    claim="T7a",
    status="re-derived",
)
def newton_integral(
    *,
    third_derivative: Nonnegative,
    feature_norm: Nonnegative,
    spectral_norm: Nonnegative,
    step_norm: Nonnegative,
    product_norm: Nonnegative,
) -> Any:
    """Return (M/2)R‖X‖₂‖v‖‖Xv‖, half of corollary 1 and valid for rows of norm up to R (claim T7a).

    >>> newton_integral(third_derivative=0.25, feature_norm=1.0, spectral_norm=4.0, step_norm=0.5, product_norm=1.0)
    0.25
    """
    return third_derivative * feature_norm * spectral_norm * step_norm * product_norm / 2


@published(
    quantity="gradient residual",
    scaling="sum",
    source="derived here",
    year=2020,
    claim="T7a",
    status="re-derived",
)
def newton_rows(*, third_derivative: Nonnegative, feature_norm: Nonnegative, product_norm: Nonnegative) -> Any:
    """Return (M/2)R‖Xv‖², never above ``newton_integral`` and free of the spectral norm (claim T7a).

    >>> newton_rows(third_derivative=0.25, feature_norm=1.0, product_norm=1.0)
    0.125
    """
    return third_derivative * feature_norm * product_norm * product_norm / 2


@published(
    quantity="gradient residual",
    scaling="sum",
    source="derived here",
    year=2020,
    claim="T7a",
    status="re-derived",
)
def newton_elementwise(
    *, third_derivative: Nonnegative, spectral_norm: Nonnegative, squared_product_norm: Nonnegative
) -> Any:
    """Return (M/2)‖X‖₂‖(Xv)∘²‖₂, with the products x_i·v squared entry by entry (claim T7a).

    Never above ``newton_integral``; against ``newton_rows`` it depends on the data.

    >>> newton_elementwise(third_derivative=0.25, spectral_norm=4.0, squared_product_norm=0.1) < 0.0500001
    True
    """
    return third_derivative * spectral_norm * squared_product_norm / 2
