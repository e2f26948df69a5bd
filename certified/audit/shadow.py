"""Shadow models: many small regularised linear models, each on its own random rows, trained at once (for LiRA)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from certified.losses import Loss
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEPS = 60
_HALVINGS = 40
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class ShadowModels:
    """Models and what each was trained on: they are the attacker's, made of rows that he knows.

    Attributes:
        weights: (S, d).
        included: (S, n), whether a row was in the training of a model.
        scores: (S, n), t·z of every row under every model: for the logistic loss log(p/(1 − p)) of the true class.
    """

    weights: Array
    included: Flags
    scores: Array


def random_halves(models: int, rows: int, rng: np.random.Generator) -> Flags:
    """Return (S, n) flags that put each row into exactly half of the models, at random; S must be even.

    >>> random_halves(4, 3, np.random.default_rng(0)).sum(axis=0)
    array([2, 2, 2])
    """
    if models < 2 or models % 2:
        raise ValueError(f"models must be an even number of at least 2, got {models!r}: each row is in half of them")
    return rng.permuted(np.tile(np.arange(models) % 2 == 0, (rows, 1)), axis=1).T


def train_shadows(features: Array, targets: Array, included: Flags, strength: float, loss: Loss) -> ShadowModels:
    """Minimise Σ_(i in) ℓ(x_i·w; t_i) + (λ/2)‖w‖² for every row of ``included``, all models at once.

    Newton steps with a line search, to a relative gradient of about 1e-10: good enough for an attack, no certificate.

    Args:
        features: (n, d); give them a constant feature for an intercept.
        targets: (n,), −1 and +1 for the logistic loss.
        included: (S, n) booleans.
        strength: λ > 0.
        loss: an elementwise loss.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, λ not positive, or a loss that couples outputs.

    Example:
        >>> from certified.losses import SQUARED
        >>> x, t = np.array([[1.0], [1.0]]), np.array([2.0, 4.0])
        >>> train_shadows(x, t, np.array([[True, False], [True, True]]), 1.0, SQUARED).weights.round(6)
        array([[1.],
               [2.]])
    """
    x, t = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    flags = np.asarray(included)
    if x.ndim != 2 or t.shape != x.shape[:1] or flags.ndim != 2 or flags.shape[1:] != t.shape:
        raise ValueError(
            f"features (n, d), targets (n,) and included (S, n) must agree, got {x.shape}, {t.shape}, {flags.shape}"
        )
    if flags.dtype != np.bool_ or not (np.all(np.isfinite(x)) and np.all(np.isfinite(t))):
        raise ValueError("features and targets must be finite, and included boolean")
    if not 0.0 < strength < math.inf:
        raise ValueError(f"strength must be positive and finite, got {strength!r}")
    if loss.couples_outputs:
        raise ValueError(f"loss {loss.name!r} couples its outputs, and shadow models have one: use an elementwise loss")
    weights = _newton(x, t, flags.astype(np.float64), float(strength), loss)
    return ShadowModels(weights, flags, t * (weights @ x.T))


@in_float64
def _newton(x: Array, t: Array, included: Array, strength: float, loss: Loss) -> Array:
    weights = np.zeros((len(included), x.shape[1]))
    penalty = strength * np.eye(x.shape[1])
    for _ in range(_STEPS):
        z = weights @ x.T
        slope, bend = (included * _pointwise(f, z, t) for f in (loss.derivative, loss.curvature))
        gradient = slope @ x + strength * weights
        scale = np.abs(slope) @ np.abs(x) + strength * np.abs(weights)
        if np.all(np.abs(gradient) <= _TOLERANCE * scale):
            break
        hessian = np.einsum("sn,ni,nj->sij", bend, x, x, optimize=True) + penalty
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        length = _length(weights, step, np.sum(gradient * step, axis=1), x, t, included, strength, loss)
        weights = weights - length * step
    return weights


def _length(
    weights: Array, step: Array, slope: Array, x: Array, t: Array, included: Array, strength: float, loss: Loss
) -> Array:
    """Halve the step (S, 1) of each model until its objective falls by a share of what the slope promises."""

    def value(weights: Array) -> Array:
        losses = np.where(included > 0.0, _pointwise(loss.value, weights @ x.T, t), 0.0)
        return np.asarray(losses.sum(axis=1) + strength / 2 * np.sum(weights**2, axis=1))

    start, length = value(weights), np.ones((len(weights), 1))
    for _ in range(_HALVINGS):
        falls = value(weights - length * step) <= start - 1e-4 * length[:, 0] * slope + 1e-13 * np.abs(start)
        if np.all(falls):
            break
        length[~falls] /= 2.0
    return length


def _pointwise(function: Callable[[jax.Array, jax.Array], jax.Array], z: Array, t: Array) -> Array:
    return np.asarray(function(jnp.asarray(z), jnp.asarray(t)))
