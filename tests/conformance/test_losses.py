"""The contract of a loss. A new loss joins ``LOSSES`` with targets to try it on.

An infinite constant is legitimate, but not for free: the tests look for what makes it so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, ctx

from certified.losses import GAMMA, HUBERISED_HINGE, LOGISTIC, POISSON, SQUARED, HuberisedHinge, Loss
from certified.numerics.exponential import LARGEST_ARGUMENT
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]

BITS = 640
STEP = 2.0**-100
"""Of central differences: their error, relative to the derivatives, is about STEP² = 2⁻²⁰⁰."""
UNDERFLOW = 2.0**-1020
"""Absolute error allowed where the exact value is below it (T12)."""


@dataclass(frozen=True)
class Case:
    loss: Loss
    targets: tuple[float, ...]

    def __str__(self) -> str:
        return self.loss.name


LOSSES = (
    Case(LOGISTIC, (-1.0, 1.0)),
    Case(SQUARED, (-3.0, 0.0, 1e-3, 1e12)),
    Case(POISSON, (0.0, 1.0, 3.5, 1e12)),
    Case(GAMMA, (1e-3, 1.0, 7.0, 1e12)),
    *(Case(loss, (-1.0, 1.0)) for loss in (HuberisedHinge(1.0), HUBERISED_HINGE, HuberisedHinge(2.0**-10))),
)


@pytest.fixture(params=LOSSES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


def grid() -> Array:
    """Predictors: dense near zero and near margins of 1, out to where every exponential has underflowed, and huge."""
    rng = np.random.default_rng(0)
    middle = np.linspace(-50.0, 50.0, 401)
    far = np.linspace(-760.0, 760.0, 153)
    sizes = 10.0 ** rng.uniform(-300, 60, 200) * rng.choice([-1.0, 1.0], 200)
    bends = 1.0 - np.geomspace(2.0**-12, 0.9, 60)
    special = [0.0, -0.0, 180.0, -180.0, 708.0, -708.0, 1e60, -1e60]
    return np.concatenate([middle, far, sizes, rng.normal(size=200), bends, -bends, special])


def first(case: Case, z: arb, target: float) -> arb:
    """φ'(z; t), in balls."""
    return case.loss.ball_derivative(z, arb(target))


def one_sided(case: Case, z: arb, target: float) -> tuple[arb, arb]:
    """φ''(z; t) from the left and from the right, as differences of φ' with an error of about STEP."""
    slopes = [first(case, z + arb(step), target) for step in (-STEP, 0.0, STEP)]
    return (slopes[1] - slopes[0]) / arb(STEP), (slopes[2] - slopes[1]) / arb(STEP)


def second(case: Case, z: arb, target: float) -> arb:
    """φ''(z; t), as a central difference of φ'."""
    return (first(case, z + arb(STEP), target) - first(case, z - arb(STEP), target)) / arb(2 * STEP)


def third(case: Case, z: arb, target: float) -> arb:
    """φ'''(z; t), as a second difference of φ'."""
    step = arb(STEP)
    change = first(case, z + step, target) - 2 * first(case, z, target) + first(case, z - step, target)
    return change / (step * step)


@in_float64
def evaluate(case: Case, name: str, z: Array, target: float) -> Array:
    """One method of the loss on the device, compiled, in float64."""
    function = jax.jit(getattr(case.loss, name))
    values: jax.Array = function(jnp.asarray(z), jnp.full(z.shape, target))
    assert values.shape == z.shape
    assert values.dtype == jnp.float64
    return np.asarray(values)


def overflows(case: Case, point: float, value: float) -> bool:
    """Whether the loss gives up its bounds at this point, which only an unbounded one may, and only far out."""
    given_up = math.isinf(value)
    assert not given_up or (abs(point) > LARGEST_ARGUMENT and math.isinf(case.loss.curvature_limit))
    return given_up


def predictors(limit: float) -> list[float]:
    return [z for z in grid().tolist() if abs(z) <= limit]


def test_is_a_loss(case: Case) -> None:
    assert isinstance(case.loss, Loss)
    assert hash(case.loss) == hash(case.loss)
    assert case.loss.self_concordance >= 0.0
    assert case.loss.curvature_limit > 0.0
    assert case.loss.derivative_limit > 0.0


def test_derivative_is_the_slope_of_the_value(case: Case) -> None:
    z, step = np.linspace(-8.0, 8.0, 161), 1e-4
    for target in case.targets[:3]:
        slope = (evaluate(case, "value", z + step, target) - evaluate(case, "value", z - step, target)) / (2 * step)
        smooth = np.ones(len(z), dtype=bool)
        if math.isinf(case.loss.self_concordance):
            # A difference across a jump of φ'' says little.
            left, right = (evaluate(case, "curvature", z + side * step, target) for side in (-1.0, 1.0))
            smooth = left == right
            assert np.count_nonzero(smooth) > 100
        assert np.allclose(slope[smooth], evaluate(case, "derivative", z, target)[smooth], rtol=1e-7, atol=1e-8)


