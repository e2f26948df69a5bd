"""What the verifier takes in: numbers that nobody changes while it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from certified.verification.evidence import Evidence


def test_numbers_of_a_mapped_file_are_copied(tmp_path: Path) -> None:
    """The file may change between the digests of the rows and their sums."""
    path = tmp_path / "X.npy"
    np.save(path, np.ones((4, 2)))
    mapped = np.load(path, mmap_mode="r+")
    for view in (mapped, mapped[:, :], np.asarray(mapped)):
        evidence = Evidence.validated(view, [0, 1, 0, 1], np.zeros((2, 1)), None, None, None)
        mapped[0, 0] = 7.0
        assert np.array_equal(evidence.features, np.ones((4, 2)))
        mapped[0, 0] = 1.0
