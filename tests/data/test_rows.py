from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certified.data.rows import BLOCK, Rows, norm_bounds

Array = npt.NDArray[np.float64]
FIELDS = ("features", "targets", "weights", "norms")


def make(n: int = 11, d: int = 3, outputs: int = 2, seed: int = 0, slots: int | None = None) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows.from_arrays(rng.normal(size=(n, d)), rng.normal(size=(n, outputs)), rng.uniform(1, 2, n), slots)


def flat(rows: Rows, field: str) -> Array:
    """One field with blocks and slots merged."""
    values = np.asarray(getattr(rows, field))
    return values.reshape(-1, *values.shape[2:])


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_layout(n: int) -> None:
    """All rows in order, then padding that takes no part in any sum; shapes from a short list."""
    rng = np.random.default_rng(n)
    features, targets, weights = rng.normal(size=(n, 2)), rng.normal(size=(n, 1)), rng.uniform(1, 2, n)
    rows = Rows.from_arrays(features, targets, weights)
    blocks, size = rows.weights.shape
    assert size in {8, 16, 32, 64, 128, 256}
    assert blocks == 1 or size == BLOCK
    assert (rows.slots, rows.summation_depth) == (blocks * size, blocks + size)
    assert n <= rows.slots < max(2 * n, n + BLOCK, 9)
    for field, expected in (("features", features), ("targets", targets), ("weights", weights)):
        assert np.array_equal(flat(rows, field)[:n], expected)
        assert not flat(rows, field)[n:].any()
    assert not flat(rows, "norms")[n:].any()


def test_everything_is_float64() -> None:
    rows = make()
    taken = rows.take(at(1))
    for derived in (rows, taken, rows.without(at(1)), rows.place(taken, at(2)), rows.enlarged(99)):
        assert {getattr(derived, field).dtype for field in FIELDS} == {jnp.dtype("float64")}
    assert not jax.config.jax_enable_x64


@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 6)), elements=st.floats(-1e60, 1e60)))
def test_norms_are_upper_bounds(features: Array) -> None:
    bounds = norm_bounds(features)
    assert bounds.shape == (len(features),)
    for row, bound in zip(features.tolist(), bounds.tolist(), strict=True):
        square = sum((Fraction(x) ** 2 for x in row), Fraction(0))
        assert square <= Fraction(bound) ** 2 <= square * (1 + Fraction(1, 2**40)) + Fraction(len(row), 2**1000)


@pytest.mark.parametrize("row", [[5e-324] * 3, [1e-200, 1e-170], [1e-162, 0.0], [0.0, 0.0], [1e60, 1e60], [1.0, 1e-17]])
def test_norms_survive_underflow(row: list[float]) -> None:
    (bound,) = norm_bounds(np.array([row])).tolist()
    assert sum(Fraction(x) ** 2 for x in row) <= Fraction(bound) ** 2


def test_take() -> None:
    rows = make()
    taken = rows.take(at(7, 0, 10))
    assert taken.weights.shape == (1, 8)
    for field in FIELDS:
        assert np.array_equal(flat(taken, field)[:3], flat(rows, field)[[7, 0, 10]])
    assert not flat(taken, "weights")[3:].any()


def test_take_across_blocks() -> None:
    rows = make(3 * BLOCK)
    positions = np.arange(5, 3 * BLOCK, 2)
    taken = rows.take(positions)
    for field in FIELDS:
        assert np.array_equal(flat(taken, field)[: len(positions)], flat(rows, field)[positions])
    assert np.count_nonzero(flat(taken, "weights")) == len(positions)


def test_take_nothing() -> None:
    assert not flat(make().take(at()), "weights").any()


def test_without() -> None:
    rows = make()
    rest = rows.without(at(0, 4))
    expected = flat(rows, "weights").copy()
    expected[[0, 4]] = 0.0
    assert np.array_equal(flat(rest, "weights"), expected)
    assert np.count_nonzero(flat(rows, "weights")) == 11
    for field in ("features", "targets", "norms"):
        assert np.array_equal(flat(rest, field), flat(rows, field))


