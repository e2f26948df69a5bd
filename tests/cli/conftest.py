"""A small data set in every format, and the command line as a function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from typer.main import get_command

from certified.cli import app

COMMANDS = get_command(app)
COUNT = 48
FEATURES = ("height", "width", "depth")


@pytest.fixture
def frame() -> pd.DataFrame:
    """Rows with ids from 100, two rows for each person, and noisy labels."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(COUNT, len(FEATURES)))
    frame = pd.DataFrame(X, columns=list(FEATURES))
    frame["id"] = np.arange(100, 100 + COUNT)
    frame["person"] = [f"P{i // 2}" for i in range(COUNT)]
    frame["outcome"] = np.where(X[:, 0] + rng.normal(size=COUNT) > 0, "ill", "well")
    frame["cost"] = X @ [1.0, -2.0, 0.5] + 3.0
    frame["count"] = rng.integers(1, 3, COUNT)
    return frame


@pytest.fixture
def table(tmp_path: Path, frame: pd.DataFrame) -> Path:
    """The rows for classification as CSV."""
    path = tmp_path / "rows.csv"
    frame.drop(columns=["cost", "count"]).to_csv(path, index=False)
    return path


ROLES = ("--target", "outcome", "--id", "id", "--subject", "person")


class Result:
    """What a command printed, and its exit status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        """Standard output as JSON: all of it."""
        return json.loads(self.out)


def run(*arguments: str | Path) -> Result:
    """Run ``certified`` with arguments; an exception that is not a refusal fails the test."""
    result = CliRunner().invoke(COMMANDS, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def model(tmp_path: Path, table: Path) -> Path:
    """A model trained on `table` with one row deleted."""
    path = tmp_path / "risk.model"
    assert run("fit", table, *ROLES, "--model", path, "--C", "10").status == 0
    assert run("remove", path, "--ids", "103").status == 0
    return path


@pytest.fixture
def snapshot(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """A function that returns the name and content hash of every file there is."""

    def take() -> dict[str, str]:
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return take


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A privately trained model within whose (1, 1e-6) two rows may be deleted; weights and guarantee are made up."""
    from certified.dp import DPGuarantee
    from certified.dp.output_curve import OutputCurve
    from certified.estimators import DPLogisticRegression, PrivateModel

    parameters = DPLogisticRegression("output", group_size=2).get_params()
    guarantee = DPGuarantee(
        mechanism="output perturbation",
        stated_epsilon=1.0,
        stated_delta=1e-6,
        group_size=2,
        curve=OutputCurve(gradient_bound=1.0, strength=1.0, distance=0.0, noise_std=10.0),
        loss="logistic",
        n_features=4,
        n_outputs=1,
    )
    path = tmp_path / "private.dp"
    PrivateModel(
        params={name: value for name, value in parameters.items() if name != "random_state"},
        classes=("ill", "well"),
        feature_names=FEATURES,
        weights=((0.5,), (-1.25,), (2.0,), (1e-3,)),
        guarantee=guarantee,
    ).save(path)
    return path
