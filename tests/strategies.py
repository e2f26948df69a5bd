"""Hypothesis strategies for training problems that are meant to break bounds, and the library's view of them.

Few distinct shapes occur, because every shape is compiled anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certified.data.rows import Rows
from certified.data.sources import ArraySource
from certified.data.streamed import StreamedRows
from certified.losses import GAMMA, HUBERISED_HINGE, LOGISTIC, POISSON, SQUARED, HuberisedHinge, Loss
from certified.objective import Objective
from tests.oracle import Problem

Array = npt.NDArray[np.float64]

SLOTS = 8
LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (LOGISTIC, SQUARED, POISSON, GAMMA, HUBERISED_HINGE, HuberisedHinge(1.0), HuberisedHinge(2.0**-10))
}
HINGES = tuple(name for name in LOSSES if name.startswith("huberised_hinge/"))
SHAPES = ((1, 1), (4, 1), (2, 2))
"""(d, K)."""

ENTRIES = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 1 / 3]) | st.floats(-4.0, 4.0, allow_subnormal=False)
EXPONENTS = st.sampled_from([0] * 8 + [-12, -6, -3, 3, 6, 12])
SAMPLE_WEIGHTS = st.sampled_from([1.0] * 6 + [0.0, 0.5, 3.0, 1e-12, 1e-8, 1e8])


def objective_of(problem: Problem) -> Objective:
    """The library's objective of a problem."""
    rows = Rows.from_arrays(problem.features, problem.targets, problem.weights, SLOTS)
    return Objective(LOSSES[problem.loss], rows, problem.alpha, problem.fit_intercept, problem.linear)


@st.composite
def streamed_objectives(draw: st.DrawFn, problem: Problem) -> Objective:
    """The same objective on rows that are streamed: foreign rows have left every chunk, the last rows came later."""
    n, outputs = problem.targets.shape
    kept = draw(st.integers(0, n))
    foreign = draw(st.lists(st.integers(0, kept), max_size=4))
    where, weights = np.arange(kept + len(foreign)), problem.weights
    positions = np.sort(np.array(foreign, dtype=np.int64)) + np.arange(len(foreign))
    own = np.setdiff1d(where, positions)
    features, targets = np.full((len(where), problem.features.shape[1]), 1e3), np.ones((len(where), outputs))
    sample_weights = np.full(len(where), 1e3)
    features[own], targets[own], sample_weights[own] = problem.features[:kept], problem.targets[:kept], weights[:kept]
    source = ArraySource(features, targets, sample_weights)
    rows = StreamedRows.open(source, draw(st.sampled_from([1, 2, 3, 8]))).without(positions)
    rows = rows.append(Rows.from_arrays(problem.features[kept:], problem.targets[kept:], weights[kept:], SLOTS))
    return replace(objective_of(problem), rows=rows)


def without(problem: Problem, positions: Sequence[int]) -> Problem:
    """The same problem with the rows at ``positions`` taken out of the objective."""
    weights = problem.weights.copy()
    weights[list(positions)] = 0.0
    return replace(problem, weights=weights)


def powers_of_ten(lowest: float, highest: float) -> st.SearchStrategy[float]:
    """Positive numbers, log-uniform."""
    return st.floats(lowest, highest).map(lambda exponent: float(10.0**exponent))


STRENGTHS = powers_of_ten(-12, 12)


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    losses: Sequence[str] = ("logistic", "squared"),
    shapes: Sequence[tuple[int, int]] = SHAPES,
    intercepts: Sequence[bool] = (False, True),
    strengths: st.SearchStrategy[float] = STRENGTHS,
    scaled: bool = True,
) -> Problem:
    """Duplicate, collinear, separable and zero rows, wild scales and weights, one row, one class, several outputs."""
    d, outputs = draw(st.sampled_from(list(shapes)))
    n = draw(st.integers(1, SLOTS))
    pool = draw(arrays(np.float64, (draw(st.integers(1, n)), d), elements=ENTRIES))
    features = pool[draw(arrays(np.int64, n, elements=st.integers(0, len(pool) - 1)))]
    kind = draw(st.sampled_from(["as drawn", "as drawn", "collinear", "separable", "one class"]))
    if kind == "collinear":
        features = features[:, :1] * np.arange(1.0, d + 1.0)
    if scaled:
        features = features * 10.0 ** draw(arrays(np.float64, d, elements=EXPONENTS))
        features = features * 10.0 ** draw(arrays(np.float64, (n, 1), elements=EXPONENTS))
    loss = draw(st.sampled_from(list(losses)))
    if loss == "squared":
        targets = draw(arrays(np.float64, (n, outputs), elements=ENTRIES))
    elif loss == "poisson":
        targets = np.abs(draw(arrays(np.float64, (n, outputs), elements=ENTRIES)))
    elif loss == "gamma":
        targets = np.maximum(np.abs(draw(arrays(np.float64, (n, outputs), elements=ENTRIES))), 2.0**-10)
    elif kind == "one class":
        targets = np.ones((n, outputs))
    elif kind == "separable":
        targets = np.where(features @ np.ones((d, outputs)) >= 0.0, 1.0, -1.0)
    else:
        targets = draw(arrays(np.float64, (n, outputs), elements=st.sampled_from([-1.0, 1.0])))
    weights = draw(arrays(np.float64, n, elements=SAMPLE_WEIGHTS if scaled else st.just(1.0)))
    intercept = draw(st.sampled_from(list(intercepts)))
    alpha, linear = draw(strengths), None
    # Without a penalty a linear term leaves F unbounded below.
    if alpha > 0.0 and draw(st.integers(0, 4)) == 4:
        linear = draw(arrays(np.float64, (d + intercept, outputs), elements=ENTRIES))
        linear[d:] = 0.0
    return Problem(loss, features, targets, weights, alpha, intercept, linear)


@st.composite
def points(draw: st.DrawFn, shape: tuple[int, int]) -> Array:
    """Weights of any size, zero included."""
    return draw(arrays(np.float64, shape, elements=ENTRIES)) * 10.0 ** draw(st.integers(-12, 6))


@st.composite
def problems_and_points(draw: st.DrawFn, /, **options: object) -> tuple[Problem, Array]:
    """A problem with weights at which to evaluate it."""
    problem = draw(problems(**options))  # type: ignore[arg-type]
    return problem, draw(points(problem.shape))
