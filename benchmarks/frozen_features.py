"""MNIST through a small network trained on other digits: a certified head on frozen features, and deletions from it.

    python -m benchmarks.frozen_features [--data-dir DIR] [--rows N] [--json FILE]

A softmax head on 512 features, λ = 1e-5 per row, (ε, δ) = (1, 1e-6) for 100 releases with σ = 4.2e-2 on every weight.
One row, 100 rows and all nines leave one after the other. The true distance is that to a model trained on the remaining
rows for a hundredth of the noise, whose own certified distance is added to it. Times include compiling. Without
nines, all test images of nines are read wrongly.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frozen.network import Backbone, cells, trained_elsewhere
from certified import CertifiedSoftmaxRegression
from certified.data import load_mnist
from certified.features import Provenance, extract_features, parameter_digest

NOISE_STD = 4.2e-2
REQUESTS: dict[str, dict[str, Any]] = {
    "1 row": {"ids": [17]},
    "100 rows": {"ids": range(100, 200)},
    "all nines": {"labels": [9]},
}


@dataclass(frozen=True)
class Row:
    """One request; seconds, norms of weights, and the share of test images that are read rightly."""

    request: str
    rows_left: int
    seconds: float
    passes: int
    certified: float
    true: float
    accuracy: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="where the data are; by default $CERTIFIED_DATA")
    parser.add_argument("--rows", type=int, default=60_000, help="training rows")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    data = load_mnist(data_dir=arguments.data_dir, download=False)
    frozen = trained_elsewhere()
    start = time.perf_counter()
    X, X_test = (extract_features(Backbone(), frozen, cells(part)) for part in (data.X_train, data.X_test))
    X, y = X[: arguments.rows], data.y_train[: arguments.rows]
    print(f"features of {len(X) + len(X_test)} images: {time.perf_counter() - start:.1f} s")
    network = Provenance.public("convolutions trained on other digits", parameter_digest(Backbone(), frozen))

    def estimator(noise_std: float) -> CertifiedSoftmaxRegression:
        return CertifiedSoftmaxRegression(C=1e5 / len(y), fit_intercept=False, noise_std=noise_std, features=network)

    def measured(name: str, seconds: float) -> Row:
        kept = model.ids_
        retrained = estimator(1e-2 * NOISE_STD).fit(X[kept], y[kept])
        apart = np.linalg.norm(model.audit_bundle().weights - retrained.audit_bundle().weights)
        row = Row(
            name,
            len(kept),
            seconds,
            model.update_info_.passes,
            model.certificate_.distance_bound,
            float(apart) + retrained.certificate_.distance_bound,
            model.score(X_test, data.y_test),
        )
        print(
            f"{name:10} {row.rows_left:6d} rows {seconds:7.2f} s {row.passes:3d} passes  certified {row.certified:.1e} "
            f" true at most {row.true:.1e}  accuracy {row.accuracy:.2%}",
            flush=True,
        )
        return row

    start = time.perf_counter()
    model = estimator(NOISE_STD).fit(X, y)
    found = [measured("training", time.perf_counter() - start)]
    for name, named in REQUESTS.items():
        start = time.perf_counter()
        model.remove(**named)
        found.append(measured(name, time.perf_counter() - start))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
