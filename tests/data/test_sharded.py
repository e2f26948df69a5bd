from __future__ import annotations

import json
import os
import pickle
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.bounds import certify_distance
from certified.bounds.row_sums import certified_gradient, certified_hvp
from certified.data.mesh import mesh_of, overwritten, spread
from certified.data.rows import BLOCK, Rows
from certified.data.sharded import ShardedRows
from certified.losses import LOGISTIC
from certified.numerics.rounding import UNIT_ROUNDOFF
from certified.objective import Objective
from tests.data.mesh_worker import history
from tests.data.test_rows import at_offset
from tests.oracle import Problem, gradient_error, hvp_error, is_upper_bound
from tests.strategies import objective_of, problems_and_points

Array = npt.NDArray[np.float64]
FIELDS = ("features", "targets", "weights", "norms")
HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]


def arrays(n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), rng.choice([0.0, 1.0, 2.0], n)


def make(n: int = 20, parts: int = 3, seed: int = 0) -> ShardedRows:
    return ShardedRows.from_arrays(*arrays(n, seed), devices=jax.devices()[:1], parts=parts)


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def flat(rows: Rows, name: str) -> Array:
    values = np.asarray(getattr(rows, name))
    return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])


@pytest.mark.parametrize("n", [0, 1, 20, 600])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_layout(n: int, parts: int) -> None:
    """Every row once, in parts of one shape and even size; padding of weight zero; the depth counts the parts."""
    given = arrays(n)
    rows, held = make(n, parts), Rows.from_arrays(*given)
    chunks = list(rows.chunks())
    assert [chunk.features.shape for chunk in chunks] == [chunks[0].features.shape] * parts
    assert rows.slots == sum(chunk.slots for chunk in chunks)
    assert rows.summation_depth == chunks[0].summation_depth + parts
    assert (rows.length, rows.n_features, rows.n_outputs) == (n, 3, 2)
    assert rows.in_force == np.count_nonzero(given[2])
    assert (rows.any_in_force, rows.largest_norm) == (held.any_in_force, held.largest_norm)
    counts = [np.count_nonzero(flat(chunk, "norms")) for chunk in chunks]
    assert max(counts) - min(counts) <= 1 + np.count_nonzero(given[2] == 0.0)
    for source in (chunks, list(rows.fetched())):
        kept = [flat(chunk, "weights") > 0.0 for chunk in source]
        for name, values in zip(FIELDS, given, strict=False):
            found = np.concatenate([flat(chunk, name)[mask] for chunk, mask in zip(source, kept, strict=True)])
            np.testing.assert_array_equal(found, values[given[2] > 0.0])


def test_room_for_more() -> None:
    assert ShardedRows.from_arrays(*arrays(3), slots=5000).slots >= 5000
    assert make(3 * BLOCK + 1, 3).features.shape == (6, BLOCK, 3)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, list[tuple[str, int | list[int]]]]:
    """(n, parts, changes): rows leave, more than once too, are erased, and come, also beyond the room there is.

    A change is described by positions, or by a number of rows.
    """
    n, changes = draw(st.sampled_from([0, 12])), []
    length = n
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["without", "erase", "place", "append", "enlarged"]))
        if kind in ("append", "enlarged"):
            count = draw(st.sampled_from([0, 3, 30]))
            changes.append((kind, count))
            length += count
        else:
            some = st.lists(st.integers(0, length - 1), max_size=6, unique=kind == "place")
            changes.append((kind, draw(some) if length else []))
    return n, draw(st.sampled_from([1, 3])), changes


