"""Exact standard normal numbers, known to as many binary digits as somebody asks for (claim T13).

|N| is drawn by rejection. A proposal is X = 5/4·(m + V) with m geometric, P(m) = 2^(−m−1), and V uniform on (0, 1); it
is accepted when U < 2^m·e^(−X²/2), a number below 1, for U uniform on (0, 1). Accepted proposals have density
proportional to 2^(−m)·2^m·e^(−x²/2), so they are |N| exactly. V and U are real: only their first digits are drawn, and
more of them when those leave a comparison open.

Sources: von Neumann 1951; Devroye 1986, §II.3; lazily drawn digits after Karney 2016 (arXiv 1303.6257).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from flint import arb
from numpy.typing import NDArray

from certified.numerics.balls import exact, working_precision

Entropy = Callable[[int], bytes]
"""Returns as many independent uniform bytes as it is asked for."""

STEP = 5, 4
"""Proposals are 5/4·(m + V); any step of at least √(2 log 2) keeps the acceptance probability below 1."""

EXTENSION_BYTES = 12
MAX_BITS = 4096
"""Digits after which entropy is declared broken: uniform digits get there less often than 2⁻⁴⁰⁰⁰."""
MAX_ROUNDS = 512
"""Rounds of proposals after which entropy is declared broken; a round accepts half of its 18 or more on average."""

_GEOMETRIC_BITS = 16
_UNIFORM_BITS = 47
_TOLERANCE = 2.0**-30
"""More than the error of the float64 acceptance probability, which is below 2⁻³⁷ (claim T13)."""


@dataclass(slots=True)
class LazyNormal:
    """A real number ±5/4·(whole + V), V in [digits, digits + 1]/2^bits.

    Attributes:
        negative: its sign.
        whole: m.
        digits, bits: the binary digits of V drawn so far, and how many: at least 64.
    """

    negative: bool
    whole: int
    digits: int
    bits: int

    def extend(self, entropy: Entropy) -> None:
        """Draw more digits."""
        if self.bits >= MAX_BITS:
            raise RuntimeError(f"entropy left a number open after {MAX_BITS} bits; supply uniform bytes")
        self.digits = self.digits << 8 * EXTENSION_BYTES | int.from_bytes(draw(entropy, EXTENSION_BYTES), "big")
        self.bits += 8 * EXTENSION_BYTES

    def magnitude(self) -> arb:
        """Enclose |N|."""
        middle = 2 * (self.digits + (self.whole << self.bits)) + 1
        return arb((middle, -self.bits - 1), (1, -self.bits - 1)) * STEP[0] / STEP[1]


def standard_normals(count: int, entropy: Entropy) -> list[LazyNormal]:
    """Draw ``count`` independent standard normal numbers from ``entropy`` (claim T13).

    Raises ``RuntimeError`` where the source is stuck and ``ValueError`` where it returns something else than bytes.

    >>> import os
    >>> [number.bits for number in standard_normals(2, os.urandom)]
    [64, 64]
    """
    accepted: list[LazyNormal] = []
    for _ in range(MAX_ROUNDS):
        missing = count - len(accepted)
        if missing == 0:
            return accepted
        accepted += _proposals(2 * missing + 16, entropy)[:missing]
    raise RuntimeError(f"entropy made {MAX_ROUNDS} rounds of proposals fail; supply uniform bytes")


def draw(entropy: Entropy, size: int) -> bytes:
    """Return ``size`` bytes of ``entropy``, checked."""
    block = entropy(size)
    if not isinstance(block, bytes) or len(block) != size:
        raise ValueError(f"entropy must return the {size} bytes it was asked for; use os.urandom")
    return block


def _proposals(size: int, entropy: Entropy) -> list[LazyNormal]:
    """Make ``size`` proposals of two 64-bit words each and return the accepted ones in order."""
    words = np.frombuffer(draw(entropy, 16 * size), dtype=">u8").astype(np.uint64).reshape(size, 2)
    head, digits = words[:, 0], words[:, 1]
    field = (head >> np.uint64(_UNIFORM_BITS)) & np.uint64((1 << _GEOMETRIC_BITS) - 1)
    # The number of leading zeros: 16 − bit length, and frexp's exponent is the bit length.
    whole = _GEOMETRIC_BITS - np.frexp(field.astype(np.float64))[1]
    uniform = head & np.uint64((1 << _UNIFORM_BITS) - 1)
    threshold = _acceptance(whole, digits.astype(np.float64) * 2.0**-64)
    distance = uniform.astype(np.float64) * 2.0**-_UNIFORM_BITS - threshold
    settled = (np.abs(distance) > _TOLERANCE) & (field > 0)
    candidates = np.flatnonzero(~settled | (distance < 0.0))
    negative = (head >> np.uint64(63)).astype(bool)
    chosen = (a[candidates].tolist() for a in (negative, whole, digits))
    numbers = list(map(LazyNormal, *chosen, repeat(64)))
    refused = []
    for j in np.flatnonzero(~settled[candidates]).tolist():
        i = candidates[j]
        numbers[j].whole += 0 if field[i] else _zeros(entropy)
        if not _is_accepted(numbers[j], int(uniform[i]), entropy):
            refused.append(j)
    for j in reversed(refused):
        del numbers[j]
    return numbers


def _acceptance(whole: NDArray[np.int32], fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 2^m·e^(−X²/2) by a Taylor polynomial at −X²/2¹³ and 12 squarings: elementary operations only."""
    proposal = STEP[0] / STEP[1] * (whole + fraction)
    reduced = proposal * proposal * -(2.0**-13)
    power = np.ones_like(reduced)
    for degree in range(8, 0, -1):
        power = 1.0 + reduced * power / degree
    for _ in range(12):
        power = power * power
    return np.ldexp(power, whole)


def _zeros(entropy: Entropy) -> int:
    """Continue a run of zero bits: return its further length."""
    for length in range(0, MAX_BITS, 8):
        byte = draw(entropy, 1)[0]
        if byte:
            return length + 8 - byte.bit_length()
    raise RuntimeError(f"entropy gave {MAX_BITS} zero bits in a row; supply uniform bytes")


def _is_accepted(number: LazyNormal, digits: int, entropy: Entropy) -> bool:
    """Decide U < 2^m·e^(−X²/2) in balls, U in [digits, digits + 1]/2⁴⁷, drawing more of U and X until it is clear."""
    bits = _UNIFORM_BITS
    while True:
        with working_precision(number.bits + 64):
            proposal = number.magnitude()
            threshold = exact(2.0) ** number.whole * (-proposal * proposal / 2).exp()
            if arb((digits + 1, -bits)) <= threshold:
                return True
            if arb((digits, -bits)) >= threshold:
                return False
        number.extend(entropy)
        digits = digits << 8 * EXTENSION_BYTES | int.from_bytes(draw(entropy, EXTENSION_BYTES), "big")
        bits += 8 * EXTENSION_BYTES
