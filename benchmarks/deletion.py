"""Single, batch and group deletion on MNIST 3-vs-8, beside full retraining in the same run.

    python benchmarks/deletion.py [--data-dir DIR] [--json FILE]

Setting: unit rows, λ = 1e-3 per sample, no intercept, (ε, δ) = (1, 1e-6), certified distance at most 1e-9 per release.
Every time is the median over repeats of the same request on models trained on the same rows; retraining is
scikit-learn's on the remaining rows, at its default tolerance and at the residual that the deletion reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import jax
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from certified import CertifiedLogisticRegression
from certified.bounds import certify_distance
from certified.data import load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_noise_std
from certified.solvers import solve

Array = npt.NDArray[np.float64]

LAMBDA = 1e-3
TARGET = 1e-9


@dataclass
class Row:
    """One request; times in seconds, ratios of retraining time to deletion time."""

    request: str
    count: int
    seconds: float
    seconds_noise: float
    passes: int
    certified_distance: float
    true_distance: float
    true_distance_error: float
    noise_std: float
    accuracy_before: float
    accuracy_after: float
    retrain_default_seconds: float
    retrain_same_residual_seconds: float

    @property
    def ratio_default(self) -> float:
        return self.retrain_default_seconds / self.seconds

    @property
    def ratio_same_residual(self) -> float:
        return self.retrain_same_residual_seconds / self.seconds


def timed(action: Callable[[], object], repeats: int) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def train(X: Array, y: Array, noise_std: float) -> CertifiedLogisticRegression:
    model = CertifiedLogisticRegression(
        C=1.0 / LAMBDA, l2_scaling="per_sample", fit_intercept=False, noise_std=noise_std, max_releases=100
    )
    return model.fit(X, y)


def retrain(X: Array, y: Array, solver: str, tolerance: float) -> LogisticRegression:
    C = 1.0 / (LAMBDA * len(X))
    return LogisticRegression(C=C, fit_intercept=False, solver=solver, tol=tolerance, max_iter=100_000).fit(X, y)


def exact(X: Array, y: Array) -> tuple[Array, float]:
    """Retrain from zero with the exact solver; also return the certified distance of its weights to the minimiser."""
    objective = Objective(LOGISTIC, Rows.from_arrays(X, y[:, None], np.ones(len(X))), LAMBDA * len(X))
    weights = solve(objective).weights
    return weights, certify_distance(objective, weights).value


def measure(name: str, ids: list[npt.NDArray[np.int64]], X: Array, y: Array, X_test: Array, y_test: Array) -> Row:
    """Time the same kind of request on fresh models: the first entry of ``ids`` warms the compiled passes up."""
    noise_std = gaussian_noise_std(1.0, 1e-6, TARGET * 10.0)
    model = train(X, y, noise_std)
    before = model.score(X_test, y_test)
    model.remove(ids[0])
    times, noise_times = [], []
    for chosen in ids[1:]:
        model = train(X, y, noise_std)
        jax.block_until_ready(model._session.state.objective.rows.features)
        start = time.perf_counter()
        certificate = model.remove(chosen)
        times.append(time.perf_counter() - start)
        passes = model.update_info_.passes
        noise_times.append(timed(model.release, 1))
    kept = np.setdiff1d(np.arange(len(X)), ids[-1])
    weights, error = exact(X[kept], y[kept])
    tolerance = max(certificate.gradient_residual / len(kept), 1e-13)
    return Row(
        request=name,
        count=len(ids[-1]),
        seconds=statistics.median(times),
        seconds_noise=statistics.median(noise_times),
        passes=passes,
        certified_distance=certificate.distance_bound,
        true_distance=float(np.linalg.norm(model.audit_bundle().weights - weights)),
        true_distance_error=error,
        noise_std=certificate.noise_std,
        accuracy_before=before,
        accuracy_after=model.score(X_test, y_test),
        retrain_default_seconds=timed(lambda: retrain(X[kept], y[kept], "lbfgs", 1e-4), 3),
        retrain_same_residual_seconds=timed(lambda: retrain(X[kept], y[kept], "newton-cholesky", tolerance), 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with mnist/mnist.npz (default: $CERTIFIED_DATA)")
    parser.add_argument("--json", help="write the rows to this file")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    data = load_mnist_3_vs_8(data_dir=arguments.data_dir)
    X, y, X_test, y_test = data.X_train, data.y_train.astype(float), data.X_test, data.y_test
    generator = np.random.default_rng(0)
    order = np.argsort(-np.logaddexp(0.0, -y * (X @ exact(X, y)[0][:, 0])))
    requests = {f"{k} at random": [generator.choice(len(X), k, replace=False) for _ in range(arguments.repeats + 1)]
                for k in (1, 10, 100, 1000)}  # fmt: skip
    requests["1000 of highest loss"] = [order[:1000]] * (arguments.repeats + 1)
    rows = [measure(n, ids, X, y, X_test, y_test) for n, ids in track(list(requests.items()), description="requests")]
    columns = ["request", "deletion", "of it noise", "passes", "certified", "true (±)", "σ", "accuracy"]
    table = Table(*columns, "lbfgs, default tolerance", "newton-cholesky, same residual")
    for row in rows:
        table.add_row(
            row.request, f"{row.seconds * 1e3:.1f} ms", f"{row.seconds_noise * 1e3:.1f} ms", str(row.passes),
            f"{row.certified_distance:.2e}", f"{row.true_distance:.1e} (±{row.true_distance_error:.0e})",
            f"{row.noise_std:.2e}", f"{row.accuracy_before:.4f} → {row.accuracy_after:.4f}",
            f"{row.retrain_default_seconds * 1e3:.0f} ms = {row.ratio_default:.1f}×",
            f"{row.retrain_same_residual_seconds * 1e3:.0f} ms = {row.ratio_same_residual:.1f}×",
        )  # fmt: skip
    Console(width=180).print(table)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump([asdict(row) for row in rows], file, indent=2)


if __name__ == "__main__":
    main()