@settings(max_examples=15)
@given(histories())
def test_changes_follow_a_plain_model(history: tuple[int, int, list[tuple[str, int | list[int]]]]) -> None:
    n, parts, changes = history
    features, targets, weights = arrays(n)
    rows = make(n, parts)
    for number, (kind, detail) in enumerate(changes):
        if kind == "place":
            at_, new = np.array(detail, dtype=np.int64), arrays(8, seed=number + 1)[:2]
            rows = rows.place(Rows.from_arrays(*new, np.full(8, 5.0)), at_)
            features[at_], targets[at_] = (values[: len(at_)] for values in new)
            weights[at_] = 5.0
        elif kind == "enlarged":
            assert rows.enlarged(rows.length).slots == rows.slots
            rows = rows.enlarged(rows.length + detail)
            empty = np.zeros((detail, 3)), np.zeros((detail, 2)), np.zeros(detail)
            features, targets, weights = map(np.append, (features, targets, weights), empty, (0, 0, 0))
        elif isinstance(detail, list):
            gone = np.array(detail, dtype=np.int64)
            rows = rows.without(gone) if kind == "without" else rows.erase(gone)
            weights[gone] = 0.0
            if kind == "erase":
                features[gone], targets[gone] = 0.0, 0.0
        else:
            new = arrays(detail, seed=number + 1)[:2]
            rows = rows.append(Rows.from_arrays(*new, np.full(detail, 3.0)))
            features, targets = (np.concatenate(pair) for pair in zip((features, targets), new, strict=True))
            weights = np.concatenate([weights, np.full(detail, 3.0)])
    assert (rows.length, rows.in_force) == (len(weights), np.count_nonzero(weights))
    order = np.random.default_rng(0).permutation(len(weights))
    np.testing.assert_array_equal(rows.features_at(order), features[order])
    taken = rows.take(order)
    for name, values in zip(FIELDS, (features, targets, weights), strict=False):
        np.testing.assert_array_equal(flat(taken, name)[: len(order)], values[order])
    assert not flat(taken, "weights")[len(order) :].any()
    assert sum(np.count_nonzero(flat(chunk, "weights")) for chunk in rows.chunks()) == rows.in_force
    norms = np.linalg.norm(features[weights > 0.0], axis=1)
    assert np.max(norms, initial=0.0) <= rows.largest_norm <= np.max(norms, initial=0.0) * (1.0 + 1e-12)


def test_a_change_leaves_what_was_before() -> None:
    rows = make()
    before = {name: flat(rows, name) for name in FIELDS}
    one = Rows.from_arrays(np.ones((1, 3)), np.ones((1, 2)), np.ones(1))
    rows.without(at(1, 2)).append(one).place(one, at(3)).enlarged(200).with_targets(np.ones((200, 2)))
    for name in FIELDS:
        np.testing.assert_array_equal(flat(rows, name), before[name])


def test_blocks_are_those_of_the_parts() -> None:
    rows = make(1500, 2).without(at(0, 700, 1499))
    index, values = at(0, 3, 5), np.arange(float(rows.slots)).reshape(rows.weights.shape)
    found = rows.blocks(index)
    for name in FIELDS:
        np.testing.assert_array_equal(np.asarray(getattr(found, name)), np.asarray(getattr(rows, name))[index])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(rows.along_blocks(jax.numpy.asarray(values), index), values[index])


def test_select_outputs() -> None:
    rows = make()
    np.testing.assert_array_equal(flat(rows.select_outputs([1]), "targets"), flat(rows, "targets")[:, [1]])


@pytest.mark.slow
@given(problems_and_points(), st.sampled_from([1, 3]))
def test_enclosures_and_distance(drawn: tuple[Problem, Array], parts: int) -> None:
    """The same oracle that judges rows in memory: the error of any number of parts is covered."""
    problem, weights = drawn
    rows = ShardedRows.from_arrays(
        problem.features, problem.targets, problem.weights, devices=jax.devices()[:1], parts=parts
    )
    objective = replace(objective_of(problem), rows=rows)
    gradient = certified_gradient(objective, weights)
    assert gradient_error(problem, weights, gradient.value) <= gradient.error
    product = certified_hvp(objective, weights, np.ones_like(weights))
    assert hvp_error(problem, weights, np.ones_like(weights), product.value) <= product.error
    assert is_upper_bound(certify_distance(objective, weights).value, problem, weights)


