"""Privacy of the last iterate of noisy descent: shifts are absorbed by the noise of later steps (claim T7m).

Two processes start alike and run X ← Π(ψ_t(X) + σN_t), each with its own c-Lipschitz maps ψ_t that differ by at most
s_t; Π is nonexpansive, such as a projection onto a ball. If a_t ≥ 0 keeps z_t = c·z_{t−1} + s_t − a_t ≥ 0, z_0 = 0, and
ends with z_N = 0, the last iterates are as hard to tell apart as two Gaussians with μ = √(Σ a_t²)/σ. Deletion is the
case where s_t > 0 while the deleted rows are still in use, and 0 afterwards.

Sources: Feldman, Mironov, Talwar & Thakurta 2018 (arXiv 1808.06651), privacy amplification by iteration; Bok, Su &
Altschuler 2024 (arXiv 2403.00278), its form for Gaussian differential privacy. The proof in ``proofs/`` is elementary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.bounds.published.descent import finite
from certified.numerics.balls import exact, lower, upper, working_precision

Array = npt.NDArray[np.float64]

SMALLEST_GAIN = 1e-140
"""Steps whose noise reaches the end scaled by less than this are left out of the plan, as their squares underflow."""


def noisy_descent_mu(shifts: Sequence[float] | Array, contraction: float, noise_std: float) -> float:
    """Return μ for which the last iterates of the two processes are μ-GDP, rounded up (claim T7m).

    The best schedule a_t is a taut string, found in float64; what is returned is the cost of a valid schedule, in
    balls. Constant shifts s over all N steps give (s/σ)·√((1 + c)(1 − c^N)/((1 − c)(1 + c^N))).

    Args:
        shifts: s_t ≥ sup ‖ψ_t − ψ'_t‖ of every step, in the order of the steps, in the unit of the weights.
        contraction: c in [0, 1].
        noise_std: σ > 0 per coordinate and step, in the unit of the weights.

    Raises:
        ValueError: a negative, NaN or infinite argument, c > 1, σ = 0.

    >>> noisy_descent_mu([1.0], contraction=0.5, noise_std=2.0)
    0.5
    >>> round(noisy_descent_mu([1.0, 0.0], contraction=0.5, noise_std=1.0), 6)
    0.447214
    """
    values = [finite(f"shifts[{index}]", float(shift)) for index, shift in enumerate(shifts)]
    c, sigma = finite("contraction", contraction), finite("noise_std", noise_std)
    if c > 1.0:
        raise ValueError(f"contraction must be at most 1, got {c!r}; choose a step length below 2/smoothness")
    if sigma == 0.0:
        raise ValueError("noise_std must be positive; without noise nothing is hidden")
    if not any(values):
        return 0.0
    plan = _schedule(np.array(values), c)
    with working_precision(128):
        factor, left, cost = exact(c), arb(0), arb(0)
        for shift, planned in zip(values[:-1], plan[:-1].tolist(), strict=True):
            left = factor * left + exact(shift)
            absorbed = exact(min(planned, max(lower(left), 0.0)))
            left, cost = left - absorbed, cost + absorbed * absorbed
        last = factor * left + exact(values[-1])
        return upper((cost + last * last).sqrt() / exact(sigma))


def _schedule(shifts: Array, contraction: float) -> Array:
    """Minimise Σ a_t² under the constraints: a taut string below Σ c^(N−t)·s_t as a function of Σ c^(2(N−t)).

    a_t = λ_t·c^(N−t) with the slopes λ_t of the greatest convex minorant; the caller makes its rounding good.
    """
    steps = len(shifts)
    gains = contraction ** np.arange(steps - 1, -1, -1, dtype=np.float64)
    start = int(np.argmax(gains >= SMALLEST_GAIN))
    time = np.concatenate([[0.0], np.cumsum(gains[start:] ** 2)])
    target = np.concatenate([[0.0], np.cumsum(gains[start:] * shifts[start:])])
    hull = [0]
    for index in range(1, len(time)):
        while len(hull) > 1 and _slope(time, target, hull[-2], hull[-1]) >= _slope(time, target, hull[-1], index):
            hull.pop()
        hull.append(index)
    plan = np.zeros(steps)
    for begin, end in pairwise(hull):
        slope = _slope(time, target, begin, end)
        plan[start + begin : start + end] = slope * gains[start + begin : start + end]
    return np.where(np.isfinite(plan), plan, 0.0)


def _slope(time: Array, target: Array, begin: int, end: int) -> float:
    run = float(time[end] - time[begin])
    return float(target[end] - target[begin]) / run if run > 0.0 else math.inf
