"""One process of a mesh: trains, deletes, appends, certifies and verifies, and prints what it found as JSON.

    python mesh_worker.py PARTS PROCESSES PROCESS PORT (brief | full | hostile)

Run by `test_sharded.py` in processes of its own, since the number of devices and of processes is fixed when JAX starts.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import jax
import numpy as np
import numpy.typing as npt

from certified.bounds import certify_distance
from certified.bounds.exact_gradient import exact_gradient
from certified.bounds.row_sums import (
    certified_curvature_sums,
    certified_data_hessians,
    certified_gradient,
    certified_hvp,
    largest_predictor,
)
from certified.certificates.commitment import row_digests, rows_commitment
from certified.certificates.issue import Event, issue
from certified.data.rows import Rows
from certified.data.sharded import ShardedRows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.privacy.noise import release_gaussian
from certified.removal import ledger_step, newton
from certified.removal.state import RemovalState
from certified.solvers.conjugate_gradient import preconditioner
from certified.verification.verify import verify

Array = npt.NDArray[np.float64]

N, D, STRENGTH, TARGET, NOISE = 1200, 6, 1e-3, 1e-6, 1e-4
SALT, NONCE = bytes(range(16)), bytes(range(32))


def data(n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, D)) / 4.0
    targets = np.where(features[:, :1] + rng.normal(size=(n, 1)) / 4.0 > 0.0, 1.0, -1.0)
    return features, targets, rng.choice([1.0, 2.0], n)


def place(arrays: tuple[Array, ...], parts: int, **where: list[jax.Device]) -> ShardedRows:
    """Each process brings a stretch of the rows."""
    edges = np.linspace(0, len(arrays[0]), jax.process_count() + 1).astype(int)
    own = slice(*edges[jax.process_index() :][:2])
    return ShardedRows.from_arrays(*(array[own] for array in arrays), parts=parts, **where)


def bits(value: object) -> str:
    """What two runs must have in common to the last bit."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() + str(value.shape)
    return value.hex() if isinstance(value, float) else repr(value)


