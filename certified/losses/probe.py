"""A first look at a loss of somebody's own: slips that would make certificates false are refused, none is disproved."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flint import arb

from certified.losses.protocol import Loss
from certified.numerics.balls import working_precision
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]

PREDICTORS = np.concatenate([[-40.0, -20.0, -10.0, -6.0], np.linspace(-4.1, 4.3, 71), [6.0, 10.0, 20.0, 40.0]])
"""Predictors z that a loss is tried at, ascending."""

TARGETS = (-1.0, 1.0)
_UNDERFLOW = arb(2.0**-1020)
_BITS = 192


def probe(loss: Loss) -> None:
    """Refuse an elementwise loss on targets ±1 that contradicts itself at some of `PREDICTORS`.

    The computed φ' and φ'' are held against the balls and ``evaluation_error``; the balls against ``derivative_limit``,
    ``curvature_limit``, convexity, and φ''(z)·e^(−νh) ≤ (φ'(z + h) − φ'(z))/h ≤ φ''(z)·e^(νh) for ν =
    ``self_concordance``. What passes may still be wrong elsewhere: the constants remain their author's word.

    Raises:
        TypeError: a method is no elementwise JAX function in float64, or a ball is no `arb`.
        ValueError: methods and constants contradict each other; the message names them and the predictor.

    >>> from certified.losses import LOGISTIC
    >>> probe(LOGISTIC)
    """
    slopes, bends = _computed(loss)
    for column, target in enumerate(TARGETS):
        with working_precision(_BITS):
            derivatives = [_ball(loss, "ball_derivative", z, target) for z in PREDICTORS]
            curvatures = [_ball(loss, "ball_curvature", z, target) for z in PREDICTORS]
            _matches(loss, "derivative", slopes[:, column], derivatives, target)
            _matches(loss, "curvature", bends[:, column], curvatures, target)
            _within_limits(loss, derivatives, curvatures, target)
            _fits_together(loss, derivatives, curvatures, target)


@in_float64
def _computed(loss: Loss) -> tuple[Array, Array]:
    """Derivative and curvature, compiled as they will be: (len(PREDICTORS), 2) each, a column per target."""
    # The last line is padding: rows of weight zero have the target 0 and are evaluated at z = 0.
    z = jnp.asarray(np.append(PREDICTORS, 0.0)[:, None] * np.ones(len(TARGETS)))
    target = jnp.asarray(np.append(np.ones(len(PREDICTORS)), 0.0)[:, None] * np.array(TARGETS))
    names = ("value", "derivative", "curvature")
    for name in names:
        try:
            found = jax.eval_shape(getattr(loss, name), z, target)
        except jax.errors.JAXTypeError as error:
            raise TypeError(
                f"loss.{name} must consist of JAX operations, such as those of jax.numpy, as it is compiled"
            ) from error
        if (getattr(found, "shape", None), getattr(found, "dtype", None)) != (z.shape, z.dtype):
            raise TypeError(
                f"loss.{name} must act elementwise: of arrays of shape {z.shape} in float64 it made {found}, "
                "not one of that shape and type"
            )

    @jax.jit
    def everything(z: jax.Array, target: jax.Array) -> list[jax.Array]:
        return [getattr(loss, name)(z, target) for name in names]

    parts = [np.asarray(part) for part in everything(z, target)]
    for name, part in zip(names, parts, strict=True):
        lost = np.isnan(part[:-1]).any(axis=1)
        if lost.any():
            where = PREDICTORS[lost][0]
            raise ValueError(f"loss.{name} is NaN at z = {where:g}: return infinity where a bound must be given up")
        if not np.isfinite(part[-1]).all():
            raise ValueError(f"loss.{name} must be finite at z = 0 for the target 0, which padding has")
    _, slope, bend = parts
    return slope[:-1], bend[:-1]


def _ball(loss: Loss, name: str, z: float, target: float) -> arb:
    """One of the balls around z, as wide as ``evaluation_shift`` for the derivative."""
    shift = loss.evaluation_shift if name == "ball_derivative" else 0.0
    evaluate: Callable[[arb, arb], arb] = getattr(loss, name)
    ball = evaluate(arb(z, shift), arb(target))
    if not isinstance(ball, arb):
        raise TypeError(f"loss.{name} must return a flint.arb, computed from the balls it is given; got {ball!r}")
    return ball


def _matches(loss: Loss, name: str, computed: Array, balls: list[arb], target: float) -> None:
    for z, number, ball in zip(PREDICTORS, computed.tolist(), balls, strict=True):
        if math.isinf(number):
            continue
        error = abs(ball) * loss.evaluation_error + _UNDERFLOW
        if not (ball + error * arb(0, 1)).overlaps(arb(number)):
            raise ValueError(
                f"loss.{name} is {number:.17g} at z = {z:g} for the target {target:g}, farther from loss.ball_{name} "
                f"than evaluation_error={loss.evaluation_error:.3g} permits: correct either"
            )


def _within_limits(loss: Loss, derivatives: list[arb], curvatures: list[arb], target: float) -> None:
    for z, slope, bend in zip(PREDICTORS, derivatives, curvatures, strict=True):
        at = f"at z = {z:g} for the target {target:g}"
        if bend < 0:
            raise ValueError(f"loss.ball_curvature is negative {at}: only convex losses can be certified")
        for name, size in (("derivative", abs(slope)), ("curvature", bend)):
            limit: float = getattr(loss, f"{name}_limit")
            # From NaN or an endless ball no comparison follows: it is what a loss returns where it gives up.
            if math.isfinite(limit) and size > limit:
                raise ValueError(f"loss.{name}_limit={limit:g} is exceeded {at}: prove a larger one")
        if loss.constant_curvature and not bend.overlaps(curvatures[0]):
            raise ValueError(f"loss.constant_curvature is True, but the curvature {at} is another: set it to False")


def _fits_together(loss: Loss, derivatives: list[arb], curvatures: list[arb], target: float) -> None:
    """Convexity and self-concordance between neighbouring predictors, in both directions."""
    points = list(zip(PREDICTORS, derivatives, curvatures, strict=True))
    for (low, left, bend), (high, right, next_bend) in pairwise(points):
        width = arb(high) - arb(low)
        if right - left < 0:
            raise ValueError(
                f"loss.ball_derivative falls from z = {low:g} to {high:g} for the target {target:g}: only convex "
                "losses can be certified"
            )
        if math.isinf(loss.self_concordance):
            continue
        growth = (width * loss.self_concordance).exp()
        for curvature in (bend, next_bend):
            if right - left > width * curvature * growth or right - left < width * curvature / growth:
                raise ValueError(
                    f"loss.ball_derivative from z = {low:g} to {high:g} for the target {target:g} contradicts "
                    f"loss.ball_curvature under self_concordance={loss.self_concordance:g}: correct one of them"
                )
