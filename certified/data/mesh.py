"""Row sums on a mesh of devices: every device sums its own rows, and the sums are added in one order (claim T12).

Collectives move numbers, or pick the largest, but never add numbers that both differ from zero. So the order of every
addition is fixed here, and neither the network nor the number of processes that hold the devices can change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from certified.data.rows import Rows, owned

AXIS = "rows"
SPREAD, SAME = P(AXIS), P()  # type: ignore[no-untyped-call]
"""An array in equal pieces over the mesh; one that every device has."""


class ProcessesDifferError(RuntimeError):
    """The processes of one mesh were given different requests, or no longer hold the same numbers."""


def mesh_of(devices: Sequence[jax.Device]) -> Mesh:
    """The mesh of these devices, those of process 0 first.

    Raises:
        ValueError: there is none, one is named twice or rounds in another way than claim T12 allows, or they belong to
            several processes but not to all.
    """
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(f"devices must name at least one device and none twice, got {len(devices)}")
    if any(device.platform == "tpu" for device in devices):
        raise ValueError(
            "devices must compute in float64 with one rounding per operation (claim T12); TPUs put it together from "
            "float32, which no bound here covers: use GPUs or CPUs"
        )
    owners = {device.process_index for device in devices}
    if owners != {jax.process_index()} and owners != set(range(jax.process_count())):
        raise ValueError(
            f"devices must be those of this process, or include some of all {jax.process_count()} processes, got those "
            f"of {sorted(owners)}; use jax.local_devices() or jax.devices()"
        )
    return Mesh(np.array(sorted(devices, key=lambda device: (device.process_index, device.id))), (AXIS,))


def is_shared(mesh: Mesh) -> bool:
    """Whether several processes hold the devices."""
    return len({device.process_index for device in mesh.devices.flat}) > 1


def gathered(mesh: Mesh, facts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The arrays (…) of all processes, one after the other: (processes, …)."""
    return np.asarray(process_allgather(facts)) if is_shared(mesh) else facts[None]


def agree(mesh: Mesh, what: str, *values: object) -> None:
    """Make sure that all processes hold the same values, before any of them starts what they take part in.

    Raises:
        ProcessesDifferError: they do not; every process raises it.
    """
    if not is_shared(mesh):
        return
    digest = hashlib.sha256(what.encode())
    for value in values:
        plain = repr(value).encode()
        if isinstance(value, np.ndarray):
            plain = f"{value.dtype}{value.shape}".encode() + value.tobytes()
        digest.update(len(plain).to_bytes(8, "big") + plain)
    found = gathered(mesh, np.frombuffer(digest.digest()[:16], dtype=np.uint32))
    others = np.flatnonzero((found != found[0]).any(axis=1))
    if len(others):
        raise ProcessesDifferError(
            f"{what} differ between process 0 and processes {others.tolist()}; give every process the same requests in "
            "the same order, on machines of one kind with the same libraries and numbers of threads"
        )


