"""Where an estimator's rows are: on the default device, or spread over a mesh of devices of this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh

from certified.data.mesh import is_shared, mesh_of
from certified.data.rows import Rows
from certified.data.sharded import ShardedRows

Array = npt.NDArray[np.float64]

STREAMED = (
    "streamed rows are read chunk by chunk by one device, and only rows given as arrays can be spread over several"
)


def checked_mesh(mesh: Any) -> Mesh | None:
    """Return the mesh of the devices of ``mesh``, whatever its shape; None stays None.

    Raises:
        TypeError: it is no mesh.
        ValueError: its devices are those of several processes, or compute otherwise than claim T12 allows.
    """
    if mesh is None:
        return None
    if not isinstance(mesh, Mesh):
        raise TypeError(
            "mesh must be None or a jax.sharding.Mesh of devices, such as certified.data.mesh.mesh_of(jax.devices()); "
            f"got a {type(mesh).__name__}"
        )
    if is_shared(mesh):
        raise ValueError(
            "mesh must hold devices of this process alone, such as jax.local_devices(): an estimator releases in one "
            "process; for several use ShardedRows with certified.removal.ledger_step, as in docs/scale.md"
        )
    return mesh_of(list(mesh.devices.flat))


def rows_on(mesh: Mesh | None, features: Array, targets: Array, weights: Array) -> Rows:
    """Validated rows (n, d), targets (n, K) and weights (n,) where ``mesh`` says; the first n positions are theirs."""
    if mesh is None:
        return Rows.from_arrays(features, targets, weights)
    return ShardedRows.from_arrays(features, targets, weights, devices=list(mesh.devices.flat))
