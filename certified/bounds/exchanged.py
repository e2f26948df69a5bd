"""Hessians as matrices and the terms of changed rows that are not added to them yet (claim T6a).

Rewriting a (p, p) matrix for every row costs more than everything else a request needs, while k rank-one terms multiply
a vector in O(kp). So terms wait, and are added many at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dsymv, dsyrk

from certified.bounds.changed_rows import RowTerms
from certified.bounds.curvature import Linearisation
from certified.bounds.enclosure import Enclosure, inflated, nan_to_inf, norm_bound
from certified.numerics.rounding import gamma
from certified.numerics.threads import blas_threads_for

Array = npt.NDArray[np.float64]

MAX_WAITING = 64
"""Terms that may wait: as many as make adding them a product of matrices, and few beside a product with B itself."""
_UNDERFLOW = 1e-150


@dataclass(frozen=True, repr=False)
class Triangle:
    """The lower triangle of a symmetric matrix, in Fortran order, with its error. A secret.

    Attributes:
        value: (p, p); what is above the diagonal means nothing.
        error: upper bound e_B on the spectral norm of its difference to the exact B ⪰ 0.
    """

    value: Array
    error: float

    @cached_property
    def magnitude(self) -> float:
        """b ≥ tr(B), and at least the Frobenius norm of the computed entries (claim T6a)."""
        p = len(self.value)
        trace = max(0.0, float(np.trace(self.value))) * (1.0 + 2.0 * gamma(p + 2))
        return nan_to_inf(inflated(inflated(trace) + 3.0 * p * self.error))

    def mirrored(self) -> Enclosure:
        """Both triangles."""
        return Enclosure(np.tril(self.value) + np.tril(self.value, -1).T, self.error, "T6a")


@dataclass(frozen=True, repr=False)
class Waiting:
    """Signed terms ±a_jk·x̃_j x̃_jᵀ of rows that changed. A secret, and the rows themselves: only for a while.

    Attributes:
        features: (k, p) the x̃_j.
        coefficients: (k, number of Hessians) the ±â_jk.
        sizes: upper bounds on Σ_j â_jk‖x̃_j‖², per Hessian.
        slacks: upper bounds on Σ_j |â_jk − a_jk|·‖x̃_j‖², per Hessian.
    """

    features: Array
    coefficients: Array
    sizes: tuple[float, ...]
    slacks: tuple[float, ...]

    @staticmethod
    def nothing(p: int, hessians: int) -> Waiting:
        zeros = (0.0,) * hessians
        return Waiting(np.empty((0, p)), np.empty((0, hessians)), zeros, zeros)

    def joined(self, terms: RowTerms, sign: float) -> Waiting:
        hessians = len(self.sizes)
        # Of outputs that share one Hessian the first speaks for all.
        return Waiting(
            np.concatenate([self.features, terms.features]),
            np.concatenate([self.coefficients, sign * terms.curvature[:, :hessians]]),
            tuple(inflated(a + b) for a, b in zip(self.sizes, terms.sizes.tolist(), strict=False)),
            tuple(inflated(a + b) for a, b in zip(self.slacks, terms.errors.tolist(), strict=False)),
        )

    def product(self, direction: Array) -> Array:
        """Return the computed (p, K) sum of ±â_jk·x̃_j(x̃_j·v_k)."""
        return np.asarray(self.features.T @ (self.coefficients * (self.features @ direction)))


class Exchanged(Linearisation):
    """Data Hessians of exactly the rows in force, as triangles and terms that wait (claim T6a). A secret.

    Whoever asks for ``data_hessians`` gets them with the terms added. So does pickling: a saved one holds no row.
    """

    triangles: tuple[Triangle, ...]
    waiting: Waiting

    def __init__(
        self, weights: Array, triangles: tuple[Triangle, ...], penalty: Array, waiting: Waiting | None = None
    ) -> None:
        if waiting is None:
            waiting = Waiting.nothing(len(weights), len(triangles))
        for name, value in (
            ("weights", weights), ("triangles", triangles), ("penalty", penalty), ("waiting", waiting)
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Exchanged, (self.weights, self.settled().triangles, self.penalty)

    @staticmethod
    def of(linearisation: Linearisation) -> Exchanged:
        """A linearisation to which no row has been exchanged yet."""
        if isinstance(linearisation, Exchanged):
            return linearisation
        # A transpose has Fortran order without a copy, and either triangle is within the error (T6a).
        triangles = tuple(Triangle(np.ascontiguousarray(h.value).T, h.error) for h in linearisation.data_hessians)
        return Exchanged(linearisation.weights, triangles, linearisation.penalty)

    @cached_property
    def data_hessians(self) -> tuple[Enclosure, ...]:
        return tuple(triangle.mirrored() for triangle in self.settled().triangles)

    @property
    def error_rate(self) -> float:
        """η with ‖computed product − B·V‖_F ≤ η‖V‖_F, underflow aside (claim T6a)."""
        rounding = gamma(sum(self.waiting.features.shape) + 12)
        return max((nan_to_inf(inflated(inflated(e + inflated(rounding * b)))) for b, e in self._sizes()), default=0.0)

    @property
    def magnitude(self) -> float:
        """Upper bound on λ_max(B_k) over the outputs."""
        return max((nan_to_inf(inflated(b + e)) for b, e in self._sizes()), default=0.0)

    def _sizes(self) -> Iterator[tuple[float, float]]:
        """Per Hessian: a bound on what its computed parts add up to, and on their error."""
        for triangle, size, slack in zip(self.triangles, self.waiting.sizes, self.waiting.slacks, strict=True):
            yield inflated(triangle.magnitude + size), inflated(triangle.error + slack)

    def product(self, direction: Array) -> Array:
        """Return the computed B·V (p, K)."""
        result = self.waiting.product(direction)
        last = len(self.triangles) - 1
        for k in range(direction.shape[1]):
            result[:, k] += dsymv(1.0, self.triangles[min(k, last)].value, direction[:, k], lower=1)
        return result

    def last_column(self, output: int) -> tuple[float, float]:
        """Return a lower bound on the last entry of B_k and an upper bound on the norm of those above it (T2s, T6a)."""
        triangle, waiting = self.triangles[output], self.waiting
        k, p = waiting.features.shape
        column = triangle.value[-1] + waiting.features.T @ (waiting.coefficients[:, output] * waiting.features[:, -1])
        size, slack = waiting.sizes[output], waiting.slacks[output]
        error = inflated((triangle.error + slack) + gamma(k + 12) * (triangle.magnitude + size) + _UNDERFLOW * (k + p))
        error = nan_to_inf(inflated(error))
        return float(column[-1]) - inflated(error), inflated(norm_bound(column[:-1]) + error)

    def exchanged(self, terms: list[tuple[RowTerms, float]], penalty: Array) -> Exchanged:
        """The same after rows left (sign −1) or came (sign +1), beside a new L2 strength.

        At most `MAX_WAITING` terms wait.
        """
        waiting = self.waiting
        for part, sign in terms:
            waiting = waiting.joined(part, sign)
        after = Exchanged(self.weights, self.triangles, penalty, waiting)
        return after.settled() if len(waiting.features) > MAX_WAITING else after

    def settled(self) -> Exchanged:
        """The same with every term added up, so that no changed row is held any more, in O(kp²) (claim T6a)."""
        if not len(self.waiting.features):
            return self
        triangles = tuple(self._added(k, triangle) for k, triangle in enumerate(self.triangles))
        return Exchanged(self.weights, triangles, self.penalty)

    def _added(self, output: int, total: Triangle) -> Triangle:
        k, p = self.waiting.features.shape
        coefficients, value = self.waiting.coefficients[:, output], total.value
        with blas_threads_for(p):
            for sign in (-1.0, 1.0):
                chosen = sign * coefficients > 0.0
                if chosen.any():
                    scaled = np.sqrt(np.abs(coefficients[chosen]))[:, None] * self.waiting.features[chosen]
                    value = dsyrk(sign, scaled.T, beta=1.0, c=value, lower=1, overwrite_c=value is not total.value)
        size, slack = self.waiting.sizes[output], self.waiting.slacks[output]
        rounding = gamma(k + 12) * (size + total.magnitude) + _UNDERFLOW * p * (k + 1)
        return Triangle(value, nan_to_inf(inflated(inflated(total.error + slack) + rounding * (1.0 + 1e-15))))


def selected(linearisation: Exchanged, outputs: list[int], shared: bool) -> Exchanged:
    """The Hessians of the named outputs alone, or the one that all outputs share."""
    waiting, triangles = linearisation.waiting, linearisation.triangles
    if not shared:
        triangles = tuple(triangles[k] for k in outputs)
        waiting = replace(
            waiting,
            coefficients=waiting.coefficients[:, outputs],
            sizes=tuple(waiting.sizes[k] for k in outputs),
            slacks=tuple(waiting.slacks[k] for k in outputs),
        )
    return Exchanged(linearisation.weights[:, outputs], triangles, linearisation.penalty, waiting)