def added_up(mesh: Mesh, terms: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """Add arrays (devices, …) over the devices, first to last; every device gets the sums (claim T12)."""
    return tuple(term[0] for term in terms) if mesh.size == 1 else _in_order(mesh, terms)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def evaluated(
    mesh: Mesh,
    function: Callable[..., tuple[jax.Array, ...]],
    static: tuple[Any, ...],
    kept: int,
    rows: Rows,
    along: tuple[jax.Array, ...],
    arguments: tuple[Any, ...],
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """What ``function`` gives for the rows of each device: stacked (devices, …), the last ``kept`` along the rows."""

    def here(
        rows: Rows, along: tuple[jax.Array, ...], arguments: tuple[Any, ...]
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        found = function(*static, rows, *along, *arguments)
        sums = len(found) - kept
        return tuple(term[None] for term in found[:sums]), tuple(found[sums:])

    found: tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]
    found = _on(mesh, here, (SPREAD, SPREAD, SAME), SPREAD)(rows, along, arguments)
    return found


@partial(jax.jit, static_argnums=0)
def _in_order(mesh: Mesh, terms: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    def here(*mine: jax.Array) -> tuple[jax.Array, ...]:
        flat = jnp.concatenate([term.reshape(-1) for term in mine])
        share = max(1, -(-flat.size // mesh.size))  # of no outputs there are no sums, but no collective takes nothing
        padded = jnp.pad(flat, (0, share * mesh.size - flat.size)).reshape(mesh.size, share)
        # Each device adds one share of the entries for all, so that no more is sent than in a reduction by a ring.
        shares = jax.lax.all_to_all(padded, AXIS, 0, 0, tiled=True)  # type: ignore[no-untyped-call]
        total = jax.lax.fori_loop(1, mesh.size, lambda i, partial: partial + shares[i], shares[0])
        whole = jax.lax.all_gather(total, AXIS, tiled=True)
        edges = np.cumsum([0, *(term.size for term in mine)]).tolist()
        return tuple(whole[a : a + term.size].reshape(term.shape[1:]) for a, term in zip(edges, mine, strict=False))

    sums: tuple[jax.Array, ...] = _on(mesh, here, SPREAD, SAME)(*terms)
    return sums


@partial(jax.jit, static_argnums=0)
def largest(mesh: Mesh, values: jax.Array) -> jax.Array:
    """The largest entry of an array that is spread over the mesh; 0 if there is none above."""

    def here(values: jax.Array) -> Any:
        return jax.lax.pmax(jnp.max(values, initial=0.0), AXIS)  # type: ignore[no-untyped-call]

    found: jax.Array = _on(mesh, here, SPREAD, SAME)(values)
    return found


@partial(jax.jit, static_argnums=0)
def picked(mesh: Mesh, arrays: Any, index: npt.NDArray[np.int64]) -> Any:
    """The slots ``index`` (…) of arrays (blocks, size, …) on every device, 0 where there is no such slot."""

    def here(arrays: Any, index: jax.Array) -> Any:
        def pick(array: jax.Array) -> Any:
            block, slot = jnp.divmod(_local(array, index), array.shape[1])
            # All but one of the numbers added are 0.
            mine = array.at[block, slot].get(mode="fill", fill_value=0.0)
            return jax.lax.psum(mine, AXIS)  # type: ignore[no-untyped-call]

        return jax.tree_util.tree_map(pick, arrays)

    return _on(mesh, here, (SPREAD, SAME), SAME)(arrays, index)


def _write(mesh: Mesh, arrays: Any, index: npt.NDArray[np.int64], values: Any) -> Any:
    """Write ``values`` (k, …) at the slots ``index`` (k,); each device writes its own, none writes slots beyond all."""

    def here(arrays: Any, index: jax.Array, values: Any) -> Any:
        def put(array: jax.Array, value: jax.Array) -> jax.Array:
            block, slot = jnp.divmod(_local(array, index), array.shape[1])
            return array.at[block, slot].set(value, mode="drop")

        return jax.tree_util.tree_map(put, arrays, values)

    return _on(mesh, here, (SPREAD, SAME, SAME), SPREAD)(arrays, index, values)


written = jax.jit(_write, static_argnums=0)
overwritten = jax.jit(_write, static_argnums=0, donate_argnums=1)
"""The same in the buffers of the arrays given, which are consumed."""


@partial(jax.jit, static_argnums=(0, 2, 3))
def widened(mesh: Mesh, arrays: Any, parts: int, blocks: int) -> Any:
    """Arrays of ``parts`` parts on each device, every part with ``blocks`` blocks, the new ones zero."""

    def widen(array: jax.Array) -> jax.Array:
        apart = array.reshape(parts, -1, *array.shape[1:])
        room = [(0, 0), (0, blocks - apart.shape[1]), *((0, 0) for _ in array.shape[1:])]
        return jnp.pad(apart, room).reshape(parts * blocks, *array.shape[1:])

    return _on(mesh, lambda arrays: jax.tree_util.tree_map(widen, arrays), SPREAD, SPREAD)(arrays)


def _local(array: jax.Array, index: jax.Array) -> jax.Array:
    """Numbers of slots counted on this device; those of other devices lie beyond its last."""
    here = array.shape[0] * array.shape[1]
    own = index - jax.lax.axis_index(AXIS) * here
    return jnp.where((own >= 0) & (own < here), own, here)


def _on(mesh: Mesh, function: Callable[..., Any], arguments: Any, results: Any) -> Callable[..., Any]:
    # What is gathered is the same on every device, which JAX cannot see.
    spread: Callable[..., Any] = jax.shard_map(
        function, mesh=mesh, in_specs=arguments, out_specs=results, check_vma=False
    )
    return spread


def spread(mesh: Mesh, pieces: Sequence[npt.NDArray[np.float64]]) -> jax.Array:
    """One array over the mesh from the equal pieces of this process's devices, one for each."""
    sharding = NamedSharding(mesh, SPREAD)
    devices = [device for device in mesh.devices.flat if device.process_index == jax.process_index()]
    shape = (len(pieces[0]) * mesh.size, *pieces[0].shape[1:])
    local = [owned(piece, device) for piece, device in zip(pieces, devices, strict=True)]
    return jax.make_array_from_single_device_arrays(shape, sharding, local)
