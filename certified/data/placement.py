"""From the rows of each process to arrays over a mesh, once all processes know that their rows fit together."""

from __future__ import annotations

import jax
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh

from certified.data.chunked import checked
from certified.data.mesh import gathered, spread
from certified.data.rows import Rows, block_shape

Array = npt.NDArray[np.float64]


def placed(
    mesh: Mesh, parts: int, features: Array, targets: Array, weights: Array, slots: int
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Check the rows of this process and place them on its devices; also the number of rows in each part.

    Raises:
        TypeError, ValueError: they, or those of another process, are not admissible; every process raises.
    """
    norms, refusal = _examined(features, targets, weights, parts, mesh)
    shape = (0, 0, 0) if refusal else (len(features), features.shape[1], targets.shape[1])
    facts = gathered(mesh, np.array([refusal is not None, *shape, slots, mesh.size], dtype=np.int64))
    if refusal is not None:
        raise refusal
    _check_same_kind(facts)
    owners = np.repeat([device.process_index for device in mesh.devices.flat], parts // mesh.size)
    counts = np.zeros(parts, dtype=np.int64)
    for process, count in zip(np.unique(owners), facts[:, 1], strict=True):
        mine = np.flatnonzero(owners == process)
        # As even as can be, so that each part has room of its own.
        counts[mine] = np.diff(np.linspace(0, count, len(mine) + 1).astype(np.int64))
    size, blocks = block_shape(max(int(counts.max()), -(-slots // parts)))
    edges = np.cumsum(counts[owners == jax.process_index()])[:-1]
    arrays = []
    for values in (features, targets, weights, norms):
        padded = [_padded(piece, blocks, size) for piece in np.split(values, edges)]
        # Several parts are on the only device there is.
        arrays.append(spread(mesh, padded if mesh.size > 1 else [np.concatenate(padded)]))
    return Rows(*arrays), counts


def _examined(
    features: Array, targets: Array, weights: Array, parts: int, mesh: Mesh
) -> tuple[Array, TypeError | ValueError | None]:
    """Norm bounds of admissible rows, or what is wrong: the other processes are to hear of it before it is raised."""
    try:
        if parts < 1 or parts != mesh.size != 1:
            raise ValueError(f"parts must be {mesh.size}, one per device, or positive on a single one, got {parts}")
        for name, array, axes in (("features", features, 2), ("targets", targets, 2), ("weights", weights, 1)):
            if array.dtype != np.float64:
                raise TypeError(f"{name} must be float64, got {array.dtype}; convert them")
            if array.ndim != axes or len(array) != len(features):
                raise ValueError(
                    f"features, targets and weights must have shapes (n, d), (n, K) and (n,), got {features.shape}, "
                    f"{targets.shape} and {weights.shape}"
                )
        return checked((features, targets, weights), "rows of this process"), None
    except (TypeError, ValueError) as refusal:
        return np.empty(0), refusal


def _check_same_kind(facts: npt.NDArray[np.int64]) -> None:
    refused = np.flatnonzero(facts[:, 0])
    if len(refused):
        raise ValueError(f"rows were refused by processes {refused.tolist()}; see the errors there")
    for column, name in ((2, "features"), (3, "outputs"), (4, "slots"), (5, "devices")):
        if len(np.unique(facts[:, column])) > 1:
            raise ValueError(
                f"all processes must have the same number of {name}, got {facts[:, column].tolist()} from processes "
                f"0 to {len(facts) - 1}"
            )


def _padded(values: Array, blocks: int, size: int) -> Array:
    padded = np.zeros((blocks * size, *values.shape[1:]))
    padded[: len(values)] = values
    return padded.reshape(blocks, size, *values.shape[1:])
