"""Estimators on eight devices of one process: requests, saving, erasure; prints what it found as JSON.

    python mesh_worker.py (brief | families | requests)

Run by `test_mesh.py` in a process of its own, since the number of devices is fixed when JAX starts.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from jax.sharding import Mesh

from certified import verify
from certified.data.mesh import mesh_of
from certified.data.sharded import ShardedRows
from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedPoissonRegressor,
    CertifiedRidge,
    CertifiedSoftmaxRegression,
)
from certified.estimators.base import CertifiedEstimator
from tests.estimators.reference import Reference, Row, table
from tests.estimators.test_session import LogisticRequests, Requests, RidgeRequests

Array = npt.NDArray[np.float64]

DEVICES = jax.devices()
EIGHT, THREE = mesh_of(DEVICES), mesh_of(DEVICES[:3])
RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 2))
SCORES = X @ RNG.normal(size=(2, 3)) + 0.5 * RNG.normal(size=(60, 3))
LABELS = np.array(["a", "b", "c"])[SCORES.argmax(axis=1)]
FAMILIES: dict[str, tuple[type[Any], npt.NDArray[Any]]] = {
    "squared": (CertifiedRidge, SCORES[:, 0]),
    "two targets": (CertifiedRidge, SCORES[:, :2]),
    "logistic": (CertifiedLogisticRegression, LABELS),
    "softmax": (CertifiedSoftmaxRegression, LABELS),
    "hinge": (CertifiedLinearSVC, LABELS),
    "poisson": (CertifiedPoissonRegressor, np.exp(SCORES[:, 0]).round()),
    "gamma": (CertifiedGammaRegressor, np.exp(SCORES[:, 0])),
}


def rows_of(model: CertifiedEstimator) -> ShardedRows:
    rows = model._session.state.objective.rows
    assert isinstance(rows, ShardedRows)
    return rows


def pieces(model: CertifiedEstimator) -> list[tuple[int, int, Array]]:
    """Device, address and content of each piece of the features."""
    return [
        (shard.device.id, shard.data.unsafe_buffer_pointer(), np.asarray(shard.data).reshape(-1, 2))
        for shard in rows_of(model).features.addressable_shards
    ]


def erased_in_place(reference: Reference, ids: list[int | str]) -> bool:
    """Whether a removal zeroes the rows where they were, on the devices that hold them, and touches nothing else."""
    before = [(device, address, content.copy()) for device, address, content in pieces(reference.model)]
    gone = {reference.rows[key].features for key in ids}
    reference.remove(ids)
    for (device, address, was), (same_device, same_address, now) in zip(before, pieces(reference.model), strict=True):
        expected = [(0.0, 0.0) if row in gone else row for row in map(tuple, was.tolist())]
        if (device, address) != (same_device, same_address) or expected != list(map(tuple, now.tolist())):
            return False
    return True


def brief() -> dict[str, Any]:
    """Every kind of request, and classes that leave and come, all against the oracle, in few shapes to compile."""
    rows = table(X, np.where(LABELS == "a", "a", "b"))
    chosen = {key: rows[key] for key in range(24)}
    owners = [f"s{key % 4}" for key in chosen]
    reference = Reference.fitted(CertifiedLogisticRegression(), chosen, mesh=EIGHT, subjects=owners)
    found: dict[str, Any] = {"devices": len({device for device, _, _ in pieces(reference.model)})}
    # On three devices, of three rows each.
    found["in place"] = erased_in_place(reference, [0, 4, 23])
    reference.correct({1: rows[30], 20: rows[31]})
    reference.add({key: rows[key] for key in range(32, 60)})
    found["grown"] = rows_of(reference.model).length
    found["pickle"] = refused(lambda: pickle.dumps(reference.model))
    found["copy"] = refused(lambda: copy.deepcopy(reference.model))
    reload(reference, EIGHT)
    reference.remove([key for key in reference.rows if key in range(2, 24, 4)], subjects="s2")
    reference.remove([key for key, row in reference.rows.items() if row.label == "b"], labels="b")
    reload(reference, EIGHT)
    reference.add({"new": Row((0.5, -0.5), "c"), "class": Row((1.5, 0.5), "c")})
    reference.release()
    held = list(reference.rows.values())
    features, labels = np.array([row.features for row in held]), np.array([row.label for row in held])
    found["verified"] = verified(reference.model, features, labels)
    return found


def reload(reference: Reference, mesh: Mesh | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        reference.model.save(path)
        reference.model = type(reference.model).load(path, mesh=mesh)


def verified(model: CertifiedEstimator, X: Array, y: npt.NDArray[Any]) -> bool:
    secrets = model.audit_bundle()
    return bool(verify(model.certificate_, X, y, secrets.weights, released=secrets.released, nonce=secrets.nonce))


def refused(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def history(kind: type[Any], y: npt.NDArray[Any], folder: Path) -> tuple[list[str], bool, float]:
    """Bits of weights and certificates after each request, whether each is verified; the last distance over bounds.

    The distance is that to a model trained on one device with the rows that are left, which has a bound of its own.
    """
    model, table, labels, bits = kind(random_state=3), X[:40].copy(), y[:40].copy(), []
    verdicts, ids = [], np.arange(40)

    def note() -> None:
        certificate, secrets = model.certificate_, model.audit_bundle()
        figures = [certificate.distance_bound, certificate.mu, certificate.curvature, certificate.row_norm_bound]
        route = model.update_info_.route
        bits.append(f"{route} {secrets.weights.tobytes().hex()} {model.coef_.tobytes().hex()} {figures!r}")
        verdicts.append(verified(model, table, labels))

    model.fit(table, labels, mesh=EIGHT)
    note()
    gone = [3, 11, 39] if y is not LABELS else np.flatnonzero(labels == "a").tolist()
    kept = ~np.isin(ids, gone)
    table, labels, ids = table[kept], labels[kept], ids[kept]
    model.remove(gone)
    note()
    table[2], labels[2] = X[50], y[50]
    model.correct([int(ids[2])], X[50:51], y[50:51])
    note()
    model.save(folder / "model.npz")
    model = kind.load(folder / "model.npz", mesh=EIGHT)
    table, labels = np.concatenate([table, X[40:]]), np.concatenate([labels, y[40:]])
    model.add(X[40:], y[40:])
    note()
    model.release()
    note()
    anew = kind().fit(table, labels)
    apart = float(np.linalg.norm(model.audit_bundle().weights - anew.audit_bundle().weights))
    return bits, all(verdicts), apart / (model.certificate_.distance_bound + anew.certificate_.distance_bound)


def families() -> dict[str, Any]:
    """For each family of losses: eight devices, and one with eight parts."""
    found: dict[str, Any] = {}
    on_eight = ShardedRows.from_arrays

    def on_one(*arrays: Array, devices: list[jax.Device]) -> ShardedRows:
        return on_eight(*arrays, devices=devices[:1], parts=len(devices))

    for name, (kind, y) in FAMILIES.items():
        with tempfile.TemporaryDirectory() as folder:
            here = history(kind, y, Path(folder))
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(ShardedRows, "from_arrays", on_one):
            alone = history(kind, y, Path(folder))
        found[name] = {"same bits": here == alone, "verified": here[1], "distance": here[2]}
    return found


class MeshRequests(Requests):
    """Random requests on a mesh, with the model saved and loaded onto another now and then."""

    mesh = EIGHT

    @rule(mesh=st.sampled_from([None, THREE, EIGHT]))
    def reload(self, mesh: Mesh | None) -> None:
        reload(self.reference, mesh)


class LogisticOnMesh(MeshRequests, LogisticRequests):
    pass


class RidgeOnMesh(MeshRequests, RidgeRequests):
    pass


def requests() -> dict[str, Any]:
    for machine in (LogisticOnMesh, RidgeOnMesh):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    return {"passed": True}


if __name__ == "__main__":
    print(json.dumps({"brief": brief, "families": families, "requests": requests}[sys.argv[1]]()))
