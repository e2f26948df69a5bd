"""Releases against their definition: RN(center + σN) for the digits of N that were drawn."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from certified.privacy import noise
from certified.privacy.noise import idealized_gaussian, release_gaussian
from certified.privacy.normal import EXTENSION_BYTES, LazyNormal, standard_normals

MAX = sys.float_info.max


class Entropy:
    """A deterministic SHAKE-256 stream, or one byte for ever; counts what was read."""

    def __init__(self, seed: bytes = b"", fill: int | None = None) -> None:
        self.seed, self.fill, self.used = seed, fill, 0

    def __call__(self, size: int) -> bytes:
        counter = self.used.to_bytes(8, "big")
        self.used += size
        if self.fill is not None:
            return bytes([self.fill]) * size
        return hashlib.shake_256(self.seed + counter).digest(size)


def sample(center: float, noise_std: float, normal: LazyNormal, entropy: Entropy) -> float:
    """Release one coordinate with the given standard normal number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "standard_normals", lambda count, source: [normal])
        return float(release_gaussian(np.array([center]), noise_std, entropy)[0])


def assert_is_correctly_rounded(released: float, center: float, noise_std: float, normal: LazyNormal) -> None:
    """Whatever digits follow those drawn, center + σN rounds to ``released``."""
    towards = (math.nextafter(released, -math.inf), math.nextafter(released, math.inf))
    low, high = ((Fraction(released) + Fraction(neighbour)) / 2 for neighbour in towards)
    sign = -1 if normal.negative else 1
    for digits in (normal.digits, normal.digits + 1):
        size = Fraction(5, 4) * (normal.whole + Fraction(digits, 1 << normal.bits))
        assert low <= Fraction(center) + sign * Fraction(noise_std) * size <= high


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
    for normal in standard_normals(500, entropy):
        assert_is_correctly_rounded(sample(center, noise_std, normal, entropy), center, noise_std, normal)


@given(
    center=st.floats(-1e300, 1e300),
    noise_std=st.floats(5e-324, 1e300),
    negative=st.booleans(),
    whole=st.integers(0, 40),
    digits=st.integers(0, 2**64 - 1),
    seed=st.binary(max_size=4),
)
def test_any_normal_number_is_correctly_rounded(
    center: float, noise_std: float, negative: bool, whole: int, digits: int, seed: bytes
) -> None:
    normal = LazyNormal(negative, whole, digits, 64)
    released = sample(center, noise_std, normal, Entropy(seed=seed))
    assert_is_correctly_rounded(released, center, noise_std, normal)


@pytest.mark.parametrize(("center", "noise_std"), [*CENTERS_AND_SCALES, (0.1, 4.2e-8), (-0.2, 3.2e-3), (1e-9, 2.0)])
def test_float64_settles_what_integers_would_find(center: float, noise_std: float) -> None:
    normals = standard_normals(2000, Entropy(seed=b"settled"))
    found, settled = noise._settled(np.full(2000, center), noise_std, normals)
    tame = [value == 0.0 or 2.0**-400 <= abs(value) <= 2.0**400 for value in (center, noise_std)]
    assert np.mean(settled) > (0.99 if center else 0.95) if all(tame) else not np.any(settled)
    for j in np.flatnonzero(settled)[:500].tolist():
        copy = LazyNormal(normals[j].negative, normals[j].whole, normals[j].digits, 64)
        assert noise._rounded(center, noise_std, copy, Entropy(seed=b"more")) == found[j]


