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

from certified.verification.losses import HINGES, approximate_curvature, leaves_intercept_free
from certified.verification.reading import Features

Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

PRECISION = 192
"""Bits of the row sums: where large targets cancel, a gradient may be 2⁻¹⁰⁰ of its terms and still be certified."""
BLOCK_ENTRIES = 800_000
"""Entries of the rows that are held as balls at a time."""


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
class RowSizes:
    """Upper bounds on the largest ‖x̃_i‖₂² (an enclosure) and on Σ c_i‖x̃_i‖₂²."""

    largest: arb
    weighted: arb


@dataclass(frozen=True, repr=False)
class ArbObjective:
    """F(W) = Σ c_i φ(x̃_i·W; t_i) + (α/2)‖W_penalised‖² in balls; everything in it is a secret.

    Attributes:
        loss: a name of `LOSSES`.
        features: (n, d), to be had stretch by stretch.
        targets: (n, K).
        sample_weights: (n,) c_i > 0.
        alpha: total L2 strength.
        fit_intercept: whether an intercept is the last weight row.
        weights: W (p, K), where the sums are taken.
        progress: called with (rows done, rows) after each block, anew for each pass.
    """

    loss: str
    features: Features
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
        w, outputs = matrix(self.weights), range(self.shape[1])
        total = self._penalised(direction)
        for rows, x in self._blocks():
            z, slope = x * w, x * direction
            if self.loss == "softmax":
                bent = [self._softmax_product(i, *([m[b, k] for k in outputs] for m in (z, slope)))
                        for b, i in enumerate(rows)]  # fmt: skip
                total += arb_mat(bent).transpose() * x
                continue
            total += arb_mat([
                [self._derivatives(i, k, z[b, k])[1] * slope[b, k] for b, i in enumerate(rows)]
                for k in outputs
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
        total = np.diag([float(v) for v in self.penalty])
        for rows, x in self.stretches():
            z, target = x @ self.weights[:, output], self.targets[rows, output]
            bends = self.sample_weights[rows] * approximate_curvature(self.loss, z, target)
            total += (x * bends[:, None]).T @ x
        return total

    def row_sizes(self) -> RowSizes:
        """Enclose the largest ‖x̃_i‖₂² and bound Σ c_i‖x̃_i‖₂² from above.

        A float64 sum of d squares errs by a relative γ_(d+1) at most. Only of rows that may be the largest is it taken
        again: each square errs by a relative 2⁻⁵³ (absolute 2⁻¹⁰²² on underflow), and ``fsum`` rounds their exact sum
        once: a relative error below 2⁻⁵¹ in all.
        """
        d = self.features.shape[1]
        slack, tiny = (d + 2) * 2.0**-52, arb(2) ** -1022 * d
        longest, total = arb(0), arb(0)
        for rows, x in self.stretches(intercept=False):
            squares = np.einsum("ij,ij->i", x, x)
            total += arb(float(self.sample_weights[rows] @ (squares + self.fit_intercept)))
            reached = max(float(longest.lower()), float(np.max(squares, initial=0.0)))
            for row in x[squares * (1.0 + 2.0 * slack) + d * 2.0**-1020 >= reached]:
                s = arb(math.fsum(np.square(row).tolist()))
                longest = longest.max(s + arb(0, 2.0**-51) * s + arb(0, 1) * tiny)
        n = len(self.features)
        errors, weight = arb(n + d + 4) * arb(2) ** -52, arb(float(np.sum(self.sample_weights)))
        return RowSizes(longest + self.fit_intercept, (total + (weight + n) * tiny) * (1 + errors))

    def penalised_weights(self) -> arb_mat:
        """The gradient of the penalty at W, transposed (K, p)."""
        return self._penalised(matrix(self.weights))

    def derivatives(self, row: int, z: list[arb]) -> list[tuple[arb, arb]]:
        """(c·φ', c·φ'') of one row at its predictors, for each output; of a coupled loss the slopes alone."""
        if self.loss == "softmax":
            return [(slope, arb(0)) for slope in self._softmax_slopes(row, z)]
        return [self._derivatives(row, k, value) for k, value in enumerate(z)]

    def bend(self, row: int, output: int, z: arb) -> arb:
        """c·φ'' of one row and output at a predictor."""
        return self._derivatives(row, output, z)[1]

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
        c = arb(float(self.sample_weights[row]))
        return [c * (p - float(t)) for p, t in zip(_shares(z), self.targets[row], strict=True)]

    def _softmax_product(self, row: int, z: list[arb], slope: list[arb]) -> list[arb]:
        """c·(diag(p) − ppᵀ)u of one row, which is c·p_k(u_k − Σ_j p_j u_j) (claim C-softmax)."""
        c, p = arb(float(self.sample_weights[row])), _shares(z)
        mean = sum((share * u for share, u in zip(p, slope, strict=True)), arb(0))
        return [c * share * (u - mean) for share, u in zip(p, slope, strict=True)]

    def _blocks(self) -> Iterator[tuple[range, arb_mat]]:
        """Yield row numbers and x̃ (rows, p) of each block."""
        for rows, x in self.stretches():
            yield range(rows.start, rows.start + len(x)), matrix(x)

    def stretches(self, *, intercept: bool = True) -> Iterator[tuple[slice, Array]]:
        """Yield row numbers and x̃ (rows, p), or x, of each block in float64."""
        n, p = len(self.features), self.shape[0]
        size = max(1, BLOCK_ENTRIES // p)
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            x = self.features[rows]
            yield rows, np.hstack([x, np.ones((len(x), 1))]) if intercept and self.fit_intercept else x
            if self.progress is not None:
                self.progress(rows.stop, n)


def _shares(z: list[arb]) -> list[arb]:
    """The softmax of one row's predictors."""
    top = max(float(value.mid()) for value in z)
    e = [(value - top).exp() for value in z]
    total = sum(e, arb(0))
    return [value / total for value in e]


def matrix(values: Array) -> arb_mat:
    """Return a float64 matrix as exact balls."""
    return arb_mat(values.shape[0], values.shape[1], values.ravel().tolist())


def norm(values: list[arb]) -> arb:
    """Enclose the Euclidean norm of exact or enclosed values."""
    return sum((v * v for v in values), arb(0)).nonnegative_part().sqrt()
