"""Softmax heads: training and deletion beside scikit-learn in the same run, and a head with 204,800 weights.

    python -m benchmarks.softmax [--data-dir DIR] [--data mnist sst2] [--default-only] [--head] [--json FILE]

Setting: λ per sample, no intercept, (ε, δ) = (1, 1e-6) for 100 releases. One model is trained, and the requests follow
one another on it: single rows and batches, of each size one more beforehand, which compiles, then a whole class, whose
time includes compiling for one output less, as that of training includes compiling everything. A deletion is timed from
the request to the certificate. The true distance is that to the minimiser on the remaining rows, solved to the floor of
float64, whose own certified distance is its error. Retraining is scikit-learn's on the rows, by lbfgs at its default
tolerance and by newton-cg to the residual that training reached: timed once for all requests that leave the classes as
they were, and once for the class. On MNIST newton-cg takes more than ten minutes; ``--default-only`` leaves it
out.

``--head`` trains and deletes from 2,048 features × 100 classes on 100,096 generated rows instead, in a process of its
own whose memory is measured; exit status 1 where that reaches 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from certified import CertifiedSoftmaxRegression
from certified.bounds.distance import assess
from certified.bounds.row_sums import certified_gradient
from certified.data import load_mnist, load_sst2
from certified.data.rows import Rows
from certified.losses import SOFTMAX
from certified.objective import Objective
from certified.privacy import gaussian_noise_std
from certified.removal import ledger_step
from certified.solvers import solve

Array = npt.NDArray[np.float64]

LAMBDA, TARGET = 1e-4, 1e-4
EPSILON, DELTA, RELEASES = 1.0, 1e-6, 100
SINGLES = 5
HEAD_ROWS, HEAD_FEATURES, HEAD_CLASSES, HEAD_LAMBDA = 391 * 256, 2048, 100, 1e-3
GIB = 2.0**30
MEMORY_LIMIT = 4.0


@dataclass
class Row:
    """Training or one request; times in seconds, those of scikit-learn for training anew on the same rows."""

    data: str
    request: str
    seconds: float
    passes: int
    certified_distance: float
    true_distance: float
    true_distance_error: float
    noise_std: float
    accuracy_before: float
    accuracy_after: float
    default_seconds: float
    same_residual_seconds: float
    residual: float
    their_residual: float


@dataclass
class Head:
    """The large head; times in seconds, memory in GiB."""

    rows: int
    features: int
    classes: int
    training: float
    training_passes: int
    one_pass: float
    deletions: list[float]
    deletion_passes: list[int]
    batch: float
    batch_passes: int
    largest_bound: float
    noise_std: float
    accuracy: float
    peak: float


def objective_of(X: Array, y: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Objective:
    targets = (y[:, None] == classes[None, :]).astype(np.float64)
    return Objective(SOFTMAX, Rows.from_arrays(X, targets, np.ones(len(X))), LAMBDA * len(X))


class Retraining:
    """Training by scikit-learn on some rows, timed."""

    def __init__(self, X: Array, y: npt.NDArray[Any], residual: float | None) -> None:
        self.default_seconds, self.residual = self._timed(X, y, "lbfgs", 1e-4)
        self.same_seconds = math.nan
        if residual is not None:
            self.same_seconds, self.residual = self._timed(X, y, "newton-cg", residual / len(X))

    def _timed(self, X: Array, y: npt.NDArray[Any], solver: str, tolerance: float) -> tuple[float, float]:
        objective = objective_of(X, y, np.unique(y))
        # Of two classes scikit-learn trains the difference w of both weight vectors, whose penalty is ½·α/2·‖w‖².
        doubled = 2.0 if objective.shape[1] == 2 else 1.0
        model = LogisticRegression(
            C=doubled / objective.alpha, fit_intercept=False, solver=solver, tol=tolerance, max_iter=10_000
        )
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
        weights = model.coef_.T
        weights = np.hstack([-weights, weights]) / 2.0 if doubled == 2.0 else weights
        return seconds, float(np.linalg.norm(objective.value_and_gradient(np.ascontiguousarray(weights))[1]))


def truth(X: Array, y: npt.NDArray[Any], weights: Array) -> tuple[float, float]:
    """Distance to the minimiser on these rows as solved to the floor of float64, and its own certified distance."""
    objective = objective_of(X, y, np.unique(y))
    floor = 0.1 * certified_gradient(objective, weights).error
    reference = solve(objective, weights, tolerance=floor).weights
    return float(np.linalg.norm(weights - reference)), assess(objective, reference)[0].value


def measure(
    name: str, X: Array, y: npt.NDArray[Any], X_test: Array, y_test: npt.NDArray[Any], *, default_only: bool
) -> list[Row]:
    """Train one model, then delete from it request by request."""
    noise_std = gaussian_noise_std(EPSILON, DELTA, TARGET * RELEASES**0.5)
    model = CertifiedSoftmaxRegression(
        C=1.0 / LAMBDA, l2_scaling="per_sample", fit_intercept=False, noise_std=noise_std, max_releases=RELEASES
    )
    rows: list[Row] = []
    retraining: dict[int, Retraining] = {}
    kept = np.ones(len(X), dtype=bool)

    def record(request: str, action: Callable[[], object], *, before: float, tested: npt.NDArray[np.bool_]) -> None:
        start = time.perf_counter()
        action()
        seconds = time.perf_counter() - start
        certificate, weights = model.certificate_, model.audit_bundle().weights
        present = X[kept], y[kept]
        outputs = certificate.n_outputs
        if outputs not in retraining:
            retraining[outputs] = Retraining(*present, None if default_only else certificate.gradient_residual)
        anew = retraining[outputs]
        score = model.score(X_test[tested], y_test[tested])
        rows.append(
            Row(
                name, request, seconds, model.update_info_.passes, certificate.distance_bound,
                *truth(*present, weights), certificate.noise_std, before, score, anew.default_seconds,
                anew.same_seconds, certificate.gradient_residual, anew.residual,
            )
        )  # fmt: skip

    everyone = np.ones(len(X_test), dtype=bool)
    record("training", lambda: model.fit(X, y), before=float("nan"), tested=everyone)
    before = rows[0].accuracy_after
    generator = np.random.default_rng(0)
    order = generator.permutation(len(X))
    used, times, passes = 0, [], []

    def take(count: int) -> npt.NDArray[np.int64]:
        nonlocal used
        chosen, used = order[used : used + count], used + count
        kept[chosen] = False
        return chosen

    for _ in range(SINGLES):
        chosen = take(1)
        start = time.perf_counter()
        model.remove(chosen)
        times.append(time.perf_counter() - start)
        passes.append(model.update_info_.passes)
    chosen = take(1)
    record("1 row", partial(model.remove, chosen), before=before, tested=everyone)
    times, passes = [*times[1:], rows[-1].seconds], [*passes[1:], rows[-1].passes]
    rows[-1] = replace(rows[-1], seconds=statistics.median(times), passes=int(statistics.median(passes)))
    for count in (100, 1000):
        model.remove(take(count))
        chosen = take(count)
        record(f"{count:,} rows", partial(model.remove, chosen), before=before, tested=everyone)
    if len(model.classes_) > 2:
        label = model.classes_[-1]
        others = y_test != label
        before = model.score(X_test[others], y_test[others])
        kept &= y != label
        record(f"class {label}", partial(model.remove, labels=[label.item()]), before=before, tested=others)
    return rows


def head() -> Head:
    """Train and delete from a large head; meant for a process of its own."""
    generator = np.random.default_rng(0)
    n, d, outputs = HEAD_ROWS, HEAD_FEATURES, HEAD_CLASSES
    centres = generator.standard_normal((outputs, d))
    labels = generator.integers(outputs, size=n)
    features = np.empty((n, d))
    for first in range(0, n, 4096):
        owners = labels[first : first + 4096]
        noise = generator.standard_normal((len(owners), d))
        features[first : first + 4096] = np.maximum(0.25 * centres[owners] + noise, 0.0) * (2.0 / d) ** 0.5
    targets = (labels[:, None] == np.arange(outputs)[None, :]).astype(np.float64)
    objective = Objective(SOFTMAX, Rows.from_arrays(features, targets, np.ones(n)), HEAD_LAMBDA * n)
    del features, targets
    start = time.perf_counter()
    state, info = ledger_step.initialise(objective, TARGET)
    training = time.perf_counter() - start
    start = time.perf_counter()
    certified_gradient(objective, state.weights)
    one_pass = time.perf_counter() - start
    correct = (np.asarray(objective.rows.features).reshape(n, d) @ state.weights).argmax(axis=1) == labels
    times, passes, bounds = [], [], [state.bound.value]
    order = generator.permutation(n)
    for first, last in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1004)):
        start = time.perf_counter()
        chosen, rows = order[first:last], state.objective.rows
        after = replace(state.objective, rows=rows.without(chosen), alpha=HEAD_LAMBDA * (n - last))
        state, found = ledger_step.update(state, after, TARGET, removed=rows.take(chosen))
        times.append(time.perf_counter() - start)
        passes.append(found.passes)
        bounds.append(state.bound.value)
    return Head(
        rows=n,
        features=d,
        classes=outputs,
        training=training,
        training_passes=info.passes,
        one_pass=one_pass,
        deletions=times[:-1],
        deletion_passes=passes[:-1],
        batch=times[-1],
        batch_passes=passes[-1],
        largest_bound=max(bounds),
        noise_std=gaussian_noise_std(EPSILON, DELTA, TARGET * RELEASES**0.5),
        accuracy=float(correct.mean()),
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    )


def table_of(rows: list[Row]) -> Table:
    table = Table(title=f"softmax heads, {os.cpu_count()} cores")
    for column in ("data", "request", "seconds", "passes", "certified", "true (±)", "σ", "accuracy"):
        table.add_column(column)
    table.add_column("scikit-learn, default")
    table.add_column("newton-cg, same residual")
    for row in rows:
        table.add_row(
            row.data, row.request, f"{row.seconds:.2f}", str(row.passes), f"{row.certified_distance:.1e}",
            f"{row.true_distance:.1e} (±{row.true_distance_error:.0e})", f"{row.noise_std:.1e}",
            f"{row.accuracy_before:.4f} → {row.accuracy_after:.4f}".removeprefix("nan → "),
            f"{row.default_seconds:.1f} s = {row.default_seconds / row.seconds:.1f}×",
            "–" if math.isnan(row.same_residual_seconds)
            else f"{row.same_residual_seconds:.1f} s = {row.same_residual_seconds / row.seconds:.1f}×",
        )  # fmt: skip
    return table


def report(found: Head) -> Table:
    table = Table(title=f"{found.features:,} features × {found.classes} classes, {found.rows:,} rows")
    for column, value in (
        ("training (passes)", f"{found.training:.0f} s ({found.training_passes})"),
        ("one pass", f"{found.one_pass:.1f} s"),
        ("a row (passes)", f"{statistics.median(found.deletions[1:]):.1f} s ({found.deletion_passes[-1]})"),
        ("1,000 rows (passes)", f"{found.batch:.1f} s ({found.batch_passes})"),
        ("largest bound", f"{found.largest_bound:.1e}"),
        ("σ", f"{found.noise_std:.1e}"),
        ("accuracy on the rows", f"{found.accuracy:.3f}"),
        ("peak memory", f"{found.peak:.2f} GiB"),
    ):
        table.add_column(f"{column}\n{value}")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with the data sets (default: $CERTIFIED_DATA)")
    parser.add_argument("--data", nargs="*", choices=("mnist", "sst2"), default=["mnist", "sst2"])
    parser.add_argument("--default-only", action="store_true", help="leave out retraining to the same residual")
    parser.add_argument("--head", action="store_true", help="measure the large head instead")
    parser.add_argument("--json", help="write the rows to this file")
    arguments = parser.parse_args()
    console = Console(width=190)
    if arguments.head:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(head).result()
        console.print(report(found))
        written: object = asdict(found)
        status = int(found.peak >= MEMORY_LIMIT)
    else:
        rows = []
        for name in arguments.data:
            data = (load_mnist if name == "mnist" else load_sst2)(data_dir=arguments.data_dir)
            split = data.X_train, data.y_train, data.X_test, data.y_test
            rows += measure(name, *split, default_only=arguments.default_only)
            console.print(table_of(rows))
        written, status = [asdict(row) for row in rows], 0
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(written, file, indent=2)
    return status


if __name__ == "__main__":
    sys.exit(main())
