"""Addresses and checksums are well formed; the data folder is found by the documented rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from certified.data.registry import ADULT_FILES, LAYOUTS, MNIST_FILES, SST2_FILES, available, data_home


@pytest.mark.parametrize("remote", [*MNIST_FILES, *ADULT_FILES, *SST2_FILES], ids=lambda remote: remote.name)
def test_every_remote_file_is_pinned_and_encrypted_in_transit(remote) -> None:
    assert re.fullmatch("[0-9a-f]{64}", remote.sha256)
    assert remote.size > 0
    assert remote.urls
    assert all(url.startswith("https://") and url.endswith(f"/{remote.name}") for url in remote.urls)


def test_the_argument_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFIED_DATA", str(tmp_path / "environment"))
    assert data_home(tmp_path / "argument") == tmp_path / "argument"
    assert data_home(str(tmp_path / "argument")) == tmp_path / "argument"
    assert data_home() == tmp_path / "environment"


@pytest.mark.parametrize("cache", ["", "relative"])
def test_the_user_cache_is_the_last_resort(cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CERTIFIED_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert data_home() == tmp_path / ".cache" / "certified"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert data_home() == tmp_path / "elsewhere" / "certified"


def test_other_platforms_keep_their_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CERTIFIED_DATA", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    assert data_home() == tmp_path / "Library" / "Caches" / "certified"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert data_home() == tmp_path / "Local" / "certified"


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="data_dir or CERTIFIED_DATA"):
        data_home(tmp_path / "file")


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_available_follows_the_files(name: str, tmp_path: Path) -> None:
    for i, files in enumerate(LAYOUTS[name]):
        folder = tmp_path / str(i)
        for file in files:
            assert not available(name, folder)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        assert available(name, folder)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"name must be one of digits, .*not 'imagenet'"):
        available("imagenet")