def test_place_puts_back_what_was_taken() -> None:
    rows = make()
    positions = at(2, 9)
    restored = rows.without(positions).place(rows.take(positions), positions)
    for field in FIELDS:
        assert np.array_equal(flat(restored, field), flat(rows, field))


def test_place_brings_the_norms_along() -> None:
    big = Rows.from_arrays(np.full((1, 3), 1e6), np.ones((1, 2)), np.ones(1))
    placed = make().place(big, at(3))
    assert flat(placed, "norms")[3] >= 1e6 * np.sqrt(3.0) * (1 - 1e-15)


def test_erase_leaves_no_trace() -> None:
    rows = make()
    before = {field: flat(rows, field).copy() for field in FIELDS}
    erased = rows.erase(at(1, 10))
    for field in FIELDS:
        assert not flat(erased, field)[[1, 10]].any()
        kept = np.delete(np.arange(11), [1, 10])
        assert np.array_equal(flat(erased, field)[kept], before[field][kept])


def test_with_targets() -> None:
    rows = make()
    targets = np.arange(rows.slots * 3.0).reshape(-1, 3)
    changed = rows.with_targets(targets)
    assert np.array_equal(flat(changed, "targets"), targets)
    assert changed.n_outputs == 3


def test_no_outputs() -> None:
    """One class left: there is nothing to predict, and no target column."""
    rows = make()
    empty = rows.with_targets(np.zeros((rows.slots, 0)))
    assert empty.n_outputs == 0
    assert empty.take(at(1)).without(at(0)).n_outputs == 0
    assert rows.select_outputs([]).n_outputs == 0


def test_select_outputs() -> None:
    rows = make(outputs=3)
    assert np.array_equal(flat(rows.select_outputs([2, 0]), "targets"), flat(rows, "targets")[:, [2, 0]])


def test_enlarged_keeps_every_slot() -> None:
    rows = make()
    larger = rows.enlarged(300)
    assert larger.slots >= 300
    for field in FIELDS:
        assert np.array_equal(flat(larger, field)[: rows.slots], flat(rows, field))
        assert not flat(larger, field)[rows.slots :].any()


def at_offset(values: np.ndarray, offset: int) -> np.ndarray:
    """The values at an address that many bytes after a multiple of 64: at 0, JAX can share the memory on a CPU."""
    buffer = np.empty(values.nbytes + 128, dtype=np.uint8)
    start = -buffer.ctypes.data % 64 + offset
    array = buffer[start : start + values.nbytes].view(np.float64).reshape(values.shape)
    array[...] = values
    return array


@pytest.mark.parametrize("offset", range(0, 64, 8))
def test_the_device_owns_its_memory(offset: int) -> None:
    """Later changes of the caller's arrays have no effect, and rows are erased where they are."""
    features, targets, weights = (at_offset(np.ones(shape), offset) for shape in ((512, 2), (512, 1), (512,)))
    rows = Rows.from_arrays(features, targets, weights)
    replaced = rows.with_targets(targets)
    for array in (features, targets, weights):
        array[:] = 7.0
    for made in (rows, replaced):
        for field in ("features", "targets", "weights"):
            assert np.all(flat(made, field) == 1.0), field
    before = [getattr(rows, field).unsafe_buffer_pointer() for field in FIELDS]
    erased = rows.erase(at(1, 300))
    assert [getattr(erased, field).unsafe_buffer_pointer() for field in FIELDS] == before
    assert all(getattr(rows, field).is_deleted() for field in FIELDS)
    assert np.all(features == 7.0)


def test_repr_shows_no_data() -> None:
    rows = Rows.from_arrays(np.full((4, 2), 0.123456789), np.ones((4, 1)), np.ones(4))
    assert repr(rows) == "Rows(slots=8, features=2, outputs=1)"


def test_is_a_pytree() -> None:
    rows = make()
    leaves, structure = jax.tree_util.tree_flatten(rows)
    assert len(leaves) == len(FIELDS)
    assert isinstance(jax.tree_util.tree_unflatten(structure, leaves), Rows)
