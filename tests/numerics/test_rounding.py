from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certified.numerics.rounding import MAGNITUDE_LIMIT, UNDERFLOW, UNIT_ROUNDOFF, gamma

ENTRIES = st.floats(-1e60, 1e60, allow_subnormal=False).filter(lambda x: x == 0.0 or abs(x) > 1e-60)


@given(st.integers(0, 2**40))
def test_gamma_is_an_upper_bound(terms: int) -> None:
    product = Fraction(terms, 2**53)
    exact = product / (1 - product)
    assert exact <= Fraction(gamma(terms)) <= exact * (1 + Fraction(1, 2**48))


@given(arrays(np.float64, st.tuples(st.integers(1, 60), st.just(2)), elements=ENTRIES))
def test_gamma_bounds_the_error_of_an_inner_product(pairs: np.ndarray) -> None:
    computed = Fraction(float(np.dot(pairs[:, 0], pairs[:, 1])))
    terms = [Fraction(a) * Fraction(b) for a, b in pairs.tolist()]
    assert abs(computed - sum(terms)) <= Fraction(gamma(len(pairs))) * sum(map(abs, terms))


def test_gamma_refuses_sums_that_are_too_long() -> None:
    with pytest.raises(ValueError, match="terms="):
        gamma(2**52)


def test_unit_roundoff_is_half_the_spacing_at_one() -> None:
    assert np.spacing(1.0) == 2.0 * UNIT_ROUNDOFF


def test_magnitude_limit_leaves_room() -> None:
    """No product of four admissible numbers overflows; underflow amplified by three of them stays in its allowance."""
    limit = Fraction(MAGNITUDE_LIMIT)
    assert 2 * limit**4 < Fraction(float(np.finfo(np.float64).max))
    smallest = Fraction(1, 2**1022)
    assert smallest * limit**3 < Fraction(UNDERFLOW)