def test_evaluation_error_of_the_derivative(case: Case) -> None:
    z = grid()
    for target in case.targets:
        computed = evaluate(case, "derivative", z, target)
        with ctx.workprec(BITS):
            for point, value in zip(z.tolist(), computed.tolist(), strict=True):
                if overflows(case, point, value):
                    continue
                exact = first(case, arb(point), target)
                allowed = arb(case.loss.evaluation_error) * abs(exact) + arb(UNDERFLOW)
                if case.loss.evaluation_shift > 0.0:
                    shifted = first(case, arb(point, case.loss.evaluation_shift), target)
                    allowed += 2 * arb(shifted.rad())
                assert abs(arb(value) - exact) <= allowed, (point, target)


def test_evaluation_error_of_the_curvature(case: Case) -> None:
    z = np.array(predictors(1e3))
    for target in case.targets:
        computed = evaluate(case, "curvature", z, target)
        with ctx.workprec(4 * BITS):
            for point, value in zip(z.tolist(), computed.tolist(), strict=True):
                if overflows(case, point, value):
                    continue
                close = [
                    abs(arb(value) - exact)
                    <= (arb(case.loss.evaluation_error) + arb(2) ** -90) * abs(exact)
                    + arb(UNDERFLOW) * max(1.0, target)
                    for exact in one_sided(case, arb(point), target)
                ]
                assert all(close) or (math.isinf(case.loss.self_concordance) and any(close)), (point, target)


def test_ball_curvature_encloses_the_slope_of_the_ball_derivative(case: Case) -> None:
    with ctx.workprec(4 * BITS):
        for target in case.targets:
            for point in predictors(300.0):
                around = case.loss.ball_curvature(arb(point, 2 * STEP), arb(target))
                for exact in one_sided(case, arb(point), target):
                    assert around.overlaps(exact), (point, target)
                    assert math.isinf(case.loss.self_concordance) or around.rad() <= arb(2) ** -90 * around.mid()


def test_constants_are_suprema(case: Case) -> None:
    """No point of a dense grid exceeds a constant, and an ascent from the best points comes close to it."""
    loss = case.loss
    z = np.concatenate([np.linspace(-40.0, 40.0, 4001), grid()])
    slopes = np.concatenate([np.abs(evaluate(case, "derivative", z, t)) for t in case.targets])
    bends = np.concatenate([evaluate(case, "curvature", z, t) for t in case.targets])
    slopes, bends = (values[np.isfinite(values)] for values in (slopes, bends))
    slack = 1.0 + 2.0 * loss.evaluation_error
    assert slopes.max() <= loss.derivative_limit * slack
    assert bends.max() <= loss.curvature_limit * slack
    assert bends.min() >= 0.0
    assert bends.max() >= (0.999 * loss.curvature_limit if math.isfinite(loss.curvature_limit) else 1e50)
    assert slopes.max() >= (0.999 * loss.derivative_limit if math.isfinite(loss.derivative_limit) else 1e50)


def test_self_concordance(case: Case) -> None:
    """|φ'''| ≤ ν·φ'' pointwise, by high-precision differences; somewhere nearly with equality unless ν = 0.

    For ν = ∞ there must be a jump of φ'', which no ν survives.
    """
    if math.isinf(case.loss.self_concordance):
        jumps = []
        with ctx.workprec(4 * BITS):
            for target in case.targets:
                jumps += [abs(b - a) for a, b in (one_sided(case, arb(z), target) for z in predictors(2.0))]
        assert max(jumps, key=float) >= arb(0.999) * case.loss.curvature_limit
        return
    largest = 0.0
    with ctx.workprec(4 * BITS):
        for target in case.targets:
            for point in predictors(500.0):
                bend, change = second(case, arb(point), target), abs(third(case, arb(point), target))
                slack = abs(bend) * arb(2) ** -90
                assert change <= arb(case.loss.self_concordance) * bend + slack, (point, target)
                largest = max(largest, float(change / bend))
    assert largest >= 0.999 * case.loss.self_concordance


def test_curvature_over_a_step(case: Case) -> None:
    """φ''(z + h) ≤ e^{ν|h|}·φ''(z), which is what bounds the curvature along a segment (T2); says nothing for ν = ∞."""
    if math.isinf(case.loss.self_concordance):
        return
    z = np.linspace(-60.0, 60.0, 241)
    for target in case.targets:
        bends = evaluate(case, "curvature", z, target)
        distance = np.abs(z[:, None] - z)
        assert np.all(bends[:, None] <= np.exp(case.loss.self_concordance * distance) * bends * (1.0 + 1e-12))


def test_constant_curvature_is_constant(case: Case) -> None:
    bends = np.stack([evaluate(case, "curvature", grid(), t) for t in case.targets])
    assert (np.ptp(bends) == 0.0) == case.loss.constant_curvature


def test_acts_elementwise_on_rows_and_outputs(case: Case) -> None:
    """Arrays (blocks, size, K) give the same numbers as one element at a time."""
    z = np.random.default_rng(4).normal(size=(2, 3, 2))
    for name in ("value", "derivative", "curvature"):
        whole = evaluate(case, name, z, case.targets[0])
        flat = evaluate(case, name, z.ravel(), case.targets[0])
        assert np.allclose(whole.ravel(), flat, rtol=4e-15, atol=0.0)
        assert np.allclose(flat[:1], evaluate(case, name, z.ravel()[:1], case.targets[0]), rtol=4e-15, atol=0.0)


def test_nan_is_passed_on(case: Case) -> None:
    for name in ("value", "derivative"):
        assert np.isnan(evaluate(case, name, np.array([np.nan]), case.targets[0])).all()
