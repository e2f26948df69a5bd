"""One process of the attack: what it does with the store, and where it dies."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import jax

from certified import DeletionStore, UnknownIdError
from certified.estimators.persistence import restored
from certified.estimators.saved_model import loads, read
from certified.ledger.database import StoreError

REQUEST = ("request: before commit", "request: after commit")
PROCESS = ("process: lease taken", "process: computed", "process: before commit", "process: after commit")
COMPACT = ("compact: rewritten", "compact: before commit")
INIT = ("init: before commit",)
STEPS = {"request": REQUEST, "process": PROCESS + COMPACT, "compact": COMPACT, "init": INIT, "show": ()}
READY = "ready"
"""The step at which the store is open."""


@dataclass(frozen=True)
class Fate:
    """What happens to a process when it passes a step for the n-th time: it is killed there, later, or put to sleep."""

    step: str
    occurrence: int = 1
    delay: float | None = None
    asleep: bool = False


@dataclass(frozen=True)
class Task:
    """What one process is to do.

    Attributes:
        role: "request", "process", "compact", "show" or "init".
        path: the store.
        folder: where compiled functions and published models lie.
        batches: names to ask for; where the role is "process", each batch is carried out before the next.
        kind: whether to ask by "ids" or "subjects".
        fate: how it dies, if it does.
        clock: seconds by which its clock is ahead.
        room: pages by which the file may grow, then the disk is full.
        short_write: bytes by which the write-ahead log may grow once a release is computed, then writes fail half way.
        compact: whether a release is followed by a compaction.
        model: the model that "init" takes over.
        warm: whether nobody will kill it, so that it may write the cache of compiled functions.
    """

    role: str
    path: Path
    folder: Path
    batches: tuple[tuple[str, ...], ...] = ((),)
    kind: str = "ids"
    fate: Fate | None = None
    clock: float = 0.0
    room: int | None = None
    short_write: int | None = None
    compact: bool = True
    model: bytes = b""
    warm: bool = False


def work(task: Task, pipe: Connection) -> None:
    """The life of a child. What it says through the pipe has arrived even if it dies right after."""
    # JAX does not write its cache atomically, so children that may be killed only read it.
    jax.config.update("jax_compilation_cache_dir", str(task.folder / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if task.warm else 1e9)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    passed: Counter[str] = Counter()

    def fault(step: str) -> None:
        pipe.send(("step", step))
        passed[step] += 1
        fate = task.fate
        if fate is not None and step == fate.step and passed[step] == fate.occurrence and fate.delay is None:
            os.kill(os.getpid(), signal.SIGSTOP if fate.asleep else signal.SIGKILL)
        if task.short_write is not None and step == PROCESS[1]:
            size = Path(f"{task.path}-wal").stat().st_size + task.short_write
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    try:
        act(task, fault, lambda kind, value=None: pipe.send((kind, value)))
        pipe.send(("end", None))
    except StoreError as error:
        pipe.send(("refusal", str(error)))
    except BaseException:
        pipe.send(("error", traceback.format_exc()))


def act(task: Task, fault: Callable[[str], None], tell: Callable[..., None]) -> None:
    """What the child is there for."""

    def clock() -> float:
        return time.time() + task.clock

    if task.role == "init":
        model = restored(loads(task.model))
        fault(READY)
        DeletionStore.init(task.path, model, commit_rows=True, clock=clock, fault=fault).close()
        return
    with DeletionStore.open(task.path, clock=clock, fault=fault) as store:
        if task.room is not None:
            (pages,) = store._database.one("PRAGMA page_count") or (0,)
            store._database.one(f"PRAGMA max_page_count = {pages + task.room}")
        fault(READY)
        for names in task.batches:
            for name in names:
                try:
                    receipt = store.request_removal(**{task.kind: [name if task.kind == "ids" else subject_of(name)]})
                    tell("receipts", (name, receipt))
                except UnknownIdError:
                    tell("gone", name)
            if task.role == "process":
                store.process(compact=task.compact)
            elif task.role == "compact":
                store.compact()
            if task.role in ("process", "show"):
                tell("shown", shown_by(store, task.folder / "public" / str(os.getpid())))


def shown_by(store: DeletionStore, path: Path) -> tuple[int, str]:
    """Publish; return the number and a hash of the release that everybody sees now."""
    store.publish(path)
    public = read(path)
    return public.statement["releases"], hashlib.sha256(public.released.tobytes()).hexdigest()


def subject_of(name: str) -> str:
    """Whose row this is."""
    return name.replace("person", "subject")
