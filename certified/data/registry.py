"""Where the data sets live: on the web, with length and checksum, and in a folder of this machine.

The SHA-256 sums are those of TensorFlow Datasets for MNIST, those on which independent projects agree for the
UCI files of Adult, and those of the pinned commit for SST-2.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from certified.data.download import RemoteFile


def _mnist(name: str, size: int, sha256: str) -> RemoteFile:
    mirrors = (
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    )
    return RemoteFile(name, size, sha256, tuple(f"{mirror}/{name}" for mirror in mirrors))


def _adult(name: str, size: int, sha256: str) -> RemoteFile:
    home = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
    return RemoteFile(name, size, sha256, (f"{home}/{name}",))


def _sst2(name: str, size: int, sha256: str) -> RemoteFile:
    commit = "clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236"
    return RemoteFile(name, size, sha256, (f"https://raw.githubusercontent.com/{commit}/data/SST2/{name}",))


MNIST_FILES = (
    _mnist(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    _mnist(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    _mnist(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    _mnist(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
"""Training images and labels, test images and labels, in IDX format."""

ADULT_FILES = (
    _adult("adult.data", 3_974_305, "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
    _adult("adult.test", 2_003_153, "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
)
"""Training and test rows, comma-separated."""

SST2_FILES = (
    _sst2("train.tsv", 720_259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
    _sst2("dev.tsv", 92_057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
    _sst2("test.tsv", 188_749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
)
"""Training, development and test sentences, each with a tab and its label 0 or 1."""

MNIST_PACKED = "mnist/mnist.npz"
ADULT_PACKED = "adult/adult.npz"
SST2_FEATURES = "sst2/sst2_minilm.npz"

_MNIST_LAYOUTS = ((MNIST_PACKED,), tuple(f"mnist/{file.name}" for file in MNIST_FILES))

LAYOUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "digits": ((),),
    "breast_cancer": ((),),
    "mnist": _MNIST_LAYOUTS,
    "mnist_3_vs_8": _MNIST_LAYOUTS,
    "adult": ((ADULT_PACKED,), tuple(f"adult/{file.name}" for file in ADULT_FILES)),
    "sst2": ((SST2_FEATURES,),),
    "sst2_sentences": (tuple(f"sst2/{file.name}" for file in SST2_FILES),),
}
"""Data set → the sets of files, relative to the data folder, any one of which is enough to load it."""


def data_home(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the data folder: ``data_dir``, else ``$CERTIFIED_DATA``, else ``certified`` in the user's cache.

    Raises:
        NotADirectoryError: the path is a file.

    >>> data_home("data").name
    'data'
    """
    chosen = os.environ.get("CERTIFIED_DATA") if data_dir is None else data_dir
    home = Path(chosen).expanduser() if chosen else _user_cache() / "certified"
    if home.exists() and not home.is_dir():
        raise NotADirectoryError(f"{home} is not a folder; point data_dir or CERTIFIED_DATA at one")
    return home


def available(name: str, data_dir: str | os.PathLike[str] | None = None) -> bool:
    """Say whether the data set ``name`` can be loaded without a download.

    Raises:
        ValueError: ``name`` is not one of ``LAYOUTS``.

    >>> available("digits")
    True
    """
    if name not in LAYOUTS:
        raise ValueError(f"name must be one of {', '.join(LAYOUTS)}, not {name!r}")
    home = data_home(data_dir)
    return any(all((home / file).is_file() for file in files) for files in LAYOUTS[name])


def _user_cache() -> Path:
    """The platform's folder for files that can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return folder if folder.is_absolute() else Path.home() / ".cache"
