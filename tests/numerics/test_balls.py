"""Outward rounding is judged by exact rational arithmetic, never by floating point."""

from __future__ import annotations

import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.numerics.balls import PRECISIONS, exact, lower, round_down, round_up, upper, working_precision

MAX = sys.float_info.max
TINY = math.ulp(0.0)

finite = st.floats(allow_nan=False, allow_infinity=False)
dyadic = st.builds(Fraction, st.integers(-(2**120), 2**120)).flatmap(
    lambda mantissa: st.integers(-1250, 880).map(lambda exponent: mantissa * Fraction(2) ** exponent)
)


def ball_of(value: Fraction) -> arb:
    """A dyadic rational as a ball of radius zero."""
    return arb((value.numerator, 1 - value.denominator.bit_length()))


def rational(end: arb) -> Fraction:
    mantissa, exponent = end.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


@given(finite)
def test_a_float_becomes_a_ball_of_radius_zero_whatever_the_precision(x: float) -> None:
    with working_precision(2):
        ball = exact(x)
    assert ball.is_exact() and rational(ball) == Fraction(x)
    assert upper(ball) == lower(ball) == x


@given(dyadic)
def test_bounds_are_the_neighbouring_floats(value: Fraction) -> None:
    with working_precision(200):
        above, below = upper(ball_of(value)), lower(ball_of(value))
    assert below == -MAX if value < -Fraction(MAX) and below > -math.inf else True
    assert above == math.inf or Fraction(above) >= value
    assert below == -math.inf or Fraction(below) <= value
    previous, following = math.nextafter(above, -math.inf), math.nextafter(below, math.inf)
    assert previous == -math.inf or Fraction(previous) < value
    assert following == math.inf or Fraction(following) > value


@given(dyadic, st.integers(0, 200), st.sampled_from((2, 24, 53, 200)))
def test_no_number_in_a_ball_lies_outside_its_bounds(middle: Fraction, shift: int, bits: int) -> None:
    radius = abs(middle) / 2**shift
    with working_precision(400):
        ball = arb(ball_of(middle), ball_of(radius))
    with working_precision(bits):
        above, below = upper(ball), lower(ball)
    assert above == math.inf or Fraction(above) >= middle + radius
    assert below == -math.inf or Fraction(below) <= middle - radius


@pytest.mark.parametrize(
    ("ball", "below", "above"),
    [
        (arb(2) ** 1024, MAX, math.inf),
        (-(arb(2) ** 1024), -math.inf, -MAX),
        (arb(2) ** -1080, 0.0, TINY),
        (-(arb(2) ** -1080), -TINY, 0.0),
        (arb(3) * arb(2) ** -1075, TINY, 2 * TINY),
        (arb(0), 0.0, 0.0),
        (arb.pos_inf(), math.inf, math.inf),
        (arb.neg_inf(), -math.inf, -math.inf),
        (arb(0, math.inf), -math.inf, math.inf),
        (arb(10) ** 400, MAX, math.inf),
    ],
)
def test_bounds_at_the_ends_of_float64(ball: arb, below: float, above: float) -> None:
    assert (lower(ball), upper(ball)) == (below, above)


@given(st.integers(-(2**90), 2**90), st.integers(-1160, 900))
def test_float_of_a_ball_rounds_to_nearest(mantissa: int, exponent: int) -> None:
    """The noise sampler relies on it: ties to even, subnormals included."""
    value = Fraction(mantissa) * Fraction(2) ** exponent
    assert float(arb((mantissa, exponent))) == float(value)


@pytest.mark.parametrize("mantissa", [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 3])
@pytest.mark.parametrize("exponent", [0, -1, 900, -1074, -1075, -1100, -1126, -1127])
def test_float_of_a_ball_rounds_ties_to_even(mantissa: int, exponent: int) -> None:
    assert float(arb((mantissa, exponent))) == float(Fraction(mantissa) * Fraction(2) ** exponent)


