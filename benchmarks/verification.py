"""Time of an independent verification beside one gradient pass and beside solving again, on MNIST 3-vs-8.

python benchmarks/verification.py [--data-dir DIR]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from certified import CertifiedLogisticRegression, verify
from certified.data import load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.solvers import solve


def timed(action: Callable[[], object], repeats: int) -> float:
    """Median wall time after one warm-up."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with mnist/mnist.npz (default: $CERTIFIED_DATA)")
    data = load_mnist_3_vs_8(data_dir=parser.parse_args().data_dir)
    X, y = data.X_train, data.y_train
    model = CertifiedLogisticRegression(C=1e3, l2_scaling="per_sample", fit_intercept=False).fit(X, y)
    certificate = model.remove(np.arange(10))
    secrets, kept = model.audit_bundle(), model.ids_

    start = time.perf_counter()
    report = verify(
        certificate, X[kept], y[kept], secrets.weights, released=secrets.released, nonce=secrets.nonce
    )  # fmt: skip
    seconds = time.perf_counter() - start
    report.raise_if_failed()

    rows = Rows.from_arrays(X[kept], y[kept].astype(float)[:, None], np.ones(len(kept)))
    objective = Objective(LOGISTIC, rows, certificate.alpha)
    one_pass = timed(lambda: objective.value_and_gradient(secrets.weights), 9)
    again = timed(lambda: solve(objective, tolerance=certificate.gradient_residual), 3)
    table = Table("what", "seconds", "as a multiple", title=f"n = {len(kept)}, d = {X.shape[1]}")
    table.add_row("verification in ball arithmetic", f"{seconds:.2f}", "1")
    table.add_row("one gradient pass in float64", f"{one_pass:.4f}", f"{seconds / one_pass:.0f}× shorter")
    table.add_row("solving again to the same residual", f"{again:.3f}", f"{seconds / again:.1f}× shorter")
    Console(width=100).print(str(report), table)


if __name__ == "__main__":
    main()
