"""A pass over rows that are spread over processes and devices of this machine: how much faster, and with the same bits.

    python -m benchmarks.distributed [--rows N] [--features D] [--repeats R] [--json FILE]

First the certified gradient (claim T12) of logistic loss on the same generated rows, in one process on one core, in one
process with two devices on two cores, and in two processes on one core each, joined by `jax.distributed` over the
loopback. Every device has one thread for its arithmetic. Efficiency is the time on one core over twice the time on two.
Beside it stands what agreeing and adding up take without any rows to speak of.

Then training, the deletion of ten rows and the distance bound on one device, on eight, and on eight in two processes:
their bits must be equal. Exit status 1 if any is not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from certified.bounds.row_sums import certified_gradient
from certified.data.sharded import ShardedRows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.removal import ledger_step

Array = npt.NDArray[np.float64]

LAMBDA, TARGET = 1e-3, 1e-4
SMALL = 4_000, 20
"""Rows and features of the comparison bit by bit."""
PARTS = 8


@dataclass(frozen=True)
class Layout:
    """Processes and cores, with the seconds of a pass (the best of several) and of one with next to no rows."""

    processes: int
    devices: int
    cores: int
    seconds: float
    overhead: float


def generated(n: int, d: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    features = rng.uniform(-1.0, 1.0, (n, d)) * np.sqrt(3.0 / d)
    targets = np.where(features.sum(axis=1, keepdims=True) + rng.standard_normal((n, 1)) > 0.0, 1.0, -1.0)
    return features, targets, np.ones(n)


def placed(n: int, d: int, parts: int | None = None) -> ShardedRows:
    """The rows, of which this process brings its share."""
    edges = np.linspace(0, n, jax.process_count() + 1).astype(int)
    own = slice(*edges[jax.process_index() :][:2])
    return ShardedRows.from_arrays(*(array[own] for array in generated(n, d)), parts=parts)


def best(action: Callable[[], object], repeats: int) -> float:
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def timed(n: int, d: int, repeats: int) -> dict[str, Any]:
    weights = np.full((d, 1), 0.1)
    objectives = [Objective(LOGISTIC, placed(rows, d), LAMBDA * n) for rows in (n, 8 * PARTS)]
    seconds, overhead = (best(lambda o=o: certified_gradient(o, weights), repeats) for o in objectives)  # type: ignore[misc]
    return {"seconds": seconds, "overhead": overhead}


def compared() -> dict[str, Any]:
    """Weights and bound after training and after a deletion, as digests and numbers."""
    n, d = SMALL
    rows = placed(n, d, PARTS)
    objective = Objective(LOGISTIC, rows, LAMBDA * n)
    state, _ = ledger_step.initialise(objective, TARGET)
    found = {"trained": digest(state.weights), "bound trained": state.bound.value}
    leaving = np.arange(0, n, n // 10)
    after = replace(objective, rows=rows.without(leaving), alpha=LAMBDA * (n - len(leaving)))
    state, _ = ledger_step.update(state, after, TARGET, removed=rows.take(leaving))
    return found | {"deleted": digest(state.weights), "bound deleted": state.bound.value}


def digest(values: Array) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()[:16]


def worker(task: str, processes: int, process: int, port: int, cores: list[int], size: list[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    found = compared() if task == "compare" else timed(size[0], size[1], size[2])
    # On a line of its own: gloo, too, writes to the standard output.
    print("\n" + json.dumps(found))


def run(task: str, devices: int, cores: list[list[int]], size: list[int]) -> list[dict[str, Any]]:
    """Start one process for each list of cores and wait for what they found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"--xla_force_host_platform_device_count={devices} --xla_cpu_multi_thread_eigen=false"
    environment = os.environ | {"XLA_FLAGS": flags, "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    started = []
    for process, own in enumerate(cores):
        job = json.dumps([task, len(cores), process, port, own, size])
        command = [sys.executable, "-m", "benchmarks.distributed", "--worker", job]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    found = []
    for running in started:
        out, errors = running.communicate()
        if running.returncode:
            raise RuntimeError(errors)
        found.append(json.loads(out.splitlines()[-1]))
    return found


def table_of(layouts: list[Layout], n: int, d: int) -> Table:
    table = Table(title=f"one certified gradient, {n:,} rows × {d}")
    for heading in ("processes", "devices each", "cores", "ms", "of it without rows, ms", "efficiency"):
        table.add_column(heading, justify="right")
    alone = layouts[0].seconds
    for layout in layouts:
        efficiency = alone / (layout.cores * layout.seconds)
        numbers = f"{1e3 * layout.seconds:.1f}", f"{1e3 * layout.overhead:.2f}", f"{efficiency:.0%}"
        table.add_row(str(layout.processes), str(layout.devices), str(layout.cores), *numbers)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=4e5, metavar="N")
    parser.add_argument("--features", type=int, default=128, metavar="D")
    parser.add_argument("--repeats", type=int, default=20, metavar="R")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*json.loads(arguments.worker))
        return
    console = Console()
    size = [int(arguments.rows), arguments.features, arguments.repeats]
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else [0, 1]
    first, last = cores[0], cores[-1]
    layouts = []
    for devices, split in ((1, [[first]]), (2, [[first, last]]), (1, [[first], [last]])):
        each = run("time", devices, split, size)
        slowest = {name: max(found[name] for found in each) for name in ("seconds", "overhead")}
        layouts.append(Layout(len(split), devices, len({core for own in split for core in own}), **slowest))
    console.print(table_of(layouts, size[0], size[1]))
    places = {"one device": (1, 1), "eight devices": (8, 1), "eight devices in two processes": (4, 2)}
    results = {
        name: run("compare", devices, [cores] * processes, size) for name, (devices, processes) in places.items()
    }
    reference = results["one device"][0]
    same = all(found == reference for each in results.values() for found in each)
    table = Table(title=f"{PARTS} parts, trained and ten rows deleted, {SMALL[0]:,} rows × {SMALL[1]}")
    for heading in ("where", *reference):
        table.add_column(heading)
    for name, each in results.items():
        table.add_row(name, *(str(value) for value in each[0].values()))
    console.print(table)
    console.print("the same bits everywhere" if same else "[bold red]the bits differ")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(
                {"passes": [asdict(layout) for layout in layouts], "results": results, "same": same}, file, indent=2
            )
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
