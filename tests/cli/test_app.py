from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from certified.version import __version__
from tests.cli.conftest import run

COMMANDS = ("fit", "remove", "add", "correct", "release", "verify", "bound", "calibrate", "capacity", "plan", "demo")


def test_version() -> None:
    result = run("--version")
    assert (result.status, result.out) == (0, f"certified-removal {__version__}\n")


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.status == 0
    assert all(command in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS if name != "bound"), ("bound", "list")])
def test_help_documents_json(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.status == 0
    assert "--json" in result.out
    assert "JSON:" in result.out


@pytest.mark.parametrize("arguments", [("no-such",), ("remove",), ("fit", "rows.csv"), ("calibrate", "--epsilon", "x")])
def test_wrong_usage_is_status_two(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert "Traceback" not in result.err


def test_refusal_is_one_line_without_traceback(tmp_path: Path) -> None:
    result = run("remove", tmp_path / "none.model", "--ids", "1", "--json")
    assert result.status == 2
    assert result.out == ""
    assert result.err == f"error: MODEL: there is no file {tmp_path / 'none.model'}\n"


def test_traceback_on_request(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run("--traceback", "remove", tmp_path / "none.model", "--ids", "1")


def test_unexpected_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**known: float) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr("certified.privacy.gaussian_delta", broken)
    with pytest.raises(ZeroDivisionError):
        run("calibrate", "--epsilon", "1", "--sensitivity", "1", "--noise-std", "1")


def test_the_package_is_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "certified", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"certified-removal {__version__}\n"
