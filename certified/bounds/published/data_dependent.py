"""The data-dependent bounds on one Newton step, for given rows and step, with certified norms (claims T7a, T12).

‖X‖₂ is bounded from above by a Cholesky factorisation (claim T2f). Power iteration, which published code uses,
approaches it from below and never enters an upper bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.enclosure import norm_bound
from certified.bounds.published.descent import finite
from certified.bounds.published.guo import guo_corollary
from certified.bounds.published.newton import newton_elementwise, newton_integral, newton_rows
from certified.data.rows import norm_bounds
from certified.numerics.balls import exact, round_up, upper, working_precision
from certified.numerics.definite import min_eigenvalue_bound
from certified.numerics.rounding import MAGNITUDE_LIMIT, UNIT_ROUNDOFF, gamma

Array = npt.NDArray[np.float64]

_INFLATION = 1.0 + 16.0 * UNIT_ROUNDOFF
# Products and squares of numbers up to the magnitude limit underflow by less than this.
_UNDERFLOW = 1e-150
_MARGIN = 1.01


@dataclass(frozen=True)
class StepNorms:
    """Certified upper bounds on the norms of the remaining rows X and of a step v.

    Attributes:
        feature: max ‖x_i‖₂.
        spectral: ‖X‖₂.
        step: ‖v‖₂.
        product: ‖Xv‖₂.
        squared_product: ‖(Xv)∘²‖₂.
    """

    feature: float
    spectral: float
    step: float
    product: float
    squared_product: float


def spectral_norm_bound(features: Array) -> float:
    """Return an upper bound on ‖X‖₂, the largest singular value, rounding included (claims T2f, T12).

    The smallest of √(tr XᵀX), √‖XᵀX‖_∞ and √(t − m), where t·I − XᵀX ⪰ m·I is proved by a Cholesky factorisation.

    >>> import numpy as np
    >>> 3.0 <= spectral_norm_bound(np.diag([3.0, 1.0])) < 3.001
    True
    """
    features = _matrix("features", features)
    n, d = features.shape
    if n == 0 or d == 0:
        return 0.0
    frobenius = norm_bound(features)
    gram = features.T @ features
    gram = 0.5 * (gram + gram.T)
    # |fl(XᵀX) − XᵀX| ≤ γ|X|ᵀ|X| entrywise, and ‖|X|ᵀ|X|‖₂ ≤ ‖X‖_F²; γ covers the symmetrisation too.
    error = (2.0 * gamma(n + 8) * frobenius * frobenius + n * d * _UNDERFLOW) * _INFLATION
    row_sum = float(np.max(np.sum(np.abs(gram), axis=1))) * (1.0 + 2.0 * gamma(d + 2)) * _INFLATION
    squares = [(row_sum + error) * _INFLATION, frobenius * frobenius * _INFLATION]
    shift = _MARGIN * float(np.linalg.eigvalsh(gram)[-1])
    gap = shift * np.eye(d) - gram
    rounded = UNIT_ROUNDOFF * (abs(shift) + float(np.max(np.abs(gram)))) * _INFLATION
    margin = min_eigenvalue_bound(gap, (error + rounded) * _INFLATION)
    if margin > 0.0:
        squares.append((shift - margin) * _INFLATION)
    with working_precision(128):
        return upper(arb(min(squares)).sqrt())


def step_norms(features: Array, step: Array, spectral: float | None = None) -> StepNorms:
    """Return certified upper bounds on the norms that the bounds on a Newton step need (claim T12).

    Args:
        features: (n, d) remaining rows X, each of weight 1; a row of whole weight c is repeated c times.
        step: (d,) the step v that is actually taken.
        spectral: an upper bound on ‖X‖₂ that is known already, such as that of more rows; else it is computed.

    Raises:
        TypeError, ValueError: an array is not float64, has another shape, or holds NaN or entries that are too large.
    """
    features, step = _matrix("features", features), _vector("step", step, np.shape(features)[-1])
    if len(features) == 0:
        return StepNorms(0.0, 0.0, norm_bound(step), 0.0, 0.0)
    rows = norm_bounds(features)
    length = norm_bound(step)
    error = (2.0 * gamma(features.shape[1] + 2) * rows * length + features.shape[1] * _UNDERFLOW) * _INFLATION
    products = (np.abs(features @ step) + error) * _INFLATION
    squares = products * products * _INFLATION + _UNDERFLOW
    return StepNorms(
        feature=float(np.max(rows)),
        spectral=spectral_norm_bound(features) if spectral is None else spectral,
        step=length,
        product=norm_bound(products),
        squared_product=norm_bound(squares),
    )


def newton_step_bounds(
    features: Array, step: Array, third_derivative: float, spectral: float | None = None
) -> dict[str, float]:
    """Return every data-dependent bound on what one step v leaves of the gradient, by name (claim T7a).

    Each bounds ‖∇F(w + v) − ∇F(w) − ∇²F(w)v‖ on the remaining rows, the remainder of Taylor's formula. The residual is
    at most this plus ‖∇F(w) + ∇²F(w)v‖: what training and the linear solve leave, both zero in the papers.
    Corollary 1, which is for rows of norm at most 1, is given for rows of norm R, γ = MR.

    Args:
        features: (n, d) remaining rows of weight 1, float64; scaled rows do not stand for weighted ones.
        step: (d,) step v.
        third_derivative: M ≥ sup|ℓ‴|, such as ``LOGISTIC_THIRD_DERIVATIVE``.
        spectral: an upper bound on ‖X‖₂ that is known already; else it is computed.

    >>> import numpy as np
    >>> bounds = newton_step_bounds(np.eye(2), np.array([0.1, 0.0]), 0.25)
    >>> sorted(bounds), bounds["newton_rows"] < bounds["guo_corollary"]
    (['guo_corollary', 'newton_elementwise', 'newton_integral', 'newton_rows'], True)
    """
    finite("third_derivative", third_derivative)
    norms = step_norms(features, step, spectral)
    return {
        "guo_corollary": guo_corollary(
            curvature_lipschitz=round_up(lambda: exact(third_derivative) * exact(norms.feature)),
            spectral_norm=norms.spectral,
            step_norm=norms.step,
            product_norm=norms.product,
        ),
        "newton_integral": newton_integral(
            third_derivative=third_derivative,
            feature_norm=norms.feature,
            spectral_norm=norms.spectral,
            step_norm=norms.step,
            product_norm=norms.product,
        ),
        "newton_rows": newton_rows(
            third_derivative=third_derivative, feature_norm=norms.feature, product_norm=norms.product
        ),
        "newton_elementwise": newton_elementwise(
            third_derivative=third_derivative,
            spectral_norm=norms.spectral,
            squared_product_norm=norms.squared_product,
        ),
    }


def _matrix(name: str, array: Array) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.ndim != 2:
        raise TypeError(f"{name} must be a float64 NumPy array of shape (n, d); convert it")
    return _bounded(name, array)


def _vector(name: str, array: Array, length: int) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.shape != (length,):
        raise TypeError(f"{name} must be a float64 NumPy array of shape ({length},), one entry per feature; convert it")
    return _bounded(name, array)


def _bounded(name: str, array: Array) -> Array:
    if not np.all(np.abs(array) <= MAGNITUDE_LIMIT):
        raise ValueError(f"{name} must be finite and at most {MAGNITUDE_LIMIT:g} in absolute value; rescale the data")
    return array
