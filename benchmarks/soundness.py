"""Try to break the distance certificate: certified against exact distances on random and adversarial problems.

    python -m benchmarks.soundness --problems 20000 --json soundness.json

Each problem is solved exactly by multi-precision Newton with a Krawczyk proof (tests/oracle.py), then certified at an
exact solve, an early stop, a Newton removal and a random point. A bound below the true distance is a violation, and
so is any finite bound where no minimiser exists. Tightness is bound / true distance where that distance is above the
rounding floor (rounding error of the residual / certified curvature).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flint import arb_mat
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from certified.bounds import DistanceBound, certify_distance
from certified.bounds.distance import assess
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from certified.removal import initialise, update
from certified.solvers import solve
from tests.oracle import PRECISIONS, Minimiser, NoMinimiserError, columns, minimise

Array = npt.NDArray[np.float64]

# (slots, features, outputs): few, because every shape is compiled anew.
SHAPES = ((8, 2, 1), (32, 5, 1), (32, 3, 2))
POINTS = ("exact", "early", "removal", "random")


@dataclass(frozen=True)
class Problem:
    """Arrays of one training problem; ``linear`` may be None."""

    loss: Loss
    features: Array
    targets: Array
    weights: Array
    alpha: float
    fit_intercept: bool
    linear: Array | None
    slots: int

    def objective(self) -> Objective:
        rows = Rows.from_arrays(self.features, self.targets, self.weights, self.slots)
        return Objective(self.loss, rows, self.alpha, self.fit_intercept, self.linear)

    def minimiser(self, start: Array, effort: int) -> Minimiser | None:
        """The exact minimiser, None if none is proved with the first ``effort`` precisions."""
        if not np.any(self.weights > 0.0):
            zero = arb_mat(self.features.shape[1] + self.fit_intercept, 1)
            return Minimiser((zero,) * self.targets.shape[1])  # by definition (T0)
        split = columns(
            self.loss.name, self.features, self.targets, self.weights, self.alpha,
            fit_intercept=self.fit_intercept, linear=self.linear,
        )  # fmt: skip
        try:
            return minimise(split, start, PRECISIONS[:effort])
        except NoMinimiserError:
            return None

    def without(self, positions: npt.NDArray[np.int64]) -> Problem:
        weights = self.weights.copy()
        weights[positions] = 0.0
        return replace(self, weights=weights)


@dataclass(frozen=True)
class Outcome:
    """One comparison of a bound with the truth; ``true`` is NaN where no minimiser exists, or after an error."""

    category: str
    point: str
    index: int
    bound: float
    true: float
    claim: str
    above_floor: bool
    violated: bool
    error: str = ""


def _baseline(rng: np.random.Generator, index: int) -> Problem:
    slots, d, outputs = SHAPES[index % len(SHAPES)]
    loss = (LOGISTIC, SQUARED)[index // 3 % 2] if index % 8 else LOGISTIC
    n = int(rng.integers(slots // 2, slots + 1))
    features = rng.normal(size=(n, d))
    scores = features @ rng.normal(size=(d, outputs)) + rng.normal(size=(n, outputs))
    targets = np.where(scores > 0.0, 1.0, -1.0) if loss is LOGISTIC else scores
    alpha = float(10.0 ** rng.uniform(-3, 1))
    return Problem(loss, features, targets, np.ones(n), alpha, bool(rng.integers(2)), None, slots)


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
    shape = (p.features.shape[1] + p.fit_intercept, p.targets.shape[1])
    linear = rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 3)
    if p.fit_intercept:
        linear[-1] *= 1e-3
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
    "magnitudes 1e-300 to 1e50": _magnitudes,
}


def examine(index: int, seed: int) -> list[Outcome]:
    """Build problem ``index``, certify the point that belongs to it and compare with the exact distance."""
    rng = np.random.default_rng([seed, index])
    category, point = _kind(index)
    problem = CATEGORIES[category](_baseline(rng, int(rng.integers(1 << 16))), rng)
    objective = problem.objective()
    solution = solve(objective).weights
    weights, bounds = solution, []
    if point == "early":
        weights = solve(objective, max_iterations=int(rng.integers(1, 5))).weights
    elif point == "random":
        spread = max(float(np.max(np.abs(solution), initial=0.0)), 1e-12) * 10.0 ** rng.uniform(-14, 1)
        weights = solution + spread * rng.normal(size=solution.shape)
    elif point == "removal":
        state, _ = initialise(objective, np.inf)
        count = int(rng.integers(1, max(2, len(problem.weights) // 2)))
        positions = rng.choice(len(problem.weights), size=count, replace=False)
        problem = problem.without(positions)
        after = replace(objective, rows=objective.rows.without(positions))
        state, _ = update(state, after, np.inf, removed=objective.rows.take(positions))
        objective, weights = after, state.weights
        bounds = [state.bound, certify_distance(objective, weights, state.linearisation)]
    bounds += [assess(objective, weights)[0], certify_distance(objective, weights)]
    # A finite bound claims that a minimiser exists, so only then is no effort spared to find it.
    effort = len(PRECISIONS) if any(bound.value < np.inf for bound in bounds) else 2
    minimiser = problem.minimiser(solution, effort)
    return [_compare(category, point, index, bound, weights, minimiser) for bound in bounds]


def _compare(
    category: str, point: str, index: int, bound: DistanceBound, weights: Array, minimiser: Minimiser | None
) -> Outcome:
    if minimiser is None:
        return Outcome(category, point, index, bound.value, float("nan"), bound.claim, False, bound.value < np.inf)
    distance = minimiser.distance(weights)
    floor = bound.rounding_error / bound.curvature if bound.curvature > 0.0 else np.inf
    true = float(distance.mid())
    return Outcome(
        category, point, index, bound.value, true, bound.claim, true > floor, not bound.value >= distance.lower()
    )


def _examine_many(task: tuple[range, int]) -> list[Outcome]:
    indices, seed = task
    outcomes = []
    for index in indices:
        try:
            outcomes += examine(index, seed)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            # Every problem is valid input, so this is a defect, though not an unsound bound.
            category, point = _kind(index)
            nan = float("nan")
            outcomes.append(Outcome(category, point, index, nan, nan, "", False, False, repr(error)))
    return outcomes


def _kind(index: int) -> tuple[str, str]:
    """Category and point of a problem."""
    return list(CATEGORIES)[index % len(CATEGORIES)], POINTS[index // len(CATEGORIES) % len(POINTS)]


def run(problems: int, seed: int, workers: int, console: Console) -> Iterator[Outcome]:
    """Examine all problems, in this process or in several."""
    tasks = [(range(i, min(i + 64, problems)), seed) for i in range(0, problems, 64)]
    with Progress(console=console) as progress:
        bar = progress.add_task("problems", total=problems)
        if workers == 1:
            for task in tasks:
                yield from _examine_many(task)
                progress.update(bar, advance=len(task[0]))
            return
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for outcomes in pool.imap_unordered(_examine_many, tasks):
                yield from outcomes
                progress.update(bar, completed=min(problems, progress.tasks[bar].completed + 64))


@dataclass(frozen=True)
class Summary:
    """Of one group: how often a bound exists, and bound / true distance (quantiles) above the rounding floor."""

    group: str
    bounds: int
    violations: int
    errors: int
    finite: float
    local: float
    measured: int
    median: float
    q90: float
    q99: float


def summarise(group: str, outcomes: list[Outcome]) -> Summary:
    """Summarise the outcomes of one group."""
    exists = [o for o in outcomes if not np.isnan(o.true)]
    ratios = np.array([o.bound / o.true for o in exists if o.above_floor and np.isfinite(o.bound)])
    quantiles = np.quantile(ratios, [0.5, 0.9, 0.99]) if len(ratios) else np.full(3, np.nan)
    return Summary(
        group,
        len(outcomes),
        sum(o.violated for o in outcomes),
        sum(bool(o.error) for o in outcomes),
        float(np.mean([np.isfinite(o.bound) for o in exists])) if exists else float("nan"),
        float(np.mean([np.isfinite(o.bound) and o.claim != "T1" for o in exists])) if exists else float("nan"),
        len(ratios),
        *(float(q) for q in quantiles),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the summaries and every violation to this file")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    started = time.perf_counter()
    outcomes = list(run(arguments.problems, arguments.seed, arguments.workers, console))
    seconds = time.perf_counter() - started
    groups = {"all": outcomes}
    groups |= {c: [o for o in outcomes if o.category == c] for c in CATEGORIES}
    groups |= {f"point: {p}": [o for o in outcomes if o.point == p] for p in POINTS}
    groups |= {f"claim: {c}": [o for o in outcomes if o.claim == c] for c in sorted({o.claim for o in outcomes})}
    summaries = [summarise(name, group) for name, group in groups.items()]
    table = Table("group", "bounds", "violations", "errors", "finite", "local", "measured", "median", "q90", "q99")
    for s in summaries:
        table.add_row(s.group, str(s.bounds), str(s.violations), str(s.errors), f"{s.finite:.3f}", f"{s.local:.3f}",
                      str(s.measured), f"{s.median:.3g}", f"{s.q90:.3g}", f"{s.q99:.3g}")  # fmt: skip
    Console(width=120).print(table, f"{arguments.problems} problems in {seconds:.0f} s")
    violations = [asdict(o) for o in outcomes if o.violated or o.error]
    if arguments.json:
        report = {
            "problems": arguments.problems,
            "seed": arguments.seed,
            "seconds": round(seconds, 1),
            "summaries": [asdict(s) for s in summaries],
            "violations": violations,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for violation in violations[:20]:
        console.print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
