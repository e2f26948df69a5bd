"""Slips in a loss of somebody's own are found; no loss of the library is suspected."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb

from certified.losses import HUBERISED_HINGE, LOGISTIC, SQUARED, HuberisedHinge, Loss
from certified.losses.probe import probe
from certified.numerics.rounding import UNIT_ROUNDOFF


@pytest.mark.parametrize(
    "loss", [LOGISTIC, SQUARED, HUBERISED_HINGE, HuberisedHinge(2.0**-10)], ids=lambda loss: loss.name
)
def test_proved_losses_pass(loss: Loss) -> None:
    probe(loss)


@dataclass(frozen=True)
class Parabola:
    """φ(z; t) = (z − t)²/2 with true constants, of which each case below spoils one."""

    name: str = "parabola"
    self_concordance: float = 0.0
    derivative_limit: float = math.inf
    curvature_limit: float = 1.0
    evaluation_error: float = UNIT_ROUNDOFF
    evaluation_shift: float = 0.0
    constant_curvature: bool = True
    couples_outputs: bool = False

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return 0.5 * jnp.square(z - target)

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return z - target

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.ones_like(z)

    def ball_derivative(self, z: arb, target: arb) -> arb:
        return z - target

    def ball_curvature(self, z: arb, target: arb) -> arb:
        return arb(1)


METHODS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "summed": ({"derivative": lambda self, z, t: jnp.sum(z - t)}, TypeError, r"loss\.derivative must act elementwise"),
    "float32": (
        {"curvature": lambda self, z, t: jnp.ones_like(z, jnp.float32)},
        TypeError,
        r"loss\.curvature must act elementwise: .*float32",
    ),
    "a number": ({"curvature": lambda self, z, t: 1.0}, TypeError, r"loss\.curvature must act elementwise"),
    "NumPy": ({"value": lambda self, z, t: np.square(np.asarray(z))}, TypeError, r"loss\.value must consist of JAX"),
    "NaN": ({"derivative": lambda self, z, t: jnp.log(z)}, ValueError, r"loss\.derivative is NaN at z = -40"),
    "mixed rows": (
        {"derivative": lambda self, z, t: (z - t)[::-1]},
        ValueError,
        r"farther from loss\.ball_derivative than evaluation_error",
    ),
    "twice": (
        {"derivative": lambda self, z, t: 2.0 * (z - t)},
        ValueError,
        r"farther from loss\.ball_derivative than evaluation_error",
    ),
    "five": (
        {"curvature": lambda self, z, t: 5.0 * jnp.ones_like(z)},
        ValueError,
        r"farther from loss\.ball_curvature than evaluation_error",
    ),
    "padding": (
        {"value": lambda self, z, t: jnp.where(t == 0.0, jnp.inf, z)},
        ValueError,
        r"loss\.value must be finite at z = 0 for the target 0",
    ),
    "no ball": (
        {"ball_derivative": lambda self, z, t: float(z - t)},
        TypeError,
        r"ball_derivative must return a flint",
    ),
    "concave": (
        {"curvature": lambda self, z, t: -jnp.ones_like(z), "ball_curvature": lambda self, z, t: arb(-1)},
        ValueError,
        "ball_curvature is negative",
    ),
    "falling": (
        {"derivative": lambda self, z, t: t - z, "ball_derivative": lambda self, z, t: t - z},
        ValueError,
        "ball_derivative falls",
    ),
    "too flat": (
        {"curvature": lambda self, z, t: 0.5 * jnp.ones_like(z), "ball_curvature": lambda self, z, t: arb("0.5")},
        ValueError,
        r"contradicts loss\.ball_curvature",
    ),
    "not constant": (
        {
            "derivative": lambda self, z, t: z * z * z / 3.0,
            "curvature": lambda self, z, t: z * z,
            "ball_derivative": lambda self, z, t: z * z * z / 3,
            "ball_curvature": lambda self, z, t: z * z,
            "curvature_limit": math.inf,
            "evaluation_error": 8.0 * UNIT_ROUNDOFF,
        },
        ValueError,
        "constant_curvature is True",
    ),
}


@pytest.mark.parametrize("case", METHODS)
def test_contradictory_methods_are_refused(case: str) -> None:
    changes, error, message = METHODS[case]
    loss = type("Spoilt", (Parabola,), {name: change for name, change in changes.items() if callable(change)})
    numbers: dict[str, Any] = {name: change for name, change in changes.items() if not callable(change)}
    with pytest.raises(error, match=message):
        probe(loss(**numbers))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (replace(LOGISTIC, name="mine", self_concordance=0.25), r"contradicts loss\.ball_curvature"),
        (replace(LOGISTIC, name="mine", curvature_limit=0.2), r"loss\.curvature_limit=0\.2 is exceeded at z = "),
        (replace(LOGISTIC, name="mine", derivative_limit=0.9), r"loss\.derivative_limit=0\.9 is exceeded at z = "),
        (replace(LOGISTIC, name="mine", evaluation_error=0.0), "evaluation_error=0 permits"),
        (Parabola(evaluation_error=0.0), "evaluation_error=0 permits"),
    ],
    ids=["self-concordance", "curvature", "derivative", "error", "error of a difference"],
)
def test_constants_that_are_too_small_are_refused(loss: Loss, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe(loss)


def test_a_shift_and_infinity_are_allowed_for() -> None:
    shifted = type("Shifted", (Parabola,), {"derivative": lambda self, z, t: (z + 2.0**-30) - t})
    with pytest.raises(ValueError, match="evaluation_error"):
        probe(shifted())
    probe(shifted(evaluation_shift=2.0**-29))
    far = type("Far", (Parabola,), {"derivative": lambda self, z, t: jnp.where(jnp.abs(z) > 30.0, jnp.inf, z - t)})
    probe(far())
