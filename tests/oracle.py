"""An independent, exact minimiser: multi-precision Newton, proved by the Krawczyk test in Arb balls.

It shares no code and no theorem with the library. Outputs separate, so each column is minimised alone. A result is
a box that contains the exact minimiser: K(X) = w − Y·g(w) + (I − Y·H(X))(X − w) ⊂ int X proves that the gradient
has a zero in K(X) (Krawczyk 1969; Moore, Kearfott & Cloud 2009, theorem 8.2), and F is convex. The Huberised hinge is
piecewise quadratic: `tests.hinge_oracle` minimises it in rational numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat, ctx, fmpq

from tests import hinge_oracle

Array = npt.NDArray[np.float64]

PRECISIONS = (256, 512, 1024, 2048, 4096)
MAX_STEPS = 200
MAX_DOUBLINGS = 100
"""Lengths tried in one step: where the Hessian vanishes to working precision, a full step is out of reach."""
STALLED_STEPS = 10


class NoMinimiserError(ArithmeticError):
    """No minimiser was proved at the highest precision."""


@dataclass(frozen=True)
class Problem:
    """Plain arrays of one training problem: rows (n, d), targets (n, K), sample weights (n,), linear term (p, K)."""

    loss: str
    features: Array
    targets: Array
    weights: Array
    alpha: float
    fit_intercept: bool = False
    linear: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(p, K), the shape of the weights."""
        return self.features.shape[1] + self.fit_intercept, self.targets.shape[1]

    @property
    def is_degenerate(self) -> bool:
        """Whether the reference is W* = 0 by definition."""
        return 0 in self.shape or not np.any(self.weights > 0.0)

    def columns(self) -> list[Column]:
        """The K outputs, which are independent problems; rows of weight zero are left out."""
        p, outputs = self.shape
        constant = np.ones((len(self.features), int(self.fit_intercept)))
        rows = np.hstack([self.features, constant])
        penalty = np.full(p, self.alpha)
        if not _is_hinge(self.loss):
            # The intercept; that of a hinge is penalised.
            penalty[self.features.shape[1] :] = 0.0
        linear = np.zeros((p, outputs)) if self.linear is None else self.linear
        used = self.weights > 0.0
        return [
            Column(self.loss, rows[used], self.targets[used, k], self.weights[used], penalty, linear[:, k])
            for k in range(outputs)
        ]


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
        """Damp the Newton step −step by log(1 + τ)/τ, τ = max |x_i·step| (Bach 2010); further while F falls."""
        if self.loss == "squared":
            return arb(1)
        rows = _matrix(self.rows)
        start, move = (rows * point).mid(), (rows * step).mid()
        largest = max((abs(move[i, 0]) for i in range(len(self.rows))), default=arb(0))
        if largest < arb(2) ** -20:
            return arb(1)
        penalty = _diagonal(self.penalty)
        fixed = (step.transpose() * (penalty * point + _matrix(self.linear[:, None])))[0, 0]
        bend = (step.transpose() * (penalty * step))[0, 0]
        length = (largest.log1p() / largest).mid()
        for _ in range(MAX_DOUBLINGS):
            if length >= 1:
                break
            longer = min(arb(1), 2 * length)
            slope = longer * bend - fixed
            for i, (target, weight) in enumerate(zip(self.targets, self.weights, strict=True)):
                first, _ = _pointwise(self.loss, start[i, 0] - longer * move[i, 0], float(target))
                slope -= arb(float(weight)) * first * move[i, 0]
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
            return _frobenius_error(list(self.boxes), weights)

    @property
    def nearest(self) -> Array:
        """The minimiser in float64 (p, K), each entry to nearest."""
        return np.array([[float(box[j, 0].mid()) for j in range(box.nrows())] for box in self.boxes]).T


def minimise(problem: Problem, start: Array | None = None, precisions: Sequence[int] = PRECISIONS) -> Minimiser:
    """Enclose the exact minimiser with the first of the precisions (bits) that suffices.

    Raises:
        NoMinimiserError: none was proved, because there is none or it takes more precision.
    """
    p, outputs = problem.shape
    if problem.is_degenerate:
        return Minimiser((arb_mat(p, 1),) * outputs)
    start = np.zeros(problem.shape) if start is None else start
    columns = enumerate(problem.columns())
    return Minimiser(tuple(_minimise_column(column, start[:, k], precisions) for k, column in columns))


def is_upper_bound(bound: float, problem: Problem, weights: Array) -> bool:
    """Whether bound ≥ ‖W − W*‖_F. A finite bound also claims that a minimiser exists, so then one must be found."""
    if bound == np.inf:
        return True
    try:
        return bool(bound >= minimise(problem, weights).distance(weights).lower())
    except NoMinimiserError:
        return False


