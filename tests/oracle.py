"""An independent, exact minimiser: multi-precision Newton, proved by the Krawczyk test in Arb balls.

It shares no code and no theorem with the library. Outputs separate, so each column is minimised alone. A result is
a box that contains the exact minimiser: K(X) = w − Y·g(w) + (I − Y·H(X))(X − w) ⊂ int X proves that the gradient
has a zero in K(X) (Krawczyk 1969; Moore, Kearfott & Cloud 2009, theorem 8.2), and F is convex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat, ctx

Array = npt.NDArray[np.float64]

PRECISIONS = (256, 512, 1024, 2048, 4096)
MAX_STEPS = 400


class NoMinimiserError(ArithmeticError):
    """No minimiser was proved at the highest precision."""


@dataclass(frozen=True)
class Column:
    """One output: rows (n, p) with the constant feature, targets, sample weights, penalty and linear term (p,)."""

    loss: str
    rows: Array
    targets: Array
    weights: Array
    penalty: Array
    linear: Array

    def derivatives(self, point: arb_mat) -> tuple[arb_mat, arb_mat]:
        """Enclose the gradient (p, 1) and the Hessian (p, p) over all points of the box."""
        rows, (n, p) = _matrix(self.rows), self.rows.shape
        predictor = rows * point
        first, second = [], []
        for i, (target, weight) in enumerate(zip(self.targets, self.weights, strict=True)):
            slope, bend = _pointwise(self.loss, predictor[i, 0], float(target))
            first.append(arb(float(weight)) * slope)
            second.append(arb(float(weight)) * bend)
        weighted = arb_mat(n, p, [second[i] * rows[i, j] for i in range(n) for j in range(p)])
        transposed, penalty = rows.transpose(), _diagonal(self.penalty)
        gradient = transposed * arb_mat(n, 1, first) + penalty * point + _matrix(self.linear[:, None])
        return gradient, transposed * weighted + penalty

    def step_length(self, point: arb_mat, step: arb_mat) -> arb:
        """Damp a Newton step: log(1 + τ)/τ, τ = max |x_i·step|, decreases F (Bach 2010); double it while F still falls."""
        if self.loss == "squared":
            return arb(1)
        rows = _matrix(self.rows)
        predictor, move = rows * point, rows * step
        largest = arb(max((abs(move[i, 0]).mid() for i in range(len(self.rows))), default=arb(0)))
        length = (largest.log1p() / largest).mid() if largest > arb(2) ** -20 else arb(1)
        fixed = (step.transpose() * (_diagonal(self.penalty) * point + _matrix(self.linear[:, None])))[0, 0].mid()
        bend = (step.transpose() * (_diagonal(self.penalty) * step))[0, 0].mid()
        while length < 1:
            longer = min(arb(1), 2 * length)
            slope = -fixed + longer * bend
            for i, (target, weight) in enumerate(zip(self.targets, self.weights, strict=True)):
                slope -= arb(float(weight)) * _pointwise(self.loss, (predictor[i, 0] - longer * move[i, 0]).mid(), float(target))[0] * move[i, 0]
            if not slope.mid() < 0:
                break
            length = longer
        return length


@dataclass(frozen=True)
class Minimiser:
    """Boxes (p, 1), one per output, that contain the exact minimiser."""

    boxes: tuple[arb_mat, ...]

    def distance(self, weights: Array) -> arb:
        """Enclose ‖W − W*‖_F."""
        with ctx.workprec(PRECISIONS[-1]):
            total = arb(0)
            for k, box in enumerate(self.boxes):
                for j in range(box.nrows()):
                    total += _square(arb(float(weights[j, k])) - box[j, 0])
            return _root(total)

    @property
    def nearest(self) -> Array:
        """The minimiser in float64 (p, K), each entry to nearest."""
        return np.array([[float(b[j, 0].mid()) for j in range(b.nrows())] for b in self.boxes]).T


def columns(
    loss: str,
    features: Array,
    targets: Array,
    weights: Array,
    alpha: float,
    *,
    fit_intercept: bool = False,
    linear: Array | None = None,
) -> list[Column]:
    """Split a problem with rows (n, d) and targets (n, K) in its K outputs."""
    constant = np.ones((len(features), 1))
    rows = np.hstack([features, constant]) if fit_intercept else features
    penalty = np.full(rows.shape[1], alpha)
    if fit_intercept:
        penalty[-1] = 0.0
    used = weights > 0.0
    shift = np.zeros((rows.shape[1], targets.shape[1])) if linear is None else linear
    return [
        Column(loss, rows[used], targets[used, k], weights[used], penalty, shift[:, k])
        for k in range(targets.shape[1])
    ]


def minimise(
    problem: Sequence[Column], start: Array | None = None, precisions: Sequence[int] = PRECISIONS
) -> Minimiser:
    """Enclose the exact minimiser of each column, with the first of the precisions (bits) that suffices.

    Raises:
        NoMinimiserError: none was proved, because there is none or it takes more precision.
    """
    boxes = []
    for k, column in enumerate(problem):
        p = column.rows.shape[1]
        first = np.zeros(p) if start is None else start[:, k]
        boxes.append(_minimise_column(column, first, precisions))
    return Minimiser(tuple(boxes))


def gradient_norm_error(problem: Sequence[Column], weights: Array, gradient: Array, bits: int = 1024) -> arb:
    """Enclose ‖gradient − ∇F(W)‖_F for a computed gradient (p, K)."""
    with ctx.workprec(bits):
        total = arb(0)
        for k, column in enumerate(problem):
            exact, _ = column.derivatives(_matrix(weights[:, k : k + 1]))
            for j in range(exact.nrows()):
                total += _square(arb(float(gradient[j, k])) - exact[j, 0])
        return _root(total)


def hessians(problem: Sequence[Column], weights: Array, bits: int = 1024) -> list[arb_mat]:
    """Enclose the Hessian (p, p) of every column at W."""
    with ctx.workprec(bits):
        return [c.derivatives(_matrix(weights[:, k : k + 1]))[1] for k, c in enumerate(problem)]


def is_positive_definite(matrix: arb_mat, shift: float = 0.0, bits: int = 1024) -> bool:
    """Whether matrix − shift·I ≻ 0 is proved, by the signs of the pivots of its LDLᵀ factorisation in balls."""
    with ctx.workprec(bits):
        p = matrix.nrows()
        rest = [[matrix[i, j] - (arb(shift) if i == j else 0) for j in range(p)] for i in range(p)]
        for k in range(p):
            pivot = rest[k][k]
            if not pivot > 0:
                return False
            for i in range(k + 1, p):
                factor = rest[i][k] / pivot
                for j in range(k + 1, i + 1):
                    rest[i][j] = rest[j][i] = rest[i][j] - factor * rest[j][k]
        return True


def _minimise_column(column: Column, start: Array, precisions: Sequence[int]) -> arb_mat:
    point = _matrix(start[:, None])
    for bits in precisions:
        with ctx.workprec(bits):
            try:
                point = _newton(column, point, bits)
                box = _krawczyk(column, point, bits)
            except ZeroDivisionError:
                box = None
            if box is not None:
                return box
    raise NoMinimiserError(f"no minimiser proved with {precisions[-1]} bits")


def _newton(column: Column, point: arb_mat, bits: int) -> arb_mat:
    """Damped Newton steps on midpoints until the decrement is at the floor of the precision."""
    for _ in range(MAX_STEPS):
        gradient, hessian = column.derivatives(point)
        step = hessian.mid().solve(gradient.mid()).mid()
        decrement = (gradient.mid().transpose() * step)[0, 0].mid()
        length = column.step_length(point, step)
        point = (point - length * step).mid()
        if decrement <= arb(2) ** (-1.2 * bits):
            break
    return point


def _krawczyk(column: Column, point: arb_mat, bits: int) -> arb_mat | None:
    gradient, hessian = column.derivatives(point)
    inverse = hessian.mid().inv().mid()
    p = point.nrows()
    radius = arb(2) ** (-bits // 3)
    spread = [arb(0, (radius * abs(inverse[j, j]).sqrt()).mid()) for j in range(p)]
    box = arb_mat(p, 1, spread)
    _, over_box = column.derivatives(point + box)
    identity = _diagonal(np.ones(p))
    image = (identity - inverse * over_box) * box - inverse * gradient
    if all(box[j, 0].contains_interior(image[j, 0]) for j in range(p)):
        return point + image
    return None


def _square(ball: arb) -> arb:
    """A product, because ``ball ** 2`` is indeterminate in python-flint for a ball around zero."""
    return ball * ball


def _root(square: arb) -> arb:
    """The square root of a number that is known to be nonnegative; its ball may reach below zero."""
    if square.lower() > 0:
        return square.sqrt()
    return arb(0).union(square.upper().sqrt())


def _pointwise(loss: str, z: arb, target: float) -> tuple[arb, arb]:
    """Enclose φ'(z; t) and φ''(z; t)."""
    if loss == "squared":
        return z - target, arb(1)
    tail = (-target * z).exp()
    return -target * tail / (1 + tail) if tail < 1 else -target / (1 + 1 / tail), _bell(abs(z))


def _bell(z: arb) -> arb:
    tail = (-z).exp()
    return tail / _square(1 + tail)


def _matrix(values: Array) -> arb_mat:
    return arb_mat(*values.shape, [float(v) for v in values.ravel()])


def _diagonal(values: Array) -> arb_mat:
    p = len(values)
    return arb_mat(p, p, [float(values[i]) if i == j else 0 for i in range(p) for j in range(p)])
