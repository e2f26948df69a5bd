from __future__ import annotations

import pickle
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.data.rows import BLOCK, Rows
from certified.data.sources import ArraySource, SourceChangedError
from certified.data.streamed import CHUNK_ENTRIES, Outputs, StreamedRows

Array = npt.NDArray[np.float64]
FIELDS = ("features", "targets", "weights", "norms")


def arrays(n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), rng.choice([0.0, 1.0, 2.0], n)


def make(n: int = 20, chunk_rows: int | None = 7) -> StreamedRows:
    return StreamedRows.open(ArraySource(*arrays(n)), chunk_rows)


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def flat(rows: Rows, name: str) -> Array:
    values = np.asarray(getattr(rows, name))
    return values.reshape(-1, *values.shape[2:])


def in_force(rows: Rows) -> dict[str, Array]:
    """The rows of positive weight of all chunks, in order."""
    chunks = [{name: flat(chunk, name) for name in FIELDS} for chunk in rows.chunks()]
    kept = [{name: part[name][part["weights"] > 0.0] for name in FIELDS} for part in chunks]
    return {name: np.concatenate([part[name] for part in kept]) for name in FIELDS}


@dataclass
class Counting:
    """A source that records what was read, and can be spoiled."""

    source: ArraySource
    reads: list[tuple[int, int]] = field(default_factory=list)
    spoil: tuple[int, Array] | None = None

    def __getattr__(self, name: str) -> int:
        return int(getattr(self.source, name))

    def read(self, start: int, stop: int) -> tuple[Array, Array, Array]:
        self.reads.append((start, stop))
        parts = list(self.source.read(start, stop))
        if self.spoil is not None:
            parts[self.spoil[0]] = parts[self.spoil[0]] + self.spoil[1]
        return parts[0], parts[1], parts[2]


@pytest.mark.parametrize("n", [0, 1, 20])
@pytest.mark.parametrize("chunk_rows", [1, 7, 20, 300, None])
def test_layout(n: int, chunk_rows: int | None) -> None:
    """Every row once and in order, chunks of one shape, padding of weight zero, the same sums as rows in memory."""
    parts = arrays(n)
    rows, held = StreamedRows.open(ArraySource(*parts), chunk_rows), Rows.from_arrays(*parts)
    chunks = list(rows.chunks())
    assert len({chunk.features.shape for chunk in chunks}) == 1
    assert {getattr(chunk, name).dtype for chunk in chunks for name in FIELDS} == {jnp.dtype("float64")}
    assert rows.slots == sum(chunk.slots for chunk in chunks)
    assert rows.summation_depth == chunks[0].summation_depth + len(chunks)
    assert (rows.length, rows.n_features, rows.n_outputs) == (n, 3, 2)
    assert rows.in_force == np.count_nonzero(parts[2])
    assert rows.any_in_force == held.any_in_force
    assert rows.largest_norm == held.largest_norm
    for name in FIELDS:
        np.testing.assert_array_equal(in_force(rows)[name], in_force(held)[name])


def test_default_chunks() -> None:
    """16 MiB of features, or a square matrix where that is more; in whole blocks."""
    narrow = StreamedRows.open(ArraySource(np.zeros((BLOCK + 1, 1)), np.zeros(BLOCK + 1)))
    assert [chunk.slots for chunk in narrow.chunks()] == [2 * BLOCK]
    d = 1 << 12
    wide = StreamedRows.open(ArraySource(np.broadcast_to(np.zeros(1), (d + 1, d)), np.zeros(d + 1)))
    assert d * d > CHUNK_ENTRIES
    assert wide.slots == 2 * d


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int | None, list[tuple[str, int | list[int]]]]:
    """(n, chunk_rows, changes): rows leave, more than once too, and come."""
    n, changes = draw(st.integers(0, 12)), []
    length = n
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            changes.append(("without", draw(st.lists(st.integers(0, length - 1), max_size=6)) if length else []))
        else:
            count = draw(st.integers(0, 4))
            changes.append(("append", count))
            length += count
    return n, draw(st.sampled_from([1, 2, 5, 12, None])), changes


