from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from certified.bounds.published import PUBLISHED, guo_single
from tests.cli.conftest import run

GUO = {"n": 500, "strength": 0.01, "gradient_bound": 1.0, "curvature_lipschitz": 0.25}


def options(arguments: dict[str, float]) -> list[str]:
    return [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", repr(value))]


def test_a_bound_is_that_of_the_library() -> None:
    result = run("bound", "guo-single", *options(GUO), "--json")
    assert (result.status, result.err) == (0, "")
    assert result.json["value"] == guo_single(**GUO)
    assert result.json["arguments"] == GUO
    assert (result.json["claim"], result.json["curve"], result.json["plot"]) == ("T7", None, None)
    words = run("bound", "guo-single", *options(GUO))
    assert words.status == 0
    assert repr(guo_single(**GUO)) in words.out
    assert "gradient residual ≤" in words.out


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_bound_is_a_command_whose_help_says_what_to_know(name: str) -> None:
    result = run("bound", name.replace("_", "-"), "--help")
    assert result.status == 0
    for argument in PUBLISHED[name].arguments:
        assert f"--{argument.replace('_', '-')}" in result.out
    assert ("To know:" in result.out) == bool(PUBLISHED[name].errata)
    assert ">>>" not in result.out


def test_all_bounds_are_listed() -> None:
    listed = run("bound", "list", "--json").json["bounds"]
    assert [bound["name"] for bound in listed] == list(PUBLISHED)
    words = run("bound", "list").out
    assert all(name.replace("_", "-") in words for name in PUBLISHED)


def test_an_argument_may_vary(tmp_path: Path) -> None:
    picture = tmp_path / "curve.png"
    result = run("bound", "guo-single", *options(GUO), "--over", "n=10:1000", "--plot", str(picture), "--json")
    curve = result.json["curve"]
    assert (curve[0][0], curve[-1][0]) == (10.0, 1000.0)
    assert all(value == guo_single(**{**GUO, "n": at}) for at, value in curve)
    assert picture.read_bytes().startswith(b"\x89PNG")
    words = run("bound", "guo-single", *options(GUO), "--over", "curvature-lipschitz=0.1:1")
    assert f"{guo_single(**GUO)}" in words.out and "0.1 " in words.out


def test_an_argument_may_vary_over_the_whole_range_of_floats() -> None:
    curve = run("bound", "guo-single", *options(GUO), "--over", "strength=1e-300:1e300", "--json").json["curve"]
    assert (curve[0], curve[-1]) == ([1e-300, "inf"], [1e300, 5e-324])
    assert all(low < high for (low, _), (high, _) in pairwise(curve))


def test_noise_and_steps_are_marked_as_the_least_that_suffice() -> None:
    noise = run("bound", "guo-noise-std", "--residual", "1", "--epsilon", "1", "--delta", "1e-5").out
    assert "noise_std ≥" in noise
    steps = ("--n", "10", "--distance", "1", "--strong-convexity", "1", "--smoothness", "2", "--lipschitz", "3")
    assert "iterations ≥" in run("bound", "neel-iterations", *steps).out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--n", "1.5"], "n must be a whole number of at least 1"),
        (["--strength", "0"], "strength must be positive"),
        (["--strength", "nan"], "strength must be positive"),
        (["--over", "n"], "--over must be NAME=LOW:HIGH"),
        (["--over", "rows=1:2"], "--over must name one of n, strength"),
        (["--over", "n=5:5"], "--over must have 0 < LOW < HIGH"),
        (["--plot", "x.png"], "--plot needs --over"),
        (["--over", "n=5:9", "--plot", "x"], "--plot must name a file with an ending such as .png"),
    ],
)
def test_refusals(extra: list[str], message: str) -> None:
    result = run("bound", "guo-single", *options(GUO), *extra)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_unknown_bounds_are_refused() -> None:
    result = run("bound", "no-such-bound")
    assert result.status == 2
    assert "no-such-bound" in result.err


@pytest.mark.parametrize(
    "command",
    [
        ["bound", "guo-single", *options(GUO), "--json"],
        ["calibrate", "--epsilon", "1", "--delta", "1e-6", "--sensitivity", "1e-8", "--json"],
        [
            *("capacity", "--n", "1000", "--dimension", "10", "--strength", "0.1", "--epsilon", "1"),
            *("--delta", "1e-6", "--noise-std", "0.01", "--json"),
        ],
    ],
)
def test_cold_start_is_light_and_fast(command: list[str]) -> None:
    call = (
        f"import sys; sys.argv = {['certified', *command]!r}\n"
        "from certified.cli import main\n"
        "try:\n    main()\nfinally:\n    import time; print(time.process_time(), *sys.modules, file=sys.stderr)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stderr.split()
        for _ in range(3)
    ]
    loaded = {name.partition(".")[0] for name in runs[0][1:]}
    heavy = {"flax", "jax", "jaxlib", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"}
    assert "certified" in loaded
    assert not loaded & heavy
    # Processor time, which other processes on the machine change little; measured: 0.4 s.
    assert min(float(run[0]) for run in runs) < 0.8