def history(parts: int, full: bool = False, **where: list[jax.Device]) -> dict[str, object]:
    """Training and deletion by the ledger; with ``full`` rows that come, go and change by Newton, and all figures."""
    features, targets, weights = data(N)
    rows = place((features, targets, weights), parts, **where)
    objective = Objective(LOGISTIC, rows, STRENGTH * weights.sum(), fit_intercept=full)
    state, _ = ledger_step.initialise(objective, TARGET)
    found: dict[str, object] = {"trained": state.weights, "trained bound": state.bound}
    leaving = np.array([3, N - 1, N // 2, 700])
    weights[leaving] = 0.0
    rows, taken = rows.without(leaving), rows.take(leaving)
    after = replace(objective, rows=rows, alpha=STRENGTH * weights.sum())
    state, info = ledger_step.update(state, after, TARGET, removed=taken)
    found |= {"route": info.route, "taken": np.asarray(taken.features)}
    if full:
        more = data(3, seed=1)[:2]
        coming = Rows.from_arrays(*more, np.full(3, 2.0))
        rows = rows.append(coming)
        last = np.array([rows.length - 2])
        rows = rows.without(last).erase(last)
        features, targets = (np.concatenate(pair) for pair in zip((features, targets), more, strict=True))
        weights = np.concatenate([weights, [2.0, 0.0, 2.0]])
        corrected = data(2, seed=2)
        rows = rows.enlarged(rows.length + 50).place(Rows.from_arrays(*corrected), np.array([5, N - 2]))
        for array, values in zip((features, targets, weights), corrected, strict=True):
            array[[5, N - 2]] = values
        targets[6] *= -1.0
        rows = rows.with_targets(np.append(targets, np.zeros((50, 1)), axis=0))
        after = replace(after, rows=rows, alpha=STRENGTH * weights.sum())
        state, _ = newton.update(state, after, TARGET, added=coming)
        found |= figures(after, state.weights)
    found |= {
        "weights": state.weights,
        "bound": state.bound,
        "norm": rows.largest_norm,
        "rows": (rows.in_force, rows.length, rows.slots, rows.summation_depth),
    }
    certificate, verified = certify(after, state, features, targets, weights)
    return {name: bits(value) for name, value in found.items()} | {"certificate": certificate, "verified": verified}


def figures(objective: Objective, w: Array) -> dict[str, object]:
    """Every certified sum over the rows."""
    sums, gradient = certified_curvature_sums(objective, w), certified_gradient(objective, w)
    product = certified_hvp(objective, w, np.ones_like(w))
    (hessian,) = certified_data_hessians(objective, w)
    return {
        "gradient": (bits(gradient.value), gradient.error),
        "product": (bits(product.value), product.error),
        "hessian": (bits(hessian.value), hessian.error),
        "moments": (bits(sums.total_lower), bits(sums.first_moment)),
        "predictor": largest_predictor(objective, w),
        "distance": certify_distance(objective, w),
        "in balls": exact_gradient(objective, w).value,
        "sampled": preconditioner(objective, objective.curvature(w), exact=False).lower[0],
    }


def certify(
    objective: Objective, state: RemovalState, features: Array, targets: Array, weights: Array
) -> tuple[str, bool]:
    """The certificate of a release but for its date, and whether it is verified on the remaining rows."""
    keep = weights > 0.0
    X, y, c = features[keep], np.where(targets[keep, 0] > 0.0, 1, 0), weights[keep]
    commitment = rows_commitment(NONCE, row_digests(SALT, X, y.tolist(), c))
    event = Event("remove", 1, 0, 5, len(X), (0, 1), commitment, SALT)
    released = release_gaussian(state.weights, NOISE, random.Random(7).randbytes)
    certificate = issue(
        event,
        objective,
        state.bound,
        ReleaseBudget.create(1.0, 1e-5, NOISE, 1),
        l2_scaling="per_sample",
        l2_strength=STRENGTH,
        noise="rounded_gaussian",
        released=released,
        weights=state.weights,
        nonce=NONCE,
    )
    report = verify(certificate, X, y, state.weights, sample_weight=c, released=released, nonce=NONCE)
    return repr(asdict(certificate) | {"issued_at": ""}), bool(report)


def refused(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def hostile(parts: int) -> dict[str, object]:
    """What each process says where the processes do not fit together, and where one has no rows."""
    features, targets, weights = data(40)
    process, first = jax.process_index(), jax.process_index() == 0
    foreign = [device for device in jax.devices() if device.process_index != process]
    rows = place((features, targets, weights), parts)
    objective = Objective(LOGISTIC, rows, 1.0)
    point, moved = np.zeros((D, 1)), np.full((D, 1), 0.0 if first else 1e-9)
    everything = slice(None) if first else slice(0, 0)
    alone = ShardedRows.from_arrays(features[everything], targets[everything], weights[everything])
    local = ShardedRows.from_arrays(features, targets, weights, devices=jax.local_devices())
    sums = [certified_gradient(replace(objective, rows=given), point) for given in (rows, alone, local)]
    apart = [np.linalg.norm(found.value - sums[0].value) for found in sums]
    coming = Rows.from_arrays(*data(1, seed=process))
    narrow = Rows.from_arrays(features[:1, : D - process], targets[:1], weights[:1])
    return {
        "features": refused(lambda: ShardedRows.from_arrays(features[:, : D - process], targets, weights)),
        "not finite": refused(lambda: ShardedRows.from_arrays(np.where(first, features, np.nan), targets, weights)),
        "devices": refused(lambda: ShardedRows.from_arrays(features, targets, weights, devices=foreign)),
        "positions": refused(lambda: rows.without(np.array([process]))),
        "order": refused(lambda: rows.take(np.array([process, 1 - process]))),
        "number": refused(lambda: rows.take(np.arange(1 + process))),
        "no such position": refused(lambda: rows.without(np.array([40]))),
        "appended": refused(lambda: rows.append(coming)),
        "narrow": refused(lambda: rows.append(narrow)),
        "placed": refused(lambda: rows.place(coming, np.array([0]))),
        "targets": refused(lambda: rows.with_targets(np.full((40, 1), float(process)))),
        "in memory": refused(lambda: rows.features_at(np.array([0]))),
        "weights": refused(lambda: certified_gradient(objective, moved)),
        "work": refused(lambda: certified_gradient(objective, point) if first else rows.in_force),
        "same sums": all(gap <= sums[0].error + found.error for gap, found in zip(apart, sums, strict=True)),
        "still works": bits(certified_gradient(objective, point).value) == bits(sums[0].value),
    }


def main(parts: int, processes: int, process: int, port: int, work: str) -> None:
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process, initialization_timeout=60)
    found = hostile(parts) if work == "hostile" else history(parts, work == "full")
    # On a line of its own: gloo, too, writes to the standard output.
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]), sys.argv[5])
