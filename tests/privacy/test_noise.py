"""The sampler against its definition: RN(center + σ·Φ⁻¹(U)) for the digits of U that it read."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats

from certified.privacy.noise import BLOCK_BYTES, MAX_BITS, idealized_gaussian, release_gaussian

MAX = sys.float_info.max
TINY = math.ulp(0.0)
BLOCK_BITS = 8 * BLOCK_BYTES


class Entropy:
    """Deterministic bytes: ``prefix``, then a SHAKE-256 stream or one byte for ever; counts what was read."""

    def __init__(self, prefix: bytes = b"", seed: bytes | None = None, fill: int = 0) -> None:
        self.prefix, self.seed, self.fill, self.used = prefix, seed, fill, 0
        self.calls: list[bytes] = []

    def __call__(self, size: int) -> bytes:
        block = self.prefix[self.used : self.used + size]
        if len(block) < size:
            missing = size - len(block)
            if self.seed is None:
                block += bytes([self.fill]) * missing
            else:
                counter = self.used.to_bytes(8, "big")
                block += hashlib.shake_256(self.seed + counter).digest(missing)
        self.used += size
        self.calls.append(block)
        return block


def sample(center: float, noise_std: float, entropy: Entropy) -> float:
    return float(release_gaussian(np.array([center]), noise_std, entropy)[0])


def assert_is_correctly_rounded(released: float, center: float, noise_std: float, read: bytes) -> None:
    """Whatever digits follow those read, center + σ·Φ⁻¹(U) rounds to ``released``.

    Stated forwards, without an inverse: the numbers that round to ``released`` form an interval, and Φ maps it
    onto an interval of U that must contain all of [k, k + 1]/2^b.
    """
    digits, bits = int.from_bytes(read, "big"), 8 * len(read)
    with mpmath.workprec(max(3000, bits + 200)):
        low, high = (
            (mpmath.mpf(released) + mpmath.mpf(math.nextafter(released, towards))) / 2
            for towards in (-math.inf, math.inf)
        )
        unit = mpmath.mpf(2) ** -bits
        assert tail((mpmath.mpf(center) - low) / mpmath.mpf(noise_std)) <= digits * unit
        assert tail((high - mpmath.mpf(center)) / mpmath.mpf(noise_std)) <= 1 - (digits + 1) * unit


def tail(x: mpmath.mpf) -> mpmath.mpf:
    """Φ(−x), or an upper bound far out, where mpmath gives up."""
    return mpmath.ncdf(-x) if x < 1e4 else mpmath.mpf(2) ** -(10**7)


def nearest_float(value: mpmath.mpf) -> float:
    mantissa, exponent = mpmath.frexp(value)
    scale = 2000
    return float(Fraction(int(mpmath.floor(mantissa * mpmath.mpf(2) ** scale))) * Fraction(2) ** (exponent - scale))


CENTERS_AND_SCALES = [
    (0.0, 1.0),
    (1.0, 1.0),
    (-0.3, 1e-3),
    (3.0, 1e-17),  # σ below half an ulp of the centre
    (1.0, 1e-300),
    (1e-300, 1.0),
    (0.0, 1e-310),  # subnormal results
    (5e-324, 3e-323),
    (1e300, 1e307),
    (-1e-5, 1e200),
    (2.0**53, 0.7),
]


@pytest.mark.parametrize(("center", "noise_std"), CENTERS_AND_SCALES)
def test_released_numbers_are_correctly_rounded(center: float, noise_std: float) -> None:
    entropy = Entropy(seed=f"{center} {noise_std}".encode())
    for _ in range(10):
        entropy.calls.clear()
        released = sample(center, noise_std, entropy)
        assert_is_correctly_rounded(released, center, noise_std, b"".join(entropy.calls))


@pytest.mark.slow
@pytest.mark.parametrize(("center", "noise_std"), CENTERS_AND_SCALES)
def test_many_released_numbers_are_correctly_rounded(center: float, noise_std: float) -> None:
    entropy = Entropy(seed=b"many")
    for _ in range(500):
        entropy.calls.clear()
        released = sample(center, noise_std, entropy)
        assert_is_correctly_rounded(released, center, noise_std, b"".join(entropy.calls))


@pytest.mark.parametrize("center", [0.0, -1.75])
@pytest.mark.parametrize("uniform", [0.75, 0.5 + 2.0**-30, 0.5 - 2.0**-52, 2.0**-90, 1 - 2.0**-53, 0.1])
def test_inversion_agrees_with_an_inverse_at_200_digits(uniform: float, center: float) -> None:
    digits = int(Fraction(uniform) * 2**BLOCK_BITS)
    with mpmath.workdps(200):
        normal = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(uniform) - 1)
        expected = nearest_float(mpmath.mpf(center) + mpmath.mpf(0.3) * normal)
    assert sample(center, 0.3, Entropy(prefix=digits.to_bytes(BLOCK_BYTES, "big"))) == expected


@pytest.mark.parametrize("zero_blocks", [1, 2, 5])
@pytest.mark.parametrize("mirrored", [False, True])
def test_tails_are_reached_by_reading_on(zero_blocks: int, mirrored: bool) -> None:
    """U below 2⁻⁹⁶ or above 1 − 2⁻⁹⁶ has no finite image after one block."""
    prefix = bytes(BLOCK_BYTES * zero_blocks) + bytes(range(1, 2 * BLOCK_BYTES + 1))
    entropy = Entropy(prefix=bytes(255 - byte for byte in prefix) if mirrored else prefix, seed=b"tail")
    released = sample(0.5, 2.0, entropy)
    assert (released > 20) if mirrored else (released < -20)
    assert entropy.used > BLOCK_BYTES * zero_blocks
    assert_is_correctly_rounded(released, 0.5, 2.0, b"".join(entropy.calls))


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(("center", "noise_std"), [(0.0, 1.0), (1.0, 0.25), (-7.0, 3.0)])
@pytest.mark.parametrize("fill", [0x00, 0xFF])
def test_an_ambiguous_rounding_reads_on(center: float, noise_std: float, blocks: int, fill: int) -> None:
    """U starts like the image of a midpoint between two floats: only a later block tells which is nearer."""
    below = center + 0.8 * noise_std
    above = math.nextafter(below, math.inf)
    with mpmath.workprec(BLOCK_BITS * blocks + 300):
        midpoint = (mpmath.mpf(below) + mpmath.mpf(above)) / 2
        image = mpmath.ncdf((midpoint - mpmath.mpf(center)) / mpmath.mpf(noise_std))
        digits = int(mpmath.floor(mpmath.ldexp(image, BLOCK_BITS * blocks)))
    entropy = Entropy(prefix=digits.to_bytes(BLOCK_BYTES * blocks, "big"), fill=fill)
    released = sample(center, noise_std, entropy)
    assert released == (below if fill == 0x00 else above)
    assert entropy.used == BLOCK_BYTES * (blocks + 1)
    assert_is_correctly_rounded(released, center, noise_std, b"".join(entropy.calls))


@pytest.mark.parametrize(("first", "fill"), [(b"\x80", 0x00), (b"\x7f", 0xFF)])
def test_noise_next_to_zero_underflows_to_positive_zero(first: bytes, fill: int) -> None:
    entropy = Entropy(prefix=first, fill=fill)
    released = sample(0.0, 1.0, entropy)
    assert released == 0.0 and math.copysign(1.0, released) == 1.0
    assert 1074 <= 8 * entropy.used <= 1074 + 2 * BLOCK_BITS
    assert sample(3.0, 1.0, Entropy(prefix=first, fill=fill)) == 3.0


@pytest.mark.parametrize("fill", [0x00, 0xFF])
def test_a_stuck_entropy_source_is_reported(fill: int) -> None:
    entropy = Entropy(fill=fill)
    with pytest.raises(RuntimeError, match=r"^entropy left a rounding open"):
        sample(0.0, 1.0, entropy)
    assert 8 * entropy.used == MAX_BITS


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_overflow_is_an_error_that_names_no_weight(sign: float) -> None:
    center = sign * 1.7976931348620926e308
    with pytest.raises(OverflowError, match=r"^a released coordinate exceeds float64") as caught:
        sample(center, 1e308, Entropy(prefix=b"\xf0" if sign > 0 else b"\x0f", seed=b"overflow"))
    assert "1.79" not in str(caught.value)


def test_largest_float_is_reached_without_overflow() -> None:
    assert sample(MAX, 1.0, Entropy(seed=b"edge")) == MAX


@pytest.mark.parametrize(("center", "noise_std"), [(0.0, 1.0), (100.0, 0.01), (1e-8, 1e6)])
def test_released_numbers_are_normal(center: float, noise_std: float) -> None:
    """Kolmogorov–Smirnov and four moments on a fixed stream: the outcome is the same on every run."""
    released = release_gaussian(np.full(8000, center), noise_std, Entropy(seed=b"normality"))
    standard = (released - center) / noise_std
    assert stats.kstest(standard, "norm").pvalue > 0.01
    assert abs(standard.mean()) < 4 / math.sqrt(8000)
    assert abs(standard.var() - 1) < 4 * math.sqrt(2 / 8000)
    assert abs(stats.skew(standard)) < 4 * math.sqrt(6 / 8000)
    assert abs(stats.kurtosis(standard)) < 4 * math.sqrt(24 / 8000)
    assert abs(np.corrcoef(standard[:-1], standard[1:])[0, 1]) < 4 / math.sqrt(8000)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 1, 2)])
def test_shape_is_kept_and_the_center_is_left_alone(shape: tuple[int, ...]) -> None:
    center = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    before = center.copy()
    for released in (release_gaussian(center, 0.5), idealized_gaussian(center, 0.5, seed=1)):
        assert released.shape == shape and released.dtype == np.float64
        assert not np.shares_memory(released, center)
    np.testing.assert_array_equal(center, before)


def test_coordinates_are_read_in_order_whatever_the_memory_layout() -> None:
    center = np.arange(6, dtype=np.float64).reshape(2, 3)
    expected = release_gaussian(center, 0.5, Entropy(seed=b"order"))
    np.testing.assert_array_equal(release_gaussian(np.asfortranarray(center), 0.5, Entropy(seed=b"order")), expected)
    alone = sample(0.0, 0.5, Entropy(seed=b"order"))
    assert expected[0, 0] == alone


def test_the_operating_system_is_the_default_source() -> None:
    center = np.zeros(4)
    assert not np.any(release_gaussian(center, 1.0) == release_gaussian(center, 1.0))


def test_idealized_noise_is_reproducible_from_its_seed() -> None:
    center = np.linspace(-1.0, 1.0, 5)
    expected = center + 0.5 * np.random.Generator(np.random.Philox(3)).standard_normal(5)
    np.testing.assert_array_equal(idealized_gaussian(center, 0.5, seed=3), expected)
    assert not np.any(idealized_gaussian(center, 0.5, seed=4) == expected)


def test_idealized_noise_reports_overflow() -> None:
    with pytest.raises(OverflowError, match=r"^a released coordinate exceeds float64"):
        idealized_gaussian(np.full(50, 1.7e308), 1e308, seed=0)


BAD_ARGUMENTS: list[tuple[object, object, type[Exception], str]] = [
    ([0.0], 1.0, TypeError, "^center must be a NumPy array of dtype float64"),
    (np.zeros(2, dtype=np.float32), 1.0, TypeError, "^center must be a NumPy array of dtype float64"),
    (np.zeros(2, dtype=np.int64), 1.0, TypeError, "^center must be a NumPy array of dtype float64"),
    (np.array([0.0, math.nan]), 1.0, ValueError, "^center must be finite"),
    (np.array([0.0, -math.inf]), 1.0, ValueError, "^center must be finite"),
    (np.zeros(2), 0.0, ValueError, "^noise_std must be positive and finite"),
    (np.zeros(2), math.inf, ValueError, "^noise_std must be positive and finite"),
    (np.zeros(2), -1.0, ValueError, "^noise_std must not be negative or NaN"),
    (np.zeros(2), math.nan, ValueError, "^noise_std must not be negative or NaN"),
    (np.zeros(2), "1", TypeError, "^noise_std must be a real number"),
    (np.zeros(2), np.ones(2), TypeError, "^noise_std must be a real number"),
]


@pytest.mark.parametrize(("center", "noise_std", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_named(center: object, noise_std: object, error: type[Exception], message: str) -> None:
    entropy = Entropy(seed=b"unused")
    with pytest.raises(error, match=message):
        release_gaussian(center, noise_std, entropy)  # type: ignore[arg-type]
    assert entropy.used == 0
    with pytest.raises(error, match=message):
        idealized_gaussian(center, noise_std, seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [lambda size: b"", lambda size: bytes(size + 1), lambda size: "x" * size])
def test_a_source_that_returns_something_else_is_refused(source: Callable[[int], bytes]) -> None:
    with pytest.raises(ValueError, match=rf"^entropy must return the {BLOCK_BYTES} bytes"):
        release_gaussian(np.zeros(1), 1.0, source)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "7"])
def test_bad_seeds_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"^seed must be an integer of at least 0"):
        idealized_gaussian(np.zeros(1), 1.0, seed)
