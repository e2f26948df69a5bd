"""Kill the processes of a deletion store a thousand times and count what it lost or did twice.

    python -m benchmarks.crashes [--requests 10000] [--crashes 1000] [--rows N] [--seed S] [--json FILE]

Processes ask for deletions, carry them out, compact the file, make stores and show releases, alone or several at once.
Each is killed by SIGKILL at a named step of `certified.service.store`, or at a random time after one; some find the
disk full, some go by a wrong clock, and some sleep until another has taken their work over. Whoever asked keeps the
receipts that arrived and asks again where none did. A process that had finished when its signal came is no crash.

In the end the store is not taken at its word alone: receipts, heads and shown releases were kept outside of it, the
budget is composed again in exact numbers, and the minimiser on the remaining rows is that of tests/oracle.py. Exit
status 1 if anything is wrong; the store is then kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.attack.checks import Check, checks_of
from benchmarks.attack.child import COMPACT, PROCESS, READY, REQUEST, STEPS
from benchmarks.attack.trial import Trial


def tables_of(trial: Trial, checks: Sequence[Check]) -> list[Table]:
    """Crashes by place and kind, what else happened, and the answers."""
    crashes = Table("last step before the crash", "killed at the step", "at a random time after it")
    for step in (READY, *STEPS["init"], *REQUEST, *PROCESS, *COMPACT):
        crashes.add_row(step, str(trial.killed[step, True]), str(trial.killed[step, False]))
    crashes.add_section()
    at_step = sum(count for (_, exact), count in trial.killed.items() if exact)
    crashes.add_row("all", str(at_step), str(trial.crashed - at_step))
    events = Table("what else happened", "times")
    for name, count in sorted(trial.events.items()):
        events.add_row(name, str(count))
    answers = Table("what must not be", "found", "among")
    for check in checks:
        answers.add_row(check.name, f"[red]{check.wrong}" if check.wrong else "0", check.detail)
    return [crashes, events, answers]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="acknowledged requests")
    parser.add_argument("--crashes", type=int, default=1000)
    parser.add_argument("--rows", type=int, help="rows of the model (default: requests + 2 × crashes + 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write counts and answers to this file")
    arguments = parser.parse_args()
    if arguments.requests < 1 or arguments.crashes < 1:
        parser.error("--requests and --crashes must be positive")
    fewest = arguments.requests + arguments.crashes + 100
    rows = arguments.rows or fewest + arguments.crashes
    if rows < fewest:
        parser.error(
            f"--rows must be at least {fewest}: each crash may cost a row that nobody hears of, and some remain"
        )
    console, started = Console(stderr=True), time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="crashes-"))
    trial = Trial(folder, arguments.requests, arguments.crashes, rows, arguments.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        crashes = progress.add_task("crashes", total=arguments.crashes)
        requests = progress.add_task("requests", total=arguments.requests)
        for _ in trial.attack():
            progress.update(crashes, completed=trial.crashed)
            progress.update(requests, completed=len(trial.receipts))
    checks = checks_of(trial)
    seconds = time.perf_counter() - started
    Console(width=140).print(*tables_of(trial, checks), f"{seconds:.0f} s, seed {arguments.seed}")
    for text in trial.wrong[:20]:
        console.print(text, markup=False)
    failed = any(check.wrong for check in checks)
    if arguments.json:
        report = {
            "requests": len(trial.receipts),
            "crashes": trial.crashed,
            "rows": rows,
            "seed": arguments.seed,
            "seconds": round(seconds, 1),
            "killed": [{"step": s, "at_step": at, "times": n} for (s, at), n in sorted(trial.killed.items())],
            "events": dict(trial.events),
            "checks": [vars(check) for check in checks],
            "unexpected": trial.wrong,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if failed:
        console.print(f"the store is left in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
