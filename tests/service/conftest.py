"""A small trained model, a store that took it over, and a clock that tests can set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from certified import CertifiedRidge
from certified.estimators.persistence import restored, saved
from certified.estimators.saved_model import loads
from certified.service import DeletionStore

COUNT = 24
X = np.random.default_rng(11).normal(size=(COUNT, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * np.random.default_rng(12).normal(size=COUNT)
IDS = [f"row-of-person-{i:04d}" for i in range(COUNT)]
SUBJECTS = [f"subject-{i // 2:04d}" for i in range(COUNT)]


class Clock:
    """Seconds since 1970 that only move when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def trained() -> bytes:
    return saved(CertifiedRidge(C=10.0).fit(X, Y, ids=IDS, subjects=SUBJECTS)).secrets()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path, trained: bytes, clock: Clock) -> Path:
    """A store with nothing pending."""
    made = tmp_path / "risk.store"
    DeletionStore.init(made, restored(loads(trained)), commit_rows=True, clock=clock).close()
    return made


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[DeletionStore]:
    with DeletionStore.open(path, clock=clock) as opened:
        yield opened