@given(histories())
def test_changes_follow_a_plain_model(history: tuple[int, int | None, list[tuple[str, int | list[int]]]]) -> None:
    n, chunk_rows, changes = history
    features, targets, weights = arrays(n)
    rows = StreamedRows.open(ArraySource(features, targets, weights.copy()), chunk_rows)
    first = rows
    for number, (kind, detail) in enumerate(changes):
        if kind == "without":
            rows = rows.without(np.array(detail, dtype=np.int64))
            weights[detail] = 0.0
        else:
            new = arrays(int(str(detail)), seed=number + 1)[:2]
            rows = rows.append(Rows.from_arrays(*new, np.full(len(new[0]), 3.0)))
            features, targets = (np.concatenate(pair) for pair in zip((features, targets), new, strict=True))
            weights = np.concatenate([weights, np.full(len(new[0]), 3.0)])
    assert (rows.length, rows.in_force) == (len(weights), np.count_nonzero(weights))
    found, norms = in_force(rows), np.linalg.norm(features[weights > 0.0], axis=1)
    for name, values in zip(FIELDS, (features, targets, weights), strict=False):
        np.testing.assert_array_equal(found[name], values[weights > 0.0])
    np.testing.assert_allclose(found["norms"], norms, rtol=1e-12)
    assert rows.largest_norm == np.max(found["norms"], initial=0.0)
    positions = np.random.default_rng(0).permutation(len(weights))[:5]
    taken = rows.take(positions)
    for name, values in zip(FIELDS, (features, targets, weights), strict=False):
        np.testing.assert_array_equal(flat(taken, name)[: len(positions)], values[positions])
    assert not flat(taken, "weights")[len(positions) :].any()
    assert first.in_force == np.count_nonzero(arrays(n)[2])


@pytest.mark.parametrize("chunk_rows", [1, 256, 300, 512, 700])
def test_blocks_are_those_of_the_chunks(chunk_rows: int) -> None:
    features, targets, weights = arrays(700)
    rows = StreamedRows.open(ArraySource(features, targets, weights), chunk_rows).without(at(0, 299, 300, 699))
    rows = rows.append(Rows.from_arrays(np.ones((3, 3)), np.ones((3, 2)), np.ones(3)))
    chunks = list(rows.chunks())
    index = at(0, 2, sum(len(chunk.weights) for chunk in chunks) - 1)
    found = rows.blocks(index)
    for name in FIELDS:
        everything = np.concatenate([np.asarray(getattr(chunk, name)) for chunk in chunks])
        np.testing.assert_array_equal(np.asarray(getattr(found, name)), everything[index])


def test_a_change_reads_only_the_rows_it_names() -> None:
    source = Counting(ArraySource(*arrays(1000)))
    rows = StreamedRows.open(source, 100)
    source.reads.clear()
    rest = rows.without(at(5, 6, 950))
    assert source.reads == []
    rest.append(rows.take(at(6, 5, 950)))
    assert sorted(source.reads) == [(5, 7), (950, 951)]


def test_everything_removed() -> None:
    rows = make().without(np.arange(20))
    assert (rows.in_force, rows.any_in_force, rows.largest_norm) == (0, False, 0.0)
    assert not any(np.asarray(chunk.weights).any() for chunk in rows.chunks())


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    rows = StreamedRows.open(ArraySource(*arrays(20)), 7, progress=lambda *done: seen.append(done))
    assert seen == [(7, 20), (14, 20), (20, 20)]
    seen.clear()
    for _ in range(2):
        list(rows.without(at(1)).chunks())
    assert len(seen) == 6
    assert (seen[2], seen[5]) == ((20, 20), (20, 20))


def test_a_pass_left_early_leaves_no_thread() -> None:
    before = threading.active_count()
    for _ in make().chunks():
        break
    assert threading.active_count() == before


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 6, 19])
def test_a_source_that_changes_is_found_out(part: int, place: int) -> None:
    """In features, targets and weights alike, in the first, a middle and the last chunk."""
    source = Counting(ArraySource(*arrays(20)))
    rows = StreamedRows.open(source, 7)
    list(rows.chunks())
    inner = source.source._parts[part]
    inner[place] = 0.5
    with pytest.raises(SourceChangedError, match="restore them, or open the rows again"):
        list(rows.chunks())


