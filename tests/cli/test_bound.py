from __future__ import annotations

import subprocess
import sys

import pytest

from certified.privacy import gaussian_delta, gaussian_epsilon, gaussian_noise_std, gaussian_sensitivity
from tests.cli.conftest import run

KNOWN = {"epsilon": 0.7, "delta": 1e-5, "sensitivity": 0.25, "noise_std": 3.0}


@pytest.mark.parametrize("missing", KNOWN)
def test_three_give_the_fourth(missing: str) -> None:
    given = {name: value for name, value in KNOWN.items() if name != missing}
    calculators = {
        "epsilon": gaussian_epsilon,
        "delta": gaussian_delta,
        "sensitivity": gaussian_sensitivity,
        "noise_std": gaussian_noise_std,
    }
    options = [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", repr(value))]
    expected = {"mechanism": "gaussian", "computed": missing, **given, missing: calculators[missing](**given)}
    result = run("bound", "gaussian", *options, "--json")
    assert (result.status, result.err, result.json) == (0, "", expected)
    assert list(result.json) == ["mechanism", "computed", *KNOWN]
    words = run("bound", "gaussian", *options)
    assert words.status == 0
    assert f"{missing:12} {'≥' if missing == 'sensitivity' else '≤'} " in words.out


def test_infinity_is_a_string() -> None:
    options = ("--delta", "0", "--sensitivity", "1", "--noise-std", "1")
    assert run("bound", "gaussian", *options, "--json").json["epsilon"] == "inf"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epsilon", "1"), "exactly three of --epsilon, --delta, --sensitivity, --noise-std; got 1"),
        (("--epsilon", "1", "--delta", "0.1", "--sensitivity", "1", "--noise-std", "1"), "got 4"),
        (("--epsilon", "-1", "--delta", "0.1", "--sensitivity", "1"), "epsilon must not be negative"),
        (("--epsilon", "1", "--delta", "2", "--sensitivity", "1"), "delta must not exceed 1"),
        (("--epsilon", "1", "--delta", "nan", "--sensitivity", "1"), "delta must not be negative or NaN"),
    ],
)
def test_refusals(options: tuple[str, ...], message: str) -> None:
    result = run("bound", "gaussian", *options)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_cold_start_is_light_and_fast() -> None:
    call = (
        "import sys; sys.argv = ['certified', 'bound', 'gaussian', '--epsilon', '1', '--delta', '1e-6',"
        " '--sensitivity', '1e-8', '--json']\n"
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
