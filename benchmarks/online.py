"""Single deletions in sequence on MNIST 3-vs-8 by the ledger step, beside what else would follow each deletion.

    python -m benchmarks.online [--deletions N] [--targets S ...] [--data-dir DIR] [--json FILE]

Setting: unit rows, λ = 1e-3 per sample (so α changes with every deletion), no intercept, (ε, δ) = (1, 1e-4) for one
release. For each target distance the same rows leave one by one, each within the target, and the noise is the least
that the target needs. A deletion is timed from the request to the certified state, the change of the row store
included; the first, which compiles, is not counted. The alternatives are timed on a sample of deletions along the same
sequence, and beside the median of the ledger at each target. The first lines of their table show what one pass over the
rows, and over a (p, p) matrix, takes in the same run: repeated, so that it stays in the cache, and between deletions,
as a deletion finds it. The forecast is the planner's estimate from the size of the problem and the machine's speeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from certified.bounds import certify_distance
from certified.bounds.row_sums import certified_gradient
from certified.data import load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_noise_std
from certified.privacy.noise import release_gaussian
from certified.removal import RemovalState, UpdateInfo, ledger_step, newton
from certified.removal.costs import measured_speeds, modelled_costs
from certified.removal.forecast import forecast
from certified.removal.ledger_state import LedgerState
from certified.removal.published.objective_perturbation import ObjectivePerturbation
from certified.solvers import solve
from certified.solvers.factor import factorise

Array = npt.NDArray[np.float64]

LAMBDA = 1e-3
EPSILON, DELTA = 1.0, 1e-4
TARGETS = (1e-4, 1e-3, 1e-2)
RELEASES = 5


@dataclass
class Sequence:
    """One target: times in milliseconds per deletion, the total in seconds; accuracies over ``RELEASES`` releases."""

    target: float
    deletions: int
    total: float
    median: float
    worst: float
    without_pass: int
    requests_with_passes: int
    passes: int
    relinearised: int
    largest_bound: float
    final_bound: float
    true_distance: float
    noise_std: float
    accuracy_before: float
    accuracy_after: float
    accuracy_released: float
    rows_per_pass: float
    forecast_rows_per_pass: float
    forecast_mean: float


@dataclass
class Alternative:
    """The median time of one deletion by another route, in milliseconds, over a few deletions."""

    name: str
    median: float
    sampled: int


@dataclass
class Batch:
    """One request for several rows at the largest target, from the trained state."""

    rows: int
    milliseconds: float
    passes: int
    bound: float
    true_distance: float


class Digits:
    """The rows, the order in which they leave, and the test set."""

    def __init__(self, data_dir: str | None, deletions: int) -> None:
        data = load_mnist_3_vs_8(data_dir=data_dir)
        self.X, self.y = data.X_train, data.y_train.astype(float)
        self.X_test, self.y_test = data.X_test, data.y_test
        self.n = len(self.X)
        self.order = np.random.default_rng(0).permutation(self.n)[:deletions]
        rows = Rows.from_arrays(self.X, self.y[:, None], np.ones(self.n))
        self.objective = Objective(LOGISTIC, rows, LAMBDA * self.n)

    def delete(self, objective: Objective, step: int, rows: int = 1) -> tuple[Objective, Rows]:
        positions = self.order[step : step + rows]
        strength = LAMBDA * (self.n - step - rows)
        after = replace(objective, rows=objective.rows.without(positions), alpha=strength)
        return after, objective.rows.take(positions)

    def accuracy(self, weights: Array) -> float:
        return float(np.mean(np.sign(self.X_test @ weights[:, 0]) == self.y_test))


def milliseconds(action: Callable[[], object], repeats: int) -> float:
    """Median wall time after one call that warms up."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def run(digits: Digits, target: float) -> Sequence:
    state, _ = ledger_step.initialise(digits.objective, target)
    before, times, infos, bounds = digits.accuracy(state.weights), [], [], []
    for step in range(len(digits.order)):
        start = time.perf_counter()
        objective, removed = digits.delete(state.objective, step)
        state, info = ledger_step.update(state, objective, target, removed=removed)
        times.append(time.perf_counter() - start)
        infos.append(info)
        bounds.append(state.bound.value)
    noise_std = gaussian_noise_std(EPSILON, DELTA, target)
    weights = solve(state.objective, state.weights).weights
    error = certify_distance(state.objective, weights).value
    released = [digits.accuracy(release_gaussian(state.weights, noise_std)) for _ in range(RELEASES)]
    return Sequence(
        target=target,
        deletions=len(times),
        total=sum(times[1:]),
        median=1e3 * statistics.median(times[1:]),
        worst=1e3 * max(times[1:]),
        without_pass=sum(info.passes == 0 for info in infos),
        requests_with_passes=sum(info.passes > 0 for info in infos),
        passes=sum(info.passes for info in infos),
        relinearised=sum(info.relinearised for info in infos),
        largest_bound=max(bounds),
        final_bound=bounds[-1],
        true_distance=float(np.linalg.norm(state.weights - weights)) + error,
        noise_std=noise_std,
        accuracy_before=before,
        accuracy_after=digits.accuracy(state.weights),
        accuracy_released=statistics.mean(released),
        rows_per_pass=len(times) / max(1, sum(info.passes for info in infos)),
        **expected(digits, target),
    )


