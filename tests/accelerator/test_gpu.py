"""What every bound rests on, on a GPU: the tests of row sums, exp, losses, distances, and a deletion from end to end.

The whole suite runs there too, with JAX's GPU plugin installed. This tree also runs where the CPU is JAX's default.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds.row_sums import certified_data_hessians, certified_gradient, certified_hvp
from certified.data.rows import Rows
from certified.data.sharded import ShardedRows
from certified.losses import LOGISTIC, SQUARED, Loss
from certified.objective import Objective
from tests.bounds import test_distance, test_row_sums
from tests.data.mesh_worker import data, history
from tests.losses import test_soundness
from tests.numerics import test_exponential

try:
    GPUS = jax.devices("gpu")
except RuntimeError:
    pytest.skip(
        "needs a GPU, and JAX finds none: install its GPU plugin on a machine that has one", allow_module_level=True
    )

for module in (test_row_sums, test_distance, test_soundness, test_exponential):
    stem = module.__name__.rpartition(".")[2]
    globals().update({f"{stem}_{name}": test for name, test in vars(module).items() if name.startswith("test_")})


@pytest.fixture(scope="module", autouse=True)
def gpu() -> Iterator[jax.Device]:
    """Every computation of this module happens on the first GPU."""
    with jax.default_device(GPUS[0]):
        yield GPUS[0]


def test_the_rows_are_there(gpu: jax.Device) -> None:
    rows = Rows.from_arrays(*data(10))
    assert rows.features.devices() == {gpu}
    assert rows.features.dtype == np.float64


@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("loss", [LOGISTIC, SQUARED], ids=lambda loss: loss.name)
def test_enclosures_of_the_cpu_and_of_the_gpu_overlap(loss: Loss, gpu: jax.Device, seed: int) -> None:
    """Both contain the same exact value, so they differ by no more than both errors together."""
    rows, rng = data(700, seed), np.random.default_rng(seed)
    point, direction = rng.normal(size=(2, rows[0].shape[1], 1))
    found = []
    for device in (gpu, jax.devices("cpu")[0]):
        with jax.default_device(device):
            objective = Objective(loss, Rows.from_arrays(*rows), 0.7)
            found.append(
                (
                    certified_gradient(objective, point),
                    certified_hvp(objective, point, direction),
                    certified_data_hessians(objective, point)[0],
                )
            )
    for there, here in zip(*found, strict=True):
        assert np.linalg.norm(there.value - here.value) <= (there.error + here.error) * np.sqrt(len(here.value))


@pytest.mark.parametrize("parts", [1, 8])
def test_train_delete_certify_verify(gpu: jax.Device, parts: int) -> None:
    """The verifier computes in balls on the host and knows of no GPU."""
    assert history(parts, full=True, devices=[gpu])["verified"]


def test_all_gpus_share_the_rows() -> None:
    rows = data(3000)
    point = np.full((rows[0].shape[1], 1), 0.3)
    spread, alone = (
        certified_gradient(Objective(LOGISTIC, placed, 0.7), point)
        for placed in (
            ShardedRows.from_arrays(*rows, devices=GPUS),
            ShardedRows.from_arrays(*rows, devices=GPUS[:1], parts=len(GPUS)),
        )
    )
    assert np.array_equal(spread.value, alone.value)
    assert spread.error == alone.error
