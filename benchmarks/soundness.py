"""Try to break the distance certificate: certified against exact distances on random and adversarial problems.

    python -m benchmarks.soundness --problems 20000 --workers 2 --json soundness.json

Each problem is solved exactly by multi-precision Newton with a Krawczyk proof (tests/oracle.py), then certified at an
exact solve, an early stop, a Newton removal or a random point. A bound below the true distance is a violation, and so
is any finite bound where no minimiser exists. Tightness is bound / true distance of the full certificate where that
distance is above the rounding floor (rounding error of the residual / certified curvature).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from certified.bounds import DistanceBound, certify_distance
from certified.bounds.distance import assess
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED
from certified.objective import Objective
from certified.removal import initialise, update
from certified.solvers import solve
from tests.oracle import PRECISIONS, Minimiser, NoMinimiserError, Problem, minimise

Array = npt.NDArray[np.float64]

LOSSES = {loss.name: loss for loss in (LOGISTIC, SQUARED)}
# (slots, features, outputs): few, because every shape is compiled anew.
SHAPES = ((8, 2, 1), (32, 5, 1), (32, 3, 2))
POINTS = ("exact", "early", "removal", "random")
MAX_ITERATIONS = 60
CHUNK = 64


@dataclass(frozen=True)
class Outcome:
    """One comparison of a bound with the truth; ``true`` is NaN where no minimiser exists, or after an error."""

    category: str
    point: str
    index: int
    quick: bool
    claim: str
    bound: float
    true: float
    above_floor: bool
    violated: bool
    error: str = ""


def _baseline(rng: np.random.Generator, slots: int, d: int, outputs: int) -> Problem:
    loss = "squared" if rng.random() < 0.4 else "logistic"
    n = int(rng.integers(slots // 2, slots + 1))
    features = rng.normal(size=(n, d))
    scores = features @ rng.normal(size=(d, outputs)) + rng.normal(size=(n, outputs))
    targets = np.where(scores > 0.0, 1.0, -1.0) if loss == "logistic" else scores
    return Problem(loss, features, targets, np.ones(n), float(10.0 ** rng.uniform(-3, 1)), bool(rng.integers(2)))


def _separable(p: Problem, rng: np.random.Generator) -> Problem:
    scores = p.features @ rng.normal(size=(p.features.shape[1], p.targets.shape[1]))
    return replace(p, targets=np.where(scores > 0.0, 1.0, -1.0), alpha=float(10.0 ** rng.uniform(-9, -2)))


def _duplicates(p: Problem, rng: np.random.Generator) -> Problem:
    copies = rng.integers(0, 3, size=len(p.features))
    return replace(p, features=p.features[copies])


def _collinear(p: Problem, rng: np.random.Generator) -> Problem:
    d = p.features.shape[1]
    features = p.features[:, :1] * rng.integers(-2, 3, size=d).astype(float)
    if rng.integers(2):
        features = features + rng.normal(size=features.shape) * 10.0 ** rng.uniform(-12, -6)
    return replace(p, features=features)


def _column_scales(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features * 10.0 ** rng.integers(-12, 13, size=p.features.shape[1]))


def _row_scales(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features * 10.0 ** rng.integers(-12, 13, size=(len(p.features), 1)))


def _common_scale(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features * 10.0 ** rng.uniform(-12, 12), alpha=float(10.0 ** rng.uniform(-6, 6)))


def _sample_weights(p: Problem, rng: np.random.Generator) -> Problem:
    weights = 10.0 ** rng.uniform(-8, 8, size=len(p.weights)) * (rng.random(len(p.weights)) < 0.7)
    return replace(p, weights=weights)


def _extreme_strength(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, alpha=float(10.0 ** rng.uniform(-12, 12)))


def _one_class(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, targets=np.ones_like(p.targets))


def _one_row(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features[:1], targets=p.targets[:1], weights=p.weights[:1])


def _sparse(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features * (rng.random(p.features.shape) < 0.2))


def _offset(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, features=p.features + 10.0 ** rng.uniform(1, 7), fit_intercept=True)


def _unpenalised(p: Problem, rng: np.random.Generator) -> Problem:
    return replace(p, alpha=0.0)


def _linear_term(p: Problem, rng: np.random.Generator) -> Problem:
    linear = rng.normal(size=p.shape) * 10.0 ** rng.uniform(-3, 3)
    linear[p.features.shape[1] :] *= 1e-3
    return replace(p, linear=linear)


def _magnitudes(p: Problem, rng: np.random.Generator) -> Problem:
    extreme = 10.0 ** rng.uniform(-300, 50, size=p.features.shape)
    return replace(p, features=np.where(rng.random(p.features.shape) < 0.2, p.features * extreme, p.features))


CATEGORIES: dict[str, Callable[[Problem, np.random.Generator], Problem]] = {
    "gaussian": lambda p, rng: p,
    "separable": _separable,
    "duplicate rows": _duplicates,
    "collinear features": _collinear,
    "column scales 1e±12": _column_scales,
    "row scales 1e±12": _row_scales,
    "common scale 1e±12": _common_scale,
    "sample weights 0, 1e±8": _sample_weights,
    "alpha 1e±12": _extreme_strength,
    "one class": _one_class,
    "one row": _one_row,
    "sparse and zero rows": _sparse,
    "large offset": _offset,
    "alpha 0": _unpenalised,
    "linear term": _linear_term,
    "sizes 1e-300 to 1e50": _magnitudes,
}


def examine(index: int, seed: int) -> list[Outcome]:
    """Build problem ``index``, certify the point that belongs to it and compare with the exact distance."""
    rng = np.random.default_rng([seed, index])
    category, point = _kind(index)
    slots, d, outputs = SHAPES[rng.integers(len(SHAPES))]
    problem = CATEGORIES[category](_baseline(rng, slots, d, outputs), rng)
    rows = Rows.from_arrays(problem.features, problem.targets, problem.weights, slots)
    objective = Objective(LOSSES[problem.loss], rows, problem.alpha, problem.fit_intercept, problem.linear)
    solution = weights = solve(objective, max_iterations=MAX_ITERATIONS).weights
    bounds = []
    if point == "early":
        weights = solve(objective, max_iterations=int(rng.integers(1, 5))).weights
    elif point == "random":
        spread = max(float(np.max(np.abs(solution))), 1e-12) * 10.0 ** rng.uniform(-14, 1)
        weights = solution + spread * rng.normal(size=solution.shape)
    elif point == "removal":
        state, _ = initialise(objective, np.inf, solution)
        n = len(problem.weights)
        positions = rng.choice(n, size=int(rng.integers(1, max(2, n // 2))), replace=False)
        kept = problem.weights.copy()
        kept[positions] = 0.0
        problem = replace(problem, weights=kept)
        objective = replace(objective, rows=rows.without(positions))
        # Any bound meets an infinite target, so this is the first Newton step as it comes.
        state, _ = update(state, objective, np.inf, removed=rows.take(positions))
        weights = state.weights
        bounds = [(True, state.bound), (False, certify_distance(objective, weights, state.linearisation))]
    bounds += [(True, assess(objective, weights)[0]), (False, certify_distance(objective, weights))]
    # A finite bound claims that a minimiser exists, so then no effort is spared to find it.
    finite = any(bound.value < np.inf for _, bound in bounds)
    minimiser = _minimiser(problem, weights, PRECISIONS if finite else PRECISIONS[:1])
    return [_compare(index, quick, bound, weights, minimiser) for quick, bound in bounds]


def _kind(index: int) -> tuple[str, str]:
    """Category and point of a problem."""
    return list(CATEGORIES)[index % len(CATEGORIES)], POINTS[index // len(CATEGORIES) % len(POINTS)]


def _minimiser(problem: Problem, start: Array, precisions: tuple[int, ...]) -> Minimiser | None:
    for point in (start, np.zeros_like(start)):
        try:
            return minimise(problem, point, precisions)
        except NoMinimiserError:
            continue
    return None


def _compare(index: int, quick: bool, bound: DistanceBound, weights: Array, minimiser: Minimiser | None) -> Outcome:
    if minimiser is None:
        violated = bound.value != np.inf
        return Outcome(*_kind(index), index, quick, bound.claim, bound.value, float("nan"), False, violated)
    smallest = minimiser.distance(weights).lower()
    true = max(0.0, float(smallest))
    floor = bound.rounding_error / bound.curvature if bound.curvature > 0.0 else np.inf
    violated = not bound.value >= smallest
    return Outcome(*_kind(index), index, quick, bound.claim, bound.value, true, true > floor, violated)


def _examine_many(task: tuple[range, int]) -> list[Outcome]:
    # Overflow on the way to an infinite bound is no defect; a wrong bound is.
    warnings.simplefilter("ignore", RuntimeWarning)
    indices, seed = task
    outcomes = []
    for index in indices:
        try:
            outcomes += examine(index, seed)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            # Every problem is valid input, so this is a defect, though no unsound bound.
            nan = float("nan")
            outcomes.append(Outcome(*_kind(index), index, False, "", nan, nan, False, False, repr(error)))
    return outcomes


def run(problems: int, seed: int, workers: int, console: Console) -> Iterator[Outcome]:
    """Examine all problems, in this process or in several."""
    tasks = [(range(i, min(i + CHUNK, problems)), seed) for i in range(0, problems, CHUNK)]
    with Progress(console=console) as progress, multiprocessing.get_context("spawn").Pool(workers) as pool:
        bar = progress.add_task("problems", total=problems)
        for outcomes in pool.imap_unordered(_examine_many, tasks):
            yield from outcomes
            progress.advance(bar, min(CHUNK, problems))


@dataclass(frozen=True)
class Summary:
    """Of one group: how often there is a bound, a local one (not T1), and quantiles of bound / true distance."""

    group: str
    bounds: int
    violations: int
    errors: int
    finite: float
    local: float
    measured: int
    median: float | None
    q90: float | None
    q99: float | None


def summarise(group: str, outcomes: list[Outcome]) -> Summary:
    """Summarise the outcomes of one group; applicability counts problems that have a minimiser."""
    exists = [o for o in outcomes if not np.isnan(o.true)]
    ratios = [o.bound / o.true for o in exists if o.above_floor and np.isfinite(o.bound)]
    quantiles = [float(q) for q in np.quantile(ratios, [0.5, 0.9, 0.99])] if ratios else [None] * 3
    return Summary(
        group,
        len(outcomes),
        sum(o.violated for o in outcomes),
        sum(bool(o.error) for o in outcomes),
        sum(np.isfinite(o.bound) for o in exists) / max(1, len(exists)),
        sum(np.isfinite(o.bound) and o.claim != "T1" for o in exists) / max(1, len(exists)),
        len(ratios),
        *quantiles,
    )


def summaries_of(outcomes: list[Outcome]) -> list[Summary]:
    """Quick bounds in one line; everything else is about the full certificate."""
    full = [o for o in outcomes if not o.quick]
    groups = {"all, quick bound": [o for o in outcomes if o.quick], "all, full certificate": full}
    groups |= {c: [o for o in full if o.category == c] for c in CATEGORIES}
    groups |= {f"point: {p}": [o for o in full if o.point == p] for p in POINTS}
    groups |= {f"claim: {c}": [o for o in full if o.claim == c] for c in sorted({o.claim for o in full} - {""})}
    return [summarise(name, group) for name, group in groups.items()]


def table_of(summaries: list[Summary]) -> Table:
    """The summaries for people."""
    columns = ("group", "bounds", "violations", "errors", "finite", "local", "measured", "median", "q90", "q99")
    table = Table(*columns)
    for s in summaries:
        shares = (f"{share:.1%}" for share in (s.finite, s.local))
        ratios = ("" if q is None else f"{q:.3g}" for q in (s.median, s.q90, s.q99))
        table.add_row(s.group, str(s.bounds), str(s.violations), str(s.errors), *shares, str(s.measured), *ratios)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the summaries and every violation and error to this file")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    started = time.perf_counter()
    outcomes = list(run(arguments.problems, arguments.seed, arguments.workers, console))
    seconds = time.perf_counter() - started
    summaries = summaries_of(outcomes)
    Console(width=120).print(table_of(summaries), f"{arguments.problems} problems in {seconds:.0f} s")
    failures = [asdict(o) for o in outcomes if o.violated or o.error]
    if arguments.json:
        report = {
            "problems": arguments.problems,
            "seed": arguments.seed,
            "seconds": round(seconds, 1),
            "summaries": [asdict(s) for s in summaries],
            "failures": failures,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for failure in failures[:20]:
        console.print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
