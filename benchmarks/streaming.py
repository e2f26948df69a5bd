"""Rows on disk, a few chunks of them in memory: train, delete, release and verify by streaming.

    python -m benchmarks.streaming [--rows N] [--features D] [--deletions K] [--memory-limit GIB] [--json FILE]

Setting: features uniform with E‖x‖² = 1, labels from a logistic model, λ = 1e-3 per sample, no intercept, noise of
standard deviation 0.01 per weight (the weights of the model are about 3), (ε, δ) = (1, 1e-4) for 10 releases. The rows
are written to .npy files as float64, and removed at the end. The holder of the rows (training and deletion) and the
auditor (verification, from the files, the removed ids, the certificate and the audit bundle) each run in a process of
their own; exit status 1 if the peak of the resident memory of either exceeds the limit, or if the certificate is not
confirmed. ``--rows 10000000 --features 128`` are 10 GB of rows.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.scaling import GIB, LAMBDA, Generated
from certified import Certificate, CertifiedLogisticRegression, verify
from certified.data.derived_sources import WithoutRows
from certified.data.sources import NpySource

Array = npt.NDArray[np.float64]

EPSILON, DELTA, RELEASES = 1.0, 1e-4, 10
NOISE_STD = 1e-2
HELD_OUT = 20_000


@dataclass
class Held:
    """What the holder of the rows measured; times in seconds, memory in GiB."""

    training: float
    training_passes: int
    deletion: float
    deletion_passes: int
    route: str
    reason: str
    distance_bound: float
    distance_claim: str
    accuracy: float
    peak: float


@dataclass
class Audited:
    """What the auditor measured."""

    verification: float
    complete: bool
    failures: list[str]
    peak: float


def write(folder: Path, n: int, d: int) -> float:
    """Write the rows and return how long it took."""
    start, rows = time.perf_counter(), Generated(n, d)
    with open(folder / "features.npy", "wb") as features, open(folder / "targets.npy", "wb") as targets:
        for file, shape, kind in ((features, (n, d), "<f8"), (targets, (n,), "|i1")):
            header = {"descr": kind, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        step = max(1, (1 << 21) // d)
        for first in range(0, n, step):
            x, y, _ = rows.read(first, min(first + step, n))
            x.tofile(features)
            (y > 0.0).astype(np.int8).tofile(targets)
    return time.perf_counter() - start


def hold(folder: Path, deletions: int) -> Held:
    """Train on the files, delete, and leave certificate and secrets for the auditor."""
    source = NpySource(folder / "features.npy", folder / "targets.npy")
    model = CertifiedLogisticRegression(
        1.0 / LAMBDA, l2_scaling="per_sample", fit_intercept=False, noise_std=NOISE_STD, epsilon=EPSILON, delta=DELTA,
        max_releases=RELEASES,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(source)
    training, passes = time.perf_counter() - start, model.update_info_.passes
    leaving = np.random.default_rng(1).choice(source.length, deletions, replace=False)
    start = time.perf_counter()
    certificate = model.remove(leaving)
    deletion = time.perf_counter() - start
    certificate.save(folder / "certificate.json")
    secrets = model.audit_bundle()
    (folder / "secrets").write_bytes(pickle.dumps((secrets.weights, secrets.released, secrets.nonce, leaving)))
    n = source.length
    x, y, _ = Generated(n + HELD_OUT, source.n_features).read(n, n + HELD_OUT)
    info = model.update_info_
    return Held(
        training=training,
        training_passes=passes,
        deletion=deletion,
        deletion_passes=info.passes,
        route=info.route,
        reason=info.reason,
        distance_bound=certificate.distance_bound,
        distance_claim=certificate.distance_claim,
        accuracy=float(np.mean(model.predict(x) == (y[:, 0] > 0.0))),
        peak=peak(),
    )


def audit(folder: Path) -> Audited:
    """Verify the certificate against the remaining rows in the files."""
    weights, released, nonce, leaving = pickle.loads((folder / "secrets").read_bytes())
    rows = WithoutRows(NpySource(folder / "features.npy", folder / "targets.npy"), leaving)
    certificate = Certificate.load(folder / "certificate.json")
    start = time.perf_counter()
    report = verify(certificate, rows, None, weights, released=released, nonce=nonce)
    seconds = time.perf_counter() - start
    return Audited(seconds, report.complete, [str(check) for check in report.failures], peak())


def peak() -> float:
    """The largest resident memory of this process so far, in GiB."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1024) / GIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--deletions", type=int, default=1000)
    parser.add_argument("--memory-limit", type=float, default=4.0, help="GiB of resident memory for each process")
    parser.add_argument("--folder", help="where to write the files (default: the system's temporary folder)")
    parser.add_argument("--json", help="write the figures to this file")
    given = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        writing = write(folder, given.rows, given.features)
        # Fresh processes, so that the peak of each is its own.
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            held = pool.submit(hold, folder, given.deletions).result()
        console.print(held)
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            audited = pool.submit(audit, folder).result()
    data = 8.0 * given.rows * given.features / GIB
    table = Table("what", "seconds", "detail", title=f"{given.rows:,} × {given.features} rows, {data:.2f} GiB on disk")
    table.add_row("writing the files", f"{writing:.1f}", "")
    table.add_row("training", f"{held.training:.1f}", f"{held.training_passes} passes, peak {held.peak:.2f} GiB")
    table.add_row(
        f"deleting {given.deletions:,} rows, release included", f"{held.deletion:.1f}",
        f"{held.route}, {held.deletion_passes} passes; at most {held.distance_bound:.1e} off ({held.distance_claim})",
    )  # fmt: skip
    table.add_row(
        "verification by streaming", f"{audited.verification:.1f}",
        f"{'confirmed' if audited.complete else 'NOT confirmed'}, peak {audited.peak:.2f} GiB",
    )  # fmt: skip
    console.print(table)
    if given.json:
        figures = {"rows": given.rows, "features": given.features, "data": data, "writing": writing}
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({**figures, "held": asdict(held), "audited": asdict(audited)}, file, indent=2)
    if max(held.peak, audited.peak) > given.memory_limit:
        sys.exit(f"peak memory above the limit of {given.memory_limit:g} GiB")
    if not audited.complete:
        sys.exit("the certificate is not confirmed: " + "; ".join(audited.failures))


if __name__ == "__main__":
    main()
