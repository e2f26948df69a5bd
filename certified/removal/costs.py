"""What a step, a pass, a linearisation and a solve take: modelled from the problem's size and two rates of a machine.

Everything here is an estimate that steers effort. No certificate depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from certified.numerics.threads import blas_threads_for

_DISPATCH = 2e-4
"""Seconds of interpreter and compiler calls in any request."""
_NEWTON_ITERATIONS = 8
"""Hessians that a solve from scratch forms, roughly."""
_ELEMENTWISE = 60.0
"""Operations per row and output for the loss and its errors, at a tenth of the rate of matrix products."""


@dataclass(frozen=True)
class Speeds:
    """Two rates of a machine.

    Attributes:
        bandwidth: bytes per second that a long array is read at.
        flops: floating-point operations per second in a product of matrices.
    """

    bandwidth: float
    flops: float


REFERENCE = Speeds(bandwidth=1.5e10, flops=2e10)
"""A common two-core machine: fixed, so that the same requests take the same routes everywhere."""


@dataclass(frozen=True)
class Costs:
    """Estimated seconds.

    Attributes:
        step: one ledger step for one row.
        row: what each further row of the same request adds to it.
        gradient_pass: one pass over the rows in force.
        linearise: forming, factorising and inverting the Hessians, with a gradient there.
        solve: training again.
    """

    step: float
    row: float
    gradient_pass: float
    linearise: float
    solve: float


def modelled_costs(speeds: Speeds, n: int, p: int, outputs: int, hessians: int) -> Costs:
    """Return the costs for n rows, p weights per output and so many different Hessians; an estimate.

    >>> costs = modelled_costs(REFERENCE, 12_000, 784, 1, 1)
    >>> costs.step < costs.gradient_pass < costs.linearise < costs.solve
    True
    """
    products = 2.0 * hessians * p * p
    row = products / speeds.flops + 16.0 * p / speeds.bandwidth
    # The matrix and the inverse are each read by half, once.
    step = _DISPATCH + 8.0 * outputs * p * p / speeds.bandwidth + row
    elementwise = 10.0 * _ELEMENTWISE * n * outputs / speeds.flops
    gradient_pass = _DISPATCH + max(16.0 * n * p / speeds.bandwidth, 4.0 * n * p * outputs / speeds.flops) + elementwise
    forming = hessians * (n * p * p + 2.0 * p**3) / speeds.flops
    linearise = gradient_pass + forming
    return Costs(step, row, gradient_pass, linearise, _NEWTON_ITERATIONS * linearise)


def measured_speeds() -> Speeds:
    """Measure both rates on this machine, in about a tenth of a second: the best of a few tries."""
    source, matrix = np.ones(2**22), np.ones((512, 512))
    target = np.empty_like(source)
    with blas_threads_for(len(matrix)):
        copied = min(_seconds(lambda: np.copyto(target, source)) for _ in range(5))
        multiplied = min(_seconds(lambda: matrix @ matrix) for _ in range(5))
    return Speeds(2.0 * source.nbytes / copied, 2.0 * len(matrix) ** 3 / multiplied)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return max(time.perf_counter() - start, 1e-9)
