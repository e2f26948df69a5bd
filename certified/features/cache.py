"""Features kept between runs, by content: they are personal data, so rows can be forgotten and files are private."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from certified.estimators.archive import write

Array = npt.NDArray[np.float64]
Tree = Any
Key = bytes

_MAGIC = b"certified-features/1\n"


class FeatureCache:
    """A folder of features: one file per extractor, one entry per row in it, both named by the SHA-256 of content.

    A changed weight is another file, a changed row another entry. Each file carries a checksum: one that does not match
    is computed anew and replaced. Files are written complete or not at all, and readable by their owner only, because
    features of a person's rows are personal data like the rows.

    Deleting a row from a model does not delete it here: call `forget` with the rows that go, or `keep` with those that
    stay. Both look into the files of all extractors. Nothing must extract the same rows meanwhile.

    Example:
        >>> import tempfile, numpy as np
        >>> from certified.features import extract_features
        >>> folder = tempfile.TemporaryDirectory()
        >>> cache, X = FeatureCache(folder.name), np.eye(3)
        >>> features = extract_features(lambda x: 2.0 * x, None, X, cache=cache)
        >>> cache.forget(X[:1]), cache.keep(X[:2]), len(cache)
        (1, 1, 1)
        >>> folder.cleanup()
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"FeatureCache({str(self.folder)!r})"

    def __len__(self) -> int:
        """The number of entries of all extractors."""
        return sum(len(_read(path) or ()) for path in self._files())

    def forget(self, rows: Tree) -> int:
        """Remove the features of ``rows`` under every extractor; return how many entries went.

        Args:
            rows: inputs as `extract_features` takes them: an array, or a tree of arrays, one row per sample.

        A damaged file goes as a whole, since nobody can tell what it holds. What the file system freed is not
        overwritten. Equal rows share an entry, so it goes for both of them, and is computed anew when it is needed.
        """
        gone = set(row_keys(rows))
        return self._rewrite(lambda key: key not in gone)

    def keep(self, rows: Tree) -> int:
        """Remove the features of everything but ``rows``, for when the deleted rows are no longer at hand."""
        kept = set(row_keys(rows))
        return self._rewrite(lambda key: key in kept)

    def read(self, extractor: str) -> dict[Key, Array]:
        """Return the entries of one extractor; none where its file is missing or damaged."""
        return _read(self._path(extractor)) or {}

    def write(self, extractor: str, entries: dict[Key, Array]) -> None:
        """Replace the entries of one extractor, completely or not at all."""
        _write(self._path(extractor), entries)

    def _rewrite(self, stays: Any) -> int:
        removed = 0
        for path in self._files():
            entries = _read(path)
            if entries is None:
                path.unlink(missing_ok=True)
                continue
            left = {key: value for key, value in entries.items() if stays(key)}
            removed += len(entries) - len(left)
            if not left:
                path.unlink(missing_ok=True)
            elif len(left) < len(entries):
                _write(path, left)
        return removed

    def _path(self, extractor: str) -> Path:
        return self.folder / f"{extractor}.features"

    def _files(self) -> Iterable[Path]:
        """Files of features, the leftovers of a writer that was killed included."""
        return sorted(p for p in self.folder.iterdir() if re.fullmatch(r"\.?[0-9a-f]{64}\.features.*", p.name))


def row_keys(rows: Tree) -> list[Key]:
    """Return the SHA-256 of each row over names, shapes and values of its arrays, in whatever type they come.

    >>> import numpy as np
    >>> first, second, again = row_keys(np.array([[1.0], [2.0], [1.0]], dtype=np.float32))
    >>> first == again == row_keys(np.ones((1, 1)))[0], first == second
    (True, False)
    """
    parts = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(rows):
        array = np.asarray(leaf)
        values = np.ascontiguousarray(array, "<f8" if array.dtype.kind == "f" else "<i8")
        name = f"{jax.tree_util.keystr(path)} {values.dtype.str} {values.shape[1:]};".encode()
        parts.append([name + row.tobytes() for row in values])
    return [hashlib.sha256(b"".join(row)).digest() for row in zip(*parts, strict=True)]


def _read(path: Path) -> dict[Key, Array] | None:
    """Return the entries of a file, or None where it is missing, damaged or of another format."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = content[len(_MAGIC) + 32 :]
    if content[: len(_MAGIC) + 32] != _MAGIC + hashlib.sha256(body).digest():
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        keys, features = archive["keys"], archive["features"]
    return {key.tobytes(): row for key, row in zip(keys, features, strict=True)}


def _write(path: Path, entries: dict[Key, Array]) -> None:
    buffer = io.BytesIO()
    keys = np.frombuffer(b"".join(entries), np.uint8).reshape(len(entries), 32)
    np.savez(buffer, allow_pickle=False, keys=keys, features=np.stack(list(entries.values())))
    body = buffer.getvalue()
    write(path, _MAGIC + hashlib.sha256(body).digest() + body)
