"""Estimators whose rows are spread over devices: the oracle's checks on eight of them, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from certified.data.mesh import mesh_of
from certified.data.rows import Rows
from certified.data.sharded import ShardedRows
from certified.data.sources import ArraySource
from certified.estimators import CertifiedLinearSVC, CertifiedOneVsRestClassifier, CertifiedRidge
from certified.losses import LOGISTIC
from tests.estimators.reference import snapshot

HERE = Path(__file__).resolve()
X = np.random.default_rng(2).normal(size=(20, 3))
Y = X @ np.array([1.0, -1.0, 0.5])
ONE = mesh_of(jax.devices()[:1])


@dataclass(frozen=True)
class Device:
    """One of another process."""

    process_index: int
    id: int
    platform: str = "gpu"


SEVERAL = Mesh(np.array([Device(i, i) for i in range(2)]), ("rows",))


def on_eight_devices(work: str) -> dict[str, Any]:
    flags = "--xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(HERE.parents[2]), "JAX_PLATFORMS": "cpu"}
    script = [sys.executable, str(HERE.with_name("mesh_worker.py")), work]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_request_on_eight_devices() -> None:
    found = on_eight_devices("brief")
    assert found["devices"] == 8
    assert found["in place"]
    assert found["grown"] >= 52
    assert found["verified"]
    for name in ("pickle", "copy"):
        assert found[name].startswith(
            "TypeError: rows on a mesh cannot be pickled or copied; save and load the estimator"
        )


@pytest.mark.slow
def test_every_loss_on_eight_devices() -> None:
    """The bits of one device with as many parts, verified, and no farther from retraining than the bounds."""
    found = on_eight_devices("families")
    assert len(found) == 7
    for name, said in found.items():
        assert said["same bits"] and said["verified"], name
        assert said["distance"] <= 1.0, name


@pytest.mark.slow
def test_random_requests_on_eight_devices() -> None:
    """Against exact retraining after each, with models saved and loaded onto one, three and eight devices."""
    assert on_eight_devices("requests") == {"passed": True}


@pytest.mark.slow
def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (HERE.parents[2] / "docs/scale.md").read_text(encoding="utf-8")
    block, _ = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    assert capsys.readouterr().out == "997 rows, confirmed: True\n"


def test_meshes_that_cannot_be_used() -> None:
    """Before anything is read or changed."""
    model = CertifiedRidge()
    with pytest.raises(TypeError, match=r"mesh must be None or a jax.sharding.Mesh .* got a list"):
        model.fit(X, Y, mesh=jax.devices())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"mesh must hold devices of this process alone.* as in docs/scale.md"):
        model.fit(X, Y, mesh=SEVERAL)
    with pytest.raises(ValueError, match="mesh must be left out: streamed rows"):
        model.fit(ArraySource(X, Y), mesh=ONE)
    assert not vars(model).keys() - model.get_params().keys()


def test_loading_onto_a_mesh(tmp_path: Path) -> None:
    """Both ways, also with a loss of one's own, and what is refused. With one class there is nothing to train."""
    path, same = tmp_path / "model.npz", np.ones(20)
    model = CertifiedOneVsRestClassifier(LOGISTIC).fit(X, same, mesh=ONE)
    model.remove([3])
    model.save(path)
    kept = np.delete(np.arange(20), 3)
    for mesh, kind in ((None, Rows), (ONE, ShardedRows)):
        loaded = CertifiedOneVsRestClassifier.load(path, LOGISTIC, mesh=mesh)
        assert type(loaded._session.state.objective.rows) is kind
        assert loaded.certificate_ == model.certificate_
        assert loaded.ids_.tolist() == kept.tolist()
        assert loaded.remove([5]).remaining_count == 18
    with pytest.raises(ValueError, match="mesh must hold devices of this process alone"):
        CertifiedOneVsRestClassifier.load(path, mesh=SEVERAL)
    CertifiedOneVsRestClassifier(LOGISTIC).fit(ArraySource(X, same)).save(path)
    for rows in (None, ArraySource(X, same)):
        with pytest.raises(ValueError, match="mesh must be left out: streamed rows"):
            CertifiedOneVsRestClassifier.load(path, rows=rows, mesh=ONE)


def test_a_failed_request_changes_nothing() -> None:
    model = CertifiedLinearSVC(max_releases=2).fit(X, Y > 0.0, mesh=ONE)
    before = state(model)
    for request in (
        lambda: model.remove([20]),
        lambda: model.add(X[:1, :2], [True]),
        lambda: model.correct([1, 1], X[:2], [True, False]),
        lambda: model.add(np.full((1, 3), np.nan), [True]),
    ):
        with pytest.raises((KeyError, ValueError)):
            request()
        assert state(model) == before
    assert "0." not in repr(model._session.state.objective.rows)


def state(model: CertifiedLinearSVC) -> Any:
    session = model._session
    rows = session.state.objective.rows
    assert isinstance(rows, ShardedRows)
    return snapshot(
        [rows.plain, rows.places, session.register, session.index.ids, session.state.weights, session.budget]
    )
