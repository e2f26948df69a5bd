"""A store under attack, and what is kept outside it."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.attack.child import PROCESS, READY, STEPS, Fate, Task, shown_by, subject_of
from benchmarks.attack.processes import Run, perform
from certified import CertifiedRidge, DeletionStore
from certified.data.rows import block_shape
from certified.estimators.persistence import saved
from certified.ledger.chain import Head
from certified.service.reports import Receipt

FEATURES = 20
SMALL = 40
"""Rows of the stores that are made on the way."""
REFUSALS = {
    "disk is full": "refused: disk full",
    "cannot be read or written": "refused: write cut short",
    "took over": "refused: overtaken",
    "another process": "refused: held by another",
}
"""What a store may answer that is no crash, by words of its message."""


class Trial:
    """A store under attack, and what was kept outside it.

    Attributes:
        receipts: what was acknowledged, with the name it was for.
        todo, asked: names not acknowledged yet, and names that a request was tried for.
        shown: hashes of the weights that each release showed.
        secrets: noise-free weights and nonce of each release that was in force at some look.
        heads: heads exported on the way.
        killed: crashes by the last step before, and whether at that step exactly.
        events: what else happened.
        wrong: what should not have happened.
    """

    def __init__(self, folder: Path, requests: int, crashes: int, rows: int, seed: int) -> None:
        self.requests, self.crashes, self.rng = requests, crashes, random.Random(seed)
        generator = np.random.default_rng(seed)
        self.X = generator.normal(size=(rows, FEATURES))
        self.y = self.X @ generator.normal(size=FEATURES) + 0.1 * generator.normal(size=rows)
        self.names = [f"person-{row:06d}" for row in range(rows)]
        self.todo, self.asked = set(self.names), set[str]()
        self.receipts: list[tuple[str, Receipt]] = []
        self.shown: dict[int, set[str]] = {}
        self.secrets: dict[int, list[bytes]] = {}
        self.heads: list[Head] = []
        self.killed: Counter[tuple[str, bool]] = Counter()
        self.events: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.folder, self.new, self.path = folder, folder / "new", folder / "store" / "risk.store"
        for name in ("new", "public", "store"):
            (folder / name).mkdir()
        model = CertifiedRidge(C=10.0, max_releases=2 * crashes + 100).fit(
            self.X, self.y, ids=self.names, subjects=[subject_of(name) for name in self.names]
        )
        few = slice(0, SMALL)
        self.small = saved(CertifiedRidge(C=10.0).fit(self.X[few], self.y[few])).secrets()
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["benchmarks.attack.checks"])
        self.shape, self.remaining = (0, 0), rows
        DeletionStore.init(self.path, model, commit_rows=True).close()

    def compile(self) -> None:
        """Carry some requests out undisturbed, so that those who come next find compiled functions for so many rows."""
        sizes = [size for size in (8, 16, 32, 64) if 40 * size <= self.requests] or [1]
        names = iter(self.rng.sample(sorted(self.todo), min(len(self.todo), sum(sizes))))
        batches = tuple(tuple(islice(names, size)) for size in sizes)
        self.take(perform(self.context, [Task("process", self.path, self.folder, batches, warm=True)]))

    @property
    def crashed(self) -> int:
        """Crashes so far."""
        return self.killed.total()

    def attack(self) -> Iterator[None]:
        """Send processes against the store until there were enough requests and crashes."""
        self.make_a_store(disturbed=False)
        while len(self.receipts) < self.requests or self.crashed < self.crashes:
            if (shape := block_shape(self.remaining)) != self.shape:
                self.shape = shape
                self.compile()
            kind = self.rng.choices(("one", "several", "overtaken", "init"), (68, 22, 4, 6))[0]
            if kind == "init":
                self.make_a_store()
            elif kind == "overtaken":
                self.overtake()
            else:
                tasks = [self.task() for _ in range(1 if kind == "one" else self.rng.choice((2, 2, 3)))]
                self.take(perform(self.context, tasks))
            self.look(thorough=len(self.heads) % 25 == 24)
            yield

    def task(self) -> Task:
        """A process with a random purpose, fate, clock and disk."""
        rng = self.rng
        role = rng.choices(("request", "process", "compact", "show"), (50, 30, 15, 5))[0]
        batches: tuple[tuple[str, ...], ...] = ((),)
        if role == "request":
            batches = (self.some_names(),)
        elif role == "process":
            batches = tuple(self.some_names(4) for _ in range(rng.choice((1, 1, 2, 3))))
        elif role == "show":
            batches = ((),) * 30
        fate, room, short = self.fate(role, batches), None, None
        if role in ("request", "process") and rng.random() < 0.05:
            fate = None
            room, short = (rng.randint(0, 2), None) if role == "request" else rng.choice(((0, None), (None, 2_000)))
        clock = rng.choice((-1.0, 1.0)) * 10 ** rng.uniform(0, 6) if rng.random() < 0.1 else 0.0
        kind = rng.choice(("ids", "subjects"))
        return Task(role, self.path, self.folder, batches, kind, fate, clock, room, short, rng.random() < 0.8)

    def fate(self, role: str, batches: tuple[tuple[str, ...], ...]) -> Fate | None:
        """A random step and, for some, a random time after it."""
        rng = self.rng
        kind = rng.choices(("step", "time", "none"), (50, 38, 12))[0]
        if kind == "none" or (kind == "step" and not STEPS[role]):
            return None
        times = rng.randint(1, max(1, len(batches[0]) if role == "request" else len(batches)))
        if kind == "step":
            return Fate(rng.choice(STEPS[role]), times)
        # All scales of time: a commit takes less than a millisecond, a cold computation seconds.
        step = rng.choice((READY, *STEPS[role]))
        return Fate(step, 1 if step == READY else times, 10 ** rng.uniform(-4.0, 0.3 if role == "process" else -1.5))

    def some_names(self, most: int | None = None) -> tuple[str, ...]:
        """Names to ask for, at a pace at which requests and crashes are done at the same time; some were asked for."""
        left = max(0, self.requests - len(self.receipts)) / max(1, self.crashes - self.crashed)
        most = most or max(2, min(500, round(4.4 * left)))
        names = self.rng.sample(sorted(self.todo), min(len(self.todo), self.rng.randint(1, most)))
        if self.receipts and self.rng.random() < 0.1:
            names.append(self.rng.choice(self.receipts[-200:])[0])
        return tuple(dict.fromkeys(names))

    def make_a_store(self, *, disturbed: bool = True) -> None:
        """A store appears complete or not at all; what a killed attempt leaves is what the error message names."""
        path = self.new / f"{self.events['stores made']}.store"
        self.events["stores made"] += 1
        fate = None
        if disturbed:
            step = self.rng.choice((READY, *STEPS["init"]))
            fate = Fate(step, 1, self.rng.choice((None, 10 ** self.rng.uniform(-4.0, -1.5))))
        task = Task("init", path, self.folder, fate=fate, model=self.small, warm=not disturbed)
        (run,) = perform(self.context, [task])
        self.take([run])
        for leftover in self.new.glob(f".{path.name}.init*"):
            leftover.unlink()
        if run.crashed and not path.exists():
            self.take(perform(self.context, [replace(task, fate=None)]))
        with DeletionStore.open(path) as store:
            if not store.verify().ok or store.status().remaining != SMALL:
                self.wrong.append("a store that was made is not complete")
        if len(list(self.new.iterdir())) != 1:
            self.wrong.append("files are left beside a store that was made")
        path.unlink()

    def overtake(self) -> None:
        """A process sleeps with its work done but not committed; another's clock says that its lease is over."""
        fate = Fate(self.rng.choice(PROCESS[:2]), asleep=True)
        sleeper = Task("process", self.path, self.folder, (self.some_names(4),), fate=fate)
        self.events["lease holders put to sleep"] += 1
        runs = perform(self.context, [sleeper], [Task("process", self.path, self.folder, clock=1000.0)])
        if runs[0].receipts and not (runs[0].refusal and "took over" in runs[0].refusal and runs[-1].ended):
            self.wrong.append(f"a process that was overtaken was not told so: {runs[0].refusal} {runs[0].error}")
        self.take(runs)

    def take(self, runs: list[Run]) -> None:
        """Note what children said and how they ended."""
        for run in runs:
            task, fate = run.task, run.task.fate
            self.receipts += run.receipts
            acknowledged = {name for name, _ in run.receipts}
            if task.role != "init":
                asked = {name for batch in task.batches for name in batch}
                self.wrong += ["a row that nobody asked for is gone" for name in run.gone if name not in self.asked]
                self.asked |= asked
                self.todo -= acknowledged | set(run.gone)
            for release, digest in run.shown:
                self.shown.setdefault(release, set()).add(digest)
            self.events["processes"] += 1
            self.events["clocks off"] += task.clock != 0.0
            if run.error:
                self.wrong.append(run.error)
            elif run.refusal:
                answer = next((name for part, name in REFUSALS.items() if part in run.refusal), None)
                full = task.room is not None or task.short_write is not None
                if answer is None or (len(runs) == 1 and not full):
                    self.wrong.append(f"a {task.role}, one of {len(runs)}, was refused: {run.refusal}")
                else:
                    self.events[answer] += 1
            elif run.crashed:
                self.killed[run.last, fate is not None and fate.delay is None] += 1
                self.events["crashes among several processes"] += len(runs) > 1
                self.events["lease holders killed"] += run.last in PROCESS[:3]
            elif not run.ended:
                self.wrong.append(f"a {task.role} ended with status {run.process.exitcode}")

    def look(self, *, thorough: bool) -> None:
        """Read what everybody can read, and keep it."""
        with DeletionStore.open(self.path) as store:
            head, (release, digest) = store.export_head(), shown_by(store, self.folder / "public" / "latest")
            if self.heads and head.size < self.heads[-1].size:
                self.wrong.append("the log became shorter")
            self.heads.append(head)
            self.remaining = store.status().remaining
            self.shown.setdefault(release, set()).add(digest)
            if release not in self.secrets:
                bundle = store.audit_bundle()
                self.secrets[release] = [bundle.weights.tobytes(), bundle.nonce.hex().encode()]
            if thorough and not (report := store.verify(self.rng.choice(self.heads))).ok:
                self.wrong.append(str(report))
