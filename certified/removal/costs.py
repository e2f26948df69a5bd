"""What a step, a pass, a linearisation and a solve take: modelled from the problem's size and rates of a machine.

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
    """Rates of a machine.

    Attributes:
        bandwidth: bytes per second that a long array is read at.
        flops: floating-point operations per second in a product of matrices.
        streaming: bytes per second at which rows of a source are read and compared with their checksums.
    """

    bandwidth: float
    flops: float
    streaming: float = 7.5e8


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


def modelled_costs(speeds: Speeds, n: int, p: int, outputs: int, hessians: int, *, streamed: bool = False) -> Costs:
    """Return the costs for n rows, p weights per output and so many different Hessians; an estimate.

    Where the rows are streamed, each is read once in a pass and twice in a linearisation, while others are worked on.
    A step reads the rows that leave, and no other.

    >>> costs = modelled_costs(REFERENCE, 12_000, 784, 1, 1)
    >>> costs.step < costs.gradient_pass < costs.linearise < costs.solve
    True
    >>> modelled_costs(REFERENCE, 12_000, 784, 1, 1, streamed=True).gradient_pass > 5.0 * costs.gradient_pass
    True
    """
    reading = 8.0 * n * p / speeds.streaming if streamed else 0.0
    products = 2.0 * hessians * p * p
    row = products / speeds.flops + 16.0 * p / speeds.bandwidth + (8.0 * p / speeds.streaming if streamed else 0.0)
    # The matrix and the inverse are each read by half, once.
    step = _DISPATCH + 8.0 * outputs * p * p / speeds.bandwidth + row
    elementwise = 10.0 * _ELEMENTWISE * n * outputs / speeds.flops
    summing = max(16.0 * n * p / speeds.bandwidth, 4.0 * n * p * outputs / speeds.flops) + elementwise
    gradient_pass = _DISPATCH + max(reading, summing)
    forming = max(reading, hessians * n * p * p / speeds.flops) + 2.0 * hessians * p**3 / speeds.flops
    linearise = gradient_pass + forming
    return Costs(step, row, gradient_pass, linearise, _NEWTON_ITERATIONS * linearise)


def measured_speeds() -> Speeds:
    """Measure this machine, in about a tenth of a second: the best of a few tries. Its disks are not measured."""
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