@pytest.mark.parametrize("exponent", [0, 15, 30])
def test_parts_that_cancel_are_charged(exponent: int) -> None:
    """Two parts have huge sums that cancel, which leaves the small sum of a third: the error counts the huge ones."""
    features = np.repeat([[10.0**exponent], [-(10.0**exponent)], [1 / 3]], 8, axis=0)
    problem = Problem("logistic", features, np.ones((24, 1)), np.ones(24), 1e-6)
    rows = ShardedRows.from_arrays(features, np.ones((24, 1)), np.ones(24), devices=jax.devices()[:1], parts=3)
    found = certified_gradient(Objective(LOGISTIC, rows, 1e-6), np.zeros((1, 1)))
    assert gradient_error(problem, np.zeros((1, 1)), found.value) <= found.error
    assert found.error >= UNIT_ROUNDOFF * 10.0**exponent


def test_bad_arguments() -> None:
    features, targets, weights = arrays(20)
    with pytest.raises(ValueError, match="features must be finite"):
        ShardedRows.from_arrays(np.full((20, 3), np.nan), targets, weights)
    with pytest.raises(ValueError, match="weights must be 0 or at least"):
        ShardedRows.from_arrays(features, targets, -weights)
    with pytest.raises(ValueError, match=r"must have shapes \(n, d\), \(n, K\) and \(n,\)"):
        ShardedRows.from_arrays(features, targets[:19], weights)
    with pytest.raises(ValueError, match=r"must have shapes"):
        ShardedRows.from_arrays(features, targets[:, 0], weights)
    with pytest.raises(TypeError, match="features must be float64, got float32"):
        ShardedRows.from_arrays(features.astype(np.float32), targets, weights)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="parts must be 1, one per device, or positive on a single one, got 0"):
        make(parts=0)
    for devices in ([], jax.devices() * 2):
        with pytest.raises(ValueError, match="devices must name at least one device and none twice"):
            ShardedRows.from_arrays(features, targets, weights, devices=devices)
    rows = make()
    for positions in (at(20), at(-1), at(3, 99)):
        for change in (rows.take, rows.without, rows.erase, lambda found: rows.place(rows.take(at(0, 1)), found)):
            with pytest.raises(IndexError, match="positions must lie between 0 and 19; name rows that there are"):
                change(positions)
    for wrong in (np.ones(20, dtype=bool), np.array([1.0])):
        with pytest.raises(TypeError, match="positions must be integers"):
            rows.without(wrong)
    with pytest.raises(ValueError, match="rows must have 3 features and 2 outputs, got 4 and 1"):
        rows.append(Rows.from_arrays(np.ones((1, 4)), np.ones((1, 1)), np.ones(1)))
    with pytest.raises(ValueError, match=r"features must be finite .* rows added"):
        rows.append(Rows.from_arrays(np.full((1, 3), np.nan), np.ones((1, 2)), np.ones(1)))


def test_devices_that_round_otherwise_are_refused() -> None:
    class Emulating:
        platform, process_index, id = "tpu", 0, 0

    with pytest.raises(ValueError, match="TPUs put it together from float32"):
        mesh_of([Emulating()])  # type: ignore[list-item]


@pytest.mark.parametrize("offset", range(0, 64, 8))
def test_devices_own_their_memory(offset: int) -> None:
    """Later changes of the caller's arrays have no effect, and rows are erased where they are."""
    mesh, piece = mesh_of(jax.devices()[:1]), at_offset(np.ones((2, 8)), offset)
    with jax.enable_x64(True):
        array = spread(mesh, [piece])
        address = array.unsafe_buffer_pointer()
        piece[:] = 7.0
        erased = overwritten(mesh, array, at(0, 9), np.zeros(2))
    assert erased.unsafe_buffer_pointer() == address and array.is_deleted()
    assert np.asarray(erased).reshape(-1).tolist() == [0.0, *[1.0] * 8, 0.0, *[1.0] * 6]


