"""What one deletion costs as the rows grow to more than fit in memory, and as the features grow.

    python -m benchmarks.scaling [--rows N ...] [--features D ...] [--deletions K] [--json FILE]

Setting: rows made chunk by chunk (features uniform with E‖x‖² = 1, labels from a logistic model), λ = 1e-3 per sample,
no intercept, (ε, δ) = (1, 1e-4) for one release, certified distance at most 1e-3 after every deletion. Each size runs
in a process of its own, so that the peak of its memory is known, and holds only a few chunks of rows at a time. A
deletion is timed from the request to the certified state: reading the row that leaves, taking it out of the row store,
and the ledger step. Beside it stand, from the same process, one pass over the rows and what a single step of training
anew would need: a pass, a Hessian and its factor. Making the rows is part of every pass, like reading a disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from certified.bounds.curvature import linearise
from certified.bounds.row_sums import certified_gradient
from certified.data.streamed import StreamedRows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_noise_std
from certified.removal import ledger_step
from certified.solvers import solve

Array = npt.NDArray[np.float64]

LAMBDA = 1e-3
EPSILON, DELTA = 1.0, 1e-4
TARGET = 1e-3
SIGNAL = 3.0
"""Standard deviation of the linear predictor of the model that draws the labels."""
GIB = 2.0**30


@dataclass
class Size:
    """One size; times in seconds, of a deletion in milliseconds, memory in GiB."""

    rows: int
    features: int
    chunks: int
    opening: float
    training: float
    training_passes: int
    one_pass: float
    linearisation: float
    deletions: int
    median: float
    worst: float
    of_it_rows: float
    without_pass: int
    passes: int
    largest_bound: float
    noise_std: float
    matrix: float
    data: float
    peak: float

    @property
    def retraining_step(self) -> float:
        """A pass and a new Hessian with its factor, in milliseconds."""
        return 1e3 * (self.one_pass + self.linearisation)


class Generated:
    """Rows made when they are read: the entries are a stretch of one random stream, which can be entered anywhere."""

    def __init__(self, length: int, n_features: int, seed: int = 0) -> None:
        self.length, self.n_features, self.n_outputs, self.seed = length, n_features, 1, seed
        self.model = SIGNAL * np.random.default_rng(seed).standard_normal(n_features)

    def read(self, start: int, stop: int) -> tuple[Array, Array, Array]:
        d = self.n_features
        features = self._uniforms(1, start * d, (stop - start) * d).reshape(-1, d)
        features *= 2.0 * np.sqrt(3.0 / d)
        features -= np.sqrt(3.0 / d)
        chance = 1.0 / (1.0 + np.exp(-(features @ self.model)))
        targets = np.where(self._uniforms(2, start, stop - start) < chance, 1.0, -1.0)
        return features, targets[:, None], np.ones(stop - start)

    def _uniforms(self, stream: int, start: int, count: int) -> Array:
        return np.random.Generator(np.random.PCG64([self.seed, stream]).advance(start)).random(count)


def measure(n: int, d: int, deletions: int) -> Size:
    """Train, then delete rows one by one; meant for a process of its own."""
    start = time.perf_counter()
    rows = StreamedRows.open(Generated(n, d))
    opening = time.perf_counter() - start
    start = time.perf_counter()
    objective = Objective(LOGISTIC, rows, LAMBDA * n)
    # A warm start from a sample, which takes a fraction of a pass.
    sample = np.linspace(0, n - 1, min(n, max(20 * d, n // d))).astype(np.int64)
    part = Objective(LOGISTIC, rows.take(sample), LAMBDA * len(sample))
    state, info = ledger_step.initialise(objective, TARGET, solve(part, tolerance=1e-3 * len(sample)).weights)
    training = time.perf_counter() - start
    del part
    one_pass = seconds(lambda: certified_gradient(objective, state.weights), 3)
    linearisation = seconds(lambda: linearise(objective, state.weights).factor, 1)
    times, reading, infos, bounds = [], [], [], []
    for i, position in enumerate(np.random.default_rng(1).choice(n, deletions + 1, replace=False)):
        start = time.perf_counter()
        leaving = np.array([position])
        after = replace(state.objective, rows=rows.without(leaving), alpha=LAMBDA * (n - i - 1))
        removed = rows.take(leaving)
        reading.append(time.perf_counter() - start)
        state, found = ledger_step.update(state, after, TARGET, removed=removed)
        times.append(time.perf_counter() - start)
        rows = after.rows
        infos.append(found)
        bounds.append(state.bound.value)
    matrix = np.ones((d, d))
    target = np.empty_like(matrix)
    chunk = next(rows.chunks())
    # The first deletion compiles.
    return Size(
        rows=n,
        features=d,
        chunks=rows.slots // chunk.slots,
        opening=opening,
        training=training,
        training_passes=info.passes,
        one_pass=one_pass,
        linearisation=linearisation,
        deletions=deletions,
        median=1e3 * statistics.median(times[1:]),
        worst=1e3 * max(times[1:]),
        of_it_rows=1e3 * statistics.median(reading[1:]),
        without_pass=sum(found.passes == 0 for found in infos[1:]),
        passes=sum(found.passes for found in infos[1:]),
        largest_bound=max(bounds),
        noise_std=gaussian_noise_std(EPSILON, DELTA, TARGET),
        matrix=1e3 * seconds(lambda: np.copyto(target, matrix), 20),
        data=8.0 * n * d / GIB,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    )


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def apart(n: int, d: int, deletions: int) -> Size:
    """Measure in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, n, d, deletions).result()


