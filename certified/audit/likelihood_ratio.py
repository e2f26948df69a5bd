"""The likelihood-ratio attack LiRA, and U-LiRA against unlearning: scores for `roc`, `rate_at` and `audit_one_run`.

The statistic of a row under models trained with it and without it is taken to be Gaussian, per row; the score is the
log-likelihood ratio of what the attacked model shows. Where they are not Gaussian the attack is weaker, and what T21
derives from its scores holds all the same.

Sources: Carlini, Chien, Nasr, Song, Terzis & Tramèr 2022 (arXiv 2112.03570); Hayes, Shumailov, Triantafillou, Khalifa &
Papernot 2024 (arXiv 2403.01218).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_FLOOR = 1e-12
_FEW = 32
"""Models per row and side from which each row has a variance of its own, as Carlini et al. recommend."""


def lira(observed: npt.ArrayLike, shadow: npt.ArrayLike, included: Flags, *, online: bool = True) -> Array:
    """Return a score (n,) for each row, higher for what looks trained on.

    Online: log N(s; μ_in, σ²_in) − log N(s; μ_out, σ²_out). Offline, where no shadow model saw the attacked rows:
    log Φ((s − μ_out)/σ_out), how surprisingly high the statistic is.

    Args:
        observed: (n,) statistics of the rows under the attacked model, such as t·z.
        shadow: (S, n) the same under shadow models.
        included: (S, n) booleans, whether a shadow model was trained on a row; ignored offline but for leaving out.
        online: whether shadow models with the row are used.

    Raises:
        ValueError: shapes that do not agree, numbers that are not finite, or a row with fewer than two models on a
            side that is needed.

    Example:
        >>> shadow = np.array([[2.0], [2.2], [0.0], [0.2]])
        >>> included = np.array([[True], [True], [False], [False]])
        >>> lira([2.1], shadow, included).round(1), lira([0.1], shadow, included).round(1)
        (array([100.]), array([-100.]))
    """
    statistic, models = np.asarray(observed, dtype=np.float64), np.asarray(shadow, dtype=np.float64)
    flags = np.asarray(included)
    if statistic.ndim != 1 or models.shape[1:] != statistic.shape or flags.shape != models.shape:
        raise ValueError(
            f"observed (n,), shadow (S, n) and included (S, n) must agree, got {statistic.shape}, {models.shape}, "
            f"{flags.shape}"
        )
    if flags.dtype != np.bool_ or not (np.all(np.isfinite(statistic)) and np.all(np.isfinite(models))):
        raise ValueError("observed and shadow must be finite, and included boolean")
    without = _gaussian(models, ~flags, "without")
    if not online:
        return np.asarray(special.log_ndtr((statistic - without[0]) / without[1]))
    return _log_density(statistic, *_gaussian(models, flags, "with")) - _log_density(statistic, *without)


def u_lira(observed: npt.ArrayLike, unlearned: npt.ArrayLike, retrained: npt.ArrayLike) -> Array:
    """Return a score (n,) for each row, higher for what looks trained on and unlearned than never seen.

    LiRA with models that unlearned the row (S₁, n) in place of those trained on it, and models retrained without it
    (S₂, n). Perfect unlearning leaves scores that order nothing: an area of 1/2 under `roc`. With one row and many runs
    the scores of runs of both kinds go to `epsilon_lower_bound`, which audits a removal certificate (claim T21).

    Raises:
        ValueError: as in `lira`.

    Example:
        >>> u_lira([1.0], np.array([[1.0], [1.1]]), np.array([[0.0], [0.1]])).round(1)
        array([90.])
    """
    ours, theirs = (np.atleast_2d(np.asarray(part, dtype=np.float64)) for part in (unlearned, retrained))
    if ours.shape[1:] != theirs.shape[1:]:
        raise ValueError(f"unlearned (S₁, n) and retrained (S₂, n) must agree, got {ours.shape} and {theirs.shape}")
    flags = np.zeros((len(ours) + len(theirs), ours.shape[1]), dtype=bool)
    flags[: len(ours)] = True
    return lira(observed, np.vstack([ours, theirs]), flags)


def _gaussian(models: Array, chosen: Flags, side: str) -> tuple[Array, Array]:
    """Mean and deviation (n,) of each row over its chosen models; one deviation for all rows where these are few."""
    count = chosen.sum(axis=0)
    if np.any(count < 2):
        raise ValueError(f"included must leave every row at least two shadow models {side} it; train more of them")
    mean = np.sum(models * chosen, axis=0) / count
    squares = np.sum(chosen * (models - mean) ** 2, axis=0)
    variance = squares / (count - 1)
    if count.min() < _FEW:
        variance = np.full_like(variance, squares.sum() / np.sum(count - 1))
    return mean, np.sqrt(np.maximum(variance, _FLOOR * (1.0 + mean**2)))


def _log_density(statistic: Array, mean: Array, deviation: Array) -> Array:
    return np.asarray(-0.5 * ((statistic - mean) / deviation) ** 2 - np.log(deviation))
