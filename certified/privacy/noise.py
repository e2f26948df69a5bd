"""Release noise: the correctly rounded output of the real-valued Gaussian mechanism (claim T13).

The theorems speak of w + σN with real standard normals N. Floating-point samplers return something else:
their support is bounded and the low bits of the sum depend on w. Here coordinate j is RN(w_j + σN_j), the
float64 nearest to the real number. Rounding is post-processing of the real mechanism, so its (ε, δ) curve
(claim T3) holds for the released numbers exactly.

N is exact: a real number whose binary digits are drawn as they are needed (``normal.py``). The digits drawn so far put
w + σN into an interval; more are drawn until both of its ends round to one float64. Float64 with a proved error settles
nearly all coordinates at once, integer arithmetic the others.
"""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray

from certified.privacy.gaussian import nonnegative
from certified.privacy.normal import STEP, Entropy, LazyNormal, standard_normals

_SMALLEST, _LARGEST = 2.0**-400, 2.0**400
"""Between these neither overflow nor underflow disturbs the float64 path."""
_SPLIT = 2.0**27 + 1.0


def release_gaussian(
    center: NDArray[np.float64], noise_std: float, entropy: Entropy = os.urandom
) -> NDArray[np.float64]:
    """Return RN(center + noise_std · N), N independent real standard normals, one per coordinate (claim T13).

    ``center`` is a finite float64 array of any shape, ``noise_std`` a finite σ > 0 in the same unit;
    ``entropy(n)`` returns n independent uniform bytes, on which alone the guarantee rests. The noise is never
    kept or returned. Raises ``TypeError`` or ``ValueError`` for bad arguments, ``OverflowError`` where a
    coordinate leaves the range of float64, ``RuntimeError`` where the entropy source is stuck.

    >>> release_gaussian(np.zeros((2, 3)), noise_std=0.5).shape
    (2, 3)
    >>> shares = [release_gaussian(np.zeros(2), noise_std=1.0) for _ in range(2)]
    >>> np.array_equal(*shares)
    False
    """
    _check(center, noise_std)
    normals = standard_normals(center.size, entropy)
    values = center.ravel()
    released, settled = _settled(values, noise_std, normals)
    for j in np.flatnonzero(~settled).tolist():
        released[j] = _rounded(float(values[j]), noise_std, normals[j], entropy)
    return released.reshape(center.shape)


def idealized_gaussian(center: NDArray[np.float64], noise_std: float, seed: int) -> NDArray[np.float64]:
    """Return center + noise_std · N with NumPy's Philox normals: fast and reproducible, for experiments only.

    Claim T13 does **not** hold: the normals are float64 approximations, and whoever knows the seed can
    subtract them. The certificate of such a release must carry the flag ``idealized_noise``. Raises
    ``TypeError``, ``ValueError`` and ``OverflowError`` as ``release_gaussian`` does.

    >>> first, second = (idealized_gaussian(np.zeros(2), noise_std=0.5, seed=7) for _ in range(2))
    >>> np.array_equal(first, second)
    True
    """
    _check(center, noise_std)
    if not isinstance(seed, int) or seed < 0:
        raise ValueError("seed must be an integer of at least 0; pass one, such as 0")
    normals = np.random.Generator(np.random.Philox(seed)).standard_normal(center.shape)
    with np.errstate(over="ignore"):
        released = center + noise_std * normals
    if not np.all(np.isfinite(released)):
        raise OverflowError("a released coordinate exceeds float64; lower noise_std or rescale")
    return released


def _check(center: NDArray[np.float64], noise_std: float) -> None:
    if not isinstance(center, np.ndarray) or center.dtype != np.float64:
        raise TypeError("center must be a NumPy array of dtype float64; convert it with astype(np.float64)")
    if not np.all(np.isfinite(center)):
        raise ValueError("center must be finite, but holds NaN or infinity; solve the problem again")
    if not 0.0 < nonnegative("noise_std", noise_std) < math.inf:
        raise ValueError(f"noise_std must be positive and finite, got {noise_std!r}; see gaussian_noise_std")


def _settled(
    center: NDArray[np.float64], noise_std: float, normals: list[LazyNormal]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return RN(center + noise_std · N) where float64 can tell it, and where that is (claim T13, item 6)."""
    whole = np.array([normal.whole for normal in normals], dtype=np.int64)
    signs = np.array([-1.0 if normal.negative else 1.0 for normal in normals])
    first = np.array([normal.digits >> normal.bits - 64 for normal in normals], dtype=np.uint64)
    step = STEP[0] / STEP[1]
    # |N| is head + tail but for digits beyond the 64th: both are exact.
    head = step * (whole + (first >> np.uint64(32)).astype(np.float64) * 2.0**-32)
    tail = step * ((first & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-64)
    sizes = np.abs(center)
    tame = (whole < 1 << 16) & (sizes <= _LARGEST) & ((sizes >= _SMALLEST) | (sizes == 0.0))
    if not _SMALLEST <= noise_std <= _LARGEST:
        return np.zeros_like(center), np.zeros(center.shape, dtype=bool)
    base = np.where(tame, center, 0.0)
    product, error = _two_product(signs * np.where(tame, head, 0.0), noise_std)
    total, lost = _two_sum(base, product)
    small = signs * tail * noise_std
    rest = (lost + error) + small
    slack = 2.0**-50 * (np.abs(lost) + np.abs(error) + np.abs(small)) + 2.0**-63 * noise_std
    low, high = total + (rest - slack), total + (rest + slack)
    return low + 0.0, tame & (low == high)


def _two_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return s, e with s = RN(a + b) and s + e = a + b (Knuth 1969)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _two_product(a: NDArray[np.float64], b: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p, e with p = RN(a·b) and p + e = a·b, barring overflow and underflow (Dekker 1971)."""
    p = a * b
    a_high, b_high = (x * _SPLIT - (x * _SPLIT - x) for x in (a, np.float64(b)))
    a_low, b_low = a - a_high, b - b_high
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _rounded(center: float, noise_std: float, normal: LazyNormal, entropy: Entropy) -> float:
    """Return RN(center + noise_std · N), drawing digits of N until they decide it."""
    base, base_bits = _dyadic(center)
    scale, scale_bits = _dyadic(noise_std)
    scale, scale_bits = scale * STEP[0], scale_bits + STEP[1].bit_length() - 1
    if normal.negative:
        scale = -scale
    while True:
        # |N| lies between units·STEP and (units + 1)·STEP over 2^bits.
        units = (normal.whole << normal.bits) + normal.digits
        bits = max(base_bits, scale_bits + normal.bits)
        shift = bits - scale_bits - normal.bits
        near = (base << bits - base_bits) + (scale * units << shift)
        low, high = (_nearest(end, bits) for end in (near, near + (scale << shift)))
        if low == high:
            if math.isinf(low):
                raise OverflowError("a released coordinate exceeds float64; lower noise_std or rescale")
            return low + 0.0  # −0.0 becomes 0.0: the two are one number
        normal.extend(entropy)


def _dyadic(value: float) -> tuple[int, int]:
    """Return integers (n, b) with value = n/2^b."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


def _nearest(numerator: int, bits: int) -> float:
    """Return the float64 nearest to numerator/2^bits: Python divides integers with correct rounding."""
    try:
        return numerator / (1 << bits)
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