def tables_of(sizes: list[Size], growing: str) -> list[Table]:
    preparation = Table(
        "rows × features", "data", "peak memory", "opening", "training (passes)", "one pass", title=growing
    )
    deletion = Table(
        "rows × features", "a deletion", "worst", "of it reading", "beside the first", "read + write (d, d)"
    )
    deletion.add_column("pass + Hessian")
    deletion.add_column("without a pass")
    deletion.add_column("largest bound")
    for size in sizes:
        name = f"{size.rows:,} × {size.features:,}"
        preparation.add_row(
            name, f"{size.data:.2f} GiB", f"{size.peak:.2f} GiB", f"{size.opening:.1f} s",
            f"{size.training:.1f} s ({size.training_passes})", f"{size.one_pass:.2f} s",
        )  # fmt: skip
        deletion.add_row(
            name, f"{size.median:.2f} ms", f"{size.worst:.0f} ms", f"{size.of_it_rows:.2f} ms",
            f"{size.median / sizes[0].median:.2f}×", f"{size.matrix:.2f} ms (1/{size.median / size.matrix:.1f})",
            f"{size.retraining_step:,.0f} ms = {size.retraining_step / size.median:,.0f}×",
            f"{size.without_pass} / {size.deletions}", f"{size.largest_bound:.1e}",
        )  # fmt: skip
    return [preparation, deletion]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="*", default=[1e4, 1e5, 1e6], help="n, with d = 256")
    parser.add_argument("--features", type=int, nargs="*", default=[64, 256, 1024, 4096], help="d, with n = 20,000")
    parser.add_argument("--deletions", type=int, default=100)
    parser.add_argument("--json", help="write the sizes to this file")
    arguments = parser.parse_args()
    wanted = [(int(n), 256) for n in arguments.rows], [(20_000, d) for d in arguments.features]
    console = Console(width=165)
    found = []
    for title, sizes in zip(("more rows", "more features"), wanted, strict=True):
        measured = [apart(n, d, arguments.deletions) for n, d in track(sizes, description=title, console=console)]
        if measured:
            console.print(*tables_of(measured, title), sep="\n")
        found += measured
    noise_std = gaussian_noise_std(EPSILON, DELTA, TARGET)
    console.print(f"σ = {noise_std:.2e} for ({EPSILON:g}, {DELTA:g}) and a distance of {TARGET:g}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump([asdict(size) for size in found], file, indent=2)


if __name__ == "__main__":
    main()