def expected(digits: Digits, target: float) -> dict[str, float]:
    """The planner's forecast, from the steps that some of the rows would cause."""
    objective = digits.objective
    costs = modelled_costs(measured_speeds(), digits.n, *objective.shape, 1)
    weights = solve(objective, np.zeros(objective.shape)).weights
    sample = digits.X[:500]
    slopes = digits.y[:500] / (1.0 + np.exp(digits.y[:500] * (sample @ weights[:, 0])))
    hessians = objective.data_hessian(objective.curvature(weights))
    steps = factorise(hessians, objective.penalty).solve((sample * slopes[:, None]).T)
    found = forecast(target, LOGISTIC.self_concordance, float(np.sqrt(np.mean(np.sum(steps**2, axis=0)))), costs)
    return {"forecast_rows_per_pass": found.rows_per_pass, "forecast_mean": 1e3 * found.seconds_per_row}


def batch(digits: Digits, target: float, rows: int, repeats: int = 5) -> Batch:
    start = ledger_step.initialise(digits.objective, target)[0]

    def request() -> tuple[LedgerState, UpdateInfo]:
        objective, removed = digits.delete(start.objective, 0, rows)
        return ledger_step.update(start, objective, target, removed=removed)

    state, info = request()
    weights = solve(state.objective, state.weights).weights
    gap = float(np.linalg.norm(state.weights - weights)) + certify_distance(state.objective, weights).value
    return Batch(rows, milliseconds(request, repeats), info.passes, state.bound.value, gap)


def alternatives(digits: Digits, target: float, sampled: int) -> list[Alternative]:
    """Other routes to a model without the row, each along the same deletions."""
    found = [
        Alternative(
            "Newton removal, one pass or more (certified.removal.newton)", newton_time(digits, target, sampled), sampled
        ),
        Alternative(
            "objective perturbation (Guo et al. 2020), old factor reused", published_time(digits, sampled), sampled
        ),
    ]
    state, _ = newton.initialise(digits.objective, target)
    objective, removed = digits.delete(digits.objective, 0)
    found.append(
        Alternative("Newton step that forms the Hessian anew (as published)", milliseconds(
            lambda: newton_step(objective, removed, state.weights), sampled), sampled)
    )  # fmt: skip
    kept = np.setdiff1d(np.arange(digits.n), digits.order[:1])
    X, y = digits.X[kept], digits.y[kept]
    polished, _ = newton.update(state, objective, target, removed=removed)
    tolerance = max(polished.bound.gradient_residual / len(kept), 1e-13)
    for name, solver, tol, warm in (
        ("scikit-learn lbfgs, default tolerance", "lbfgs", 1e-4, False),
        ("scikit-learn lbfgs, default tolerance, warm start", "lbfgs", 1e-4, True),
        ("scikit-learn lbfgs, same residual, warm start", "lbfgs", tolerance, True),
        ("scikit-learn newton-cholesky, same residual", "newton-cholesky", tolerance, False),
    ):
        repeats = max(1, sampled // 3)
        found.append(
            Alternative(
                name, milliseconds(retrain(X, y, solver, tol, state.weights if warm else None), repeats), repeats
            )
        )
    return found


def newton_time(digits: Digits, target: float, sampled: int) -> float:
    state: RemovalState = newton.initialise(digits.objective, target)[0]
    times = []
    for step in range(sampled + 1):
        start = time.perf_counter()
        objective, removed = digits.delete(state.objective, step)
        state, _ = newton.update(state, objective, target, removed=removed)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:])


def published_time(digits: Digits, sampled: int) -> float:
    # With an ε as large as this the account is never overdrawn, so that no request trains again.
    mechanism = ObjectivePerturbation(1e9, DELTA, 10.0)
    state, times = mechanism.initialise(digits.objective), []
    objective = digits.objective
    for step in range(sampled + 1):
        start = time.perf_counter()
        objective, removed = digits.delete(objective, step)
        state = mechanism.remove(state, objective, removed)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:])


