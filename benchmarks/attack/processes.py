"""Running children at the same time: hearing what they say, killing them, and waking those that sleep."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.attack.child import READY, Task, work
from certified.service.reports import Receipt

PATIENCE = 120.0
"""Seconds after which a child counts as stuck."""
NAP = 0.05
"""Seconds between signals to those that sleep."""


@dataclass
class Run:
    """A child at work and what arrived from it.

    Attributes:
        receipts, gone: names with their receipts, and names that were not in force any more.
        shown: numbers and hashes of published releases.
        refusal: the error of the store.
        error: what should not have happened.
        ended: whether it did all that it was to do.
        last: the last step that it passed.
        killed_at: when it is to be killed, by the monotonic clock.
    """

    task: Task
    process: Any
    pipe: Connection
    started: float
    receipts: list[tuple[str, Receipt]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    shown: list[tuple[int, str]] = field(default_factory=list)
    refusal: str | None = None
    error: str | None = None
    ended: bool = False
    last: str = READY
    passed: Counter[str] = field(default_factory=Counter)
    killed_at: float | None = None
    asleep: bool = False

    @classmethod
    def start(cls, context: Any, task: Task) -> Run:
        """Start a child."""
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(task, there))
        process.start()
        there.close()
        return cls(task, process, here, time.monotonic())

    @property
    def crashed(self) -> bool:
        """Whether it was killed before it had finished."""
        return bool(self.process.exitcode == -signal.SIGKILL) and not (self.ended or self.refusal or self.error)

    def hear(self, kind: str, value: Any) -> None:
        """Take one message."""
        if kind == "step":
            self.last, fate = value, self.task.fate
            self.passed[value] += 1
            if fate is not None and value == fate.step and self.passed[value] == fate.occurrence:
                self.asleep = fate.asleep
                if fate.delay is not None:
                    self.killed_at = time.monotonic() + fate.delay
        elif kind == "end":
            self.ended = True
        elif kind in ("refusal", "error"):
            setattr(self, kind, value)
        else:
            getattr(self, kind).append(value)

    def kill_if_due(self, now: float) -> None:
        """Kill it at its time, or because it is stuck."""
        if now >= self.started + PATIENCE:
            self.error = f"a {self.task.role} took longer than {PATIENCE:g} s; its last step was {self.last!r}"
            self.killed_at = now
        if self.killed_at is not None and now >= self.killed_at:
            self.process.kill()


def perform(context: Any, tasks: Sequence[Task], later: Sequence[Task] = ()) -> list[Run]:
    """Run children at the same time, ``later`` ones once all others sleep; wake the sleepers when those have ended."""
    runs = [Run.start(context, task) for task in tasks]
    alive, waiting = list(runs), list(later)
    while alive:
        if all(run.asleep for run in alive):
            if waiting:
                started = [Run.start(context, task) for task in waiting]
                runs, alive, waiting = runs + started, alive + started, []
            else:
                # Again and again: the first signal may come before the child has gone to sleep, the last after its end.
                for run in alive:
                    with suppress(ProcessLookupError):
                        os.kill(run.process.pid, signal.SIGCONT)
        now = time.monotonic()
        due = [now + NAP, *(run.killed_at for run in alive if run.killed_at is not None)]
        ready = wait([run.pipe for run in alive], max(0.0, min(due) - now))
        for run in list(alive):
            if run.pipe in ready:
                try:
                    run.hear(*run.pipe.recv())
                    continue
                except (EOFError, OSError):
                    run.process.join()
                    alive.remove(run)
            else:
                run.kill_if_due(time.monotonic())
    return runs
