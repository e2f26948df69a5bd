"""Poisson sampling: the exact law, whatever the bits; certified tails."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from certified.dp.poisson import EMPTY, PoissonSampler, capacity_for, truncation


@given(st.floats(0.02, 1.0), st.integers(0, 2**32))
def test_the_table_gives_the_law_of_gaps(q: float, seed: int) -> None:
    """For given first bits a gap exceeds k exactly where V < (1 − q)^k: compared with fractions."""
    word = np.random.default_rng(seed).integers(0, 1 << 64, dtype=np.uint64, endpoint=False)
    sampler = PoissonSampler(10, q, entropy=lambda n: word.tobytes() * (n // 8))
    (gap,), (taken,) = sampler._gaps(1)
    v = Fraction(int(word), 1 << 64)
    longest = len(sampler._table)
    passed = sum(v < (1 - Fraction(q)) ** j for j in range(1, longest + 1))
    assert (gap, taken) == ((longest, False) if passed == longest else (passed + 1, True))


@pytest.mark.parametrize("after", [b"\x00", b"\xff"])
def test_more_bits_decide_where_the_first_are_an_entry(after: bytes) -> None:
    square = (1 - Fraction(0.3)) ** 2
    entry = int(square * (1 << 64))
    answers = iter([entry.to_bytes(8, "little"), after * 8])
    sampler = PoissonSampler(10, 0.3, entropy=lambda n: next(answers))
    (gap,), _ = sampler._gaps(1)
    v = Fraction(entry, 1 << 64) + Fraction(int.from_bytes(after * 8, "little"), 1 << 128)
    assert gap == (3 if v < square else 2)


def test_every_row_is_taken_with_the_rate_by_itself() -> None:
    generator = np.random.default_rng(7)
    sampler = PoissonSampler(40, 0.2, entropy=generator.bytes)
    rows, counts = sampler.draw(20_000)
    taken = np.zeros((20_000, 40))
    taken[np.repeat(np.arange(20_000), counts), rows] = 1.0
    assert taken.sum() == len(rows), "a row is in a batch twice"
    assert np.all(np.abs(taken.mean(axis=0) - 0.2) < 5 * 0.4 / np.sqrt(20_000))
    correlation = np.corrcoef(taken.T) - np.eye(40)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(20_000)
    steps = np.corrcoef(taken[:-1].ravel(), taken[1:].ravel())[0, 1]
    assert abs(steps) < 5 / np.sqrt(taken.size)
    assert abs(counts.var() - 40 * 0.2 * 0.8) < 0.5


def test_slots_hold_the_batch_in_every_order() -> None:
    sampler = PoissonSampler(3, 1.0, entropy=np.random.default_rng(3).bytes)
    slots = sampler.slots(6_000, 3)
    orders, counts = np.unique(slots, axis=0, return_counts=True)
    assert len(orders) == 6 and np.all(np.abs(counts - 1_000) < 5 * np.sqrt(6_000 * 5 / 36))
    wide = PoissonSampler(50, 0.1).slots(200, 64)
    assert all(len(set(row[row != EMPTY].tolist())) == (row != EMPTY).sum() for row in wide)
    assert (PoissonSampler(100, 1.0).slots(5, 64) != EMPTY).all(), "too large a batch fills all slots"


def test_equal_random_numbers_are_drawn_anew() -> None:
    blocks = [bytes(64), *(os.urandom(64) for _ in range(20))]
    sampler = PoissonSampler(8, 1.0, entropy=lambda n: blocks.pop(0)[:n])
    assert sorted(sampler._permutations(1, 8)[0].tolist()) == list(range(8))


def test_rates_that_take_almost_no_row() -> None:
    requested = []

    def counted(size: int) -> bytes:
        requested.append(size)
        return os.urandom(size)

    rows, counts = PoissonSampler(1 << 20, 5e-324, counted).draw(100)
    assert len(rows) == 0 and counts.tolist() == [0] * 100
    assert len(requested) == 1


def test_no_rows_and_bad_arguments() -> None:
    rows, counts = PoissonSampler(0, 0.5).draw(3)
    assert len(rows) == 0 and counts.tolist() == [0, 0, 0]
    for bad in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="rate"):
            PoissonSampler(3, bad)
    with pytest.raises(ValueError, match="rows"):
        PoissonSampler(-1, 0.5)
    with pytest.raises(RuntimeError, match="entropy"):
        PoissonSampler(3, 0.5, entropy=lambda n: b"").draw(1)


@given(st.integers(1, 2_000), st.floats(1e-4, 1.0), st.integers(0, 2_000))
def test_truncation_bounds_the_tail(rows: int, rate: float, capacity: int) -> None:
    assert truncation(rows, rate, capacity) >= binom.sf(capacity, rows, rate) * (1 - 1e-9)


@given(st.integers(1, 5_000), st.floats(1e-3, 0.9), st.floats(1e-18, 0.5))
def test_capacity_is_the_least(rows: int, rate: float, limit: float) -> None:
    capacity = capacity_for(rows, rate, limit)
    assert truncation(rows, rate, capacity) <= limit
    assert capacity == 0 or truncation(rows, rate, capacity - 1) > limit