@pytest.mark.parametrize("outputs", [0, 1, 3])
def test_with_targets(outputs: int) -> None:
    """By position, also where rows were appended; nothing else changes, and spare slots have none."""
    rows = make().append(Rows.from_arrays(np.ones((9, 3)), np.ones((9, 2)), np.ones(9)))
    given = np.random.default_rng(0).normal(size=(29, outputs))
    changed, order = rows.with_targets(given), np.arange(29)
    taken, before = changed.take(order), rows.take(order)
    np.testing.assert_array_equal(flat(taken, "targets")[:29], given)
    for name in ("features", "weights", "norms"):
        np.testing.assert_array_equal(flat(taken, name), flat(before, name))
    assert np.count_nonzero(flat(changed, "targets")) == np.count_nonzero(given)
    assert changed.n_outputs == outputs


def test_rows_are_secrets() -> None:
    assert repr(make()) == "ShardedRows(slots=24, features=3, outputs=2, devices=1)"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(make())


def together(script: Path, arguments: list[list[str]], devices: int) -> list[str]:
    """The last lines of processes that are started together on this machine."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen([sys.executable, str(script), *own], env=environment, stdout=pipe, stderr=pipe, text=True)
        for own in arguments
    ]
    lines = []
    try:
        for process in started:
            out, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            lines.append(out.splitlines()[-1])
    finally:
        for process in started:
            process.kill()
    return lines


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run(work: str, devices: int, processes: int = 1) -> list[dict[str, Any]]:
    """What each process of a mesh finds."""
    port, parts = free_port(), devices * processes
    arguments = [[str(word) for word in (parts, processes, process, port, work)] for process in range(processes)]
    return [json.loads(line) for line in together(HERE.with_name("mesh_worker.py"), arguments, devices)]


def test_the_guide_runs(tmp_path: Path) -> None:
    """Both processes delete a row each and end with the same."""
    guide = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    _, block = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    script = tmp_path / "train.py"
    script.write_text(block, encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    lines = together(script, [["0", address], ["1", address]], 1)
    said = [line.partition(": ") for line in lines]
    assert [head for head, _, _ in said] == ["process 0", "process 1"]
    assert said[0][2] == said[1][2]
    assert re.fullmatch(r"2498 rows, distance at most \d\.\de-\d+, 0 passes", said[0][2])


def test_processes_that_do_not_fit_together() -> None:
    """Every process refuses what does not fit, none waits for the others for ever, and all go on."""
    differ = "ProcessesDifferError: {} differ between process 0 and processes [1"
    for process, said in enumerate(run("hostile", 1, 2)):
        assert said.pop("same sums")
        assert said.pop("still works")
        assert said["features"].startswith("ValueError: all processes must have the same number of features, got [6, 5")
        spoiled = "features must be finite" if process else "rows were refused by processes [1"
        assert said["not finite"].startswith(f"ValueError: {spoiled}")
        assert said["devices"].startswith("ValueError: devices must be those of this process, or include some of all")
        for name in ("positions", "order", "number"):
            assert said[name].startswith(differ.format("positions"))
        assert said["no such position"].startswith("IndexError: positions must lie between 0 and 39")
        for name in ("appended", "narrow"):
            assert said[name].startswith(differ.format("rows appended"))
        assert said["placed"].startswith(differ.format("rows placed"))
        assert said["targets"].startswith(differ.format("targets"))
        assert said["in memory"].startswith("TypeError: rows of other processes are not in the memory of this one")
        for name in ("weights", "work"):
            assert said[name].startswith(differ.format("weights"))


def test_eight_devices_are_one_to_the_bit() -> None:
    """Weights, bounds and certificate; and the verifier, which knows of no mesh, confirms them."""
    alone = json.loads(json.dumps(history(8, devices=jax.devices()[:1])))
    assert alone["verified"]
    assert run("brief", 8) == [alone]


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "processes"), [(8, 1), (4, 2), (2, 4)])
def test_every_figure_is_that_of_one_device(devices: int, processes: int) -> None:
    alone = json.loads(json.dumps(history(8, full=True, devices=jax.devices()[:1])))
    assert alone["verified"]
    assert run("full", devices, processes) == [alone] * processes
