from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys

import pytest

import certified
from certified.version import __version__

HEAVY = ("flax", "jax", "jaxlib", "matplotlib", "pandas", "scipy", "sklearn")


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after ``statement``."""
    report = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_import_is_light() -> None:
    loaded = modules_after("import certified")
    assert "certified" in loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "certified.bounds.formulas",
        "certified.cli",
        "certified.numerics.balls",
        "certified.privacy",
        "certified.verification.verify",
    ],
)
def test_calculators_and_verifier_start_without_jax(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "certified" in loaded
    assert loaded.isdisjoint(("flax", "jax", "jaxlib", "sklearn")), loaded


def test_every_public_name_exists() -> None:
    assert certified.__all__
    for name in certified.__all__:
        assert getattr(certified, name) is not None
        assert name in dir(certified)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = certified.no_such_name


def test_version_matches_metadata() -> None:
    assert certified.__version__ == __version__ == importlib.metadata.version("certified-removal")


def test_type_information_is_shipped() -> None:
    assert importlib.resources.files("certified").joinpath("py.typed").is_file()


def test_console_script_resolves() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="certified")
    assert callable(script.load())
