"""The package loads what it needs, when it is needed, and says what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from certified import CertifiedRidge, features


def test_every_name_exists() -> None:
    for name in features.__all__:
        assert getattr(features, name) is not None
        assert name in dir(features)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = features.no_such_name


def test_provenance_needs_neither_jax_nor_flax() -> None:
    code = "from certified.features import Provenance\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"jax", "flax", "sklearn"}.isdisjoint(done.stdout.split())


def test_functions_and_dense_heads_need_no_flax() -> None:
    code = (
        "import sys\nsys.modules['flax'] = None\nimport numpy as np\n"
        "from certified import CertifiedRidge\nfrom certified.features import DenseHead, LinearHead, extract_features\n"
        "X = extract_features(lambda x: x, None, np.eye(6))\n"
        "params = {'kernel': np.zeros((6, 1)), 'bias': np.zeros(1)}\n"
        "print(DenseHead.fit(params, X, X[:, 0], estimator=CertifiedRidge()).remove([0]).removed_count)\n"
        "try:\n    LinearHead.fit(None, X, X[:, 0], estimator=CertifiedRidge())\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["1", "flax is missing: pip install 'certified-removal[flax]'"], done.stderr


def test_a_word_is_no_provenance() -> None:
    with pytest.raises(TypeError, match=r"features must be None or a Provenance.*got a str"):
        CertifiedRidge(features="public").fit([[0.0], [1.0]], [0.0, 1.0])  # type: ignore[arg-type]