def test_a_row_that_changes_is_found_out_when_taken() -> None:
    source = Counting(ArraySource(*arrays(20)))
    rows = StreamedRows.open(source, 7)
    for spoil in ((0, np.full(3, 1e-6)), (1, np.full(2, 1e-6)), (2, np.ones(1))):
        source.spoil = spoil
        with pytest.raises(SourceChangedError, match="rows 7 to 13"):
            rows.take(at(8))


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="source must have length"):
        StreamedRows.open(np.ones((2, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk_rows must be at least 1"):
        make(chunk_rows=0)
    rows = make()
    for positions in (at(20), at(-1), at(3, 99)):
        with pytest.raises(IndexError, match="positions must lie between 0 and 19"):
            rows.take(positions)
        with pytest.raises(IndexError, match="positions must lie between 0 and 19"):
            rows.without(positions)
    for wrong in (np.ones(20, dtype=bool), np.array([1.0])):
        with pytest.raises(TypeError, match="positions must be integers"):
            rows.without(wrong)
    with pytest.raises(ValueError, match="rows must have 3 features and 2 outputs, got 4 and 1"):
        rows.append(Rows.from_arrays(np.ones((1, 4)), np.ones((1, 1)), np.ones(1)))
    with pytest.raises(ValueError, match=r"features must be finite .* rows added"):
        rows.append(Rows.from_arrays(np.full((1, 3), np.nan), np.ones((1, 2)), np.ones(1)))


@pytest.mark.parametrize("name", FIELDS)
def test_there_are_no_arrays_of_all_rows(name: str) -> None:
    with pytest.raises(TypeError, match="rows are streamed"):
        getattr(make(), name)


def test_operations_on_all_rows_in_memory_are_refused() -> None:
    rows, one = make(), Rows.from_arrays(np.ones((1, 3)), np.ones((1, 2)), np.ones(1))
    for action in (
        lambda: rows.place(one, at(1)),
        lambda: rows.with_targets(np.ones((20, 1))),
        lambda: rows.enlarged(99),
        lambda: rows.erase(at(1)),
    ):
        with pytest.raises(TypeError):
            action()


def test_targets_are_encoded_chunk_by_chunk() -> None:
    """Whatever is derived from the rows keeps the encoding; the source's own targets stay what they are."""
    _, targets, weights = arrays(20)
    rows = make().encoded(Outputs(3, lambda t: np.stack([t[:, 0], -t[:, 0], t[:, 1]], axis=1)))
    assert (rows.n_outputs, rows.without(at(1)).n_outputs, make().n_outputs) == (3, 3, 2)
    chosen = rows.select_outputs([2, 1])
    assert chosen.n_outputs == 2
    kept = weights > 0.0
    np.testing.assert_array_equal(in_force(chosen)["targets"], np.stack([targets[:, 1], -targets[:, 0]], axis=1)[kept])
    np.testing.assert_array_equal(flat(chosen.take(at(4)), "targets")[0], [targets[4, 1], -targets[4, 0]])
    np.testing.assert_array_equal(chosen.values(at(4))[1], targets[[4]])
    np.testing.assert_array_equal(in_force(make().select_outputs([1]))["targets"], targets[kept][:, 1:])
    with pytest.raises(TypeError, match="use extend"):
        rows.append(Rows.from_arrays(np.ones((1, 3)), np.ones((1, 3)), np.ones(1)))
    grown = rows.extend(np.ones((2, 3)), np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([1.0, 0.0]))
    assert (grown.length, grown.in_force) == (22, rows.in_force + 1)
    np.testing.assert_array_equal(in_force(grown)["targets"][-1], [5.0, -5.0, 6.0])


def test_positions_of_a_target() -> None:
    values = np.array([1.0, 0.0, 1.0, 2.0] * 5)
    rows = StreamedRows.open(ArraySource(np.ones((20, 2)), values), 7).without(at(0))
    rows = rows.extend(np.ones((2, 2)), np.array([[3.0], [1.0]]), np.ones(2))
    np.testing.assert_array_equal(rows.where(1.0), [*np.flatnonzero(values == 1.0), 21])
    assert rows.where(9.0).size == 0


def test_the_first_reading_can_be_observed() -> None:
    seen: list[tuple[int, int]] = []
    StreamedRows.open(ArraySource(*arrays(20)), 7, observe=lambda start, parts: seen.append((start, len(parts[0]))))
    assert seen == [(0, 7), (7, 7), (14, 6)]


def test_streamed_rows_are_not_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(make())


def test_repr_shows_no_data() -> None:
    assert repr(make()) == "StreamedRows(slots=24, features=3, outputs=2)"


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs/streamed-rows.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)
        assert capsys.readouterr().out.endswith("0 passes over the rows\n")
    assert names["report"].complete  # type: ignore[attr-defined]
    assert names["state"].bound.value <= names["target"]  # type: ignore[attr-defined]


MEMORY = """
import resource
import numpy as np
from certified.bounds import certify_distance
from certified.bounds.row_sums import certified_gradient
from certified.data.streamed import StreamedRows
from certified.losses import LOGISTIC
from certified.objective import Objective

class Made:
    n_features, n_outputs = 64, 1
    def __init__(self, length):
        self.length = length
    def read(self, start, stop):
        rng = np.random.default_rng(start)
        x = rng.uniform(-0.2, 0.2, (stop - start, 64))
        return x, np.where(x[:, :1] > 0.0, 1.0, -1.0), np.ones(stop - start)

def gap(length):
    rows = StreamedRows.open(Made(length), 8192)
    rows = rows.without(np.arange(5))
    objective = Objective(LOGISTIC, rows, 1e-3 * length)
    return certify_distance(objective, np.zeros((64, 1))).value

gap(10_000)
limit = 320 << 20
with open("/proc/self/status") as status:
    (used,) = (int(line.split()[1]) << 10 for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + limit, used + limit))
n = 1_000_000
assert 8 * 64 * n > 1.5 * limit
try:
    np.ones((n, 64))
except MemoryError:
    print("too large for memory")
print("bounded" if gap(n) < np.inf else "unbounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
def test_rows_larger_than_the_memory_allowed() -> None:
    """488 MiB of rows under a limit of 320 MiB more than the libraries take."""
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=300)
    assert found.stdout.split("\n")[:2] == ["too large for memory", "bounded"], found.stderr
