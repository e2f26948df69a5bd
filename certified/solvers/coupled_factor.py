"""A preconditioner for a loss that couples K outputs, whose (Kp)×(Kp) Hessian is never formed.

The rows act on differences between outputs alone. So a gradient is split into its mean over the outputs, on which α
acts and nothing else, and the rest, on which each output has a p×p matrix of its own, Σ_i a_ik x̃_i x̃_iᵀ + αI with a_ik
on the diagonal of the row's Hessian. Then the rest is brought back to mean zero, since these matrices know nothing of
the coupling, which is strongest on the mean. Each is a sum over the rows that bend its output most and a sample of the
others. This proves nothing: how good it is decides how many products a solution takes, never what is certified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve

from certified.data.rows import block_shape, blocked
from certified.losses import CoupledLoss
from certified.numerics.precision import in_float64
from certified.objective import Objective
from certified.solvers.factor import Factor, factorise

Array = npt.NDArray[np.float64]

CANDIDATES, ROWS = 16, 2
"""Each matrix is a sum over ROWS·p rows or more, chosen from a spread sample of CANDIDATES·p."""
SHARE = 0.25
"""The candidates, and all matrices together, take at most this share of the memory of the rows."""
WORK = 5.0
"""All matrices together take about as many multiplications as this many passes."""
SMALL, SMALL_WORK = 1e7, 1e9
"""Entries that are always fine to hold, and multiplications that are always fine to do."""


@dataclass(frozen=True, repr=False)
class CoupledFactor(Factor):
    """One factor for each group of outputs, and the penalty of what all outputs have in common. A secret.

    Attributes:
        groups: (K,) the factor of each output.
        penalty: (p, 1) L2 strength of each weight row.
    """

    groups: npt.NDArray[np.int64]
    penalty: Array

    def solve(self, gradient: Array) -> Array:
        """Return P⁻¹G (p, K)."""
        mean = gradient.mean(axis=1, keepdims=True)
        solved = gradient - mean
        for number, lower in enumerate(self.lower):
            chosen = self.groups == number
            solved[:, chosen] = cho_solve((lower, True), solved[:, chosen], check_finite=False)
        together: Array = mean / np.where(self.penalty > 0.0, self.penalty, 1.0)
        return np.asarray(solved - solved.mean(axis=1, keepdims=True) + together)


@in_float64
def coupled_factor(objective: Objective, loss: CoupledLoss, curvature: jax.Array) -> CoupledFactor:
    """Factorise a matrix for each output, or for each of as many groups of outputs as are cheap enough."""
    p, outputs = objective.shape
    blocks, size, _ = curvature.shape
    slots = blocks * size
    candidates = max(SMALL / p, min(CANDIDATES * p, SHARE * slots))
    index = np.unique(np.linspace(0, blocks - 1, min(blocks, -(-int(candidates) // size))).astype(int))
    candidate, part, scale = objective.sampled(index, curvature)
    diagonal = np.asarray(loss.diagonal_curvature(part)).reshape(-1, outputs) * scale
    # Of K outputs that sum to zero one follows from the others: on the rest a row bends K/(K − 1) times as much.
    diagonal *= outputs / max(1, outputs - 1)
    affordable = max(SMALL / p**2, min(SHARE * slots / p, 2.0 * WORK * slots * outputs / (ROWS * p**2)))
    # Two outputs have the same matrix.
    count = max(1, min(outputs, int(affordable))) if outputs > 2 else 1
    wanted = max(ROWS * p, int(SMALL_WORK / (count * p**2)))
    groups = np.arange(outputs) * count // max(1, outputs)

    def hessians() -> Iterator[Array]:
        for number in range(count):
            chosen, weights = sample(diagonal[:, groups == number].mean(axis=1), wanted)
            bent = blocked(weights, *block_shape(len(chosen))[::-1])[..., None]
            yield replace(candidate, rows=candidate.rows.take(chosen)).data_hessian(jnp.asarray(bent))[0]

    return CoupledFactor(factorise(hessians(), objective.penalty).lower, groups, objective.penalty)


def sample(sizes: Array, wanted: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Choose about ``wanted`` of the given numbers, the largest for certain and the others in proportion.

    Returns their places, in order, and weights: a sum over them with these estimates that over all with ``sizes``.

    >>> places, weights = sample(np.array([8.0, 1.0, 1.0, 1.0, 1.0]), 3)
    >>> places.tolist(), weights.tolist()
    ([0, 1, 3], [8.0, 2.0, 2.0])
    """
    if np.count_nonzero(sizes) <= wanted:
        places = np.flatnonzero(sizes)
        return places, sizes[places]
    falling = np.sort(sizes)[::-1][:wanted]
    rest = sizes.sum() - np.concatenate([[0.0], np.cumsum(falling[:-1])])
    # The first that is not above the step at which the rest is met so often.
    steps = rest / np.arange(wanted, 0, -1)
    step = float(steps[np.argmax(falling <= steps)])
    met = np.floor(np.cumsum(np.minimum(1.0, sizes / step)) + 0.5)
    places = np.flatnonzero(np.diff(met, prepend=0.0) > 0.0)
    return places, np.maximum(sizes[places], step)
