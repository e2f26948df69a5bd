"""The package as a whole: what it exports, what it costs to import, how it refuses, and that the guide lists it all."""

from __future__ import annotations

import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from certified import privacy

GUIDE = (Path(__file__).resolve().parents[2] / "docs/privacy.md").read_text(encoding="utf-8")
EXPORTS = {name: getattr(privacy, name) for name in dir(privacy) if inspect.isfunction(getattr(privacy, name, None))}
EXPORTS = {name: value for name, value in EXPORTS.items() if not name.startswith("_") and name != "import_module"}
VALID: dict[str, Any] = {
    "alpha": 4.0, "delta": 1e-5, "divergence": 0.5, "epsilon": 0.5, "mu": 0.5, "noise_std": 10.0, "rho": 0.1,
    "scale": 2.0, "sensitivity": 1.0, "slack": 1e-6, "spent_mu": 0.5, "total_delta": 1e-5, "total_epsilon": 1.0,
    "total_mu": 1.0, "type_one": 0.1, "size": 2, "releases": 3, "curve": {4.0: 0.5}, "guarantees": [(0.5, 1e-6)],
    "extractor_epsilon": 0.5, "extractor_delta": 1e-7, "head_epsilon": 1.0, "head_delta": 1e-6,
    "points": [(0.1, 0.5)], "profile": [(0.5, 1e-6)],
}  # fmt: skip
SCALARS = {name for name, value in VALID.items() if isinstance(value, float)}
CASES = [
    (function, name)
    for function in EXPORTS.values()
    for name in inspect.signature(function).parameters
    if name in SCALARS and "idealized" not in function.__name__ and function.__name__ != "release_gaussian"
]


def arguments(function: Callable[..., object]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: VALID[parameter.name] for parameter in parameters if parameter.default is parameter.empty}


def test_the_guide_lists_exactly_what_there_is() -> None:
    tables = "\n".join(line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("| `"))
    assert sorted(re.findall(r"`(\w+)`", tables)) == sorted(EXPORTS)


def test_formulas_named_by_the_guide_exist() -> None:
    named = re.findall(r"`(\w+)\.(\w+)`", GUIDE)
    assert len(named) >= 7
    for module, name in named:
        if module not in ("certified", "numerics", "jax"):
            assert callable(getattr(sys.modules[f"certified.privacy.{module}"], name))


def test_import_is_light() -> None:
    call = "import sys, certified.privacy; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stdout.split()
    assert {"certified", "flint"} <= set(loaded)
    assert not {"numpy", "scipy", "jax", "jaxlib", "sklearn", "matplotlib"} & set(loaded)


def test_unknown_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'gaussian_typo'"):
        privacy.gaussian_typo  # noqa: B018


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (-1.0, ValueError, "must not be negative or NaN"),
        (math.nan, ValueError, "must not be negative or NaN"),
        (Fraction(1, 3), ValueError, "must be a float64 number"),
        ("1.0", TypeError, "must be a real number, got str; pass a float"),
        (None, TypeError, "must be a real number"),
    ],
)
@pytest.mark.parametrize(("function", "name"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_bad_arguments_are_named(
    function: Callable[..., object], name: str, bad: object, error: type[Exception], message: str
) -> None:
    function(**arguments(function))
    with pytest.raises(error, match=f"^{name} {message}"):
        function(**(arguments(function) | {name: bad}))


@pytest.mark.parametrize("function", [f for f, name in CASES if name in ("delta", "total_delta")])
def test_delta_above_one_is_refused(function: Callable[..., object]) -> None:
    for name in ("delta", "total_delta"):
        if name in arguments(function):
            with pytest.raises(ValueError, match=f"^{name} must not exceed 1"):
                function(**(arguments(function) | {name: 5}))


@pytest.mark.parametrize("function", list(EXPORTS.values()), ids=list(EXPORTS))
def test_docstrings_name_their_claim_or_disclaim_it(function: Callable[..., object]) -> None:
    assert re.search(r"\bT(3|11|13|17[a-h])\b", function.__doc__ or "")
    assert ">>>" in (function.__doc__ or "")
