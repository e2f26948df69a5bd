from __future__ import annotations

import subprocess
import sys

import pytest

from certified import accounting
from certified.accounting import Relation, SubsampledGaussian
from tests.cli.conftest import run

STEPS = ("--noise-multiplier", "1.0", "--sampling-rate", "0.01", "--steps", "100")
PHASE = SubsampledGaussian(1.0, 0.01, 100)


def test_epsilon_and_delta_are_those_of_the_library() -> None:
    found = run("dp", "epsilon", *STEPS, "--delta", "1e-5", "--rows", "2", "--relation", "replace", "--json").json
    assert list(found) == ["command", "computed", "relation", "rows", "phases", "epsilon", "delta", "claims"]
    assert found["epsilon"] == accounting.dp_epsilon(1e-5, [PHASE], relation=Relation.replace, rows=2)
    assert found["phases"] == [{"noise_multiplier": 1.0, "sampling_rate": 0.01, "steps": 100}]
    found = run("dp", "delta", *STEPS, "--epsilon", "1", "--also", "2:0.5:3", "--json").json
    phases = [PHASE, SubsampledGaussian(2.0, 0.5, 3)]
    assert found["delta"] == accounting.dp_delta(1.0, phases, relation=Relation.add_or_remove)
    assert len(found["phases"]) == 2 and found["claims"] == ["T10", "T19"]


def test_calibration_returns_the_value_left_out() -> None:
    target = ("--epsilon", "1", "--delta", "1e-5")
    found = run("dp", "calibrate", *target, "--noise-multiplier", "4", "--sampling-rate", "1", "--json").json
    assert found["computed"] == "steps"
    assert found["phases"][0]["steps"] == 1
    text = run("dp", "calibrate", *target, "--sampling-rate", "1", "--steps", "1").out
    assert "noise multiplier 3.73" in text and "T19" in text


def test_groups() -> None:
    found = run("dp", "group", *STEPS, "--delta", "1e-5", "--largest", "2", "--json").json
    expected = accounting.group_epsilons(1e-5, [PHASE], [1, 2], relation=Relation.add_or_remove)
    assert {group["rows"]: group["epsilon"] for group in found["groups"]} == expected
    assert "rows" in run("dp", "group", *STEPS, "--delta", "1e-5", "--largest", "1").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("epsilon", *STEPS, "--delta", "2"), "delta must not exceed 1"),
        (("epsilon", *STEPS, "--delta", "1e-5", "--also", "1:2"), "--also must be NOISE:RATE:STEPS"),
        (("calibrate", "--epsilon", "1", "--delta", "1e-5", "--steps", "3"), "give exactly two of"),
        (("calibrate", "--epsilon", "1", "--delta", "1e-5", *STEPS), "give exactly two of"),
    ],
)
def test_refusals(arguments: tuple[str, ...], message: str) -> None:
    result = run("dp", *arguments)
    assert result.status == 2 and message in result.err


def test_no_jax_is_loaded() -> None:
    call = (
        f"from certified.cli import app; app(['dp', 'epsilon', *{STEPS!r}, '--delta', '1e-5'], standalone_mode=False)"
    )
    report = f"{call}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert {"jax", "sklearn", "scipy"}.isdisjoint(done.stdout.split())
