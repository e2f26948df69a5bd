from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from certified.bounds.capacity import capacities
from certified.bounds.capacity_problem import CapacityProblem
from certified.bounds.published import LOGISTIC_THIRD_DERIVATIVE
from tests.cli.conftest import run

REQUIRED = (
    *("--n", "5000", "--dimension", "20", "--strength", "0.05", "--epsilon", "0.5"),
    *("--delta", "1e-5", "--noise-std", "0.02"),
)
PROBLEM = CapacityProblem(5000, 20, 0.05, 1.0, 0.25, LOGISTIC_THIRD_DERIVATIVE, 1.0, 0.5, 1e-5, 0.02)


def test_capacities_are_those_of_the_library() -> None:
    result = run("capacity", *REQUIRED, "--json")
    assert (result.status, result.err) == (0, "")
    assert result.json["problem"] == asdict(PROBLEM)
    assert result.json["capacities"] == [asdict(c) for c in capacities(PROBLEM)]
    assert result.json["distance_target"] == PROBLEM.distance_target
    words = run("capacity", *REQUIRED).out
    assert all(f"{c.deletions:,}" in words for c in capacities(PROBLEM))


def test_other_losses_bring_their_constants() -> None:
    constants = ("--gradient-bound", "3", "--curvature-limit", "1", "--third-derivative", "0", "--feature-norm", "2")
    problem = run("capacity", *REQUIRED, *constants, "--json").json["problem"]
    assert problem | {"gradient_bound": 3.0, "curvature_limit": 1.0, "third_derivative": 0.0, "feature_norm": 2.0} == (
        problem
    )
    assert run("capacity", *REQUIRED, "--feature-norm", "2", "--json").json["problem"]["gradient_bound"] == 2.0


def test_the_perturbed_mechanism_appears_when_asked_for() -> None:
    names = [c["mechanism"] for c in run("capacity", *REQUIRED, "--perturbation-std", "1", "--json").json["capacities"]]
    assert any("Guo" in name for name in names)


def test_infinity_is_a_string() -> None:
    rows = run("capacity", *REQUIRED, "--strength", "1e-160", "--json").json["capacities"]
    (noisy,) = (row for row in rows if row["mechanism"] == "noisy descent (Chien)")
    assert (noisy["passes"], noisy["flops"]) == ("inf", "inf")


def test_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "capacity.png"
    assert run("capacity", *REQUIRED, "--plot", str(picture), "--json").json["plot"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--n", "1"), "n must be a whole number of at least 2"),
        (("--strength", "0"), "strength must be positive"),
        (("--delta", "1"), "delta must be below 1"),
        (("--noise-std", "nan"), "noise_std must be positive"),
        (("--feature-norm", "1e200"), "feature_norm and loss constants must not overflow; rescale the rows"),
        (("--plot", "capacity"), "--plot must name a file with an ending such as .png"),
    ],
)
def test_refusals(extra: tuple[str, ...], message: str) -> None:
    result = run("capacity", *REQUIRED, *extra)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