@given(
    center=st.floats(-1e100, 1e100, allow_subnormal=False),
    ulps=st.integers(-3, 3),
    scale=st.floats(1e-100, 1e100),
    negative=st.booleans(),
    offset=st.integers(-3, 3),
)
def test_float64_leaves_midpoints_to_the_integers(
    center: float, ulps: int, scale: float, negative: bool, offset: int
) -> None:
    """Digits that end next to the midpoint of two floats: either not settled, or rightly so for all that may follow."""
    inner = center + (-0.8 if negative else 0.8) * scale
    for _ in range(abs(ulps)):
        inner = math.nextafter(inner, math.copysign(math.inf, ulps))
    outer = math.nextafter(inner, -math.inf if negative else math.inf)
    size = abs((Fraction(inner) + Fraction(outer)) / 2 - Fraction(center)) / Fraction(scale) * Fraction(4, 5)
    whole, rest = divmod(size, 1)
    assume(whole < 1 << 20)
    digits = min(max(int(rest * (1 << 64)) + offset, 0), (1 << 64) - 1)
    normal = LazyNormal(negative, int(whole), digits, 64)
    found, settled = noise._settled(np.array([center]), scale, [normal])
    if settled[0]:
        assert_is_correctly_rounded(float(found[0]), center, scale, normal)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("extensions", [1, 3])
@pytest.mark.parametrize(("center", "noise_std"), [(0.0, 1.0), (1.0, 0.25), (-7.0, 3.0)])
@pytest.mark.parametrize("fill", [0x00, 0xFF])
def test_an_ambiguous_rounding_reads_on(
    center: float, noise_std: float, extensions: int, negative: bool, fill: int
) -> None:
    """The digits begin like those of a midpoint between two floats: only later ones tell which is nearer."""
    inner = center + (-0.8 if negative else 0.8) * noise_std
    outer = math.nextafter(inner, -math.inf if negative else math.inf)
    size = abs((Fraction(inner) + Fraction(outer)) / 2 - Fraction(center)) / Fraction(noise_std) * Fraction(4, 5)
    bits = 64 + 8 * EXTENSION_BYTES * (extensions - 1)
    digits = size.numerator * (1 << bits) // size.denominator
    entropy, normal = Entropy(fill=fill), LazyNormal(negative, 0, digits, bits)
    released = sample(center, noise_std, normal, entropy)
    if size * (1 << bits) != digits:
        assert released == (inner if fill == 0x00 else outer)
        assert entropy.used >= EXTENSION_BYTES
    assert_is_correctly_rounded(released, center, noise_std, normal)


@pytest.mark.parametrize("negative", [False, True])
def test_noise_next_to_zero_underflows_to_positive_zero(negative: bool) -> None:
    normal = LazyNormal(negative, 0, 0, 64)
    released = sample(0.0, 1.0, normal, Entropy(fill=0))
    assert released == 0.0 and math.copysign(1.0, released) == 1.0
    assert normal.bits >= 1074


def test_a_number_that_stays_on_a_midpoint_is_reported() -> None:
    """1 + 2⁻⁵³ is the midpoint of 1 and its successor; 4/5 of it has periodic digits, so those are fed for ever."""
    share = Fraction(4, 5) * (1 + Fraction(1, 2**53))

    class Midpoint:
        read = 0

        def __call__(self, size: int) -> bytes:
            bits = 64 + 8 * (self.read + size)
            self.read += size
            digits = share.numerator * (1 << bits) // share.denominator
            return (digits % (1 << 8 * size)).to_bytes(size, "big")

    normal = LazyNormal(False, 0, share.numerator * (1 << 64) // share.denominator, 64)
    with pytest.raises(RuntimeError, match=r"^entropy left a number open"):
        sample(0.0, 1.0, normal, Midpoint())  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_overflow_is_an_error_that_names_no_weight(sign: float) -> None:
    center = sign * 1.7976931348620926e308
    with pytest.raises(OverflowError, match=r"^a released coordinate exceeds float64") as caught:
        sample(center, 1e308, LazyNormal(sign < 0, 1, 0, 64), Entropy(seed=b"overflow"))
    assert "1.79" not in str(caught.value)


def test_largest_float_is_reached_without_overflow() -> None:
    assert sample(MAX, 1.0, LazyNormal(False, 1, 7, 64), Entropy(seed=b"edge")) == MAX


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
    with pytest.raises(ValueError, match=r"^entropy must return the \d+ bytes"):
        release_gaussian(np.zeros(1), 1.0, source)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "7"])
def test_bad_seeds_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"^seed must be an integer of at least 0"):
        idealized_gaussian(np.zeros(1), 1.0, seed)
