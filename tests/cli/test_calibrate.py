from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from certified import privacy
from tests.cli.conftest import run

GAUSSIAN = {"epsilon": 0.7, "delta": 1e-5, "sensitivity": 0.25, "noise_std": 3.0}
LAPLACE = {"epsilon": 0.7, "delta": 1e-5, "sensitivity": 0.25, "scale": 3.0}
CASES = [
    (mechanism, missing, releases)
    for mechanism in ("gaussian", "zcdp", "classical", "laplace")
    for missing in (LAPLACE if mechanism == "laplace" else GAUSSIAN)
    for releases in (1, 4)
]


def options(given: dict[str, float]) -> list[str]:
    return [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", repr(value))]


def curve(mechanism: str, values: dict[str, float], releases: int) -> float:
    """δ at ε of ``releases`` releases, by other calculators than the command uses where there are any."""
    if mechanism == "laplace":
        each = privacy.laplace_epsilon(values["sensitivity"], values["scale"])
        return privacy.compose_optimal_delta(values["epsilon"], each, 0.0, releases)
    if mechanism == "zcdp":
        rho = privacy.gaussian_rho(values["sensitivity"], values["noise_std"])
        return privacy.zcdp_delta(values["epsilon"], privacy.compose_zcdp([rho] * releases))
    if mechanism == "classical":
        distance = math.sqrt(releases) * values["sensitivity"]
        return privacy.classical_delta(values["epsilon"], distance, values["noise_std"])
    mus = [privacy.gaussian_rho(values["sensitivity"], values["noise_std"])] * releases
    return privacy.gdp_delta(values["epsilon"], math.sqrt(2 * sum(mus)))


@pytest.mark.parametrize(("mechanism", "missing", "releases"), CASES)
def test_the_missing_value_meets_the_others(mechanism: str, missing: str, releases: int) -> None:
    values = LAPLACE if mechanism == "laplace" else GAUSSIAN
    given = {name: value for name, value in values.items() if name != missing}
    result = run("calibrate", "--mechanism", mechanism, *options(given), "--releases", str(releases), "--json")
    assert (result.status, result.err) == (0, "")
    record = result.json
    head = ["command", "mechanism", "releases", "computed"]
    assert list(record) == [*head, *values, "claims", "plot"]
    assert [record[key] for key in head] == ["calibrate", mechanism, releases, missing]
    assert {name: record[name] for name in given} == given
    delta = curve(mechanism, record, releases)
    assert delta <= record["delta"] * (1 + 1e-9)
    less = record | {missing: record[missing] * (1.001 if missing == "sensitivity" else 0.999)}
    if missing == "delta":
        assert delta == pytest.approx(record["delta"], rel=1e-9)
    elif record[missing] > 0.0:
        assert curve(mechanism, less, releases) > record["delta"]


@pytest.mark.parametrize("missing", GAUSSIAN)
def test_one_gaussian_release_is_the_calculator(missing: str) -> None:
    given = {name: value for name, value in GAUSSIAN.items() if name != missing}
    expected = getattr(privacy, f"gaussian_{missing}")(**given)
    assert run("calibrate", *options(given), "--json").json[missing] == expected


@pytest.mark.parametrize("releases", [2, 3, 10, 1000])
def test_many_releases_never_get_more_than_the_budget(releases: int) -> None:
    """μ² of all releases, exactly, against the largest μ² that (ε, δ) permits."""
    limit = Fraction(privacy.gaussian_mu(1.0, 1e-6)) ** 2
    request = ("--epsilon", "1", "--delta", "1e-6", "--releases", str(releases), "--json")
    noise_std = run("calibrate", *request, "--sensitivity", "0.5").json["noise_std"]
    assert releases * (Fraction(0.5) / Fraction(noise_std)) ** 2 <= limit * (1 + Fraction(1, 10**14))
    distance = run("calibrate", *request, "--noise-std", "3").json["sensitivity"]
    assert privacy.compose_gaussian([distance / 3] * releases) <= privacy.gaussian_mu(1.0, 1e-6) * (1 + 1e-14)
    assert privacy.gaussian_delta(1.0, math.sqrt(releases) * distance, 3.0) == pytest.approx(1e-6, rel=1e-9)


def test_laplace_noise_is_pure_unless_told_otherwise() -> None:
    record = run("calibrate", "--mechanism", "laplace", "--epsilon", "1", "--sensitivity", "3", "--json").json
    assert (record["delta"], record["scale"]) == (0.0, 3.0)
    shared = ("--mechanism", "laplace", "--epsilon", "1", "--sensitivity", "3", "--releases", "100", "--json")
    pure = run("calibrate", *shared).json["scale"]
    assert pure == pytest.approx(300.0, rel=1e-12)
    assert run("calibrate", *shared, "--delta", "1e-6").json["scale"] < 0.5 * pure


def test_words_mark_what_was_computed() -> None:
    result = run("calibrate", *options(GAUSSIAN | {"delta": 1e-6}), "--mechanism", "zcdp")
    assert result.status == 2
    words = run("calibrate", "--epsilon", "1", "--delta", "1e-6", "--noise-std", "2", "--releases", "5")
    assert (words.status, words.err) == (0, "")
    lines = {line.split()[0]: line.split()[1:3] for line in words.out.splitlines() if len(line.split()) > 3}
    assert lines["epsilon"] == ["=", "1.0"]
    assert lines["delta"] == ["=", "1e-06"]
    assert lines["sensitivity"][0] == "≤"
    assert "5 releases (claims T3)" in words.out


def test_noise_is_marked_as_the_least_that_suffices() -> None:
    for extra in ((), ("--mechanism", "laplace")):
        words = run("calibrate", "--epsilon", "1", "--delta", "1e-6", "--sensitivity", "2", *extra).out
        (line,) = (line.split() for line in words.splitlines() if line.split()[:1] in (["noise_std"], ["scale"]))
        assert line[1] == "≥"


def test_infinity_is_a_string() -> None:
    assert run("calibrate", *options(GAUSSIAN | {"delta": 0.0})[2:], "--json").json["epsilon"] == "inf"


@pytest.mark.parametrize("mechanism", ["gaussian", "zcdp", "classical", "laplace"])
def test_plot_is_a_picture(mechanism: str, tmp_path: Path) -> None:
    values = LAPLACE if mechanism == "laplace" else GAUSSIAN
    given = {name: value for name, value in values.items() if name != "epsilon"}
    path = tmp_path / "curve.png"
    result = run("calibrate", "--mechanism", mechanism, *options(given), "--plot", path)
    assert result.status == 0
    assert f"drew {path}" in result.out.replace("\n", "")
    assert path.read_bytes().startswith(b"\x89PNG")
    record = run("calibrate", "--mechanism", mechanism, *options(given), "--plot", path, "--json").json
    assert record["plot"] == str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epsilon", "1"), "exactly three of --epsilon, --delta, --sensitivity, --noise-std; got 1"),
        (options(GAUSSIAN), "got 4"),
        (("--mechanism", "laplace", "--epsilon", "1"), "exactly three of --epsilon, --delta, --sensitivity, --scale"),
        (("--mechanism", "laplace", *options(LAPLACE)), "got 4"),
        (("--epsilon", "1", "--delta", "0.1", "--scale", "1"), "--scale does not belong to gaussian noise"),
        (("--mechanism", "laplace", "--noise-std", "1"), "--noise-std does not belong to laplace noise"),
        (
            ("--epsilon", "1", "--delta", "0.1", "--sensitivity", "1", "--releases", "0"),
            "--releases must be at least 1",
        ),
        (
            ("--epsilon", "1", "--delta", "0.1", "--sensitivity", "1", "--releases", str(2**53 + 1)),
            "--releases must be at most 9007199254740992 for gaussian noise",
        ),
        (
            ("--mechanism", "laplace", "--epsilon", "1", "--sensitivity", "1", "--releases", "1000000"),
            "--releases must be at most 100000 for laplace noise",
        ),
        (
            ("--epsilon", "1", "--delta", "0.1", "--sensitivity", "1", "--plot", "curve"),
            "--plot must name a file with an ending such as .png, got curve",
        ),
        (("--epsilon", "-1", "--delta", "0.1", "--sensitivity", "1"), "epsilon must not be negative"),
        (("--epsilon", "1", "--delta", "2", "--sensitivity", "1"), "delta must not exceed 1"),
        (("--epsilon", "1", "--delta", "0.1", "--sensitivity", "nan"), "sensitivity must not be negative or NaN"),
        (
            ("--mechanism", "classical", "--epsilon", "1", "--delta", "0.1", "--sensitivity", "1"),
            "epsilon must be below 1",
        ),
        (("--epsilon", "1", "--delta", "0", "--sensitivity", "1", "--plot", "x.png"), "--plot needs finite"),
        (("--mechanism", "other"), "Invalid value for '--mechanism'"),
    ],
)
def test_refusals(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("calibrate", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert not list(tmp_path.iterdir())


def test_help_documents_json() -> None:
    result = run("calibrate", "--help")
    assert result.status == 0
    assert "--json" in result.out
    assert "JSON:" in result.out
    assert "calibrate" in run("--help").out


@pytest.mark.parametrize("mechanism", ["gaussian", "zcdp", "laplace"])
def test_cold_start_is_light_and_fast(mechanism: str) -> None:
    call = (
        f"import sys; sys.argv = ['certified', 'calibrate', '--mechanism', '{mechanism}', '--epsilon', '1', '--delta',"
        " '1e-6', '--sensitivity', '1e-8', '--json']\n"
        "from certified.cli import main\n"
        "try:\n    main()\nfinally:\n    import time; print(time.process_time(), *sys.modules, file=sys.stderr)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stderr.split()
        for _ in range(3)
    ]
    loaded = {name.partition(".")[0] for name in runs[0][1:]}
    assert "certified" in loaded
    assert not loaded & {"flax", "jax", "jaxlib", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"}
    # Processor time, which other processes on the machine change little; measured: 0.4 s.
    assert min(float(run[0]) for run in runs) < 0.8
