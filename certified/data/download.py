"""Verified downloads: a file appears under its name only if its bytes are the published ones."""

from __future__ import annotations

import hashlib
import http.client
import logging
import secrets
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 16

Progress = Callable[[str, int, int], None]
"""Called as ``progress(file name, bytes received, bytes in all)``."""


@dataclass(frozen=True)
class RemoteFile:
    """A public file that never changes.

    Attributes:
        name: file name on disk.
        size: length in bytes.
        sha256: SHA-256 of the bytes, in lower-case hexadecimal.
        urls: places that serve these very bytes, tried in order.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]


class DownloadError(OSError):
    """No address served the published bytes; nothing was left on disk."""


def terminal_progress(name: str, done: int, total: int) -> None:
    """Show the share received, on a terminal only."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{name}: {done / total:4.0%} of {total / 1e6:.1f} MB", end=end, file=sys.stderr, flush=True)


def obtain(remote: RemoteFile, folder: Path, *, download: bool, progress: Progress = terminal_progress) -> Path:
    """Return the path of ``remote`` in ``folder``, verified; if it is missing and ``download``, fetch it.

    Raises:
        FileNotFoundError: the file is missing and ``download`` is false.
        ValueError: a file of that name is there but its bytes are not the published ones.
        DownloadError: see :func:`fetch`.
    """
    path = folder / remote.name
    if path.is_file():
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != remote.sha256:
            raise ValueError(
                f"{path} is damaged or another version: its SHA-256 is {digest}, the published one is "
                f"{remote.sha256}; remove the file and load again"
            )
        return path
    if not download:
        raise FileNotFoundError(
            f"{path} is missing; load with download=True to fetch it from {remote.urls[0]}, or point "
            "data_dir or the environment variable CERTIFIED_DATA at a folder that holds it"
        )
    return fetch(remote, folder, progress=progress)


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    idle_timeout: float = 30.0,
    total_timeout: float = 900.0,
    progress: Progress = terminal_progress,
) -> Path:
    """Download ``remote`` into ``folder`` and return its path; an existing file is replaced atomically.

    The bytes go to a temporary file beside the target, which is renamed only once length and SHA-256 agree;
    whatever interrupts the transfer, no partial file keeps the name.

    Args:
        remote: the file.
        folder: created if missing.
        idle_timeout: seconds without a byte after which an address is given up.
        total_timeout: seconds after which an address is given up, however lively.
        progress: called after every chunk.

    Raises:
        DownloadError: no address served the published bytes in time, or ``folder`` cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(
            f"cannot create the folder {folder} ({error}); point data_dir or CERTIFIED_DATA at a writable one"
        ) from error
    failures = []
    for url in remote.urls:
        _LOG.info("downloading %s (%d bytes) from %s", remote.name, remote.size, url)
        part = folder / f".{remote.name}.{secrets.token_hex(8)}.part"
        try:
            _stream(url, part, remote, idle_timeout, time.monotonic() + total_timeout, progress)
            part.replace(folder / remote.name)
            return folder / remote.name
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise DownloadError(
        f"could not download {remote.name} into {folder} ({'; '.join(failures)}); check the network, or "
        f"place the file there yourself (SHA-256 {remote.sha256})"
    )


def _stream(url: str, part: Path, remote: RemoteFile, idle_timeout: float, deadline: float, progress: Progress) -> None:
    """Copy ``url`` to the new file ``part``; raise unless its bytes are those of ``remote``."""
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "certified"})
    with part.open("xb") as out, urllib.request.urlopen(request, timeout=idle_timeout) as response:
        # read1 returns what has arrived: read would wait for a full chunk, past any deadline.
        while chunk := response.read1(_CHUNK):
            done += len(chunk)
            if done > remote.size:
                raise DownloadError(f"served more than the published {remote.size} bytes")
            if time.monotonic() > deadline:
                raise DownloadError(f"took too long: {done} of {remote.size} bytes so far")
            digest.update(chunk)
            out.write(chunk)
            progress(remote.name, done, remote.size)
    if done < remote.size:
        raise DownloadError(f"broke off after {done} of {remote.size} bytes")
    if digest.hexdigest() != remote.sha256:
        raise DownloadError(f"served other bytes: SHA-256 {digest.hexdigest()} instead of {remote.sha256}")
