"""The exact solver beside scikit-learn's solvers: the same problem, the same residual, the same run.

    python benchmarks/solvers.py [--data-dir DIR]

For each problem and each scikit-learn solver the table gives the residual ‖∇F‖₂ that scikit-learn reached, and the
time of both to reach it (ours: `certified.solvers.solve` with that residual as its tolerance, compiled beforehand).
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from certified.data import available, load_adult, load_breast_cancer, load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.losses import LOGISTIC, SQUARED
from certified.objective import Objective
from certified.solvers import solve

Array = npt.NDArray[np.float64]
REPEATS = 5


def problems(data_dir: str | None) -> Iterator[tuple[str, Array, Array, float]]:
    """(name, rows, ±1 labels, total L2 strength)."""
    cancer = load_breast_cancer(unit_rows=True)
    yield "breast cancer", cancer.X_train, np.where(cancer.y_train == 1, 1.0, -1.0), 1.0
    if available("adult", data_dir):
        adult = load_adult(data_dir=data_dir, unit_rows=True)
        yield "Adult", adult.X_train, np.where(adult.y_train == 1, 1.0, -1.0), 1.0
    if available("mnist_3_vs_8", data_dir):
        mnist = load_mnist_3_vs_8(data_dir=data_dir)
        yield "MNIST 3-vs-8", mnist.X_train, mnist.y_train.astype(float), 1e-3 * len(mnist.X_train)


def alternate(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Median times of two actions, run in turn so that drift of the machine falls on both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for action, record in ((ours, times[0]), (theirs, times[1])):
            start = time.perf_counter()
            action()
            record.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with the data sets (default: $CERTIFIED_DATA)")
    data_dir = parser.parse_args().data_dir
    warnings.simplefilter("ignore", ConvergenceWarning)
    table = Table("problem", "loss", "scikit-learn", "residual", "theirs", "ours", "ours / theirs")
    for name, X, y, alpha in problems(data_dir):
        rows = Rows.from_arrays(X, y[:, None], np.ones(len(X)))
        cases = [(LOGISTIC, s, t) for s, t in (("lbfgs", 1e-4), ("newton-cg", 1e-4), ("newton-cholesky", 1e-4),
                                               ("lbfgs", 1e-8), ("newton-cholesky", 1e-10))]  # fmt: skip
        for loss, solver, tolerance in [*cases, (SQUARED, "cholesky", 1e-4), (SQUARED, "lsqr", 1e-10)]:
            objective = Objective(loss, rows, alpha)
            if loss is LOGISTIC:
                model = LogisticRegression(
                    C=1 / alpha, fit_intercept=False, solver=solver, tol=tolerance, max_iter=100_000
                )
            else:
                model = Ridge(alpha=alpha, fit_intercept=False, solver=solver, tol=tolerance)
            weights = np.ravel(model.fit(X, y).coef_)[:, None]
            residual = float(np.linalg.norm(objective.value_and_gradient(weights)[1]))
            solve(objective, tolerance=residual)
            ours, theirs = alternate(
                lambda o=objective, r=residual: solve(o, tolerance=r), lambda m=model, X=X, y=y: m.fit(X, y)
            )
            table.add_row(name, loss.name, f"{solver} {tolerance:g}", f"{residual:.1e}", f"{theirs * 1e3:.1f} ms",
                          f"{ours * 1e3:.1f} ms", f"{ours / theirs:.2f}")  # fmt: skip
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
