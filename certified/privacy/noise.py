"""Release noise: the correctly rounded output of the real-valued Gaussian mechanism (claim T13).

The theorems speak of w + σN with real standard normals N. Floating-point samplers return something else:
their support is bounded and the low bits of the sum depend on w. Here coordinate j is RN(w_j + σN_j), the
float64 nearest to the real number. Rounding is post-processing of the real mechanism, so its (ε, δ) curve
(claim T3) holds for the released numbers exactly.

N = √2·erfinv(2U − 1) for a real U uniform on (0, 1), whose binary digits are drawn as they are needed. The
digits drawn so far put U, hence w + σN, into an interval; more are drawn until both of its ends round to one
float64.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import numpy as np
from flint import arb
from numpy.typing import NDArray

from certified.numerics.balls import exact, working_precision
from certified.privacy.gaussian import nonnegative

BLOCK_BYTES = 12
"""Bytes of U drawn at a time: one block leaves a rounding open with probability of the order 2⁻⁴⁰."""

MAX_BITS = 43 * 8 * BLOCK_BYTES
"""Digits of U after which the entropy is declared broken: uniform digits get there less often than 2⁻¹⁰⁰⁰."""

GUARD_BITS = 32
"""Working precision beyond the digits of U, so that the digits and not the arithmetic decide the width."""


def release_gaussian(
    center: NDArray[np.float64], noise_std: float, entropy: Callable[[int], bytes] = os.urandom
) -> NDArray[np.float64]:
    """Return RN(center + noise_std · N), N independent real standard normals, one per coordinate (claim T13).

    ``center`` is a finite float64 array of any shape, ``noise_std`` a finite σ > 0 in the same unit;
    ``entropy(n)`` returns n independent uniform bytes, on which alone the guarantee rests. The noise is never
    kept or returned. Raises ``TypeError`` or ``ValueError`` for bad arguments, ``OverflowError`` where a
    coordinate leaves the range of float64, ``RuntimeError`` where the entropy source is stuck.

    >>> release_gaussian(np.zeros((2, 3)), noise_std=0.5).shape
    (2, 3)
    >>> three_quarters = lambda size: b"\\xc0" + bytes(size - 1)
    >>> release_gaussian(np.array([0.0, 1.0]), noise_std=1.0, entropy=three_quarters)
    array([0.67448975, 1.67448975])
    """
    _check(center, noise_std)
    sigma = exact(noise_std)
    released = [_rounded_gaussian(exact(value), sigma, entropy) for value in center.ravel().tolist()]
    return np.array(released, dtype=np.float64).reshape(center.shape)


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


def _rounded_gaussian(center: arb, sigma: arb, entropy: Callable[[int], bytes]) -> float:
    digits, bits = 0, 0
    while bits < MAX_BITS:
        digits = digits << 8 * BLOCK_BYTES | int.from_bytes(_draw(entropy), "big")
        bits += 8 * BLOCK_BYTES
        with working_precision(bits + GUARD_BITS):
            # U ∈ [digits, digits + 1]/2^bits, so 2U − 1 is within 2^−bits of (2·digits + 1)/2^bits − 1.
            symmetric = arb((2 * digits + 1 - (1 << bits), -bits), (1, -bits))
            real = center + sigma * (arb(2).sqrt() * symmetric.erfinv())
            low, high = float(real.lower()), float(real.upper())
        # An interval that touches U = 0 or U = 1 has no finite image yet.
        if real.is_finite() and low == high:
            if math.isinf(low):
                raise OverflowError("a released coordinate exceeds float64; lower noise_std or rescale")
            return low + 0.0  # −0.0 becomes 0.0: the two are one number
    raise RuntimeError(f"entropy left a rounding open after {MAX_BITS} bits; supply uniform bytes")


def _draw(entropy: Callable[[int], bytes]) -> bytes:
    block = entropy(BLOCK_BYTES)
    if not isinstance(block, bytes) or len(block) != BLOCK_BYTES:
        raise ValueError(f"entropy must return the {BLOCK_BYTES} bytes it was asked for; use os.urandom")
    return block