def newton_step(objective: Objective, removed: Rows, weights: Array) -> Array:
    part = replace(objective, rows=removed, alpha=0.0)
    missing = part.value_and_gradient(weights)[1] + LAMBDA * weights
    hessians = objective.data_hessian(objective.curvature(weights))
    return np.asarray(weights + factorise(hessians, objective.penalty).solve(missing))


def retrain(X: Array, y: Array, solver: str, tolerance: float, start: Array | None) -> Callable[[], object]:
    def action() -> object:
        model = LogisticRegression(
            C=1.0 / (LAMBDA * len(X)), fit_intercept=False, solver=solver, tol=tolerance, max_iter=10_000,
            warm_start=start is not None,
        )  # fmt: skip
        if start is not None:
            model.coef_, model.intercept_, model.classes_ = start.T.copy(), np.zeros(1), np.unique(y)
        with warnings.catch_warnings():
            # A line search that stalls at the floor of float64 has reached what it can.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, y)

    return action


def machine(digits: Digits, target: float) -> list[Alternative]:
    p, weights = digits.X.shape[1], np.zeros(digits.objective.shape)
    matrix, copy = np.ones((p, p)), np.empty((p, p))
    state, _ = ledger_step.initialise(digits.objective, target)
    between = []
    for step in range(min(100, len(digits.order))):
        objective, removed = digits.delete(state.objective, step)
        state, _ = ledger_step.update(state, objective, target, removed=removed)
        start = time.perf_counter()
        np.copyto(copy, matrix)
        between.append(time.perf_counter() - start)
    name = f"read and write one ({p}, {p}) matrix"
    return [
        Alternative(f"{name}, repeated", milliseconds(lambda: np.copyto(copy, matrix), 200), 200),
        Alternative(f"{name}, between deletions", 1e3 * statistics.median(between), len(between)),
        Alternative("one certified pass", milliseconds(lambda: certified_gradient(digits.objective, weights), 20), 20),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deletions", type=int, default=1000)
    parser.add_argument("--targets", type=float, nargs="+", default=list(TARGETS))
    parser.add_argument("--sampled", type=int, default=9, help="deletions for each alternative")
    parser.add_argument("--data-dir", help="folder with mnist/mnist.npz (default: $CERTIFIED_DATA)")
    parser.add_argument("--json", help="write the rows to this file")
    arguments = parser.parse_args()
    digits = Digits(arguments.data_dir, arguments.deletions)
    sequences = [run(digits, target) for target in arguments.targets]
    batches = [batch(digits, max(arguments.targets), k) for k in (1, 10, 100, 1000) if k <= arguments.deletions]
    others = [
        *machine(digits, max(arguments.targets)),
        *alternatives(digits, min(arguments.targets), arguments.sampled),
    ]
    columns = ["target", "total", "median", "worst", "requests without / with pass", "passes", "Hessians"]
    forecasts = ["rows per pass (forecast)", "mean (forecast)"]
    table = Table(*columns, *forecasts, "last bound", "true", "σ", "accuracy", "released")
    for row in sequences:
        table.add_row(
            f"{row.target:g}", f"{row.total:.2f} s", f"{row.median:.2f} ms", f"{row.worst:.0f} ms",
            f"{row.without_pass} / {row.requests_with_passes}", str(row.passes), str(row.relinearised),
            f"{row.rows_per_pass:.3g} ({row.forecast_rows_per_pass:.3g})",
            f"{1e3 * row.total / max(1, row.deletions - 1):.2f} ({row.forecast_mean:.2f}) ms",
            f"{row.final_bound:.1e}", f"{row.true_distance:.1e}", f"{row.noise_std:.2e}",
            f"{row.accuracy_before:.4f} → {row.accuracy_after:.4f}", f"{row.accuracy_released:.4f}",
        )  # fmt: skip
    together = Table("rows in one request", "median", "passes", "bound", "true")
    for size in batches:
        together.add_row(
            str(size.rows), f"{size.milliseconds:.2f} ms", str(size.passes), f"{size.bound:.1e}",
            f"{size.true_distance:.1e}",
        )  # fmt: skip
    beside = [f"beside the ledger at {row.target:g}" for row in sequences]
    other = Table("one deletion by another route, or part of it", "median", "sampled", *beside)
    for line in others:
        ratios = (f"{line.median / row.median:.3g} ×" for row in sequences)
        other.add_row(line.name, f"{line.median:.2f} ms", str(line.sampled), *ratios)
    console = Console(width=220)
    console.print(table)
    console.print(together)
    console.print(other)
    if arguments.json:
        tables = {"sequences": sequences, "batches": batches, "others": others}
        found = {name: [asdict(row) for row in rows] for name, rows in tables.items()}
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
