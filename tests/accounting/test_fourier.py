"""The transform against ball arithmetic; tables and powers against high precision."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from flint import acb, arb

from certified.accounting.fourier import PRODUCT_ERROR, exponentials, power, transform, transform_error
from certified.numerics.balls import working_precision

U = 2.0**-53


def exact_transform(values: np.ndarray) -> list[acb]:
    return list(acb.dft([acb(arb(float(v.real)), arb(float(v.imag))) for v in values]))


@pytest.mark.parametrize("size", [1, 2, 4, 64, 4096])
@pytest.mark.parametrize("kind", ["normal", "atom", "smooth", "wild"])
def test_error(size: int, kind: str) -> None:
    rng = np.random.default_rng(size)
    values = {
        "normal": rng.normal(size=size) + 1j * rng.normal(size=size),
        "atom": np.eye(1, size, size // 3)[0] + 0j,
        "smooth": np.exp(-(((np.arange(size) - size / 2) / (size / 9)) ** 2)) + 0j,
        "wild": 10.0 ** rng.uniform(-12, 12, size) * np.exp(1j * rng.uniform(0, 7, size)),
    }[kind]
    with working_precision(128):
        exact = exact_transform(values)
        found = transform(values)
        gaps = [(acb(arb(z.real), arb(z.imag)) - e) for z, e in zip(found.tolist(), exact, strict=True)]
        distance = sum((gap.real**2 + gap.imag**2 for gap in gaps), arb(0)).sqrt()
        limit = transform_error(size) * np.sqrt(size) * np.linalg.norm(values)
        assert distance <= limit if size > 1 else distance == 0
        # The proved bound is of the right order: it is not met by being absurdly large.
        assert kind == "atom" or size < 64 or distance > limit * 1e-3


def test_powers() -> None:
    rng = np.random.default_rng(3)
    values = np.exp(1j * rng.uniform(0, 7, 50)) * rng.uniform(0.9, 1.0, 50)
    for exponent in (1, 2, 3, 7, 600, 1023):
        with mpmath.workdps(40):
            for z, found in zip(values, power(values, exponent), strict=True):
                truth = mpmath.mpc(complex(z)) ** exponent
                assert abs(mpmath.mpc(complex(found)) - truth) <= exponent * PRODUCT_ERROR * 1.01 * abs(truth)


def test_exponentials_are_rounded_up() -> None:
    rng = np.random.default_rng(4)
    places = rng.integers(-5000, 5000, 400)
    for rate, offset in ((0.01, 0.0), (-0.03, 7.0), (1e-9, -2.0), (-0.7, 0.0)):
        found = exponentials(arb(rate), arb(offset), places)
        with mpmath.workdps(40):
            for n, value in zip(places.tolist(), found.tolist(), strict=True):
                truth = mpmath.exp(mpmath.mpf(rate) * n - mpmath.mpf(offset))
                assert truth <= value <= truth * (1 + 12 * U) + mpmath.mpf(2) ** -990 or value == np.inf
