"""Processes killed at every step and at any moment: nothing acknowledged is lost, nothing is done twice.

A helper process imports the library once and forks a child for each command; the child kills itself with SIGKILL at a
named step, or is killed after some time. Children write what was acknowledged to a file of their own.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certified.service import DeletionStore
from tests.service.conftest import COUNT, IDS

HELPER = """
import json, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from certified.estimators import CertifiedRidge
from certified.estimators.persistence import restored
from certified.estimators.saved_model import loads
from certified.service import DeletionStore
from pathlib import Path

def child(command):
    def fault(step):
        if step == command["step"]:
            os.kill(os.getpid(), signal.SIGKILL)
    path, action = command["path"], command["action"]
    if action == "init":
        model = restored(loads(Path(command["model"]).read_bytes()))
        DeletionStore.init(path, model, fault=fault).close()
        return
    with DeletionStore.open(path, fault=fault) as store:
        if action == "request":
            answer = [store.request_removal([name]).request for name in command["names"]]
        elif action == "process":
            outcome = store.process()
            answer = None if outcome is None else outcome.certificate.to_dict()["digest"]
        else:
            answer = store.compact()
    Path(command["answer"]).write_text(json.dumps(answer))

def start(command):
    process = os.fork()
    if process == 0:
        status = 1
        try:
            child(command)
            status = 0
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return process