def test_float_of_a_ball_overflows_from_the_midpoint_on() -> None:
    largest, midpoint = 2**53 - 1, 2**54 - 1
    assert float(arb((largest, 971))) == MAX
    assert float(arb((midpoint, 970))) == math.inf
    assert float(arb((midpoint * 2**60 - 1, 910))) == MAX


@pytest.mark.parametrize("bound", [upper, lower])
@pytest.mark.parametrize("ball", [arb.nan(), arb(0, 1).log(), arb(-1).sqrt(), arb(0) / 0])
def test_an_indeterminate_ball_has_no_bound(bound: object, ball: arb) -> None:
    assert callable(bound)
    with pytest.raises(ArithmeticError, match="undefined on its arguments"):
        bound(ball)


@pytest.mark.parametrize("value", [math.nan, 2**53 + 1, Fraction(1, 3)])
def test_exact_refuses_what_is_no_float64_number(value: float) -> None:
    with pytest.raises(ValueError, match="value must be a float64 number"):
        exact(value)


@given(st.floats(min_value=0.0, allow_infinity=False))
def test_round_up_and_down_are_the_neighbours_of_a_square_root(x: float) -> None:
    above, below = round_up(lambda: exact(x).sqrt()), round_down(lambda: exact(x).sqrt())
    assert Fraction(below) ** 2 <= Fraction(x) <= Fraction(above) ** 2
    assert above in (below, math.nextafter(below, math.inf))
    assert (above == below) == (Fraction(below) ** 2 == Fraction(x))


def test_rounding_raises_the_precision_until_cancellation_is_resolved() -> None:
    def logarithm_of_a_difference() -> arb:
        return (arb(3).sqrt() ** 2 - 3 + arb(2) ** -300).log()  # indeterminate below 300 bits

    assert round_up(logarithm_of_a_difference) == pytest.approx(-300 * math.log(2), rel=1e-15)
    assert round_up(logarithm_of_a_difference) == math.nextafter(round_down(logarithm_of_a_difference), 0.0)


def test_a_number_no_precision_separates_from_a_float_is_still_bounded() -> None:
    calls: list[int] = []

    def two() -> arb:
        calls.append(ctx.prec)
        return arb(2).sqrt() ** 2

    assert 2.0 <= round_up(two) <= math.nextafter(2.0, 3.0)
    assert calls == list(PRECISIONS)
    assert math.nextafter(2.0, 1.0) <= round_down(two) <= 2.0


def test_a_formula_that_stays_undefined_raises() -> None:
    with pytest.raises(ArithmeticError, match="undefined on its arguments"):
        round_up(lambda: exact(-1.0).log())


def test_an_unbounded_formula_gives_infinity() -> None:
    assert round_up(lambda: arb(0, math.inf)) == math.inf
    assert round_down(lambda: arb(0, math.inf)) == -math.inf


def test_working_precision_nests_and_is_restored_after_an_error() -> None:
    before = ctx.prec
    with pytest.raises(RuntimeError), working_precision(90):
        with working_precision(300):
            assert ctx.prec == 300
        assert ctx.prec == 90
        raise RuntimeError
    assert ctx.prec == before


def test_blocks_of_different_threads_run_one_after_the_other() -> None:
    before, entered = ctx.prec, threading.Event()

    def enter() -> None:
        with working_precision(200):
            entered.set()

    thread = threading.Thread(target=enter)
    with working_precision(100):
        thread.start()
        assert not entered.wait(0.05)
        assert ctx.prec == 100
    thread.join(timeout=10)
    assert entered.is_set() and ctx.prec == before


def test_threads_neither_disturb_results_nor_leave_a_precision_behind() -> None:
    before = ctx.prec

    def work(index: int) -> float:
        return round_up(lambda: (exact(1.0 + index) / 3).sqrt().exp())

    expected = [work(index) for index in range(200)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(work, range(200))) == expected
    assert ctx.prec == before
