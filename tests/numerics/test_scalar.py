"""One formula, three kinds of scalar, one value."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from flint import arb

from certified.numerics import scalar
from certified.numerics.balls import lower, upper

ORACLES: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sqrt": mpmath.sqrt,
    "erfc": mpmath.erfc,
    "normal_cdf": mpmath.ncdf,
}
POINTS = (1e-9, 0.3, 1.0, 7.5)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", ORACLES)
def test_every_kind_of_scalar_agrees_with_the_oracle(name: str, point: float) -> None:
    function = getattr(scalar, name)
    with mpmath.workdps(50):
        truth = ORACLES[name](mpmath.mpf(point))
        enclosure = function(arb(point))
        assert mpmath.mpf(lower(enclosure)) <= truth <= mpmath.mpf(upper(enclosure))
    expected = float(truth)
    assert float(enclosure) == pytest.approx(expected, rel=1e-14)
    assert function(point) == pytest.approx(expected, rel=1e-14)
    assert function(np.float64(point)) == function(point)
    with jax.enable_x64(True):
        value = jax.jit(function)(jax.numpy.asarray(point, dtype=np.float64))
        assert value.dtype == np.float64
        assert float(value) == pytest.approx(expected, rel=1e-13)


def test_integers_count_as_floats() -> None:
    assert scalar.sqrt(9) == 3.0


def test_formulas_are_differentiable() -> None:
    with jax.enable_x64(True):
        slope = jax.grad(scalar.normal_cdf)(0.0)
    assert float(slope) == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-14)


@pytest.mark.parametrize("value", ["1.0", None, np.float32(1.0), np.ones(2)])
def test_other_types_are_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match=f"log needs a float, ball or JAX array, not {type(value).__name__}"):
        scalar.log(value)  # type: ignore[type-var]


def test_other_types_are_refused_alike_where_jax_was_never_imported() -> None:
    program = (
        "import sys\n"
        "from certified.numerics.scalar import log\n"
        "assert log(1.0) == 0.0 and 'jax' not in sys.modules\n"
        "try:\n"
        "    log('1.0')\n"
        "except TypeError as error:\n"
        "    assert 'convert it' in str(error)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
