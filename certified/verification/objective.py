"""The objective in ball arithmetic, for the verifier alone: it shares no numerical code with the issuer.

Every number is an Arb ball that contains the exact real value for the float64 rows and weights given, whatever the
working precision is. Rows of weight zero take no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat
from scipy.special import expit

Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

PRECISION = 113
"""Bits of the row sums: far below one unit in the last place of any certified figure."""
BLOCK_ENTRIES = 800_000
"""Entries of the rows that are held as balls at a time."""


@dataclass(frozen=True)
class LossConstants:
    """ν with |φ'''| ≤ ν·φ'', sup |φ'| and sup φ'' (the claims C-… of each loss)."""

    self_concordance: float
    derivative_limit: float
    curvature_limit: float


HINGES = {f"huberised_hinge/{2.0**-k}": 2.0**-k for k in range(11)}
"""The widths h of the Huberised hinge by name."""
LOSSES = {
    "logistic": LossConstants(1.0, 1.0, 0.25),
    "squared": LossConstants(0.0, math.inf, 1.0),
    "softmax": LossConstants(1.4142135623730951, 1.4142135623730951, 0.5),
    "poisson": LossConstants(1.0, math.inf, math.inf),
    "gamma": LossConstants(1.0, math.inf, math.inf),
    **{name: LossConstants(math.inf, 1.0, 1.0 / width) for name, width in HINGES.items()},
}
REGRESSIONS = ("squared", "poisson", "gamma")
"""Losses whose targets are numbers; the targets of the others are classes."""


def leaves_intercept_free(loss: str) -> bool:
    """Whether an intercept is not penalised: where the claims need it, it is (C-hinge, C-softmax)."""
    return loss not in HINGES and loss != "softmax"


@dataclass(frozen=True, repr=False)
class Moments:
    """Sums over the rows at W.

    Attributes:
        gradient: ∇F(W)ᵀ (K, p).
        totals: A_k = Σ a_ik; empty without an unpenalised intercept.
        first: h_k = ‖Σ a_ik x_i‖₂; empty without an unpenalised intercept.
    """

    gradient: arb_mat
    totals: list[arb]
    first: list[arb]


@dataclass(frozen=True, repr=False)
class ArbObjective:
    """F(W) = Σ c_i φ(x̃_i·W; t_i) + (α/2)‖W_penalised‖² in balls; everything in it is a secret.

    Attributes:
        loss: a name of `LOSSES`.
        features: (n, d).
        targets: (n, K).
        sample_weights: (n,) c_i > 0.
        alpha: total L2 strength.
        fit_intercept: whether an intercept is the last weight row.
        weights: W (p, K), where the sums are taken.
        progress: called with (rows done, rows) after each block, anew for each pass.
    """

    loss: str
    features: Array
    targets: Array
    sample_weights: Array
    alpha: float
    fit_intercept: bool
    weights: Array
    progress: Progress | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(p, K)."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def has_free_intercept(self) -> bool:
        """Whether the last weight row is not penalised."""
        return self.fit_intercept and leaves_intercept_free(self.loss)

    @property
    def penalty(self) -> list[arb]:
        """L2 strength of each weight row."""
        free = self.has_free_intercept
        return [arb(self.alpha)] * (self.shape[0] - free) + [arb(0)] * free

    def moments(self) -> Moments:
        """Return the gradient, and the moments of the curvature where there is an intercept."""
        p, outputs = self.shape
        w, moments = matrix(self.weights), arb_mat(outputs, p)
        gradient = self._penalised(w)
        for rows, x in self._blocks():
            z = x * w
            if self.loss == "softmax":
                slopes = [self._softmax_slopes(i, [z[b, k] for k in range(outputs)]) for b, i in enumerate(rows)]
                gradient += arb_mat(slopes).transpose() * x
                continue
            pairs = [[self._derivatives(i, k, z[b, k]) for b, i in enumerate(rows)] for k in range(outputs)]
            gradient += arb_mat([[slope for slope, _ in output] for output in pairs]) * x
            if self.has_free_intercept:
                moments += arb_mat([[bend for _, bend in output] for output in pairs]) * x
        if not self.has_free_intercept:
            return Moments(gradient, [], [])
        first = [norm([moments[k, j] for j in range(p - 1)]) for k in range(outputs)]
        return Moments(gradient, [moments[k, p - 1] for k in range(outputs)], first)

    def hessian_product(self, direction: arb_mat) -> arb_mat:
        """Return (∇²F(W)·V)ᵀ (K, p) for a direction V (p, K)."""
        w = matrix(self.weights)
        total = self._penalised(direction)
        for rows, x in self._blocks():
            z, slope = x * w, x * direction
            total += arb_mat([
                [self._derivatives(i, k, z[b, k])[1] * slope[b, k] for b, i in enumerate(rows)]
                for k in range(self.shape[1])
            ]) * x  # fmt: skip
        return total

    def hessian(self, output: int) -> arb_mat:
        """Return the (p, p) block of ∇²F(W) that belongs to one output; the others do not couple with it."""
        p, _ = self.shape
        w, penalty = matrix(self.weights[:, output : output + 1]), self.penalty
        total = arb_mat(p, p, [penalty[i] if i == j else arb(0) for i in range(p) for j in range(p)])
        for rows, x in self._blocks():
            z = x * w
            bends = [self._derivatives(i, output, z[b, 0])[1] for b, i in enumerate(rows)]
            entries = x.entries()
            scaled = [bend * v for b, bend in enumerate(bends) for v in entries[b * p : (b + 1) * p]]
            total += x.transpose() * arb_mat(len(rows), p, scaled)
        return total

    def approximate_hessian(self, output: int) -> Array:
        """Return a float64 estimate of `hessian`: it guides searches and proves nothing."""
        x = np.hstack([self.features, np.ones((len(self.features), 1))]) if self.fit_intercept else self.features
        z, target = x @ self.weights[:, output], self.targets[:, output]
        bends = self.sample_weights * _approximate_curvature(self.loss, z, target)
        return np.asarray((x * bends[:, None]).T @ x + np.diag([float(v) for v in self.penalty]))

    def row_norms_squared(self) -> list[arb]:
        """Enclose ‖x̃_i‖₂² for every row.

        Each float64 square errs by a relative 2⁻⁵³ (absolute 2⁻¹⁰²² on underflow), and ``fsum`` rounds their exact sum
        once: a relative error below 2⁻⁵¹ in all.
        """
        tiny = arb(2) ** -1022 * self.features.shape[1]
        sums = (math.fsum(np.square(row).tolist()) for row in self.features)
        return [arb(s) + arb(0, 2.0**-51) * arb(s) + arb(0, 1) * tiny + self.fit_intercept for s in sums]

    def _penalised(self, values: arb_mat) -> arb_mat:
        """(α·P·V)ᵀ (K, p)."""
        p, outputs = self.shape
        penalty = self.penalty
        return arb_mat(outputs, p, [penalty[j] * values[j, k] for k in range(outputs) for j in range(p)])

    def _derivatives(self, row: int, output: int, z: arb) -> tuple[arb, arb]:
        """(c·φ'(z; t), c·φ''(z; t)) of one row and output."""
        c, t = arb(float(self.sample_weights[row])), arb(float(self.targets[row, output]))
        if self.loss == "squared":
            return c * (z - t), c
        if self.loss == "poisson":
            mean = z.exp()
            return c * (mean - t), c * mean
        if self.loss == "gamma":
            ratio = t / z.exp()
            return c * (1 - ratio), c * ratio
        if self.loss in HINGES:
            width = HINGES[self.loss]
            missing = 1 - t * z
            steepness = (missing / width).max(arb(0)).min(arb(1))
            # Within the bend or possibly so; at the kinks either of the one-sided curvatures.
            inside = arb(1) if missing > 0 and missing < width else arb(0).union(arb(1))
            return -c * t * steepness, c * (arb(0) if missing < 0 or missing > width else inside) / width
        margin = t * z
        # σ(−margin), written so that the exponential never overflows.
        if margin > 0:
            e = (-margin).exp()
            share = e / (1 + e)
        else:
            share = 1 / (1 + margin.exp())
        return -c * t * share, c * share * (1 - share)

    def _softmax_slopes(self, row: int, z: list[arb]) -> list[arb]:
        """c·(p − t) of one row."""
        c, top = arb(float(self.sample_weights[row])), max(float(value.mid()) for value in z)
        e = [(value - top).exp() for value in z]
        total = sum(e, arb(0))
        return [c * (v / total - float(t)) for v, t in zip(e, self.targets[row], strict=True)]

    def _blocks(self) -> Iterator[tuple[range, arb_mat]]:
        """Yield row numbers and x̃ (rows, p) of each block."""
        n, p = len(self.features), self.shape[0]
        size = max(1, BLOCK_ENTRIES // p)
        for start in range(0, n, size):
            x = self.features[start : start + size]
            if self.fit_intercept:
                x = np.hstack([x, np.ones((len(x), 1))])
            rows = range(start, start + len(x))
            yield rows, matrix(x)
            if self.progress is not None:
                self.progress(rows.stop, n)


def _approximate_curvature(loss: str, z: Array, target: Array) -> Array:
    if loss == "squared":
        return np.ones_like(z)
    if loss in ("poisson", "gamma"):
        sign, factor = (1.0, 1.0) if loss == "poisson" else (-1.0, target)
        return np.asarray(factor * np.exp(np.minimum(sign * z, 700.0)))
    if loss in HINGES:
        return np.where(np.abs(1.0 - 0.5 * HINGES[loss] - target * z) < 0.5 * HINGES[loss], 1.0 / HINGES[loss], 0.0)
    share = expit(z)
    return np.asarray(share * (1.0 - share))


def matrix(values: Array) -> arb_mat:
    """Return a float64 matrix as exact balls."""
    return arb_mat(values.shape[0], values.shape[1], values.ravel().tolist())


def norm(values: list[arb]) -> arb:
    """Enclose the Euclidean norm of exact or enclosed values."""
    return sum((v * v for v in values), arb(0)).nonnegative_part().sqrt()


def largest(values: list[arb]) -> arb:
    """Return the largest upper end: no enclosed value exceeds it."""
    return max((v.upper() for v in values), default=arb(0))
