"""Downloads over a loopback server: the file appears whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from certified.data.download import DownloadError, RemoteFile, fetch, obtain, terminal_progress

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path == "/endless":
            self.end_headers()
            self._send_until_closed(CONTENT, pause=0.0)
            return
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/good":
            self.wfile.write(CONTENT)
        elif self.path == "/altered":
            self.wfile.write(CONTENT[:-1] + b"\x00")
        elif self.path == "/truncated":
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
        elif self.path == "/silent":
            self.server.stopping.wait(5.0)  # type: ignore[attr-defined]
        elif self.path == "/dripping":
            self._send_until_closed(b"x", pause=0.02)

    def _send_until_closed(self, piece: bytes, pause: float) -> None:
        try:
            while not self.server.stopping.wait(pause):  # type: ignore[attr-defined]
                self.wfile.write(piece)
        except OSError:
            pass

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.stopping = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stopping.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def remote(*urls: str) -> RemoteFile:
    return RemoteFile("file.bin", len(CONTENT), SHA256, urls)


def test_the_file_arrives_whole_with_progress(address: str, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = fetch(remote(f"{address}/good"), tmp_path / "new", progress=lambda *event: seen.append(event))
    assert path == tmp_path / "new" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_file_url_works(tmp_path: Path) -> None:
    (tmp_path / "origin").write_bytes(CONTENT)
    path = fetch(remote((tmp_path / "origin").as_uri()), tmp_path / "copy")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("absent", "404"),
        ("altered", "served other bytes"),
        ("truncated", f"broke off after {len(CONTENT) // 2} of {len(CONTENT)} bytes"),
        ("endless", "served more than the published"),
        ("silent", "timed out"),
        ("dripping", "took too long"),
    ],
)
def test_a_bad_transfer_leaves_nothing(address: str, tmp_path: Path, kind: str, reason: str) -> None:
    start = time.monotonic()
    with pytest.raises(DownloadError, match=reason):
        fetch(remote(f"{address}/{kind}"), tmp_path, idle_timeout=0.3, total_timeout=0.6)
    assert time.monotonic() - start < 5.0
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_keeps_the_file_that_was_there(address: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"earlier")
    with pytest.raises(DownloadError):
        fetch(remote(f"{address}/altered"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
    assert (tmp_path / "file.bin").read_bytes() == b"earlier"


def test_an_interrupt_leaves_nothing(address: str, tmp_path: Path) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(remote(f"{address}/good"), tmp_path, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_next_mirror_is_tried(address: str, tmp_path: Path) -> None:
    path = fetch(remote(f"{address}/truncated", f"{address}/altered", f"{address}/good"), tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_error_names_every_address_and_the_remedy(address: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(remote(f"{address}/absent", f"{address}/altered"), tmp_path)
    message = str(caught.value)
    for part in (f"{address}/absent", f"{address}/altered", "place the file there yourself", SHA256):
        assert part in message


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot create the folder"):
        fetch(remote("http://127.0.0.1:1/"), tmp_path / "file" / "below")


def test_obtain_uses_a_verified_file_without_any_address(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert obtain(remote(), tmp_path, download=True) == tmp_path / "file.bin"


def test_obtain_downloads_what_is_missing(address: str, tmp_path: Path) -> None:
    assert obtain(remote(f"{address}/good"), tmp_path, download=True).read_bytes() == CONTENT


def test_obtain_without_download_says_where_the_file_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"https://example\.org/file.*CERTIFIED_DATA"):
        obtain(remote("https://example.org/file"), tmp_path / "new", download=False)
    assert list(tmp_path.iterdir()) == []


def test_obtain_refuses_a_damaged_file_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="damaged or another version"):
        obtain(remote(), tmp_path, download=True)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[:-1]


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal_progress("file.bin", 1, 2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_progress_ends_its_line_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    terminal_progress("file.bin", 1_000_000, 2_000_000)
    terminal_progress("file.bin", 2_000_000, 2_000_000)
    assert capsys.readouterr().err == "\rfile.bin:  50% of 2.0 MB\rfile.bin: 100% of 2.0 MB\n"
