"""Constructor parameters that every estimator shares, checked: budgets, weights, assumptions, provenance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.provenance import Provenance
from certified.numerics.rounding import MAGNITUDE_LIMIT, SMALLEST_WEIGHT
from certified.privacy.budget import ReleaseBudget
from certified.privacy.gaussian import gaussian_noise_std

Array = npt.NDArray[np.float64]

AUTO_DISTANCE = 1e-8
"""noise_std="auto" is the noise at which every one of max_releases releases may be this far from retraining."""


def release_budget(epsilon: Any, delta: Any, noise_std: Any, releases: Any) -> ReleaseBudget:
    """The budget for so many releases, (ε, δ)-indistinguishable jointly."""
    if isinstance(releases, bool) or not isinstance(releases, int | np.integer) or releases < 1:
        raise ValueError(f"max_releases must be a positive integer; got {releases!r}")
    if releases > 10**15:
        raise ValueError(f"max_releases must be at most {10**15}: no guarantee is planned for more")
    epsilon, delta = positive("epsilon", epsilon), positive("delta", delta)
    if delta >= 1.0:
        raise ValueError(f"delta must be below 1; got {delta!r}")
    if isinstance(noise_std, str):
        if noise_std != "auto":
            raise ValueError(f"noise_std must be a positive number or 'auto'; got {noise_std!r}")
        noise_std = gaussian_noise_std(epsilon, delta, AUTO_DISTANCE * float(releases + 1) ** 0.5)
    else:
        noise_std = positive("noise_std", noise_std)
    return ReleaseBudget.create(epsilon, delta, noise_std, int(releases))


def texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("assumptions must be a sequence of strings, such as ['scaler fitted on public data']")
    return tuple(values)


def provenance(value: Any) -> Provenance:
    if value is None:
        return Provenance()
    if not isinstance(value, Provenance):
        raise TypeError(
            f"features must be None or a Provenance, such as Provenance.public(…); got a {type(value).__name__}"
        )
    return value


def checked_weights(values: Any, count: int) -> Array:
    """Return (n,) weights; unlike scikit-learn's check, rows that enter later may all weigh zero."""
    if values is None:
        return np.ones(count)
    weights = np.asarray(values, dtype=np.float64)
    weights = np.full(count, float(weights)) if weights.ndim == 0 else weights
    if weights.shape != (count,):
        raise ValueError(f"sample_weight has shape {weights.shape}: give one weight for each of the {count} rows")
    if not np.all((weights >= 0.0) & (weights <= MAGNITUDE_LIMIT)):
        raise ValueError(f"sample_weight must be finite, not negative and at most {MAGNITUDE_LIMIT:g}")
    if np.any((weights > 0.0) & (weights < SMALLEST_WEIGHT)):
        raise ValueError("sample_weight holds subnormal values: use 0 to leave a row out")
    return weights.copy()


def positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a positive number; got {value!r}")
    if not (0.0 < float(value) < np.inf):
        raise ValueError(f"{name} must be positive and finite; got {value!r}")
    return float(value)
