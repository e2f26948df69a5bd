"""The rejection sampler against its definition at high precision, and its law."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy import stats

from certified.privacy.normal import EXTENSION_BYTES, MAX_BITS, LazyNormal, _acceptance, _proposals, standard_normals

TOP = (1 << 47) - 1


class Words:
    """The given 64-bit words, then a SHAKE-256 stream; counts the bytes read."""

    def __init__(self, *words: int, seed: bytes = b"") -> None:
        self.head = b"".join(word.to_bytes(8, "big") for word in words)
        self.seed, self.used = seed, 0

    def __call__(self, size: int) -> bytes:
        block = self.head[self.used : self.used + size]
        missing = size - len(block)
        block += hashlib.shake_256(self.seed + self.used.to_bytes(8, "big")).digest(missing)
        self.used += size
        return block


def head(negative: bool, whole: int, uniform: int) -> int:
    """Sign, a run of ``whole`` zeros with a one after it in 16 bits, 47 bits of U."""
    return negative << 63 | (1 << 15 - whole) << 47 | uniform


def threshold(whole: int, digits: int) -> mpmath.mpf:
    """2^m·e^(−X²/2) at the lower end of X."""
    with mpmath.workdps(60):
        proposal = mpmath.mpf(5) / 4 * (whole + mpmath.ldexp(digits, -64))
        return mpmath.ldexp(mpmath.exp(-proposal * proposal / 2), whole)


def as_float(number: LazyNormal) -> float:
    size = 1.25 * (number.whole + number.digits * 2.0**-number.bits)
    return -size if number.negative else size


@pytest.mark.parametrize("whole", range(16))
def test_acceptance_probability_is_within_its_error(whole: int) -> None:
    digits = np.random.default_rng(whole).integers(0, 1 << 64, size=200, dtype=np.uint64)
    computed = _acceptance(np.full(200, whole, dtype=np.int32), digits.astype(np.float64) * 2.0**-64)
    pairs = zip(computed.tolist(), digits.tolist(), strict=True)
    error = max(abs(mpmath.mpf(c) - threshold(whole, k)) for c, k in pairs)
    assert error < 2.0**-37
    assert np.all(computed <= 1.0 + 2.0**-37)


@pytest.mark.parametrize("whole", [0, 1, 2, 3])
@pytest.mark.parametrize("offset", [-(2**30), -3, -1, 0, 1, 3, 2**30])
def test_proposals_next_to_the_threshold_are_decided_exactly(whole: int, offset: int) -> None:
    """U starts within 2⁻⁴⁷·offset of the threshold, where float64 cannot tell; offset 0 needs more digits."""
    rng = np.random.default_rng([whole, offset + 2**30])
    for _ in range(10):
        digits = int(rng.integers(0, 1 << 64, dtype=np.uint64))
        exact = threshold(whole, digits)
        uniform = int(mpmath.floor(mpmath.ldexp(exact, 47))) + offset
        if not 0 <= uniform <= TOP:
            continue
        source = Words(head(False, whole, uniform), digits, seed=rng.bytes(8))
        accepted = _proposals(1, source)
        if offset:
            assert bool(accepted) == (offset < 0)
        if abs(offset) == 2**30:
            assert source.used == 16
        elif offset == 0:
            assert source.used > 16
        for number in accepted:
            assert (number.negative, number.whole) == (False, whole)
            assert number.digits >> number.bits - 64 == digits


def test_an_ambiguous_comparison_follows_the_digits_that_come() -> None:
    """The same start of U, continued by zeros or by ones, falls on both sides of the threshold."""
    digits = 0x123456789ABCDEF0
    uniform = int(mpmath.floor(mpmath.ldexp(threshold(1, digits), 47)))
    start = [head(True, 1, uniform), digits]

    def continued(byte: int) -> Callable[[int], bytes]:
        source = Words(*start)
        calls = []

        def entropy(size: int) -> bytes:
            if source.used < 16:
                return source(size)
            calls.append(size)
            # First the digits of X, then those of U.
            return bytes([0x80 if len(calls) % 2 else byte]) * size

        return entropy

    assert len(_proposals(1, continued(0x00))) == 1
    assert len(_proposals(1, continued(0xFF))) == 0


def test_long_runs_of_zeros_are_read_on() -> None:
    """Sixteen zeros in the first word: the run goes on in further bytes; X ≥ 20 is nearly never accepted."""
    stream = iter([bytes(16), b"\x00", b"\x10"])
    calls: list[int] = []

    def entropy(size: int) -> bytes:
        calls.append(size)
        return next(stream, b"\x80" + bytes(size - 1))

    assert _proposals(1, entropy) == []
    assert calls[:3] == [16, 1, 1]


def test_the_law_is_standard_normal() -> None:
    """A fixed stream: Kolmogorov–Smirnov, moments, cells of both halves and the tails."""
    count = 200_000
    values = np.array([as_float(n) for n in standard_normals(count, Words(seed=b"law"))])
    assert stats.kstest(values, "norm").pvalue > 0.01
    assert abs(values.mean()) < 3.3 / math.sqrt(count)
    assert abs(values.var() - 1) < 3.3 * math.sqrt(2 / count)
    assert abs(stats.skew(values)) < 3.3 * math.sqrt(6 / count)
    assert abs(stats.kurtosis(values)) < 3.3 * math.sqrt(24 / count)
    edges = np.array([-np.inf, *np.arange(-3.75, 4.0, 0.125), np.inf])
    observed, _ = np.histogram(values, edges)
    assert stats.chisquare(observed, count * np.diff(stats.norm.cdf(edges))).pvalue > 0.01
    assert 5 < np.sum(np.abs(values) > 4.0) < 25  # 12.7 expected


def test_digits_beyond_the_acceptance_are_uniform() -> None:
    low = np.array([n.digits & 0xFF for n in standard_normals(50_000, Words(seed=b"digits"))])
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > 0.01


def test_numbers_are_independent() -> None:
    values = np.array([as_float(n) for n in standard_normals(50_000, Words(seed=b"independent"))])
    for lag in (1, 2, 3):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 3.3 / math.sqrt(50_000)
        assert abs(np.corrcoef(values[:-lag] ** 2, values[lag:] ** 2)[0, 1]) < 3.3 / math.sqrt(50_000)


def test_extending_keeps_the_number() -> None:
    (number,) = standard_normals(1, Words(seed=b"extend"))
    before = number.magnitude()
    digits, bits = number.digits, number.bits
    number.extend(Words(seed=b"more"))
    assert number.bits == bits + 8 * EXTENSION_BYTES
    assert number.digits >> 8 * EXTENSION_BYTES == digits
    assert before.contains(number.magnitude())


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_count(count: int) -> None:
    assert len(standard_normals(count, Words(seed=b"count"))) == count


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_stuck_source_is_reported(byte: int) -> None:
    with pytest.raises(RuntimeError, match=r"^entropy .*; supply uniform bytes$"):
        standard_normals(1, lambda size: bytes([byte]) * size)


def test_a_number_that_never_decides_is_reported() -> None:
    number = LazyNormal(False, 0, 0, MAX_BITS)
    with pytest.raises(RuntimeError, match=r"^entropy left a number open"):
        number.extend(Words())


@pytest.mark.parametrize("source", [lambda size: b"", lambda size: bytes(size + 1), lambda size: "x" * size])
def test_a_source_that_returns_something_else_is_refused(source: Callable[[int], bytes]) -> None:
    with pytest.raises(ValueError, match=r"^entropy must return the \d+ bytes it was asked for"):
        standard_normals(1, source)
