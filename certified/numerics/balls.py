"""Ball arithmetic (Arb, by python-flint): enclosures of real numbers and float64 bounds on them (claim T12).

A ball ``[m ± r]`` contains the real number it stands for whatever the working precision, which only decides
how wide it is. So the bounds below are sound at every precision: other code that changes the process-wide
precision can loosen a result but never falsify it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flint import arb, ctx

PRECISIONS = (128, 256, 512, 1024, 2048, 4096, 8192)
"""Working precisions in bits that ``round_up`` and ``round_down`` try in turn."""

# python-flint keeps one precision per process: the lock keeps threads from restoring each other's value.
_PRECISION_LOCK = threading.RLock()


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Evaluate balls with ``bits`` bits inside the block and restore the caller's precision afterwards.

    Blocks nest; blocks of different threads run one after the other.

    >>> with working_precision(200):
    ...     bool(arb(2).sqrt().rel_accuracy_bits() > 190)
    True
    """
    with _PRECISION_LOCK:
        previous = ctx.prec
        ctx.prec = bits
        try:
            yield
        finally:
            ctx.prec = previous


def exact(value: float) -> arb:
    """Return the ball of radius zero around ``value``.

    Raises ``ValueError`` if ``value`` is NaN or is no float64 number (such as a large integer or a fraction).

    >>> exact(0.5) * 2 == 1, exact(0.1) * 10 == 1
    (True, False)
    """
    converted = float(value)
    if converted != value:
        raise ValueError(f"value must be a float64 number, got {value!r}; round it to the safe side first")
    return arb(converted)


def upper(ball: arb) -> float:
    """Return a float64 that no number in ``ball`` exceeds: its upper end, rounded up (T12).

    An unbounded ball gives ``inf``. Raises ``ArithmeticError`` for an indeterminate ball, such as the
    logarithm of a ball that touches zero.

    >>> upper(exact(1.0) / 10) == 0.1, upper(exact(1.0) / 3) > 1 / 3
    (True, True)
    """
    end = _determinate(ball).upper()
    value = float(end)
    return value if arb(value) >= end else math.nextafter(value, math.inf)


def lower(ball: arb) -> float:
    """Return a float64 that every number in ``ball`` reaches: its lower end, rounded down (T12).

    An unbounded ball gives ``-inf``. Raises ``ArithmeticError`` for an indeterminate ball.

    >>> lower(exact(1.0) / 10) < 0.1
    True
    """
    end = _determinate(ball).lower()
    value = float(end)
    return value if arb(value) <= end else math.nextafter(value, -math.inf)


def round_up(evaluate: Callable[[], arb]) -> float:
    """Return the smallest float64 not below the real number that ``evaluate`` encloses (T12).

    ``evaluate`` is called with growing working precision until the answer is certain, and must build its
    balls from exact values each time. Where even the last of ``PRECISIONS`` cannot tell the number from a
    float64, the result is still an upper bound.

    >>> round_up(lambda: exact(9.0).sqrt()), round_up(lambda: exact(2.0).sqrt()) ** 2 > 2
    (3.0, True)
    """
    return _settle(evaluate, upper)


def round_down(evaluate: Callable[[], arb]) -> float:
    """Return the largest float64 not above the real number that ``evaluate`` encloses; see ``round_up``.

    >>> round_down(lambda: exact(9.0).sqrt()), round_down(lambda: exact(2.0).exp()) < 7.389056098930651
    (3.0, True)
    """
    return _settle(evaluate, lower)


def _settle(evaluate: Callable[[], arb], bound: Callable[[arb], float]) -> float:
    for bits in PRECISIONS:
        with working_precision(bits):
            ball = evaluate()
            # Directed rounding is monotone: where it agrees on both ends, it agrees on all numbers between.
            if ball.is_finite() and bound(ball.lower()) == bound(ball.upper()):
                break
    return bound(ball)


def _determinate(ball: arb) -> arb:
    if ball.is_nan():
        raise ArithmeticError("the formula is undefined on its arguments; check them or raise the precision")
    return ball