def gradient_error(problem: Problem, weights: Array, gradient: Array, bits: int = 1024) -> arb:
    """Enclose ‖gradient − ∇F(W)‖_F for a computed gradient (p, K)."""
    with ctx.workprec(bits):
        exact = [c.derivatives(_matrix(weights[:, [k]]))[0] for k, c in enumerate(problem.columns())]
        return _frobenius_error(exact, gradient)


def hvp_error(problem: Problem, weights: Array, direction: Array, product: Array, bits: int = 1024) -> arb:
    """Enclose ‖product − ∇²F(W)·V‖_F for a computed product (p, K)."""
    with ctx.workprec(bits):
        matrices = hessians(problem, weights, bits)
        exact = [h * _matrix(direction[:, [k]]) for k, h in enumerate(matrices)]
        return _frobenius_error(exact, product)


def hessians(problem: Problem, weights: Array, bits: int = 1024) -> list[arb_mat]:
    """Enclose the Hessian (p, p) of every output at W."""
    with ctx.workprec(bits):
        return [c.derivatives(_matrix(weights[:, [k]]))[1] for k, c in enumerate(problem.columns())]


def is_positive_definite(matrix: arb_mat, shift: arb | float = 0.0, bits: int = 1024) -> bool:
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


def _frobenius_error(exact: list[arb_mat], computed: Array) -> arb:
    total = arb(0)
    for j, k in np.ndindex(*computed.shape):
        total += _square(arb(float(computed[j, k])) - exact[k][j, 0])
    return _root(total)


def _minimise_column(column: Column, start: Array, precisions: Sequence[int]) -> arb_mat:
    if _is_hinge(column.loss):
        width = float(column.loss.partition("/")[2])
        parts = (column.targets, column.rows, column.weights, column.penalty, column.linear)
        found = hinge_oracle.minimiser(width, *parts, start)
        if found is None:
            raise NoMinimiserError("no quadratic piece was found to hold the minimiser")
        with ctx.workprec(precisions[-1]):
            return arb_mat(len(found), 1, [arb(fmpq(v.numerator, v.denominator)) for v in found])
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
    smallest, stalled = arb("inf"), 0
    for _ in range(MAX_STEPS):
        gradient, hessian = column.derivatives(point)
        step = hessian.mid().solve(gradient.mid()).mid()
        decrement = (gradient.mid().transpose() * step)[0, 0].mid()
        length = column.step_length(point, step)
        point = (point - length * step).mid()
        stalled = 0 if decrement < smallest or length < 1 else stalled + 1
        smallest = min(smallest, decrement)
        if decrement <= arb(2) ** (-1.2 * bits) or stalled == STALLED_STEPS:
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
    proved = all(box[j, 0].contains_interior(image[j, 0]) for j in range(p))
    return point + image if proved and _is_narrow(point + image) else None


def _is_narrow(box: arb_mat) -> bool:
    """Whether the box is far narrower than float64 resolves, so that comparisons with it are conclusive."""
    entries = [box[j, 0] for j in range(box.nrows())]
    size = max(abs(entry.mid()) for entry in entries)
    return all(entry.rad() <= arb(2) ** -80 * size + arb(2) ** -250 for entry in entries)


def _is_hinge(loss: str) -> bool:
    return loss.startswith("huberised_hinge/")


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
    if loss == "poisson":
        return z.exp() - target, z.exp()
    if loss == "gamma":
        return 1 - target * (-z).exp(), target * (-z).exp()
    if _is_hinge(loss):
        height = (1 - target * z) / float(loss.partition("/")[2])
        bend = arb(1) if height > 0 and height < 1 else arb(0) if height < 0 or height > 1 else arb(0).union(arb(1))
        return -target * height.max(arb(0)).min(arb(1)), bend / float(loss.partition("/")[2])
    tail = (-target * z).exp()
    return -target * tail / (1 + tail) if tail < 1 else -target / (1 + 1 / tail), _bell(abs(z))


def _bell(z: arb) -> arb:
    tail = (-z).exp()
    return tail / _square(1 + tail)


def _matrix(values: Array) -> arb_mat:
    rows, columns = values.shape
    return arb_mat(rows, columns, [float(v) for v in values.ravel()])


def _diagonal(values: Array) -> arb_mat:
    p = len(values)
    return arb_mat(p, p, [float(values[i]) if i == j else 0 for i in range(p) for j in range(p)])