for line in sys.stdin:
    commands = json.loads(line)
    processes = [start(command) for command in commands]
    if commands[0]["seconds"] is not None:
        time.sleep(commands[0]["seconds"])
        os.kill(processes[0], signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    print(json.dumps(codes), flush=True)
"""
REQUEST_STEPS = ("request: before commit", "request: after commit")
PROCESS_STEPS = ("process: lease taken", "process: computed", "process: before commit", "process: after commit")
COMPACT_STEPS = ("compact: rewritten", "compact: before commit")


class Helper:
    """Runs commands in processes of their own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *commands: dict[str, Any]) -> list[int]:
        """Run commands at the same time; return their exit codes, −9 for a killed one."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(commands) + "\n")
        self._process.stdin.flush()
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    helper = Helper()
    yield helper
    helper.close()


def command(path: Path, action: str, *, step: str | None = None, seconds: float | None = None, **more: Any) -> Any:
    return {"path": str(path), "action": action, "step": step, "seconds": seconds, "answer": f"{path}.answer", **more}


def taken_answer(path: Path) -> Any:
    file = Path(f"{path}.answer")
    if not file.exists():
        return None
    answer = json.loads(file.read_text())
    file.unlink()
    return answer


def check_store(path: Path) -> list[Any]:
    """Verify the store and return its log; every request has at most one release, and releases count up by one."""
    with DeletionStore.open(path) as store:
        assert store.verify().ok, str(store.verify())
        log = store.log()
        done = [number for record in log if record.kind == "release" for number in record.content["requests"]]
        assert len(done) == len(set(done))
        releases = [record.content["release"] for record in log if record.kind in ("init", "release")]
        assert releases == list(range(1, len(releases) + 1))
        removed = sum(record.content["removed"] for record in log if record.kind == "release")
        status = store.status()
        assert status.remaining == COUNT - removed and status.releases == len(releases) == store.certificate().releases
        return log


@pytest.mark.parametrize("step", REQUEST_STEPS)
def test_killed_while_recording_a_request(path: Path, helper: Helper, step: str) -> None:
    assert helper.run(command(path, "request", step=step, names=[IDS[0]])) == [-signal.SIGKILL]
    assert taken_answer(path) is None
    assert [record.kind for record in check_store(path)] == ["init", "request"][: REQUEST_STEPS.index(step) + 1]
    assert helper.run(command(path, "request", names=[IDS[0]])) == [0]
    assert taken_answer(path) == [REQUEST_STEPS.index(step) + 1]


@pytest.mark.parametrize("step", [*PROCESS_STEPS, *COMPACT_STEPS])
def test_killed_while_processing(path: Path, helper: Helper, step: str) -> None:
    """Before the commit nothing has happened, after it everything; the next call finishes at once either way."""
    helper.run(command(path, "request", names=IDS[:3]))
    assert taken_answer(path) == [1, 2, 3]
    assert helper.run(command(path, "process", step=step)) == [-signal.SIGKILL]
    assert taken_answer(path) is None
    committed = step in (*PROCESS_STEPS[3:], *COMPACT_STEPS)
    assert [record.kind for record in check_store(path)].count("release") == committed
    assert helper.run(command(path, "process")) == [0]
    assert (taken_answer(path) is None) == committed
    kinds = [record.kind for record in check_store(path)]
    assert kinds == ["init", "request", "request", "request", "release", "compact"]
    with DeletionStore.open(path) as store:
        assert store.status().pending == () and store.status().remaining == COUNT - 3
        assert not store.status().compaction_due
    assert IDS[0].encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_killed_while_a_store_is_made(tmp_path: Path, trained: bytes, helper: Helper) -> None:
    (tmp_path / "model").write_bytes(trained)
    made = tmp_path / "new.store"
    arguments = {"model": str(tmp_path / "model")}
    assert helper.run(command(made, "init", step="init: before commit", **arguments)) == [-signal.SIGKILL]
    assert not made.exists()
    assert helper.run(command(made, "init", **arguments)) == [1]
    for leftover in tmp_path.glob(".new.store.init*"):
        leftover.unlink()
    assert helper.run(command(made, "init", **arguments)) == [0]
    check_store(made)


def check_random_kills(path: Path, helper: Helper, rounds: int, seed: int) -> int:
    """Random commands killed at random steps and times; return how many were killed."""
    rng = random.Random(seed)
    left, asked, acknowledged, killed = list(IDS[: COUNT - 4]), set[str](), set[int](), 0
    outcomes = set[str]()
    for _ in range(rounds):
        action = rng.choice(["request", "request", "process", "process", "compact"])
        steps: tuple[str | None, ...] = {
            "request": REQUEST_STEPS,
            "process": PROCESS_STEPS + COMPACT_STEPS,
            "compact": COMPACT_STEPS,
        }[action]
        step = rng.choice((*steps, None))
        seconds = None if step else rng.choice((None, 0.2)) and rng.uniform(0.0, 1.0 if action == "process" else 0.02)
        names = [name for name in rng.sample(left, min(2, len(left))) if action == "request"]
        if action == "request" and not names:
            continue
        (code,) = helper.run(command(path, action, step=step, seconds=seconds, names=names))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        answer = taken_answer(path)
        asked |= set(names)
        if action == "request" and answer is not None:
            acknowledged |= set(answer)
        elif action == "process" and answer is not None:
            outcomes.add(answer)
        log = check_store(path)
        recorded = {record.content["request"] for record in log if record.kind == "request"}
        assert acknowledged <= recorded
        assert outcomes <= {record.content["certificate"] for record in log if record.kind == "release"}
        with DeletionStore.open(path) as store:
            left = [name for name in left if store.is_in_force(name)]
    assert helper.run(command(path, "process")) == [0]
    taken_answer(path)
    log = check_store(path)
    done = {number for record in log if record.kind == "release" for number in record.content["requests"]}
    assert done == {record.content["request"] for record in log if record.kind == "request"} >= acknowledged
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    with DeletionStore.open(path) as store:
        assert all(store.is_in_force(name) == (name.encode() in content) for name in asked)
    return killed


def test_killed_at_any_moment(path: Path, helper: Helper) -> None:
    assert check_random_kills(path, helper, 10, seed=3) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_many_times(path: Path, helper: Helper, seed: int) -> None:
    assert check_random_kills(path, helper, 60, seed) >= 15


def test_processes_at_the_same_time_lose_nothing(path: Path, helper: Helper) -> None:
    """Four processes request while two carry requests out; one of these two may find the lease taken."""
    commands = [{**command(path, "request", names=IDS[4 * i : 4 * i + 4]), "answer": f"{path}.{i}"} for i in range(4)]
    workers = [{**command(path, "process"), "answer": f"{path}.w{i}"} for i in range(2)]
    codes = helper.run(*commands[:2], *workers, *commands[2:])
    assert codes[:2] == [0, 0] and codes[4:] == [0, 0]
    numbers = [number for i in range(4) for number in json.loads(Path(f"{path}.{i}").read_text())]
    assert sorted(numbers) == list(range(1, 17))
    assert helper.run(command(path, "process")) == [0]
    log = check_store(path)
    done = [number for record in log if record.kind == "release" for number in record.content["requests"]]
    assert sorted(done) == list(range(1, 17))
