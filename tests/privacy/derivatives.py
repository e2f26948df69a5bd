"""One formula on floats, balls and JAX values: the values agree, and so do derivatives and difference quotients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import pytest
from flint import arb

from certified.numerics.balls import working_precision

STEP = arb(2) ** -100


def check_formula(formula: Callable[..., Any], *arguments: float, rel: float = 1e-9) -> None:
    """Compare ``formula`` on floats, balls and JAX values, and each of its JAX derivatives with a quotient of balls."""
    with working_precision(1000):
        balls = [arb(argument) for argument in arguments]
        truth = float(formula(*balls))
        slopes = []
        for index, ball in enumerate(balls):
            ends = (formula(*balls[:index], ball + step, *balls[index + 1 :]) for step in (STEP, -STEP))
            slopes.append(float((next(ends) - next(ends)) / (2 * STEP)))
    assert formula(*arguments) == pytest.approx(truth, rel=rel)
    with jax.enable_x64(True):
        assert float(formula(*map(jax.numpy.asarray, arguments))) == pytest.approx(truth, rel=rel)
        found = jax.grad(formula, argnums=tuple(range(len(arguments))))(*arguments)
    assert [float(value) for value in found] == pytest.approx(slopes, rel=rel)
