"""Poisson sampling, exactly: each row is in a batch with probability q by itself, from fair bits (claim T20, part 1).

What is drawn are the gaps from one row taken to the next, over all steps in one line: P(gap > k) = (1 − q)^k. So the
work grows with the rows taken, not with the rows there are. A gap is read off 64 fair bits and a table of rounded
(1 − q)^k; where the bits end on the same number as a table entry, more bits decide.
"""

from __future__ import annotations

import math
import os

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.dp.chacha import Entropy
from certified.numerics.balls import exact, round_up, working_precision
from certified.privacy.gaussian import nonnegative, probability

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

EMPTY = -1
"""What a slot holds that no row is in."""

_LONGEST_TABLE = 4096
_MOST_BITS = 4096


class PoissonSampler:
    """Draws batches of rows 0 … ``rows`` − 1, each in every batch with probability exactly ``rate`` (claim T20).

    Args:
        rows: how many rows there are.
        rate: q in (0, 1], the float64 number itself.
        entropy: ``entropy(n)`` returns n independent uniform bytes.

    Raises:
        ValueError: ``rate`` is not in (0, 1] or ``rows`` is negative.
    """

    def __init__(self, rows: int, rate: float, entropy: Entropy = os.urandom) -> None:
        if not probability("rate", rate) > 0.0:
            raise ValueError("rate must be positive: no row would ever be taken")
        if rows < 0:
            raise ValueError(f"rows must be at least 0, got {rows}")
        self.rows, self.rate, self._entropy = rows, float(rate), entropy
        # Entries floor(2⁶⁴(1 − q)^k), rising: k falls from the length of the table to 1.
        length = math.ceil(min(_LONGEST_TABLE, 2.0 / self.rate))
        self._table = np.array([self._digits(k, 64) for k in range(length, 0, -1)], dtype=np.uint64)

    def draw(self, steps: int) -> tuple[Integers, Integers]:
        """Return the rows of ``steps`` batches, one batch after the other and rising in each, and the size of each."""
        trials, reached, found = steps * self.rows, 0, []
        while reached < trials:
            # A draw passes over (1 − (1 − q)^K)/q trials on average, K the length of the table.
            each = -math.expm1(len(self._table) * math.log1p(-self.rate)) / self.rate if self.rate < 1.0 else 1.0
            expected = (trials - reached) / each
            gaps, taken = self._gaps(int(expected + 4.0 * math.sqrt(expected)) + 16)
            ends = reached + np.cumsum(gaps)
            found.append(ends[taken] - 1)
            reached = int(ends[-1])
        hits = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        hits = hits[hits < trials]
        starts = np.arange(steps) * self.rows
        counts = np.diff(np.searchsorted(hits, starts), append=len(hits))
        return hits - np.repeat(starts, counts), counts

    def slots(self, steps: int, capacity: int) -> npt.NDArray[np.int32]:
        """Return (steps, capacity) the row in each slot or `EMPTY`, the rows in uniformly random different slots.

        Where more rows are drawn than there are slots, the last rows are left out: `truncation` bounds how often.
        """
        rows, counts = self.draw(steps)
        filled = np.full((steps, capacity), EMPTY, dtype=np.int32)
        step = np.repeat(np.arange(steps), counts)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = place < capacity
        filled[step[kept], place[kept]] = rows[kept]
        return np.take_along_axis(filled, self._permutations(steps, capacity), axis=1)

    def _permutations(self, steps: int, capacity: int) -> Integers:
        """Uniform permutations: the order of random numbers, drawn anew where two are equal."""
        bits = np.uint64(capacity.bit_length())
        low = (np.uint64(1) << bits) - np.uint64(1)
        # Each number carries its place in its low bits, so that sorting numbers sorts places.
        keys = self._words(steps * capacity).reshape(steps, capacity) & ~low | np.arange(capacity, dtype=np.uint64)
        keys.sort(axis=1)
        order = (keys & low).astype(np.int64)
        keys >>= bits
        for step in np.flatnonzero((keys[:, 1:] == keys[:, :-1]).any(axis=1)).tolist():
            order[step] = self._permutations(1, capacity)[0]
        return order

    def _gaps(self, count: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Return how many trials each of ``count`` draws goes on, and whether its last trial takes a row."""
        words, length = self._words(count), len(self._table)
        at = np.searchsorted(self._table, words, side="right")
        passed = length - at
        # Equal to an entry: the digits so far do not tell on which side of it the uniform number is.
        for i in np.flatnonzero((at > 0) & (self._table[np.maximum(at, 1) - 1] == words)).tolist():
            passed[i] = self._passed_exactly(int(words[i]))
        return np.minimum(passed + 1, length), passed < length

    def _passed_exactly(self, digits: int) -> int:
        """#{k ≤ length : V < (1 − q)^k} for V that begins with 64 ``digits``, reading more of them as needed."""
        bits = 64
        while True:
            bits += 64
            if bits > _MOST_BITS:
                raise RuntimeError("entropy is stuck: thousands of its bits repeat a number; use os.urandom")
            digits = digits << 64 | int(self._words(1)[0])
            entries = [self._digits(k, bits) for k in range(1, len(self._table) + 1)]
            if self.rate == 1.0 or digits not in entries:
                return sum(digits < entry for entry in entries)

    def _digits(self, k: int, bits: int) -> int:
        """⌊2^bits·(1 − q)^k⌋."""
        precision = bits + 64
        while True:
            with working_precision(precision):
                found = ((1 - exact(self.rate)) ** k * arb(2) ** bits).floor().unique_fmpz()
            if found is not None:
                return int(found)
            precision *= 2

    def _words(self, count: int) -> Words:
        data = self._entropy(8 * count)
        if len(data) != 8 * count:
            raise RuntimeError(f"entropy returned {len(data)} bytes instead of {8 * count}; use os.urandom")
        return np.frombuffer(data, dtype="<u8")


def truncation(rows: int, rate: float, capacity: int) -> float:
    """Return an upper bound on P(Binomial(rows, rate) > capacity): a batch larger than its slots (claim T20, part 2).

    P(X = c)/(1 − r) with c = capacity + 1 and r = (n − c)q/((c + 1)(1 − q)) < 1, the ratio of the next two
    probabilities; rounded up. 0 where the slots are enough for all rows, 1 where c is not beyond the mean.

    >>> truncation(60_000, 0.01, capacity=813) < 1e-15, truncation(100, 0.5, capacity=100)
    (True, 0.0)
    """
    rate, c = probability("rate", rate), capacity + 1
    if c > rows or rate == 0.0:
        return 0.0
    if c <= rows * rate + 1.0:
        return 1.0

    def bound() -> arb:
        n, k, q = arb(rows), arb(c), exact(rate)
        choices = (n + 1).lgamma() - (k + 1).lgamma() - (n - k + 1).lgamma()
        ratio = (n - k) * q / ((k + 1) * (1 - q))
        return (choices + k * q.log() + (n - k) * (1 - q).log()).exp() / (1 - ratio)

    return min(1.0, round_up(bound))


def capacity_for(rows: int, rate: float, probability_limit: float) -> int:
    """Return the fewest slots whose `truncation` is at most ``probability_limit`` > 0 (claim T20, part 2).

    >>> capacity_for(60_000, 0.01, 1e-15)
    803
    """
    if not nonnegative("probability_limit", probability_limit) > 0.0:
        return rows
    low, high = 0, rows
    while low < high:
        middle = (low + high) // 2
        if truncation(rows, rate, middle) <= probability_limit:
            high = middle
        else:
            low = middle + 1
    return high
